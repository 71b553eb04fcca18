"""The weightier sheets: skip, fork, prune, doctor, the end of another process; what they list is what they do."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList

from maestro_tui.console.host import ConsoleHost
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.screens.doctor import DoctorSheet
from maestro_tui.console.screens.fork import ForkPlanSheet, ForkSheet
from maestro_tui.console.screens.kill import KillSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.prune import PruneSheet
from maestro_tui.console.screens.skip import SkipSheet
from maestro_tui.console.settings import Settings
from maestro_tui.console.stop_runner import stop_runner
from maestro_tui.engine.launch import Launch
from maestro_tui.model.errors import InputError, PlanError
from maestro_tui.model.summary import FleetSnapshot, Owner
from maestro_tui.store.lease import hold_session, read_owner
from maestro_tui.store.prune import Pruned
from maestro_tui.store.retention import Retention
from tests.console.fakes import ROOT, FakeHost, busy_fleet, console, fleet, owner, plan_for, post, session
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.test_sheets import opened, said, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)


async def with_reason(pilot: Pilot[Any], words: str) -> None:
    """Types where the focus is; the first enter leads on to the button, the second presses it."""
    await pilot.press(*words, "enter", "enter")
    await settle(pilot)


# ── Skip ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_skip_names_who_goes_on_without_it_and_needs_a_reason() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "K", "enter")
        assert isinstance(sheet, SkipSheet) and sheet.phase == "design"
        needing = [line.split()[1:3] for line in said(app, "#without").splitlines()[1:]]
        assert needing == [[name, "run"] for name in ("implementation", "testing", "deployment")]
        assert "usual 3m" in said(app, "#without") and "about 14m" in said(app, "#sums")
        await pilot.press("enter", "enter")
        await settle(pilot)
        assert host.calls == [] and "Say why" in said(app, "#sentence")
        await with_reason(pilot, "xylophone")
        assert host.calls == [("skip", "payments-refactor", "design", None, "xylophone")]
        assert len(app.screen_stack) == 1


async def test_what_was_typed_is_there_again_when_the_sheet_is_opened_again_until_it_is_recorded() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "K", "enter", *"yes", "escape")
        assert host.calls == [] and len(app.screen_stack) == 1
        await opened(pilot, "K", "enter")
        assert app.screen.query_one("#comment", Input).value == "yes"
        await opened(pilot, *"!", "enter", "y")
        assert host.calls == [("skip", "payments-refactor", "design", None, "yes!")]
        await opened(pilot, "K", "enter")
        assert app.screen.query_one("#comment", Input).value == ""


async def test_a_refused_act_stays_on_its_sheet_and_may_be_tried_again() -> None:
    host = FakeHost()
    host.refuse = PlanError("Phase 'design' is done [/red].")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "K", "enter")
        await with_reason(pilot, "x")
        assert (
            isinstance(app.screen, SkipSheet) and said(app, "#sentence") == "Phase 'design' is done [/red]."
        )
        await pilot.press("y")
        await settle(pilot)
        assert len(host.calls) == 2 and len(app.screen_stack) == 1


# ── Fork ──────────────────────────────────────────────────────────────────────────────────────────────────


FORKED = "20261123-140300-forked-bb02"


@pytest.mark.parametrize(
    ("key", "calls"),
    [
        ("escape", []),
        ("enter", []),
        ("f", [("fork", "payments-refactor", 1, None)]),
        (
            "y",
            [("fork", "payments-refactor", 1, None), ("resume", FORKED, "hash-resume-0", None)],
        ),
    ],
)
async def test_a_fork_is_begun_only_when_its_plan_is_confirmed(key: str, calls: list[Any]) -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "F")
        assert isinstance(sheet, ForkSheet) and sheet.query_one(OptionList).option_count == 3
        sheet = await opened(pilot, "j", "enter")
        assert isinstance(sheet, ForkPlanSheet) and host.calls == []
        assert said(app, "#title") == "Fork payments-refactor from commit 1, after requirements"
        assert "$ maestro-tui fork payments-refactor --at 1" in said(app, "#sums")
        await opened(pilot, key)
        assert host.calls == calls and len(app.screen_stack) == 1


async def test_a_fork_that_would_run_otherwise_than_shown_is_shown_again() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "F", "enter")
        host.plan_of = lambda session_id, kind, phase: plan_for(session_id, "phase", "testing")
        sheet = await opened(pilot, "y")
        assert isinstance(sheet, PlanSheet) and sheet.session.session_id == FORKED
        assert [call[0] for call in host.calls] == ["fork"]


async def test_a_damaged_commit_is_nothing_to_fork_from() -> None:
    host = FakeHost()
    host.commits[1] = dataclasses.replace(host.commits[1], problem="digest does not match")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "F")
        assert isinstance(sheet, ForkSheet) and [one.seq for one in sheet.commits] == [2, 0]


# ── Prune ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_prune_removes_exactly_the_marked_ones_that_are_over() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "asterisk", "P")
        assert isinstance(sheet, PruneSheet)
        assert "2 go; 6 stay: not over, or damaged" in said(app, "#scope")
        listed = said(app, "#sessions")
        assert "payments-refactor" in listed and "stock-sync" in listed and "kyc-flow" not in listed
        await pilot.press("enter")
        assert host.calls == []
        await opened(pilot, "P", "y")
        assert [call[0] for call in host.calls] == ["prune"]
        assert sorted(host.calls[0][1]) == ["payments-refactor", "stock-sync"]


async def test_what_prune_could_not_delete_is_told() -> None:
    host = FakeHost()
    host.undeleted = ("session stock-sync cannot be deleted whole: Permission denied; the rest lies in /x",)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "asterisk", "P")
        await opened(pilot, "y")
        told = [(one.words, one.level) for one in app.notices]
        assert told[-1] == (host.undeleted[0], "error")


async def test_without_marks_only_what_has_been_over_for_long_goes() -> None:
    host = FakeHost()
    snapshot = fleet(
        session("old", "completed", written=40 * 86_400, age=41 * 86_400),
        session("new", "completed", written=3 * 86_400, age=4 * 86_400),
        session("open", "paused", written=400 * 86_400, age=401 * 86_400),
    )
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "P")
        assert isinstance(sheet, PruneSheet) and [one.session_id for one in sheet.going] == ["old"]
        await pilot.press("o")
        assert sheet.going == ()
        await pilot.press("y")
        assert "nothing would be removed" in said(app, "#sentence") and host.calls == []
        await pilot.press("o")
        assert [one.session_id for one in sheet.going] == ["new", "old"]


async def test_what_the_settings_say_is_offered_first_and_nothing_goes_by_itself() -> None:
    host = FakeHost()
    snapshot = fleet(
        *(session(f"s{day}", "completed", written=day * 86_400, age=90 * 86_400) for day in (1, 2, 3))
    )
    app = console(snapshot, host=host, settings=Settings(retention=Retention(keep=2)))
    async with app.run_test(size=SIZE) as pilot:
        assert host.calls == []
        sheet = await opened(pilot, "P")
        assert isinstance(sheet, PruneSheet) and [one.session_id for one in sheet.going] == ["s3"]
        assert "beyond the newest 2 (your settings)" in said(app, "#scope")
        await pilot.press("o")
        assert [one.session_id for one in sheet.going] == ["s2", "s3"], "the ages come after it"


async def test_what_runs_again_meanwhile_is_not_removed() -> None:
    host, snapshot = FakeHost(), fleet(session("s-1", "failed"), session("s-2", "failed"))
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "asterisk", "P")
        await post(app, pilot, fleet(session("s-1", "running"), session("s-2", "failed"), version=2))
        assert isinstance(sheet, PruneSheet) and [one.session_id for one in sheet.going] == ["s-2"]


# ── Doctor ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_doctor_tells_and_offers_nothing_when_nobody_holds_the_session() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "D")
        found = said(app, "#found")
        assert (
            "Nobody holds it." in found
            and "are intact" in found
            and "  design      run       failed at attempt 2\n  deployment  run       stops for your approval"
            in found
        )
        assert not app.screen.query_one("#yes", Button).display
        await pilot.press("y")
        await settle(pilot)
        assert "nothing to take over" in said(app, "#sentence")


async def test_a_takeover_needs_a_reason_and_does_not_exist_read_only() -> None:
    held = {"pid": 5_220, "host": HOSTILE, "user": HOSTILE, "here": False, "alive": None}
    held |= {"condition": "cannot be seen from here"}
    held |= {"heartbeat_seconds_ago": 900.0, "phases": [HOSTILE]}
    for read_only in (False, True):
        host = FakeHost()
        host.found |= {"owner": held, "damage": [HOSTILE], "problem": HOSTILE}
        app = console(busy_fleet(), host=host, read_only=read_only)
        async with app.run_test(size=SIZE) as pilot:
            await opened(pilot, "j", "j", "D")
            assert isinstance(app.screen, DoctorSheet)
            assert not NEVER_RAW & set(said(app, "#found"))
            assert app.screen.query_one("#yes", Button).display is not read_only
            await pilot.press("y")
            await settle(pilot)
            assert host.calls == []
            if not read_only:
                await pilot.press(*"gone", "enter", "enter")
                await settle(pilot)
                assert host.calls == [("take_over", "search-index", "gone")]


# ── The end of another process ────────────────────────────────────────────────────────────────────────────


async def test_cancel_of_what_another_process_runs_says_what_stops_with_it() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.main.table.select("docs-site")
        sheet = await opened(pilot, "x")
        assert isinstance(sheet, KillSheet)
        words = "\n".join(block.words for block in sheet.query("Block"))  # type: ignore[attr-defined]
        assert "runs 1 more, which stops with it" in words and "invoices" in words and "stays" in words
        await pilot.press("enter")
        assert host.calls == [] and len(app.screen_stack) == 1


async def test_force_is_offered_only_after_the_polite_way_did_not_do() -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.main.table.select("docs-site")
        sheet = await opened(pilot, "X", "y")
        assert isinstance(sheet, KillSheet) and host.calls == [("stop_runner", "docs-site", 4121, False)]
        sheet.offer_force()
        await pilot.pause()
        await pilot.press("y")
        await settle(pilot)
        assert host.calls[-1] == ("stop_runner", "docs-site", 4121, True)
        ended = {**snapshot.sessions, "docs-site": session("docs-site", "interrupted")}
        await post(app, pilot, FleetSnapshot(root=ROOT, sessions=ended, version=2))
        assert len(app.screen_stack) == 1


async def test_a_process_on_another_computer_is_never_stopped_from_here() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.main.table.select("search-index")
        await opened(pilot, "x", "X")
        assert len(app.screen_stack) == 1 and host.calls == []
        assert len(app.notices) == 2 and all("pid 5220 on build-7" in one.words for one in app.notices)


HOLDER = """
import sys, time
from pathlib import Path
from maestro_tui.store.lease import hold_session
hold = hold_session(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(300)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    folder = tmp_path / "s-1"
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield folder, process
    process.kill()
    process.wait(10)
    process.stdout.close()


def seen(folder: Path) -> Owner:
    found = read_owner(folder, time.time())
    assert found is not None and found.alive
    return found


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd (Linux)")
@pytest.mark.parametrize("force", [False, True])
def test_the_runner_that_was_shown_is_ended(held: tuple[Path, subprocess.Popen[str]], force: bool) -> None:
    folder, process = held
    stop_runner(folder, seen(folder), force=force)
    assert process.wait(20) == -(signal.SIGKILL if force else signal.SIGTERM)
    with pytest.raises(InputError, match="nothing was stopped"):
        stop_runner(folder, owner(process.pid))
    with hold_session(folder):
        pass


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd (Linux)")
def test_a_process_that_is_not_the_runner_any_more_is_left_alone(
    held: tuple[Path, subprocess.Popen[str]],
) -> None:
    folder, process = held
    shown = seen(folder)
    for other in (
        dataclasses.replace(shown, epoch=shown.epoch + 1),
        dataclasses.replace(shown, here=False),
        dataclasses.replace(shown, pid=os.getppid()),
        dataclasses.replace(shown, pid=os.getpid()),
    ):
        with pytest.raises(InputError, match=r"[Nn]othing was stopped"):
            stop_runner(folder, other)
    assert process.poll() is None


# ── On the real store ─────────────────────────────────────────────────────────────────────────────────────


def test_the_real_host_skips_forks_examines_and_prunes(tmp_path: Path) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    host = ConsoleHost(tmp_path / "root")
    engine = host._engine()
    session_id = engine.create(Launch(requirement="A shop", workflow="sdlc", workspace=str(workspace)))
    assert host.dependents(session_id, "testing") == ("deployment",)
    assert host.summary(session_id).session_id == session_id
    without = host.plan_skip(session_id, "requirements")
    assert "requirements" not in without.runs and host.history(session_id)[-1].phase == "init"
    host.skip(session_id, "requirements", None, "known already")
    assert host.plan_resume(session_id).runs == without.runs
    assert [one.phase for one in host.history(session_id)] == ["init", "requirements"]
    shown = host.plan_fork(session_id, 0)
    forked = host.fork(session_id, 0)
    made = host.plan_resume(forked)
    assert made.phases == shown.phases and made.runs
    assert host.summary(forked).phases[0].status == "pending"
    assert host.examine(session_id)["damage"] == []
    assert host.outputs(session_id, "requirements") == {}
    with pytest.raises(InputError, match="no committed result"):
        host.outputs(session_id, "design")
    assert host.prune([session_id, forked]) == Pruned()


@pytest.mark.parametrize("keys", [("K", "enter"), ("F",), ("P",), ("D",), ("X",)])
async def test_hostile_words_in_these_sheets_neither_crash_nor_act(keys: tuple[str, ...]) -> None:
    host = FakeHost()
    host.refuse = InputError(HOSTILE)
    host.commits[1] = dataclasses.replace(host.commits[1], phase=HOSTILE, status=HOSTILE)
    clean = "[/] [@click=app.quit]go[/] שלום"
    status = "running" if keys == ("X",) else "failed"
    one = session("s-1", status, at=1, requirement=clean, error=clean, written=90 * 86_400)
    if one.owner is not None:
        one = dataclasses.replace(one, owner=dataclasses.replace(one.owner, user=HOSTILE))
    app = console(fleet(one), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, *keys)
        if isinstance(sheet, ActSheet):
            if sheet.REASON:
                for field in sheet.query(Input):
                    field.value = "why"
            await opened(pilot, "y")
        else:
            await opened(pilot, "enter")
        painted = app.export_screenshot()
        assert not NEVER_RAW & set(painted) - {"\r"} and app.is_running


async def test_what_is_too_long_for_a_sheet_scrolls_by_key_while_a_button_has_the_focus() -> None:
    snapshot = fleet(*(session(f"s-{number:03d}", "failed") for number in range(60)))
    app = console(snapshot)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "asterisk", "P")
        focused, shown = app.focused, sheet.query_one(".list")
        assert isinstance(focused, Button) and shown.scroll_y == 0
        await pilot.press("pagedown", "down")
        assert shown.scroll_y > 5 and app.focused is focused
        await pilot.press("up", "up")
        assert shown.scroll_y == 0
