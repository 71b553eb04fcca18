"""What a Python program may expect of the engine: what it refuses, repeats, forgives and tells."""

from __future__ import annotations

import ast
import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import maestro_tui
from maestro_tui import (
    HeldError,
    InputError,
    PerformerFailed,
    Persona,
    Phase,
    PlanError,
    TeamExecutionContext,
    TeamExecutionEngineV2,
    TeamExecutionEngineV2SplitMode,
    WaitingError,
    Workflow,
    WorkflowError,
)
from maestro_tui.model.context import Usage
from maestro_tui.model.events import EVENT_DATA, Event
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


# ── Wrong types ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_value_of_another_type_is_refused_in_a_sentence_and_nothing_is_made(bench: Bench) -> None:
    wrong: Any
    for wrong in (
        lambda e: e.execute_batch(None),
        lambda e: e.execute_batch(b"x"),
        lambda e: e.execute_batch("x", session_id=3),
        lambda e: e.execute_batch("x", phases=[1]),
        lambda e: e.execute_batch("x", phases="abc"),
        lambda e: e.execute_batch("x", inputs=["a"]),
        lambda e: e.execute_batch("x", start_from="left", inputs={"extract": {"a": 1}}),
        lambda e: e.execute_mixed("x", pause_after=None),
        lambda e: e.execute_mixed("x", pause_after="left"),
        lambda e: e.execute_phase(3, "x"),
        lambda e: e.execute_phase(None, "x"),
        lambda e: e.resume(3),
    ):
        with pytest.raises(InputError, match=r"must be|takes a list|maps phases|no session id"):
            await wrong(bench.engine)
    assert not bench.root.exists()
    await bench.engine.execute_phase("extract", "x", session_id="s")
    for wrong in (
        lambda e: e.fork("s", seq="1"),
        lambda e: e.plan("s", phase=3),
        lambda e: e.edit("s", {"extract": 3}),
        lambda e: e.edit("s", ["extract"]),
        lambda e: e.edit("s", {}, files={"extract": "a.txt"}),
        lambda e: e.edit("s", {"extract": {"rows": 1}}, by=3),
        lambda e: e.skip("s", 3, reason="so"),
        lambda e: e.skip("s", "left", reason=None),
        lambda e: e.decide("s", "extract", "approved", by=3),
        lambda e: e.choose_blueprint("s", "left", mode="paralel"),
        lambda e: e.choose_blueprint("s", "left", personas="lefty"),
        lambda e: e.raise_budget("s", {"seconds": 3}, reason="so"),
    ):
        with pytest.raises(
            InputError, match=r"number|no commit|must be|as text|by text|maps phases|works|list of|Budget"
        ):
            wrong(bench.engine)
    assert bench.engine.store.head("s").seq == 1 and bench.engine.store.session_ids() == ["s"]


def test_a_workflow_that_is_wrong_in_python_says_so_as_one_in_a_file_does() -> None:
    wrong: Any
    for wrong, words in (
        (lambda: Phase(name="a", thresold=1), "Phase 'a': 'thresold' is not a known key; did you mean 'thr"),  # type: ignore[call-arg]
        (lambda: Phase(name="a", needs="b"), "Phase 'a': 'needs' must be a list"),
        (lambda: Phase(name="a/b"), "Phase 'a/b': 'a/b' is no name for a phase"),
        (lambda: Persona(name="p", shell="x", argv=["y"]), "Persona 'p': a command needs either"),
        (lambda: Workflow(name="w", phases=[Phase(name="a", needs=["z"])]), "'w': phase 'a' needs 'z'"),
        (lambda: Workflow(name="w", phases=[]), "Workflow 'w': it has no phases"),
        (lambda: Workflow(phases=[Phase(name="a")]), "A Workflow: 'name' is missing"),  # type: ignore[call-arg]
    ):
        with pytest.raises(WorkflowError) as caught:
            wrong()
        assert words in str(caught.value)
        assert str(caught.value).endswith("Nothing was run.")
    # A checkpoint is read as a whole: what is wrong within it is the checkpoint's error.
    with pytest.raises(ValidationError):
        Workflow.model_validate({"name": "w", "phases": [{"name": "a/b"}]})


