"""A person's acts on a session that others run: recorded beside them where that is safe, else the phase in the way is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import PlanError, TeamExecutionEngineV2SplitMode
from maestro_tui.engine.phase_runner import PhaseRunner
from maestro_tui.model.context import TeamExecutionContext, Usage
from maestro_tui.model.errors import HeldError
from maestro_tui.model.policy import Budget
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_phase
from tests.engine.scripted import Bench, Team, said

FLOW = """
name = "beside"
{budget}
[[personas]]
name = "stand_in"
argv = ["x"]
[[phases]]
name = "first"
[[phases.personas]]
name = "ann"
argv = ["x"]
[[phases]]
name = "slow"
needs = []
[[phases.personas]]
name = "sloth"
argv = ["x"]
[[phases]]
name = "last"
needs = ["first", "slow"]
[[phases.personas]]
name = "zoe"
argv = ["x"]
"""


class Scene:
    """A session whose phase `slow` goes on until it is let go; `first` is done by then."""

    def __init__(self, tmp_path: Path, budget: str = "") -> None:
        self.go, self.at_work = asyncio.Event(), asyncio.Event()
        self.bench = Bench(tmp_path, FLOW.format(budget=budget), Team(sloth=self.slow))

    async def slow(self, task: Task, port: Port) -> PerformerResult:
        self.at_work.set()
        await self.go.wait()
        return said(task, port)

    @property
    def other(self) -> TeamExecutionEngineV2SplitMode:
        """The engine of somebody else."""
        return self.bench.engine

    async def whole(self) -> asyncio.Task[TeamExecutionContext]:
        running = asyncio.create_task(self.bench.engine.execute_batch("x", session_id="s"))
        await self.at_work.wait()
        async with asyncio.timeout(60):
            while "first" not in self.other.store.head("s").context.phase_results:
                await asyncio.sleep(0.005)
        return running

    async def one_phase(self) -> asyncio.Task[TeamExecutionContext]:
        await self.other.execute_phase("first", "x", session_id="s")
        running = asyncio.create_task(self.bench.engine.execute_phase("slow", session_id="s"))
        await self.at_work.wait()
        return running

    async def end(self, running: asyncio.Task[TeamExecutionContext]) -> TeamExecutionContext:
        self.go.set()
        await running
        return await self.other.resume("s")


def skips(engine: TeamExecutionEngineV2SplitMode, phase: str) -> None:
    engine.skip("s", phase, by="Ann", reason="so")


def edits(engine: TeamExecutionEngineV2SplitMode, phase: str) -> None:
    engine.edit("s", {phase: {"n": 1}}, by="Ann")


def chooses(engine: TeamExecutionEngineV2SplitMode, phase: str) -> None:
    engine.choose_blueprint("s", phase, personas=["stand_in"], by="Ann")


# ── Recorded ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["whole", "one_phase"])
async def test_acts_on_phases_that_nobody_runs_are_recorded_and_the_runner_meets_them(
    tmp_path: Path, how: str
) -> None:
    scene = Scene(tmp_path)
    running = await getattr(scene, how)()
    edits(scene.other, "first")
    chooses(scene.other, "last")
    assert not scene.go.is_set() and not running.done()
    context = await scene.end(running)
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert scene.bench.team.who == ["ann", "sloth", "stand_in"]
    assert scene.bench.team.tasks[-1].context["outputs"]["first"] == {"ann": "done", "n": 1}
    assert scene.other.store.verify("s") == []


@pytest.mark.parametrize("how", ["whole", "one_phase"])
async def test_a_phase_that_is_skipped_while_another_one_runs_does_not_begin(
    tmp_path: Path, how: str
) -> None:
    scene = Scene(tmp_path)
    running = await getattr(scene, how)()
    skips(scene.other, "last")
    with pytest.raises(PlanError, match="is skipped; there is nothing to skip"):
        skips(scene.other, "last")
    context = await scene.end(running)
    assert str(context.phase_results["last"].status) == "skipped"
    assert scene.bench.team.who == ["ann", "sloth"]


async def test_a_failure_that_is_skipped_while_another_phase_runs_stops_the_run_no_more(
    tmp_path: Path,
) -> None:
    def fails(task: Task, port: Port) -> PerformerResult:
        raise PerformerFailed("no")

    scene = Scene(tmp_path)
    scene.bench.team.work["ann"] = fails
    running = await scene.whole()
    skips(scene.other, "first")
    scene.go.set()
    context = await running
    assert [str(context.phase_results[name].status) for name in ("first", "last")] == ["skipped", "completed"]
    assert scene.bench.told("session_completed")


BUDGETS = {
    "the session": ("[budget]\ntokens = 10", {}),
    "a phase": ("", {"phase": "slow"}),
}


@pytest.mark.parametrize("whose", BUDGETS)
async def test_a_raise_reaches_the_phase_that_spends_now(tmp_path: Path, whose: str) -> None:
    budget, named = BUDGETS[whose]
    scene = Scene(tmp_path, budget)
    if named:
        scene.bench.workflow = scene.bench.workflow.model_copy(
            update={
                "phases": tuple(
                    phase.model_copy(update={"budget": Budget(tokens=10)}) if phase.name == "slow" else phase
                    for phase in scene.bench.workflow.phases
                )
            }
        )

    async def spends(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(input_tokens=8))
        await scene.slow(task, port)
        port.spend(Usage(input_tokens=50))
        await asyncio.sleep(0)
        return said(task, port)

    scene.bench.team.work["sloth"] = spends
    running = await scene.whole()
    scene.other.raise_budget("s", Budget(tokens=100), by="Ann", reason="worth it", **named)  # type: ignore[arg-type]
    scene.go.set()
    context = await running
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert context.usage.input_tokens == 50 and len(context.raises) == 1
    assert scene.bench.team.who.count("sloth") == 1


async def test_a_phase_that_had_stopped_at_its_budget_goes_on_after_a_raise_beside_the_run(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    phases = scene.bench.workflow.phases
    limited = phases[0].model_copy(update={"budget": Budget(tokens=10)})
    scene.bench.workflow = scene.bench.workflow.model_copy(update={"phases": (limited, *phases[1:])})

    async def spends(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(input_tokens=20))
        await asyncio.sleep(0)
        return said(task, port)

    scene.bench.team.work["ann"] = spends
    running = await scene.whole()
    assert str(scene.other.store.head("s").context.phase_results["first"].status) == "pending"
    scene.other.raise_budget("s", Budget(tokens=100), phase="first", by="Ann", reason="worth it")
    scene.go.set()
    context = await running
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert scene.bench.team.who == ["ann", "sloth", "ann", "zoe"]


# ── Refused ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["whole", "one_phase"])
@pytest.mark.parametrize("act", [skips, chooses])
async def test_an_act_on_the_phase_that_runs_is_refused_by_its_name(
    tmp_path: Path, act: Callable[[TeamExecutionEngineV2SplitMode, str], None], how: str
) -> None:
    scene = Scene(tmp_path)
    running = await getattr(scene, how)()
    before = scene.other.store.head("s").seq
    with pytest.raises(
        HeldError,
        match=r"^Phase 'slow' of session s is running now \(pid \d+ here\)\. .* Nothing was changed\.$",
    ):
        act(scene.other, "slow")
    assert scene.other.store.head("s").seq == before
    await scene.end(running)


async def test_an_act_on_what_a_running_phase_reads_is_refused_by_the_reader_s_name(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.go.set()
    reading, go = asyncio.Event(), asyncio.Event()

    async def reads(task: Task, port: Port) -> PerformerResult:
        reading.set()
        await go.wait()
        return said(task, port)

    scene.bench.team.work["zoe"] = reads
    running = asyncio.create_task(scene.bench.engine.execute_batch("x", session_id="s"))
    await reading.wait()
    for act in (edits, chooses):
        with pytest.raises(
            HeldError, match="'last' of session s, which reads what 'first' leaves, is running"
        ):
            act(scene.other, "first")
    go.set()
    await running


async def test_an_attempt_that_a_dead_runner_left_open_is_in_nobody_s_way(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.other.execute_phase("first", "x", session_id="s")
    folder = scene.other.store.session_dir("s")
    journal = Journal(folder / "journal.jsonl", "s", clock=lambda: scene.bench.now)
    journal.append("phase_started", phase="last", attempt=1, data={})
    journal.close()
    scene.bench.now += 60
    with hold_phase(folder, "slow", clock=lambda: scene.bench.now):
        skips(scene.other, "last")
        with pytest.raises(HeldError, match="'slow' of session s is running now"):
            skips(scene.other, "slow")


async def test_an_act_between_a_plan_and_a_phase_s_beginning_is_planned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)
    scene.go.set()
    real = PhaseRunner._begin
    acted: list[str] = []

    def late(self: PhaseRunner, planned: Any, number: int, situation: Any) -> bool:
        if planned.phase == "last" and not acted:
            skips(scene.other, "last")
            acted.append("skip")
        return real(self, planned, number, situation)

    monkeypatch.setattr(PhaseRunner, "_begin", late)
    context = await scene.bench.engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["last"].status) == "skipped"
    assert scene.bench.team.who == ["ann", "sloth"]
    assert not (scene.other.store.session_dir("s") / "logs" / "last.1.log").exists()


async def test_those_who_listen_may_act_as_soon_as_a_phase_begins(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.go.set()
    engine = scene.bench.engine

    def hear(event: Any) -> None:
        if event.type == "phase_started" and event.phase == "slow":
            skips(scene.other, "last")

    engine.listeners = (hear,)
    context = await engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["last"].status) == "skipped"
