"""For which phases an action is offered, and in which order."""

from __future__ import annotations

import pytest

from maestro_tui.console.phase_choice import offered
from maestro_tui.model.summary import PhaseSummary, SessionStatus, SessionSummary

DONE, STALE = (
    PhaseSummary("done", "completed", 1),
    PhaseSummary("old", "completed", 1, stale="design changed"),
)
FAILED, AHEAD = PhaseSummary("failed", "failed", 2), PhaseSummary("ahead")
LEFT_OUT = PhaseSummary("unasked", selected=False)
WAITING = PhaseSummary("review", "completed", 1, waiting=True)


def names(kind: str, *phases: PhaseSummary) -> list[str]:
    session = SessionSummary("s", SessionStatus.FAILED, "r", "w", "/w", 1.0, 2.0, phases, 1)
    return [phase.name for phase in offered(session, kind)]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("phase", ["failed", "ahead", "old", "done", "unasked"]),
        ("rerun_from", ["failed", "old", "done"]),
        ("skip", ["failed", "ahead", "unasked"]),
        ("blueprint", ["failed", "ahead", "old", "done", "unasked"]),
    ],
)
def test_the_likeliest_phase_is_first_and_what_makes_no_sense_is_left_out(
    kind: str, wanted: list[str]
) -> None:
    assert names(kind, DONE, STALE, FAILED, AHEAD, LEFT_OUT) == wanted


def test_what_waits_for_a_person_can_be_skipped() -> None:
    assert names("skip", DONE, WAITING, AHEAD) == ["review", "ahead"]


def test_where_nothing_makes_sense_every_phase_is_there_and_the_plan_says_why_not() -> None:
    assert names("rerun_from", AHEAD, LEFT_OUT) == ["ahead", "unasked"]
    assert names("skip", DONE) == ["done"]
