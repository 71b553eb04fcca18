"""The pane of one session: lands where it matters, keeps one's place, and nothing hostile reaches the screen."""

from __future__ import annotations

import os

os.environ["TEXTUAL_ANIMATIONS"] = "none"

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import ContentSwitcher

from maestro_tui.console.detail_parts import log_choices, no_log_words
from maestro_tui.console.widgets.artifacts_view import ArtifactsView
from maestro_tui.console.widgets.checkpoint_view import CheckpointView
from maestro_tui.console.widgets.decisions_view import DecisionsView
from maestro_tui.console.widgets.diff_view import DiffView
from maestro_tui.console.widgets.events_view import EventsView
from maestro_tui.console.widgets.session_pane import TABS
from maestro_tui.model.summary import SessionStatus
from maestro_tui.store.detail import SessionDetail
from tests.console.hostile import NEVER_RAW
from tests.console.pane_data import (
    NOW,
    PaneApp,
    Told,
    completed_session,
    failed_session,
    hostile_session,
    painted,
    ready,
    running_session,
    until,
    waiting_session,
)

WIDE, NARROW = (100, 38), (80, 24)
SESSIONS = {
    "running": running_session,
    "failed": failed_session,
    "completed": completed_session,
    "waiting": waiting_session,
    "hostile": hostile_session,
}


async def test_a_failed_session_opens_on_the_failing_attempts_log_with_error_safety_and_next_step(
    tmp_path: Path,
) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        shown = painted(app)
        assert pane.log_view.choice is not None
        assert (pane.log_view.choice.phase, pane.log_view.choice.attempt) == ("design", 2)
        assert "attempt 2 failed: exit code 3" in shown
        assert "design #2 failed: architect exited with code 3" in shown
        assert "requirements is safe. r resumes at design." in shown


async def test_the_head_tells_status_requirement_place_and_cost(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=(120, 38)) as pilot:
        await ready(pilot)
        shown = painted(app)
        for words in (
            "✗ s-0192",
            "failed 4m39s ago",
            "refunds are idempotent",
            "sdlc",
            "was pid 4121 here",
            "38k tokens",
            "$0.41",
        ):
            assert words in shown


