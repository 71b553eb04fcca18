"""Limits of time are limits of work: seconds add up over phases side by side, and waiting for a person is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.engine.open_spending import OpenAttempt
from maestro_tui.engine.work_clock import WorkClock
from maestro_tui.model.events import Event
from maestro_tui.model.policy import Budget
from maestro_tui.performers.port import PerformerResult, Port, Task
from tests.engine.scripted import Bench, Team, said

WORK = """
name = "w"
{session}
[[phases]]
name = "a"
mode = "parallel"
{phase}
[[phases.personas]]
name = "p"
argv = ["x"]
{persona}
{more}
"""
COLLEAGUE = '[[phases.personas]]\nname = "q"\nargv = ["x"]'
BESIDE = f'[[phases]]\nname = "b"\nneeds = []\n{COLLEAGUE}'


def work(session: str = "", phase: str = "", persona: str = "", more: str = "") -> str:
    return WORK.format(session=session, phase=phase, persona=persona, more=more)


class Timed(Bench):
    """Work takes the time that the test says, and one `turn` lets it pass."""

    def __init__(self, tmp_path: Path, workflow: str, team: Team) -> None:
        super().__init__(tmp_path, workflow, team)
        self.worked = 0.0
        self.stopwatch = lambda: self.worked

    async def until_asked(self, run: asyncio.Task[Any]) -> None:
        while not run.done() and not self.told("question_asked"):
            await asyncio.sleep(0.005)


async def asking(task: Task, port: Port) -> PerformerResult:
    return PerformerResult(outputs={"answer": await port.ask("May I?", ["Yes", "No"], "No")})


async def for_ever(task: Task, port: Port) -> PerformerResult:
    await asyncio.Event().wait()
    return said(task, port)


@pytest.mark.parametrize(
    "limit",
    [
        {"phase": "timeout_seconds = 0.05"},
        {"persona": "timeout_seconds = 0.05"},
        {"persona": "budget = { seconds = 0.05 }"},
        {"phase": "budget = { seconds = 0.05 }"},
        {"session": "budget = { seconds = 0.05 }"},
    ],
    ids=str,
)
async def test_time_in_which_a_person_is_asked_counts_against_no_limit(
    tmp_path: Path, limit: dict[str, str]
) -> None:
    bench = Timed(tmp_path, work(**limit), Team(p=asking))
    run = asyncio.ensure_future(bench.engine.execute_batch("x", session_id="s"))
    await bench.until_asked(run)
    bench.worked += 3_600
    # The one who asks looks for the answer again after four times the limit.
    bench.engine.answer("s", "Yes")
    result = (await run).phase_results["a"]
    assert (str(result.status), result.outputs) == ("completed", {"answer": "Yes"})
    assert result.usage.seconds == 0


async def test_time_counts_while_a_colleague_works_and_no_question_is_left_open(tmp_path: Path) -> None:
    bench = Timed(tmp_path, work(phase="timeout_seconds = 0.05", more=COLLEAGUE), Team(p=asking, q=for_ever))
    run = asyncio.ensure_future(bench.engine.execute_batch("x", session_id="s"))
    await bench.until_asked(run)
    bench.worked += 1
    error = (await run).phase_results["a"].error
    assert error is not None and error.kind == "timeout"
    assert bench.told("question_answered")[0]["by"] == "withdrawn"
    assert all(one.answer is not None for one in bench.engine.questions("s"))


async def test_seconds_of_phases_side_by_side_add_up_and_stop_both(tmp_path: Path) -> None:
    at_work: list[str] = []

    async def working(task: Task, port: Port) -> PerformerResult:
        at_work.append(task.phase.name)
        if len(at_work) == 2:
            bench.worked = 5.0
        return await for_ever(task, port)

    bench = Timed(tmp_path, work("budget = { seconds = 10 }", more=BESIDE), Team(p=working, q=working))
    context = await bench.engine.execute_batch("x", session_id="s")
    for result in context.phase_results.values():
        assert result.error is not None and result.error.kind == "budget"
        assert "session's budget is spent (10 of 10 seconds)" in result.error.message
        assert result.usage.seconds == 5
    assert context.usage.seconds == 10
    assert bench.told("session_paused")[-1]["reason"] == "budget"
    bench.engine.raise_budget("s", Budget(seconds=60), reason="it takes longer")
    bench.team.work = {}
    context = await bench.engine.resume("s")
    assert {str(one.status) for one in context.phase_results.values()} == {"completed"}


async def test_seconds_of_phases_in_runs_of_their_own_add_up(tmp_path: Path) -> None:
    both = asyncio.Event()

    async def working(task: Task, port: Port) -> PerformerResult:
        if len(bench.team.calls) == 2:
            both.set()
        return await for_ever(task, port)

    bench = Timed(tmp_path, work("budget = { seconds = 10 }", more=BESIDE), Team(p=working, q=working))
    first = asyncio.ensure_future(bench.engine.execute_phase("a", "x", session_id="s"))
    while not bench.told("persona_started"):
        await asyncio.sleep(0.005)
    second = asyncio.ensure_future(bench.engine.execute_phase("b", session_id="s"))
    await both.wait()
    bench.worked += 5
    bench.now += 5
    await asyncio.gather(first, second)
    context = bench.engine.store.head("s").context
    assert context.usage.seconds == 10
    for result in context.phase_results.values():
        assert result.error is not None and "(10 of 10 seconds)" in result.error.message


async def test_a_persona_s_seconds_hold_over_all_attempts_until_they_are_raised(tmp_path: Path) -> None:
    async def slow(task: Task, port: Port) -> PerformerResult:
        bench.worked += 7
        return await for_ever(task, port)

    bench = Timed(tmp_path, work(persona="budget = { seconds = 5 }"), Team(p=slow))
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["a"].error
    assert error is not None and "Persona 'p' has used up its budget (7 of 5 seconds)" in error.message
    assert context.spent_by["a"]["p"].seconds == 7
    await bench.engine.resume("s")
    assert bench.team.who == ["p"], "no second without a raise"
    assert "--persona p" in bench.engine.plan("s").phase("a").reason
    bench.engine.raise_budget("s", Budget(seconds=5), phase="a", persona="p", reason="worth it")
    bench.team.work = {}
    context = await bench.engine.resume("s")
    assert str(context.phase_results["a"].status) == "completed"


def test_a_clock_stands_still_only_while_all_who_work_wait() -> None:
    now = 0.0
    clock = WorkClock(lambda: now)
    with clock.part() as one:
        now = 1
        with clock.part() as two:
            with one.asking():
                now = 3
                with two.asking(), two.asking():
                    now = 10
                now = 11
            now = 12
        now = 20
    now = 21
    assert (clock.seconds, one.seconds, two.seconds) == (14, 10, 4)


def test_what_the_journal_tells_of_a_broken_off_attempt_leaves_waiting_out() -> None:
    told = [
        (0, "persona_started", "p", {"step": "work"}),
        (2, "usage_reported", "p", {"step": "work", "attempt_try": 1, "cost_usd": 1.0}),
        (3, "question_asked", "p", {"id": 1}),
        (10, "persona_started", "q", {"step": "work"}),
        (14, "persona_finished", "q", {"ok": True}),
        (20, "question_answered", "p", {"id": 1}),
        (21, "usage_reported", "p", {"step": "work", "attempt_try": 1, "cost_usd": 2.0}),
        (22, "question_asked", "p", {"id": 2}),
    ]
    attempt = OpenAttempt(1, 0)
    for at, kind, who, data in told:
        attempt.take(Event(kind, at, "s", "a", 1, who, data))
    assert attempt.seconds() == 3 + 4 + 2 and not attempt.works
    assert attempt.seconds(now=500) == 9
    assert attempt.usage.cost_usd == 2.0
    assert {who: usage.seconds for who, usage in attempt.by_persona().items()} == {"p": 5, "q": 4}
