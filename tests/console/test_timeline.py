"""The arithmetic of the timeline: bars, folded idle times, ticks; no screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console import timeline
from maestro_tui.console.timeline import EIGHTHS, Row
from maestro_tui.model.summary import (
    AttemptSummary,
    Owner,
    PersonaSpan,
    PhaseSummary,
    SessionStatus,
    SessionSummary,
)

NOW = 1_795_442_580.0
OWNER = Owner(1, "h", "u", NOW - 100, NOW, True, True, 1)


def summary(*phases: PhaseSummary, owner: Owner | None = None) -> SessionSummary:
    status = SessionStatus.RUNNING if owner else SessionStatus.FAILED
    return SessionSummary("s", status, "", "w", None, NOW - 1000, NOW - 5, phases, 1, owner=owner)


def row(start: float | None, end: float | None, name: str = "a", usual: float | None = None) -> Row:
    return Row((name, 1, ""), name, "running" if end is None else "completed", start, end, usual)


def test_each_attempt_has_a_row_in_workflow_order_and_a_phase_without_one_too() -> None:
    attempts = [
        AttemptSummary("b", 1, "failed", NOW - 50, NOW - 40),
        AttemptSummary("a", 1, "completed", NOW - 90, NOW - 60),
        AttemptSummary("b", 2, "failed", NOW - 30, NOW - 20),
    ]
    found = timeline.rows(
        summary(PhaseSummary("a", "completed", 1), PhaseSummary("b", "failed", 2), PhaseSummary("c")),
        attempts,
        {"c": 9},
    )
    assert [(one.label, one.status) for one in found] == [
        ("a", "completed"),
        ("b #1", "failed"),
        ("b #2", "failed"),
        ("c", "pending"),
    ]
    assert found[-1].usual == 9


def test_an_attempt_whose_runner_is_dead_ends_at_the_last_sign_of_life() -> None:
    attempt = AttemptSummary("a", 1, "running", NOW - 50)
    dead = timeline.rows(summary(PhaseSummary("a", "running", 1)), [attempt], {})
    assert (dead[0].status, dead[0].end) == ("interrupted", NOW - 5)
    alive = timeline.rows(summary(PhaseSummary("a", "running", 1), owner=OWNER), [attempt], {})
    assert (alive[0].status, alive[0].end) == ("running", None)
    assert timeline.live(alive) and not timeline.live(dead)


def test_an_attempt_whose_end_nobody_saw_says_so() -> None:
    attempt = AttemptSummary("a", 1, "interrupted", NOW - 50, NOW - 36)
    (lost,) = timeline.rows(summary(PhaseSummary("a", "running", 1)), [attempt], {})
    assert timeline.lasted(lost, NOW) == "14s+"
    assert " (last sign of life) · 14s+ · interrupted" in timeline.exact(lost, NOW)
    done = row(NOW - 50, NOW - 36)
    assert timeline.lasted(done, NOW) == "14s" and "sign" not in timeline.exact(done, NOW)


def test_a_phase_that_was_pushed_back_has_its_next_attempt_still_to_come() -> None:
    attempt = AttemptSummary("a", 1, "completed", NOW - 50, NOW - 10)
    phase = PhaseSummary("a", "pending", 1, NOW - 50, NOW - 10)
    found = timeline.rows(summary(phase), [attempt], {})
    assert [(one.label, one.status, one.start) for one in found] == [
        ("a", "completed", NOW - 50),
        ("a #2", "pending", None),
    ]


def test_a_phase_that_waits_for_approval_says_so() -> None:
    attempt = AttemptSummary("a", 1, "completed", NOW - 50, NOW - 10)
    found = timeline.rows(summary(PhaseSummary("a", "completed", 1, waiting=True)), [attempt], {})
    assert found[0].status == "waiting"


def test_personas_have_rows_when_asked_for() -> None:
    spans = (
        PersonaSpan("x", "completed", NOW - 50, NOW - 30),
        PersonaSpan("y", "failed", NOW - 30, NOW - 20),
    )
    attempt = AttemptSummary("a", 1, "failed", NOW - 50, NOW - 20, spans)
    session = summary(PhaseSummary("a", "failed", 1))
    assert [one.label for one in timeline.rows(session, [attempt], {}, personas=True)] == ["a", "  x", "  y"]
    assert [one.label for one in timeline.rows(session, [attempt], {})] == ["a"]


def test_phases_that_only_the_journal_knows_are_shown() -> None:
    found = timeline.rows(summary(), [AttemptSummary("gone", 1, "completed", NOW - 9, NOW - 8)], {})
    assert [one.label for one in found] == ["gone"]


def test_nothing_has_run_means_no_axis() -> None:
    assert timeline.axis([row(None, None)], 80, NOW) is None


def test_an_idle_night_is_folded_so_that_work_stays_readable() -> None:
    night = 8 * 3600
    found = [row(NOW - night - 120, NOW - night - 60), row(NOW - 60, NOW)]
    scale = timeline.axis(found, 80, NOW)
    assert scale is not None
    assert [stretch.folded for stretch in scale.stretches] == [False, True, False]
    first = scale.column(NOW - night - 60) - scale.column(NOW - night - 120)
    second = scale.column(NOW) - scale.column(NOW - 60)
    assert first > 30 and second > 30
    assert any(label == "┄" * timeline.FOLD_COLUMNS for _, label in timeline.ticks(scale, (0, 80)))


def test_a_running_phase_leaves_room_for_its_usual_end_but_never_more_than_half() -> None:
    short = timeline.axis([row(NOW - 60, None, usual=100)], 80, NOW)
    assert short is not None and short.end == NOW + 40
    long = timeline.axis([row(NOW - 60, None, usual=100_000)], 80, NOW)
    assert long is not None and long.end == NOW + 60


def test_zooming_in_makes_more_columns_for_the_same_time() -> None:
    found = [row(NOW - 1000, NOW)]
    plain, near = timeline.axis(found, 80, NOW), timeline.axis(found, 80, NOW, zoom=4)
    assert plain is not None and near is not None
    assert (plain.columns, near.columns) == (80, 320)


spans = st.lists(
    st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.floats(0, 1e5))), min_size=1, max_size=30
)


@given(spans, st.integers(1, 300), st.sampled_from([1.0, 2.0, 64.0]), st.integers(0, 400))
def test_the_axis_is_monotonic_within_its_columns_and_labels_never_overlap(
    pieces: list[tuple[float, float | None]], columns: int, zoom: float, left: int
) -> None:
    found = [
        row(NOW - 1e6 + start, None if length is None else NOW - 1e6 + start + length)
        for start, length in pieces
    ]
    now = NOW + 2e5
    scale = timeline.axis(found, columns, now, zoom)
    assert scale is not None
    moments = sorted(moment for one in found for moment in (one.start, one.end or now) if moment is not None)
    places = [scale.column(moment) for moment in moments]
    assert places == sorted(places)
    assert places[0] >= 0 and places[-1] <= scale.columns + 1e-6
    end = 0
    for column, label in timeline.ticks(scale, (left, left + columns)):
        assert column >= max(end, left) and column + len(label) <= left + columns
        end = column + len(label)


@given(st.floats(-5, 205), st.floats(-5, 205))
def test_a_bar_is_never_empty_and_stays_inside(left: float, right: float) -> None:
    first, text = timeline.bar(left, right, 200)
    assert text.strip()
    assert first >= 0 and first + len(text) <= 200


@pytest.mark.parametrize("eighths", range(1, 9))
def test_the_right_end_of_a_bar_is_drawn_in_eighths(eighths: int) -> None:
    assert timeline.bar(0, 3 + eighths / 8, 20) == (0, "███" + EIGHTHS[eighths])


def test_the_exact_line_tells_times_duration_status_commit_and_error() -> None:
    one = replace(row(NOW - 60, NOW - 19), status="failed", error="refused", seq=3, usual=40.0)
    assert timeline.exact(one, NOW) == (
        "a #1 · 2026-11-23 14:02:00 → 14:02:41 · 41s · failed · usual 40s · commit 3 · refused"
    )


def test_a_phase_that_was_not_asked_for_says_so() -> None:
    found = timeline.rows(summary(PhaseSummary("a", selected=False)), [], {})
    assert timeline.exact(found[0], NOW) == "a · pending, not asked for"
