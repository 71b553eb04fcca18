"""Pictures of the main screen and of each sheet at both sizes; each test says what one should see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from maestro_tui.console.app import MaestroApp
from maestro_tui.console.screens.edit_file import EditFileSheet
from maestro_tui.console.settings import remember_launch
from maestro_tui.model.context import Artifact
from maestro_tui.model.summary import FleetSnapshot
from tests.console.fakes import (
    FakeHost,
    asking_session,
    busy_fleet,
    console,
    failed_fleet,
    fleet,
    question,
    session,
    strange_fleet,
    waiting_fleet,
)
from tests.console.test_sheets import result

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
Compare = Callable[..., bool]


def keys(*pressed: str) -> Callable[[Pilot[Any]], Any]:
    async def press(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press(*pressed)
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    return press


def own(snapshot: FleetSnapshot | None, **options: Any) -> MaestroApp:
    host = FakeHost()
    host.own = ("docs-site", "invoices")
    return console(snapshot, host=host, results=result, **options)


@SIZES
def test_empty(snap_compare: Compare, size: tuple[int, int]) -> None:
    """One sentence and the two keys that matter; no inspector."""
    assert snap_compare(own(fleet()), terminal_size=size, run_before=keys())


@SIZES
def test_reading(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Before the first snapshot: it says that it reads, and where."""
    assert snap_compare(own(None), terminal_size=size, run_before=keys())


@SIZES
def test_busy(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Waiting, failed and silent stand first; the header counts them; the cursor is on the second row."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j"))


