"""What phases take together: those that run side by side take their time once, and each its money."""

from __future__ import annotations

from maestro_tui.console.plan_words import total_words
from maestro_tui.model.plan import Estimate, Request, plan
from maestro_tui.model.usual import UNKNOWN, Together, of_sessions, together
from maestro_tui.progress import plan_lines
from tests.model.test_plan import DIAMOND, context_of

NEEDS = {
    "requirements": (),
    "design": ("requirements",),
    "backend": ("design",),
    "frontend": ("design",),
    "release": ("backend", "frontend"),
}


def estimates(*minutes: float | None) -> dict[str, Estimate]:
    """One for each phase of `NEEDS`; None where it was never measured."""
    return {
        name: Estimate()
        if long is None
        else Estimate(seconds=60 * long, cost_usd=0.25 if long > 1 else None, runs=11)
        for name, long in zip(NEEDS, minutes, strict=True)
    }


def test_phases_side_by_side_take_the_time_of_the_longest_and_the_money_of_all() -> None:
    made = together(estimates(1, 2, 3, 7, 4), NEEDS)
    assert made.seconds == 60 * (1 + 2 + 7 + 4)
    assert made.words() == "about 14m (5 phases, 2 side by side), about $1.00 (from 11 earlier runs)"


def test_a_chain_takes_the_time_of_all() -> None:
    chain = dict(zip(NEEDS, ((), *((name,) for name in NEEDS)), strict=False))
    assert together(estimates(1, 1, 1, 1, 1), chain).words() == "about 5m (from 11 earlier runs)"


def test_a_phase_that_does_not_run_is_not_waited_for() -> None:
    some = {
        name: one for name, one in estimates(1, 2, 3, 7, 4).items() if name in ("requirements", "backend")
    }
    assert (
        together(some, NEEDS).words()
        == "about 3m (2 phases, 2 side by side), about $0.25 (from 11 earlier runs)"
    )


def test_what_was_never_measured_is_said_and_not_guessed() -> None:
    assert together(estimates(1, None, 3, 7, None), NEEDS).words() == (
        "about 8m (5 phases, 2 side by side), about $0.50, 2 of 5 phases never measured (from 11 earlier runs)"
    )
    assert together(dict.fromkeys(NEEDS, Estimate()), NEEDS).words() == UNKNOWN


def test_sessions_take_their_turns_in_the_places_that_there_are() -> None:
    def of(minutes: float) -> Together:
        return Together(1, 60 * minutes, 0.5, 1, 0, 3)

    made = of_sessions([of(10), of(4), of(5), of(2)], places=2)
    assert made.words() == "about 11m (4 phases, 2 side by side), about $2.00 (from 3 earlier runs)"


def test_a_plan_of_a_dag_says_so_in_the_console_and_on_the_command_line() -> None:
    names = ("a", "b", "c", "d")
    known = {
        name: Estimate(seconds=60 * long, runs=2) for name, long in zip(names, (1, 2, 5, 1), strict=True)
    }
    made = plan(DIAMOND, context_of(DIAMOND), Request(), estimates=known)
    words = "about 7m (4 phases, 2 side by side) (from 2 earlier runs)"
    assert total_words(made) == words
    assert f"  usually: {words}" in plan_lines(made)
    done = plan(DIAMOND, context_of(DIAMOND, *names), Request(), estimates=known)
    assert not any("usually" in told for told in plan_lines(done)), "nothing would run"
