"""What a Python program may expect of the engine: what it refuses, repeats, forgives and tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import (
    HeldError,
    InputError,
    PlanError,
    TeamExecutionContext,
    TeamExecutionEngineV2,
    TeamExecutionEngineV2SplitMode,
    WaitingError,
)
from maestro_tui.model.events import Event
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.journal import read_events
from tests.engine.scripted import Bench, Team, said

DIAMOND = """
name = "diamond"
[[phases]]
name = "extract"
needs = []
[[phases.personas]]
name = "extractor"
argv = ["x"]
[[phases]]
name = "left"
needs = ["extract"]
[[phases.personas]]
name = "lefty"
argv = ["x"]
[[phases]]
name = "right"
needs = ["extract"]
[[phases.personas]]
name = "righty"
argv = ["x"]
[[phases]]
name = "join"
needs = ["left", "right"]
[[phases.personas]]
name = "joiner"
argv = ["x"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, DIAMOND, Team())


# ── Listeners ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_listener_that_raises_costs_no_work_and_is_told_once(bench: Bench) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise KeyError(event.type)

    engine = bench.engine
    engine.listeners = (broken, heard.append)
    context = await engine.execute_batch("x", session_id="s")
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert heard[-1].type == "session_completed"
    told = [
        one for one in read_events(bench.root / "s" / "journal.jsonl").events if one.type == "listener_failed"
    ]
    assert [one.data["problem"] for one in told] == ["KeyError: 'runner_acquired'"]


def test_a_listener_that_could_only_be_awaited_is_refused(bench: Bench) -> None:
    async def listen(event: Event) -> None: ...

    class Listens:
        async def __call__(self, event: Event) -> None: ...

    wrong: Any
    for wrong in (listen, [listen], Listens(), [3]):
        with pytest.raises(InputError, match="on_event takes plain functions"):
            TeamExecutionEngineV2SplitMode(bench.root, on_event=wrong)


# ── Nodes of an orchestrator ──────────────────────────────────────────────────────────────────────────────


def attempts(context: TeamExecutionContext) -> dict[str, int]:
    return {name: result.attempt for name, result in context.phase_results.items()}


async def test_a_node_that_is_tried_again_does_not_run_a_committed_phase_again(bench: Bench) -> None:
    await bench.engine.execute_phase("extract", "x", session_id="s")
    await bench.engine.execute_phase("left", "x", session_id="s")
    head = bench.engine.store.head("s").sha256
    await bench.engine.execute_phase("extract", "x", session_id="s")  # its reply was lost
    assert bench.engine.store.head("s").sha256 == head
    await bench.engine.execute_phase("right", "x", session_id="s")
    context = await bench.engine.execute_phase("join", "x", session_id="s")
    assert bench.team.who == ["extractor", "lefty", "righty", "joiner"]
    assert not any(one.stale for one in bench.engine.plan("s").phases)
    bench.now += 1
    context = await bench.engine.execute_phase("extract", session_id="s", again=True)
    assert attempts(context)["extract"] == 2, "asked for, it runs"
    planned = bench.engine.plan("s", phase="left", again=False).phase("left")
    assert planned.action == "run" and "stale: extract ran again" in planned.reason
    context = await bench.engine.execute_phase("left", session_id="s")
    assert attempts(context) == {"extract": 2, "left": 2, "right": 1, "join": 1}, "a stale one is done anew"


async def test_a_node_whose_phase_waits_keeps_waiting_and_an_approval_stands(tmp_path: Path) -> None:
    flow = DIAMOND.replace('name = "extract"\n', 'name = "extract"\napproval = true\n', 1)
    bench = Bench(tmp_path, flow, Team())
    for _ in range(2):
        context = await bench.engine.execute_phase("extract", "x", session_id="s")
        assert context.phase_results["extract"].gate.verdict == "waiting"
    with pytest.raises(WaitingError, match="needs extract, which waits for approval"):
        await bench.engine.execute_phase("left", session_id="s")
    bench.engine.decide("s", "extract", "approved")
    context = await bench.engine.execute_phase("extract", "x", session_id="s")
    assert context.phase_results["extract"].done
    assert bench.team.who == ["extractor"]


async def test_a_phase_that_came_from_a_second_node_meanwhile_is_taken_not_run_again(bench: Bench) -> None:
    go = asyncio.Event()
    began = asyncio.Event()

    async def slow(task: Task, port: Port) -> PerformerResult:
        began.set()
        await go.wait()
        return said(task, port)

    bench.team.work["extractor"] = slow
    first = asyncio.create_task(bench.engine.execute_phase("extract", "x", session_id="s"))
    await began.wait()
    late = bench.engine
    # Its look at the session was before the first one's commit, its hold comes after it.
    seen = late.situation("s")
    go.set()
    await first
    looks = iter([seen])
    real = late.situation
    late.situation = lambda *args, **named: next(looks, None) or real(*args, **named)  # type: ignore[method-assign]
    context = await late.execute_phase("extract", session_id="s")
    assert attempts(context) == {"extract": 1}
    assert bench.team.who == ["extractor"]


@pytest.mark.parametrize("phase", ["join", "jion"])
async def test_a_phase_that_cannot_begin_a_session_leaves_none_behind(bench: Bench, phase: str) -> None:
    for named in ({}, {"session_id": "s"}):
        with pytest.raises(InputError, match=r"needs left|no phase 'jion'"):
            await bench.engine.execute_phase(phase, "x", **named)
    assert not bench.root.exists()


