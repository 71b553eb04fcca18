"""Each sheet says what it would set going, and asks anew when the session changes while it is open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen
from textual.widgets import Input, OptionList

from maestro_tui.config import TrustBook
from maestro_tui.console.host import ConsoleHost
from maestro_tui.console.screens.batch import BatchSheet
from maestro_tui.console.screens.choose_phase import ChoosePhase
from maestro_tui.console.screens.doctor import DoctorSheet
from maestro_tui.console.screens.edit import EditSheet
from maestro_tui.console.screens.fork import ForkSheet
from maestro_tui.console.screens.review import ReviewSheet
from maestro_tui.console.screens.skip import SkipSheet
from maestro_tui.console.widgets.phase_list import PhaseList
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CommitInfo
from tests.console.fakes import FakeHost, busy_fleet, console, post
from tests.console.test_sheets import launch_sheet, opened, result, said, settle
from tests.sessions import Project, line

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (120, 40)


def changed(snapshot: FleetSnapshot, session_id: str) -> FleetSnapshot:
    """The fleet where one session has another commit."""
    one = snapshot.sessions[session_id]
    newer = dataclasses.replace(one, seq=one.seq + 1, sha256="f" * 64)
    return FleetSnapshot(root=snapshot.root, sessions={**snapshot.sessions, session_id: newer}, version=2)


# ── What each sheet says ──────────────────────────────────────────────────────────────────────────────────


async def test_a_review_says_what_each_decision_sets_going_and_who_holds_the_session() -> None:
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        words = said(app, "#radius")
        assert "y approves: nothing is left to run" in words
        assert "b pushes back: runs deployment; about 5m (from 11 earlier runs)" in words
        assert "x rejects: fails the phase, nothing runs" in words and "nobody holds this session" in words


async def test_several_at_once_are_summed_up() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "space", "space", "r")
        words = said(app, "#sums")
        assert words.startswith(
            "2 of 2 run something; about 16m (8 phases, 2 side by side), about $0.24 (from 11 earlier runs)"
        )
        assert words.endswith("may overwrite docs/design.md")


async def test_a_launch_says_what_phases_usually_take_and_what_limits_them(tmp_path: Path) -> None:
    (tmp_path / "maestro.toml").write_text(
        'name = "w"\n[budget]\ncost_usd = 5\n[[phases]]\nname = "design"\ntimeout_seconds = 600\n'
        '[[phases.personas]]\nname = "p"\nshell = "true"\n'
        '[[phases]]\nname = "testing"\n[[phases.personas]]\nname = "p"\nshell = "true"\n'
    )
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path, count=2)
        await settle(pilot)
        phases = sheet.query_one(PhaseList)
        lines = ["".join(one.text for one in phases.render_line(y)) for y in range(2)]
        assert lines[0].rstrip().endswith("usual 2m $0.12 · at most 10m00s")
        assert lines[1].rstrip().endswith("usual 4m")
        assert said(app, "#sums") == (
            "about 7m, about $0.12 (from 11 earlier runs); at most $5.00; may overwrite docs/design.md"
        )
        phases.focus()
        await pilot.press("space")
        await settle(pilot)
        assert said(app, "#sums").startswith("about 4m (from 11 earlier runs)")


# ── A changed session ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "kind", "session_id"),
    [
        (("j", "K", "enter"), SkipSheet, "payments-refactor"),
        (("j", "F"), ForkSheet, "payments-refactor"),
        (("j", "D"), DoctorSheet, "payments-refactor"),
        (("j", "p"), ChoosePhase, "payments-refactor"),
        (("a",), ReviewSheet, "kyc-flow"),
        (("j", "space", "r"), BatchSheet, "payments-refactor"),
    ],
)
async def test_a_changed_session_is_read_anew_and_what_was_typed_before_does_not_confirm(
    keys: tuple[str, ...], kind: type[Screen[None]], session_id: str
) -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host, results=result)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, *keys)
        assert isinstance(sheet, kind)
        await post(app, pilot, changed(snapshot, session_id))
        await settle(pilot)
        assert app.screen is sheet and host.calls == []
        if kind in (SkipSheet, ForkSheet, ReviewSheet, BatchSheet):
            assert "changed since" in said(app, "#sentence")


async def test_new_commits_come_to_an_open_fork_sheet_and_the_cursor_stays_on_its_commit() -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "F", "j")
        options = app.screen.query_one(OptionList)
        assert options.option_count == 3 and options.highlighted == 1
        host.commits.append(CommitInfo(3, "design", 2, "failed", "ef" * 32, None, Path()))
        await post(app, pilot, changed(snapshot, "payments-refactor"))
        await settle(pilot)
        assert options.option_count == 4 and options.highlighted == 2


async def test_an_edit_of_what_has_changed_meanwhile_is_not_recorded() -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        session = snapshot.sessions["kyc-flow"]
        app.open_sheet(EditSheet(session, "deployment", {"a": 1}, {"a": 2}))
        await settle(pilot)
        await post(app, pilot, changed(snapshot, "kyc-flow"))
        app.screen.query_one("#comment", Input).value = "why"
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [] and "changed while you edited" in said(app, "#sentence")


async def test_a_phase_that_was_completed_meanwhile_is_not_skipped() -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "K", "enter")
        one = snapshot.sessions["payments-refactor"]
        phases = tuple(dataclasses.replace(phase, status="completed") for phase in one.phases)
        newer = dataclasses.replace(one, seq=one.seq + 3, phases=phases)
        await post(app, pilot, FleetSnapshot(root=snapshot.root, sessions={one.session_id: newer}, version=2))
        await settle(pilot)
        app.screen.query_one("#comment", Input).value = "why"
        await pilot.press("enter", "enter")
        await settle(pilot)
        assert host.calls == [] and "is completed by now" in said(app, "#sentence")


# ── The real host ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def waiting(tmp_path: Path) -> Project:
    """A real session whose second of three phases waits for a person."""
    project = Project(tmp_path / "shop", line("a", "b", "c"), {"b": "approval = true"})
    TrustBook().remember(Workflow.load(project.file), str(project.file))
    assert project.call("run", "x", "--session-id", "s").returncode == 3
    return project


@pytest.mark.parametrize(("verdict", "runs"), [("approved", ("c",)), ("pushed_back", ("b",))])
def test_the_plan_after_a_decision_is_made_without_deciding(
    waiting: Project, verdict: Any, runs: tuple[str, ...]
) -> None:
    host = ConsoleHost(waiting.root)
    before = [one.sha256 for one in host.history("s")]
    assert host.plan_decision("s", "b", verdict).runs == runs
    assert [one.sha256 for one in host.history("s")] == before
    assert any(phase.waiting for phase in host.summary("s").phases)
