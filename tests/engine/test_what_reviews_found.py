"""Faults of others stay where they belong: approvals, spending and outcomes hold whatever a performer does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import TeamExecutionEngineV2, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.model.context import Usage
from maestro_tui.model.errors import InputError, PlanError
from maestro_tui.model.policy import Budget
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from tests.engine.scripted import Bench, Team, said, writing

TWO = """
name = "w"
[[phases]]
name = "a"
{a}
[[phases.personas]]
name = "p"
argv = ["x"]
{p}
[[phases]]
name = "b"
{b}
[[phases.personas]]
name = "q"
argv = ["x"]
"""


def two(a: str = "", b: str = "", p: str = "") -> str:
    return TWO.format(a=a, b=b, p=p)


async def test_a_phase_that_rewrites_its_workflow_file_starts_nothing_that_nobody_approved(
    tmp_path: Path,
) -> None:
    file = tmp_path / "maestro.toml"
    file.write_text(two())

    def rewrite(task: Task, port: Port) -> PerformerResult:
        file.write_text(two().replace('name = "q"', 'name = "evil"'))
        return said(task, port)

    approved: list[str] = []
    team = Team(p=rewrite)
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "checkpoints",
        workflow=file,
        workspace=tmp_path,
        team=TeamExecutionEngineV2(performers=team),
        approve=lambda flow, source: approved.append(flow.content_hash()),
    )
    context = await engine.execute_batch("x", session_id="s")
    assert team.who == ["p", "q"]
    assert str(context.phase_results["b"].status) == "completed"
    assert set(approved) == {Workflow.parse(two()).content_hash()}
    assert "personas changed" in " ".join(engine.plan("s").changes), (
        "the next run is planned from the file as it is"
    )


async def test_a_workflow_file_that_is_half_written_meanwhile_ends_nothing(tmp_path: Path) -> None:
    file = tmp_path / "maestro.toml"
    file.write_text(two())

    def spoil(task: Task, port: Port) -> PerformerResult:
        file.write_text("[[phases]\n")
        return said(task, port)

    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "checkpoints",
        workflow=file,
        workspace=tmp_path,
        team=TeamExecutionEngineV2(performers=Team(p=spoil)),
    )
    context = await engine.execute_batch("x", session_id="s")
    assert [str(one.status) for one in context.phase_results.values()] == ["completed"] * 2


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError("1/0"), AssertionError(), ImportError("gone"), EOFError()]
)
async def test_any_fault_of_a_performer_is_a_failed_phase_and_the_others_go_on(
    tmp_path: Path, fault: Exception
) -> None:
    def broken(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=2.0))
        raise fault

    bench = Bench(tmp_path, two(b="needs = []"), Team(p=broken))
    context = await bench.engine.execute_batch("x", session_id="s")
    failed = context.phase_results["a"]
    assert str(failed.status) == "failed" and failed.error is not None
    assert type(fault).__name__ in failed.error.message
    assert str(context.phase_results["b"].status) == "completed"
    assert context.spent["a"].cost_usd == 2.0
    assert "Traceback" in (bench.root / "s" / "logs" / "a.1.log").read_text()


@pytest.mark.parametrize("word", ["approve", "passed", "waiting", "failed", None, ["approved"]])
async def test_a_word_that_decides_nothing_changes_nothing(tmp_path: Path, word: Any) -> None:
    bench = Bench(tmp_path, two(a="approval = true"), Team())
    await bench.engine.execute_batch("x", session_id="s")
    with pytest.raises(PlanError, match="is approved, rejected or pushed_back, not "):
        bench.engine.decide("s", "a", word, reason="because")
    assert bench.engine.store.verify("s") == []
    context = bench.engine.decide("s", "a", "approved")
    assert context.phase_results["a"].done


async def test_decisions_that_are_none_are_told(tmp_path: Path) -> None:
    wrong: Any = ({"about": "x"},)
    bench = Bench(tmp_path, two(), Team(p=lambda task, port: PerformerResult(decisions=wrong)))
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["a"].error
    assert error is not None and "left decisions that are none" in error.message


async def test_a_live_neighbour_s_spending_is_not_counted_twice(tmp_path: Path) -> None:
    spent, go = asyncio.Event(), asyncio.Event()

    async def slow(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=5.0))
        spent.set()
        await go.wait()
        return PerformerResult(usage=Usage(cost_usd=5.0))

    bench = Bench(
        tmp_path,
        two(b="needs = []"),
        Team(p=slow, q=lambda task, port: PerformerResult(usage=Usage(cost_usd=1.0))),
    )
    first = asyncio.create_task(bench.engine.execute_phase("a", "x", session_id="s"))
    await spent.wait()
    between = await bench.engine.execute_phase("b", session_id="s")
    assert between.usage.cost_usd == 1.0
    go.set()
    context = await first
    assert context.usage.cost_usd == 6.0


async def test_work_whose_last_report_crosses_the_budget_is_taken_not_paid_again(tmp_path: Path) -> None:
    def dear(task: Task, port: Port) -> PerformerResult:
        return PerformerResult(outputs={"text": "dear"}, usage=Usage(cost_usd=6.0))

    bench = Bench(tmp_path, two(a="budget = { cost_usd = 5 }"), Team(p=dear))
    context = await bench.engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["a"].status) == "completed"
    assert context.phase_results["a"].outputs == {"text": "dear"}


async def test_a_persona_s_budget_holds_over_all_attempts_until_it_is_raised(tmp_path: Path) -> None:
    async def greedy(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=2.0))
        await asyncio.sleep(1)
        return said(task, port)

    bench = Bench(tmp_path, two(p="budget = { cost_usd = 2 }"), Team(p=greedy))
    for _ in range(3):
        context = (
            await bench.engine.resume("s")
            if bench.engine.store.exists("s")
            else await bench.engine.execute_batch("x", session_id="s")
        )
    assert (context.usage.cost_usd, bench.team.who) == (2.0, ["p"])
    assert "--persona p" in bench.engine.plan("s").phase("a").reason
    bench.engine.raise_budget("s", Budget(cost_usd=5), phase="a", persona="p", reason="worth it")
    bench.team.work["p"] = said
    context = await bench.engine.resume("s")
    assert str(context.phase_results["b"].status) == "completed"


async def test_a_report_of_spending_while_a_try_is_being_ended_is_no_fault(tmp_path: Path) -> None:
    async def last_words(task: Task, port: Port) -> PerformerResult:
        try:
            await asyncio.sleep(60)
        finally:
            port.spend(Usage(cost_usd=9.0))
        return said(task, port)

    bench = Bench(
        tmp_path, two(a="budget = { cost_usd = 1 }", p="timeout_seconds = 0.01"), Team(p=last_words)
    )
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["a"].error
    assert error is not None and error.kind == "budget"
    assert context.spent["a"].cost_usd == 9.0


async def test_a_rerun_that_stops_at_its_budget_leaves_the_committed_result(tmp_path: Path) -> None:
    costs = iter([1.0, 9.0])

    async def work(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=next(costs)))
        await asyncio.sleep(0.01)
        return PerformerResult(outputs={"v": 1})

    bench = Bench(tmp_path, two(a="budget = { cost_usd = 5 }"), Team(p=work))
    await bench.engine.execute_batch("x", session_id="s")
    context = await bench.engine.resume("s", from_phase="a")
    assert context.phase_results["a"].outputs == {"v": 1}
    assert context.spent["a"].cost_usd == 10.0
    assert bench.told("session_paused")[-1]["reason"] == "budget"


async def test_a_rerun_from_a_phase_is_a_trial_of_its_open_breaker(tmp_path: Path) -> None:
    def down(task: Task, port: Port) -> PerformerResult:
        raise PerformerFailed("down")

    bench = Bench(tmp_path, two(a="breaker = { failures = 1, reset_seconds = 300 }"), Team(p=down))
    await bench.engine.execute_batch("x", session_id="s")
    await bench.engine.resume("s")
    assert bench.team.who == ["p"]
    bench.team.work["p"] = said
    context = await bench.engine.resume("s", from_phase="a")
    assert str(context.phase_results["b"].status) == "completed"


TOGETHER = """
name = "w"
[[phases]]
name = "a"
mode = "collaborative"
[[phases.personas]]
name = "author"
argv = ["x"]
[[phases.personas]]
name = "peer"
argv = ["x"]
"""


async def test_a_colleague_who_changes_files_instead_of_commenting_fails_the_phase(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TOGETHER, Team(author=writing("d.md"), peer=writing("d.md", text="mine")))
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["a"].error
    assert error is not None and "was asked for comments and changed files: d.md" in error.message


async def test_a_draft_that_failed_is_not_commented(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, TOGETHER, Team(author=lambda task, port: PerformerResult(failure="2 of 3 tests failed"))
    )
    await bench.engine.execute_batch("x", session_id="s")
    assert bench.team.who == ["author"]


def test_spending_is_never_negative() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Usage(cost_usd=-50)


async def test_a_workspace_whose_name_no_checkpoint_can_hold_is_refused_before_there_is_a_session(
    tmp_path: Path,
) -> None:
    place = tmp_path / "shop\udcff"
    place.mkdir()
    (place / "maestro.toml").write_text(two())
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "checkpoints", workspace=place, team=TeamExecutionEngineV2(performers=Team())
    )
    with pytest.raises(InputError, match=r"shop\\xff has a name that is no UTF-8 text.* Nothing was run"):
        await engine.execute_batch("x", session_id="s")
    assert not (tmp_path / "checkpoints").exists()