async def test_a_session_begun_for_something_else_is_not_gone_on_with(bench: Bench, tmp_path: Path) -> None:
    given, other = tmp_path / "given.json", tmp_path / "other.json"
    given.write_text('{"rows": 3}')
    other.write_text('{"rows": 4}')
    go_on = bench.engine.execute_phase
    await go_on("left", "Refunds", session_id="s", inputs={"extract": given})
    await go_on("right", " Refunds\n", session_id="s", inputs={"extract": given})
    with pytest.raises(PlanError, match="begun for another requirement"):
        await go_on("join", "Payments", session_id="s")
    with pytest.raises(
        PlanError, match="'extract' of session s is not provided from a file with the content"
    ):
        await go_on("join", session_id="s", inputs={"extract": other})
    with pytest.raises(PlanError, match="'left' of session s is not provided"):
        await go_on("join", session_id="s", inputs={"left": given})
    assert bench.team.who == ["lefty", "righty"]


# ── Places and names ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_workflow_file_is_found_after_the_folder_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flow.toml").write_text(DIAMOND)
    monkeypatch.chdir(tmp_path)
    team = TeamExecutionEngineV2(performers=Team())
    engine = TeamExecutionEngineV2SplitMode("checkpoints", "flow.toml", ".", team=team)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    context = await engine.execute_phase("extract", "x", session_id="s")
    assert context.phase_results["extract"].done
    assert engine.plan("s").phase("left").action == "run"


def test_an_edit_of_a_session_that_is_not_there_leaves_no_folder(bench: Bench) -> None:
    with pytest.raises(InputError, match="no session 'typo'"):
        bench.engine.edit("typo", {"extract": {"rows": 1}})
    assert not bench.root.exists()


async def test_an_edit_that_could_mean_two_things_is_refused(bench: Bench) -> None:
    await bench.engine.execute_phase("extract", "x", session_id="s")
    with pytest.raises(PlanError, match="has 'outputs' beside z"):
        bench.engine.edit("s", {"extract": {"outputs": {"rows": 1}, "z": 2}})
    context = bench.engine.edit("s", {"extract": {"outputs": {"rows": 1, "outputs": 2}}})
    assert context.outputs_of("extract") == {"extractor": "done", "rows": 1, "outputs": 2}


# ── A person's word while others run ──────────────────────────────────────────────────────────────────────

SIDE = """
name = "side"
[[phases]]
name = "gated"
needs = []
approval = true
[[phases.personas]]
name = "gater"
argv = ["x"]
[[phases]]
name = "slow"
needs = []
[[phases.personas]]
name = "sloth"
argv = ["x"]
[[phases]]
name = "after"
needs = ["gated"]
[[phases.personas]]
name = "follower"
argv = ["x"]
"""


class Beside:
    """A bench whose phase `slow` goes on until it is let go, and whose phase `gated` waits meanwhile."""

    def __init__(self, tmp_path: Path) -> None:
        self.go = asyncio.Event()
        self.waits = asyncio.Event()
        self.bench = Bench(tmp_path, SIDE, Team(sloth=self.slow))

    async def slow(self, task: Task, port: Port) -> PerformerResult:
        await self.go.wait()
        return said(task, port)

    def hear(self, event: Event) -> None:
        if event.type == "gate_waiting":
            self.waits.set()

    async def run(self) -> asyncio.Task[TeamExecutionContext]:
        engine = self.bench.engine
        engine.listeners = (self.hear,)
        running = asyncio.create_task(engine.execute_batch("x", session_id="s"))
        await self.waits.wait()
        return running


async def test_an_approval_while_another_branch_runs_is_recorded_and_the_run_goes_on_with_it(
    tmp_path: Path,
) -> None:
    beside = Beside(tmp_path)
    running = await beside.run()
    context = beside.bench.engine.decide("s", "gated", "approved", by="Ann")
    assert context.phase_results["gated"].done
    with pytest.raises(PlanError, match="does not wait"):
        beside.bench.engine.decide("s", "gated", "rejected", by="Bob", reason="no")
    beside.go.set()
    context = await running
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert beside.bench.team.who == ["gater", "sloth", "follower"]
    assert context.phase_results["gated"].gate.by == "Ann"
    assert beside.bench.engine.store.verify("s") == []


async def test_a_rejection_while_another_branch_runs_stops_the_run_after_it(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    running = await beside.run()
    beside.bench.engine.decide("s", "gated", "rejected", by="Ann", reason="no")
    beside.go.set()
    context = await running
    assert attempts(context) == {"gated": 1, "slow": 1}
    assert str(context.phase_results["gated"].status) == "failed"


async def test_a_word_on_a_phase_that_runs_again_at_this_moment_is_refused(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    bench = beside.bench
    await bench.engine.execute_phase("gated", "x", session_id="s")
    began = asyncio.Event()

    async def again(task: Task, port: Port) -> PerformerResult:
        began.set()
        return await beside.slow(task, port)

    bench.team.work["gater"] = again
    running = asyncio.create_task(bench.engine.execute_phase("gated", session_id="s", again=True))
    await began.wait()
    with pytest.raises(HeldError, match="'gated' of session s is held"):
        bench.engine.decide("s", "gated", "approved")
    beside.go.set()
    assert attempts(await running) == {"gated": 2}


async def test_a_phase_beside_another_one_is_decided_on_while_that_runs(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    engine = beside.bench.engine
    await engine.execute_phase("gated", "x", session_id="s")
    running = asyncio.create_task(beside.bench.engine.execute_phase("slow", session_id="s"))
    await asyncio.sleep(0)  # lets the other one begin
    engine.decide("s", "gated", "approved")
    context = await engine.execute_phase("after", session_id="s")
    assert context.phase_results["after"].done
    beside.go.set()
    assert attempts(await running) == {"gated": 1, "slow": 1, "after": 1}