@pytest.mark.parametrize("kind", [Persona, Phase, Workflow])
def test_what_checkers_are_told_of_a_constructor_are_its_fields(kind: type[BaseModel]) -> None:
    tree = ast.parse(inspect.getsource(kind))
    (init,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    assert [one.arg for one in init.args.kwonlyargs] == list(kind.model_fields)
    assert "tuple" not in ast.unparse(init), "lists are taken"


# ── What the README says ──────────────────────────────────────────────────────────────────────────────────

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
FIRST, NODE, OWN = [
    block.split("```")[0]
    for block in README.split("\n## From Python\n")[1].split("\n## ")[0].split("```python\n")[1:]
]


def test_the_examples_of_the_readme_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maestro.toml").write_text(
        'name = "shop"\n[[phases]]\nname = "design"\n[[phases.personas]]\nname = "p"\n'
        'shell = "echo once >> tries; test $(wc -l < tries) = 2"\n'
    )
    names: dict[str, Any] = {}
    exec(FIRST, names)
    assert names["context"].done, "the second try, by resume"
    told = capsys.readouterr().out
    assert "failed at attempt 1" in told and "'format': 'maestro-session/1'" in told
    exec(NODE, names)
    assert asyncio.run(names["node"]("refunds", "design")) == {}
    with pytest.raises(RuntimeError, match="exit code 1"):
        (tmp_path / "tries").unlink()
        asyncio.run(names["node"]("another", "design"))
    exec(OWN, {})
    assert capsys.readouterr().out == "{'twice': 6}\n"


async def test_the_first_workflow_of_the_readme_runs_up_to_its_approval(tmp_path: Path) -> None:
    text = README.split("\n## On your own project\n")[1].split("```toml\n")[1].split("```")[0]
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/analyse.py").write_text("open('requirements.md', 'w').write('what must be true')")
    (tmp_path / "Makefile").write_text(
        "backend frontend:\n\t@echo $@\n"
        'release:\n\t@echo \'{"metrics": {"quality": 0.92}}\' > $$MAESTRO_RESULT\n'
    )
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "sessions", Workflow.parse(text), workspace=tmp_path)
    context = await engine.execute_batch("Refunds are idempotent", session_id="s")
    assert {name: str(one.status) for name, one in context.phase_results.items()} == dict.fromkeys(
        ("requirements", "backend", "frontend", "release"), "completed"
    )
    assert engine.status("s")["status"] == "waiting"


async def test_a_session_says_how_it_stands_and_whether_it_is_done(bench: Bench) -> None:
    bench.team.work["lefty"] = lambda task, port: PerformerResult(failure="red")
    context = await bench.engine.execute_batch("x", session_id="s")
    assert not context.done
    status = bench.engine.status("s")
    assert (status["format"], status["status"]) == ("maestro-session/1", "failed")
    assert [one["status"] for one in status["phases"]] == ["completed", "failed", "completed", "pending"]
    del bench.team.work["lefty"]
    context = await bench.engine.resume("s")
    assert context.done and bench.engine.status("s")["status"] == "completed"
    part = await bench.engine.execute_batch("x", session_id="t", phases=["extract"])
    assert part.done, "all that was asked for"
    with pytest.raises(InputError, match="no session 'typo'"):
        bench.engine.status("typo")


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(maestro_tui, name) is not None for name in maestro_tui.__all__)


async def test_each_event_has_the_keys_that_its_type_is_said_to_have(tmp_path: Path) -> None:
    flow = SIDE.replace('needs = ["gated"]', 'needs = ["gated"]\nthreshold = 0.9\nretries = 1')

    async def asks(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=0.5))
        await port.ask("May I?", ["yes", "no"], "no", timeout=0)
        return said(task, port)

    def fails(task: Task, port: Port) -> PerformerResult:
        raise PerformerFailed("network")

    bench = Bench(tmp_path, flow, Team(sloth=asks, follower=fails))
    await bench.engine.execute_batch("x", session_id="s")
    bench.engine.decide("s", "gated", "approved", reason="good")
    bench.engine.edit("s", {"slow": {"rows": 1}}, reason="so")
    await bench.engine.resume("s")
    bench.engine.skip("s", "after", reason="late")
    bench.engine.fork("s", new_id="t")
    await bench.engine.resume("s")
    assert len({event.type for event in bench.events}) > 20
    for event in bench.events:
        assert set(event.data) <= set(EVENT_DATA[event.type].split()), event