async def test_every_attempt_has_its_bar_and_what_is_to_come_is_dotted(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        rows = {row.label: row for row in pane.timeline.rows}
        assert list(rows) == [
            "requirements",
            "design #1",
            "design #2",
            "implementation",
            "testing",
            "deployment",
        ]
        lines = painted(app).splitlines()
        assert "█" in next(text for text in lines if "design #1" in text)
        assert "┄" in next(text for text in lines if "deployment" in text)
        assert "usual 6m" in next(text for text in lines if "implementation" in text)


async def test_choosing_an_attempt_in_the_timeline_opens_its_log_and_exact_times(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        pane.timeline.focus()
        await pilot.press("up")
        await pilot.pause()
        assert "design #1 · 2026-11-23 13:53:10 → 13:54:14 · 1m04s · failed" in painted(app)
        await pilot.press("enter")
        await until(pilot, lambda: "connection reset" in painted(app))
        assert pane.log_view.choice is not None and pane.log_view.choice.attempt == 1


async def test_a_running_session_moves_on_with_the_clock(tmp_path: Path) -> None:
    now = [NOW]
    app = PaneApp(running_session(tmp_path), clock=lambda: now[0])
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        assert pane.timeline.live
        assert "running 6m40s" in painted(app)
        assert "╎" in painted(app)
        now[0] += 60
        pane.tick()
        await pilot.pause()
        assert "running 7m40s" in painted(app)


async def test_nothing_selected_is_said_in_words() -> None:
    app = PaneApp(None)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        assert "No session is selected." in painted(app)


@pytest.mark.parametrize(("number", "name"), list(enumerate((name for name, _ in TABS), 1)))
async def test_a_number_opens_a_tab_and_focuses_it(tmp_path: Path, number: int, name: str) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        pane.timeline.focus()
        await pilot.press(str(number))
        await pilot.pause()
        assert pane.query_one(ContentSwitcher).current == name
        assert app.focused is not None
        assert any(node.id == name for node in app.focused.ancestors)


async def test_tab_cursor_scroll_and_open_nodes_survive_a_newer_state(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    details = [told.detail]
    app = PaneApp(told)
    app.pane._thread.source = lambda _path, _now: details[-1]
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await ready(pilot)
        await pilot.press("2", "down", "down")
        artifacts = pane.query_one(ArtifactsView)
        key = artifacts.files.cursor_key
        await pilot.press("3")
        tree = pane.query_one(CheckpointView).shown
        tree.rows.move_to(("context", "phase_results", "design"))
        await pilot.press("space", "down")
        place, opened = tree.rows.cursor_key, tree.opened
        pane.log_view.log_lines.action_top()
        newer = replace(told.summary, updated_at=NOW, seq=4)
        more = told.detail.artifacts[0].model_copy(update={"path": "a-first.txt"})
        details.append(replace(told.detail, summary=newer, artifacts=(more, *told.detail.artifacts)))
        pane.show(newer)
        await until(pilot, lambda: pane.detail is details[-1])
        assert pane.tab == "checkpoint"
        assert artifacts.files.cursor_key == key
        assert tree.rows.cursor_key == place and tree.opened == opened
        assert pane.log_view.log_lines.scroll_y == 0
        assert pane.log_view.choice is not None and pane.log_view.choice.attempt == 2


async def test_a_new_attempt_takes_along_who_follows_and_leaves_alone_who_reads_an_older_log(
    tmp_path: Path,
) -> None:
    told = failed_session(tmp_path)
    third = replace(told.detail.attempts[-1], attempt=3, started_at=NOW - 60, finished_at=NOW - 30, seq=4)
    newer = replace(told.summary, updated_at=NOW - 30, seq=4)
    later = replace(told.detail, summary=newer, attempts=(*told.detail.attempts, third))
    for reads_older in (False, True):
        details = [told.detail]
        app = PaneApp(told)
        app.pane._thread.source = lambda _path, _now, details=details: details[-1]
        async with app.run_test(size=WIDE) as pilot:
            pane = await ready(pilot)
            if reads_older:
                pane.log_view.open_attempt("requirements", 1)
            details.append(later)
            pane.show(newer)
            await until(pilot, lambda pane=pane: pane.detail is later)
            choice = pane.log_view.choice
            assert choice is not None
            assert (choice.phase, choice.attempt) == (("requirements", 1) if reads_older else ("design", 3))


def test_a_log_that_may_still_come_is_waited_for_and_one_that_will_not_is_not(tmp_path: Path) -> None:
    failed, running = failed_session(tmp_path / "a"), running_session(tmp_path / "b")
    assert [choice.running for choice in log_choices(running.root, running.detail)][-1]
    assert not any(choice.running for choice in log_choices(failed.root, failed.detail))
    begun = replace(running.detail, attempts=(), logs=())
    assert no_log_words(begun) == "It runs; no phase has begun yet."
    assert no_log_words(replace(failed.detail, attempts=(), logs=())) == "No phase has begun yet."


async def test_details_that_come_after_another_session_was_chosen_are_dropped(tmp_path: Path) -> None:
    told = failed_session(tmp_path / "a")
    other = completed_session(tmp_path / "b")
    second = replace(other.summary, session_id="s-0200")
    gate = threading.Event()

    def source(path: Path, _now: float) -> SessionDetail:
        if path.name == told.summary.session_id:
            gate.wait(20)
            return told.detail
        return replace(other.detail, summary=second)

    app = PaneApp(told)
    app.pane._thread.source = source
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        app.pane.show(second)
        await until(pilot, lambda: app.pane.detail is not None)
        gate.set()
        await until(pilot, lambda: not any(worker.is_running for worker in app.workers))
        await pilot.pause()
        assert app.pane.detail is not None and app.pane.detail.summary.session_id == "s-0200"
        assert "connection" not in painted(app)


async def test_many_changes_during_a_reading_cost_one_more_reading(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    gate, calls = threading.Event(), []

    def source(_path: Path, now: float) -> SessionDetail:
        calls.append(now)
        gate.wait(20)
        return told.detail

    app = PaneApp(told)
    app.pane._thread.source = source
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: calls)
        for seq in range(20):
            app.pane.show(replace(told.summary, seq=10 + seq))
        gate.set()
        await until(pilot, lambda: len(calls) == 2)
        await until(pilot, lambda: not any(worker.is_running for worker in app.workers))
        assert len(calls) == 2


async def test_details_that_cannot_be_read_are_told_and_the_head_stays(tmp_path: Path) -> None:
    told = failed_session(tmp_path)

    def source(_path: Path, _now: float) -> SessionDetail:
        raise OSError("\x1b[31mdisk on fire")

    app = PaneApp(told)
    app.pane._thread.source = source
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: "Its details cannot be read" in painted(app))
        assert "✗ s-0192" in painted(app)


async def test_artifacts_show_change_size_missing_and_a_preview(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("2")
        await until(pilot, lambda: '"files": 12' in painted(app))
        for words in ("survey.json", "changed", "api.json", "missing", "as the phase left it"):
            await until(pilot, lambda words=words: words in painted(app))


async def test_on_a_low_narrow_screen_enter_opens_the_preview_and_escape_goes_back(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=NARROW) as pilot:
        pane = await ready(pilot)
        await pilot.press("2", "enter")
        await until(pilot, lambda: "as the phase left it" in painted(app))
        await pilot.press("escape")
        await pilot.pause()
        assert pane.query_one(ArtifactsView).files.has_focus


async def test_the_checkpoint_search_opens_what_is_folded(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("3")
        assert "design 2" not in painted(app)
        await pilot.press("slash", *"design 2", "enter")
        await until(pilot, lambda: '"design 2"' in painted(app))
        assert "context.phase_results.design.outputs.note" in painted(app)


async def test_an_earlier_commit_can_be_shown_and_compared(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await ready(pilot)
        view = pane.query_one(CheckpointView)
        await pilot.press("3", "c", "down", "down", "enter")
        await until(pilot, lambda: view.shown_seq == 1)
        assert "commit 1" in painted(app) and "✓ digest and chain intact, 4 commits" in painted(app)
        await pilot.press("d")
        diff = pane.query_one(DiffView)
        await until(pilot, lambda: diff.pair == (0, 1) and diff.changes)
        assert pane.tab == "diff"
        assert any(change.path == "context.phase_results.requirements.status" for change in diff.changes)


async def test_the_diff_of_a_failed_phase_compares_its_last_two_attempts(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await ready(pilot)
        await pilot.press("6")
        diff = pane.query_one(DiffView)
        await until(pilot, lambda: diff.changes)
        assert diff.pair == (2, 3)
        assert '"design 1"' in painted(app) and '"design 2"' in painted(app)
        await pilot.press("left_square_bracket")
        path = "context.phase_results.design.status"
        await until(pilot, lambda: diff.pair == (1, 3) and path in [one.path for one in diff.changes])
        await pilot.press("u")
        await until(pilot, lambda: "+++ commit 3" in painted(app))


async def test_decisions_tell_why_and_by_whom_and_gates_what_was_measured(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        await pilot.press("4")
        await pilot.pause()
        text = " ".join(" ".join(item.text.split()) for item in pane.query_one(DecisionsView).rows.lines)
        for words in (
            "sequential: requirement_analyst",
            "BM25",
            "rules",
            "3.27",
            "instead of parallel",
            "tests 0.5 is below 0.9",
            "lint not measured",
        ):
            assert words in text


async def test_events_stay_at_the_end_until_one_moves_up(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    app = PaneApp(told)
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        view = pane.query_one(EventsView)
        more = (*told.detail.events, replace(told.detail.events[-1], seq=9, type="session_failed"))
        view.show(more)
        assert view.rows.cursor == len(more) - 1
        view.rows.action_move(-2)
        key = view.rows.cursor_key
        view.show((*more, replace(more[-1], seq=10)))
        assert view.rows.cursor_key == key


async def test_z_gives_the_whole_pane_to_the_open_tab(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=NARROW) as pilot:
        await ready(pilot)
        await pilot.press("1", "z")
        await pilot.pause()
        assert "part_190" in painted(app) and "implementation" not in painted(app)
        await pilot.press("z")
        await pilot.pause()
        assert "implementation" in painted(app)


@pytest.mark.parametrize("size", [(130, 40), NARROW, (24, 8)])
async def test_hostile_texts_crash_nothing_do_nothing_and_never_reach_the_screen_raw(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    told = hostile_session(tmp_path)
    app = PaneApp(told)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        for number in range(1, len(TABS) + 1):
            await pilot.press(str(number))
            for key in ("down", "enter", "right", "w", "u", str(number), "slash", "[", "enter", "n"):
                await pilot.press(key)
            await until(pilot, lambda: not any(worker.is_running for worker in app.workers))
            shown = painted(app)
            assert not NEVER_RAW & set(shown)
        assert app.is_running
        assert app.pane.detail is told.detail


async def test_with_ascii_signs_every_own_sign_is_ascii_and_no_column_moves(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    pictures = []
    for ascii_only in (False, True):
        app = PaneApp(told)
        app.ascii_only = ascii_only
        async with app.run_test(size=WIDE) as pilot:
            pane = await ready(pilot)
            shown = ""
            for number in range(1, len(TABS) + 1):
                pane.query_one(ContentSwitcher).current = TABS[number - 1][0]
                await until(
                    pilot, lambda pilot=pilot: not any(worker.is_running for worker in pilot.app.workers)
                )
                await pilot.pause()
                shown += painted(app)
            pictures.append(shown)
    fancy, plain = pictures
    assert plain.isascii()
    assert [len(text) for text in fancy.splitlines()] == [len(text) for text in plain.splitlines()]


async def test_every_status_is_told_in_words(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    app = PaneApp(told)
    async with app.run_test(size=WIDE) as pilot:
        pane = await ready(pilot)
        for status in SessionStatus:
            pane.show(replace(told.summary, status=status))
            await pilot.pause()
            assert status.value in painted(app).splitlines()[0]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", list(SESSIONS))
def test_picture_of_the_pane(
    name: str, size: tuple[int, int], tmp_path: Path, snap_compare: Callable[..., bool]
) -> None:
    """Head, timeline with every attempt, the log of the attempt that matters, and what to do next."""
    told = SESSIONS[name](tmp_path)
    # The workspace's path differs from run to run; what stands there must not.
    fixed = replace(told.summary, workspace="/home/ann/shop")
    app = PaneApp(Told(told.root, fixed, replace(told.detail, summary=fixed)))

    async def before(pilot: Any) -> None:
        await ready(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)
