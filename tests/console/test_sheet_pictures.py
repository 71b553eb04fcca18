"""Pictures of each sheet in the states in which it differs; one start of the app takes several of them.

Names with markup, actions and right-to-left letters stand as they are and within their columns in all that are called
hostile. Every sheet keeps its buttons within the screen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Button

from maestro_tui.config import UntrustedWorkflow
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.screens.edit import EditSheet
from maestro_tui.console.settings import remember_launch
from maestro_tui.model.plan import Action, Plan
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.workflow import Workflow
from tests.console.fakes import (
    FakeHost,
    asking_session,
    busy_fleet,
    console,
    failed_fleet,
    fleet,
    many,
    owner,
    plan_for,
    post,
    question,
    session,
    strange_fleet,
    waiting_fleet,
)
from tests.console.test_sheets import phases_read, result, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
WORDS = "[red]名前[/red] [@click=app.quit]שלום"
Take = Callable[[Pilot[Any], str], None]


@pytest.fixture
def take(snapshot: SnapshotAssertion) -> Take:
    """Holds the screen against the picture of that name."""
    pictures = snapshot.use_extension(SVGImageExtension)

    def compare(pilot: Pilot[Any], name: str) -> None:
        screen = pilot.app.screen
        for button in screen.query("#buttons Button").results(Button):
            assert not button.display or screen.region.contains_region(button.region), name
        assert pictures(name=name) == pilot.app.export_screenshot(), f"{name} looks otherwise"

    return compare


def here(snapshot: FleetSnapshot | None = None, host: FakeHost | None = None, **options: Any) -> MaestroApp:
    """A console in which docs-site and invoices run."""
    host = host or FakeHost()
    host.own = host.own or ("docs-site", "invoices")
    return console(snapshot, host=host, results=result, **options)


async def press(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.pause()
    await pilot.press(*keys)
    await settle(pilot)


async def over(pilot: Pilot[Any], snapshot: FleetSnapshot, *keys: str) -> None:
    """Closes what is open, shows another fleet from its first row, and presses the keys."""
    app: Any = pilot.app
    while len(app.screen_stack) > 1:
        await press(pilot, "escape")
    await press(pilot, "U")
    app._tell(())
    version = app.snapshot.version + 1
    await post(app, pilot, dataclasses.replace(snapshot, version=version))
    await press(pilot, "g", *keys)


@SIZES
@pytest.mark.parametrize("fleet_name", ["failed", "waiting", "hostile"])
async def test_over_other_fleets(take: Take, size: tuple[int, int], fleet_name: str) -> None:
    """The sheet over that fleet, or over the keys the sentence why it cannot be opened now."""
    snapshot = {"failed": failed_fleet, "waiting": waiting_fleet, "hostile": strange_fleet}[fleet_name]()
    app = here(snapshot)
    async with app.run_test(size=size) as pilot:
        for name, pressed in (
            ("review", "a"),
            ("resume", "r"),
            ("choose", "p"),
            ("skip", ("K", "enter")),
            ("fork", "F"),
            ("doctor", "D"),
            ("batch", "*r"),
        ):
            await over(pilot, snapshot, *pressed)
            take(pilot, name)


@SIZES
async def test_launch(
    take: Take, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hostile: the last launch was full of markup, each wrong field says so, none acts. refused: the sentence stands
    under the empty requirement, which has the focus. file: how the requirement's file begins. later: it starts at
    design, so requirements is provided and the line for its file is there; deployment is out, a stop after testing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refunds.md").write_text(f"# Refunds {WORDS}\n\nare idempotent\n")
    app = here(busy_fleet())
    last = dict.fromkeys(("requirement", "workspace", "workflow", "team", "limits", "inputs"), WORDS)
    remember_launch(app.memory, app.root, last)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "n")
        take(pilot, "hostile")
        await press(pilot, "escape")
        app.main.launch_draft = {}
        await press(pilot, "n")
        await phases_read(pilot, 5)
        await press(pilot, "ctrl+s")
        take(pilot, "refused")
        await press(pilot, *"@refunds.md")
        take(pilot, "file")
        await press(pilot, "tab", "tab", "tab", "tab", "j", "f", "j", "j", "p", "j", "space")
        take(pilot, "later")


@SIZES
async def test_file_picker(
    take: Take, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """all: folders first, then files with their sizes, what cannot be taken says why. narrowed: the letters in the
    line, what matches under the cursor. empty: only the way up. gone: why it stays where it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shop = tmp_path / "shop"
    (shop / "docs").mkdir(parents=True)
    (shop / "empty").mkdir()
    for name in (
        "requirements.md",
        WORDS.replace("/", "-"),
        "two\nlines.md",
        "wide-" + "名" * 60,
        "refunds.md",
    ):
        (shop / name).write_text("x" * 41)
    monkeypatch.chdir(shop)
    app = here(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await press(pilot, "n")
        await press(pilot, "ctrl+o")
        take(pilot, "all")
        await press(pilot, *"ref")
        take(pilot, "narrowed")
        await press(pilot, *("backspace",) * 3, *"nowhere/")
        take(pilot, "gone")
        await press(pilot, *("backspace",) * 8, *"empty/")
        take(pilot, "empty")


@SIZES
async def test_help(take: Take, size: tuple[int, int]) -> None:
    """The keys of what has the focus stand first: list, filter, wall, pane; end: the terms of the filter, the signs."""
    app = here(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await press(pilot, "slash", "f1")
        take(pilot, "filter")
        await press(pilot, "escape", "escape", "w", "question_mark")
        take(pilot, "wall")
        await press(pilot, "end")
        take(pilot, "end")


@SIZES
async def test_stop_of_another_process(take: Take, size: tuple[int, int]) -> None:
    """elsewhere: no sheet, but who runs it and that only a process of this computer can be stopped. hostile: user and
    phase as they are. asked: waiting for its end. force: SIGKILL is offered and what it means. ended: it does not run
    the session any more, on a sheet that has asked for nothing."""
    strange = session("s-1", "running", phases=[WORDS, "שלום"], at=0, requirement=WORDS)
    strange = dataclasses.replace(strange, owner=dataclasses.replace(owner(), user=WORDS))
    app = console(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await over(pilot, busy_fleet(), "j", "j", "X")
        take(pilot, "elsewhere")
        await over(pilot, fleet(strange), "X")
        take(pilot, "hostile")
        await press(pilot, "y")
        take(pilot, "asked")
        app.screen.offer_force()  # type: ignore[attr-defined]
        await settle(pilot)
        take(pilot, "force")
        await over(pilot, fleet(strange), "X")
        await post(app, pilot, fleet(session("s-1", "interrupted"), version=9))
        take(pilot, "ended")


@SIZES
async def test_prune(take: Take, size: tuple[int, int]) -> None:
    """nothing: none has been over for 30 days, and what o does. many: the first of 100 marked ones, more below.
    hostile: only s-1 is over. refused: why y does nothing."""
    app = here(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await press(pilot, "P")
        take(pilot, "nothing")
        await press(pilot, "y")
        take(pilot, "refused")
        await over(pilot, many(100), "asterisk", "P")
        take(pilot, "many")
        await over(pilot, strange_fleet(), "asterisk", "P")
        take(pilot, "hostile")


@SIZES
async def test_quit(take: Take, size: tuple[int, int]) -> None:
    """waiting: one that runs here waits for an answer. hostile: phases as they are. many: the list scrolls, the
    buttons stay. gone: a session that is not on disk yet is named by its id alone."""
    host = FakeHost()
    app = here(busy_fleet(), host)
    async with app.run_test(size=size) as pilot:
        for name, snapshot, own in (
            ("waiting", fleet(*busy_fleet().sessions.values(), asking_session()), ("docs-site", "kyc-flow")),
            ("hostile", strange_fleet(), ("s-2",)),
            ("many", many(60), tuple(f"s-{number:05d}" for number in range(40))),
            ("gone", fleet(), ("20261123-140300-new-thing-aa01",)),
        ):
            host.own = own
            await over(pilot, snapshot, "q")
            take(pilot, name)


@SIZES
async def test_fork_plan(take: Take, size: tuple[int, int]) -> None:
    """busy: what the fork would run before it exists, three buttons, the focus on Cancel. hostile: a commit's phase as
    it is. nothing: it would run nothing, so only Fork only is offered."""
    host = FakeHost()
    app = here(busy_fleet(), host)
    async with app.run_test(size=size) as pilot:
        await over(pilot, busy_fleet(), "j", "F", "enter")
        take(pilot, "busy")
        host.commits[2] = dataclasses.replace(host.commits[2], phase=WORDS)
        await over(pilot, strange_fleet(), "F", "enter")
        take(pilot, "hostile")
        host.plan_of = done
        await over(pilot, waiting_fleet(), "F", "enter")
        take(pilot, "nothing")


def done(session_id: str, kind: str, phase: str | None) -> Plan:
    plan = plan_for(session_id, kind, phase)
    reuse = {"action": Action.REUSE, "reason": "unchanged since 13:55", "approval": False, "overwrites": ()}
    return plan.model_copy(update={"phases": tuple(one.model_copy(update=reuse) for one in plan.phases)})


@SIZES
async def test_resume_of_nothing(take: Take, size: tuple[int, int]) -> None:
    """That nothing would run and what to do instead; Close is the only button. alone: the same for one phase. marked:
    for three sessions at once."""
    host = FakeHost()
    host.plan_of = done
    app = here(failed_fleet(), host)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "r")
        take(pilot, "resume")
        await over(pilot, failed_fleet(), "p", "enter")
        take(pilot, "alone")
        await over(pilot, failed_fleet(), "asterisk", "r")
        take(pilot, "marked")


@SIZES
async def test_reasons(take: Take, size: tuple[int, int]) -> None:
    """skip: letters stand in the line, which has the focus. confirm: enter has led to Skip it. kept: opened again, the
    letters are there. pushed: why it is pushed back is asked for, the line has the focus. chosen: the focus is on Push
    back and not on Approve. edit: the change of an output, its reason. empty: no session, so no sheet, but why."""
    app = here(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await over(pilot, busy_fleet(), "j", "K", "enter", *"not needed")
        take(pilot, "skip")
        await press(pilot, "enter")
        take(pilot, "confirm")
        await over(pilot, busy_fleet(), "j", "K", "enter")
        take(pilot, "kept")
        await over(pilot, busy_fleet(), "a", "b")
        take(pilot, "pushed")
        await press(pilot, *"no tests", "enter")
        take(pilot, "chosen")
        await over(pilot, busy_fleet())
        one = busy_fleet().sessions["stock-sync"]
        app.push_screen(EditSheet(one, "design", {"version": "1.0", WORDS: [1]}, {"version": WORDS}))
        await settle(pilot)
        take(pilot, "edit")
        await over(pilot, fleet(), "K")
        take(pilot, "empty")


@SIZES
async def test_question_and_trust(take: Take, size: tuple[int, int]) -> None:
    """hostile: the question, its options and who asks as they are. over: the time is over, nothing can be chosen.
    trust: each command before it is approved; the focus is on the button that approves nothing."""
    host = FakeHost()
    app = here(busy_fleet(), host)
    asked = question(
        text=f"{WORDS}\n" * 3, options=(WORDS, "Allow", WORDS * 9), default="Allow", persona=WORDS
    )
    async with app.run_test(size=size) as pilot:
        host.asked = [asked]
        await over(pilot, fleet(asking_session()), "a")
        take(pilot, "hostile")
        host.asked = []
        await over(pilot, fleet(asking_session()), "a")
        take(pilot, "over")
        commands = '[[phases.personas]]\nname = "{}"\nshell = "make {}"\n'
        text = 'name = "w"\n[[phases]]\nname = "a"\n' + "".join(commands.format(n, WORDS) for n in "pq")
        host.refuse = UntrustedWorkflow(Workflow.parse(text), "maestro.toml")
        await over(pilot, failed_fleet(), "r", "y")
        take(pilot, "trust")


@SIZES
async def test_palette(take: Take, size: tuple[int, int]) -> None:
    """busy: actions and sessions by name. hostile: a session's requirement as it is. none: nothing matches."""
    app = here(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await over(pilot, busy_fleet(), "colon")
        take(pilot, "busy")
        await over(pilot, strange_fleet(), "colon", *"s-1")
        take(pilot, "hostile")


@SIZES
async def test_notices(take: Take, size: tuple[int, int]) -> None:
    """Two sentences stand over the keys, the error in the colour of failures; list and cursor are whole above them."""
    app = here(many(100))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "G")
        app.say(
            "The session stopped by a fault of maestro-tui. Committed phases are safe. " * 3, severity="error"
        )
        app.say("Copied: s-00000")
        await settle(pilot)
        take(pilot, "two")
