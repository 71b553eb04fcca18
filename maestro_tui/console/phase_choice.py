"""Says for which phases of a session an action is offered, the likeliest first: pure, no screen."""

from __future__ import annotations

from maestro_tui.model.summary import PhaseSummary, SessionSummary

_DONE = ("completed", "provided", "skipped")


def offered(session: SessionSummary, kind: str) -> list[PhaseSummary]:
    """The phases for `kind` (`phase`, `rerun_from`, `skip`, `blueprint`), those of one rank in workflow order.

    What is done cannot be skipped, and nothing can run again from a phase that never ran; where nothing is left
    by that, all phases are offered, and the plan says what stands against it.
    """
    ranked = [(_rank(phase, kind, session.current), phase) for phase in session.phases]
    found = sorted((one for one in ranked if one[0] is not None), key=lambda one: one[0] or 0)
    return [phase for _, phase in found] or list(session.phases)


def _rank(phase: PhaseSummary, kind: str, current: PhaseSummary | None) -> int | None:
    """Its place, smallest first; None when the action makes no sense for it."""
    done = phase.status in _DONE and not phase.waiting
    if kind == "skip" and done:
        return None
    if kind == "rerun_from" and phase.status == "pending" and not phase.attempt:
        return None
    if phase == current:
        return 0
    again = kind == "rerun_from"
    if phase.stale:
        return 1 if again else 2
    if done:
        return 2 if again else 3
    return 3 if again else 1 if phase.selected else 4