@SIZES
def test_failed(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Three failures; the narrow screen says of the third, under the list, which file is damaged."""
    assert snap_compare(own(failed_fleet()), terminal_size=size, run_before=keys("G"))


@SIZES
def test_waiting(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Three wait; the key line begins with the review."""
    assert snap_compare(own(waiting_fleet()), terminal_size=size, run_before=keys())


@SIZES
def test_hostile(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Markup, wide characters and right-to-left text stand as they are, within their columns."""
    words = "[red]名前[/red] [@click=app.quit]שלום مرحبا 🎉 e\u0301"
    snapshot = fleet(
        session("s-1", "failed", requirement=words, error=words, workflow=words, last_event=words),
        session("s-2", "running", requirement=words, phases=[f"phase-{n}-名前" for n in range(30)], at=7),
    )
    assert snap_compare(own(snapshot), terminal_size=size, run_before=keys())


@SIZES
def test_ascii_and_marks(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Every sign of ours is ASCII; two rows are marked, and the filter line says so."""
    app = own(busy_fleet(), ascii_only=True)
    assert snap_compare(app, terminal_size=size, run_before=keys("space", "space"))


@SIZES
def test_light(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The light theme."""
    assert snap_compare(own(busy_fleet(), theme="maestro-light"), terminal_size=size, run_before=keys())


@SIZES
def test_wrong_filter(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The sentence about the filter stands under it."""
    app = own(busy_fleet(), initial_filter="staus:failed")
    assert snap_compare(app, terminal_size=size, run_before=keys())


@SIZES
def test_sorted(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The names of the columns, an arrow at the one that sorts; the order in a word; the key back to attention."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("s", "s", "s"))


@SIZES
def test_resume(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What is reused, what runs and why, how long, what is overwritten; the focus is on Cancel."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j", "r"))


@SIZES
def test_choose_phase(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The phases of the session; the cursor is on the one that failed."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j", "p"))


@SIZES
def test_launch(snap_compare: Compare, size: tuple[int, int], tmp_path: Any, monkeypatch: Any) -> None:
    """The empty form with the standard phases as a small graph, and the command line that does the same."""
    monkeypatch.chdir(tmp_path)

    async def wait(pilot: Pilot[Any]) -> None:
        from tests.console.test_sheets import phases_read

        await keys("n")(pilot)
        await phases_read(pilot, 5)

    assert snap_compare(own(fleet()), terminal_size=size, run_before=wait)


@SIZES
def test_review(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What the phase left: quality, deliverables, files; three decisions, the focus on Later."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("a"))


@SIZES
def test_question(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Who asks, the change that it wants to make, the time that is left, three options; the focus is on Reject."""
    app = own(fleet(*busy_fleet().sessions.values(), asking_session()))
    app._host.asked = [question()]  # type: ignore[union-attr]
    assert snap_compare(app, terminal_size=size, run_before=keys("a"))


@SIZES
def test_cancel(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The session under the cursor runs here and would be stopped; the focus is on Leave it."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j", "j", "j", "x"))


@SIZES
def test_quit(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Two sessions run here; the focus is on Stay."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("q"))


@SIZES
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The keys in groups."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("question_mark"))


def test_much_room(snap_compare: Compare) -> None:
    """From 160 columns on each row also tells its age, its requirement and who runs it."""
    assert snap_compare(own(busy_fleet()), terminal_size=(160, 40), run_before=keys("j"))


@SIZES
def test_skip(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Where the phase stands, who goes on without it, the line for the reason; the focus is on Cancel."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j", "K", "enter"))


@SIZES
def test_fork(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The commits, the newest first and under the cursor."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("j", "F"))


@SIZES
def test_prune(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Two of eight marked sessions go, each on one line; that nothing brings them back; the focus is on Cancel."""
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys("asterisk", "P"))


@SIZES
def test_doctor(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Who holds it and cannot be seen, what is damaged, what resume would do, the way to take it over."""
    app = own(busy_fleet())
    held = {"pid": 5_220, "host": "build-9", "user": "ann", "here": False, "alive": None}
    held |= {"condition": "cannot be seen from here"}
    found = app._host.found  # type: ignore[union-attr]
    found["owner"] = held | {"heartbeat_seconds_ago": 900.0, "phases": ["testing"]}
    found["damage"] = ["history/0003.json is damaged: digest does not match; 0002.json is used"]
    assert snap_compare(app, terminal_size=size, run_before=keys("j", "j", "D"))


@SIZES
def test_kill(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Which process is stopped, what else it runs, and that the session stays resumable."""
    app = console(busy_fleet())
    assert snap_compare(app, terminal_size=size, run_before=keys("j", "j", "j", "j", "x"))


@SIZES
def test_raise_sheet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What is spent of the session's two limits and of the design's; the mark stands at the one that is spent."""
    one = session("tax-rates", "paused", at=1)
    assert snap_compare(own(fleet(one)), terminal_size=size, run_before=keys("b"))


@SIZES
def test_blueprint_sheet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Who works now and why; the critic is the second of the team; parallel stands out among the modes."""
    pressed = ("j", "B", "enter", "j", "space", "m")
    assert snap_compare(own(busy_fleet()), terminal_size=size, run_before=keys(*pressed))


@SIZES
def test_edited_file_sheet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The file with its size before and after, what recording it means, and the line for the reason."""
    one = session("wishlist", "paused", at=2)
    file = Artifact(path="docs/[/red].md", size=812, sha256="a" * 64, phase="design", attempt=1)

    async def edited(pilot: Pilot[Any]) -> None:
        await keys()(pilot)
        pilot.app.push_screen(EditFileSheet(one, file, 4_100))
        await keys()(pilot)

    assert snap_compare(own(fleet(one)), terminal_size=size, run_before=edited)


@SIZES
def test_launch_sheet_with_a_team(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The team that is being written, the agents that are here, how the named one is installed, and the limits."""
    app = own(busy_fleet())
    last = {"requirement": "Make refunds idempotent", "team": "codex", "limits": "30m/phase $5"}
    remember_launch(app.memory, app.root, last)

    async def at_team(pilot: Pilot[Any]) -> None:
        await keys("n")(pilot)
        pilot.app.screen.query_one("#team").focus()
        await keys()(pilot)

    assert snap_compare(app, terminal_size=size, run_before=at_team)


@SIZES
def test_raise_and_blueprint_over_hostile_names(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Names with markup stand as they are, on the sheet that asks which phase gets another team."""
    assert snap_compare(own(strange_fleet()), terminal_size=size, run_before=keys("g", "B"))
