"""A workflow's advisor answers the team's own questions; where it fails, the rules' word stands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import Workflow
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from tests.engine.scripted import Bench, Team, writing
from tests.model_server.chat_completions import Fault, ModelServer, Says, model_server

WORKFLOW = """
name = "w"
advice = {advice}
{more}
[advisor]
name = "chief"
performer = "llm"
options = {{ model = "qwen3", base_url = "{url}" }}
[[personas]]
name = "writer"
description = "Writes the manual and documents for users"
argv = ["x"]
[[personas]]
name = "plumber"
description = "Lays pipes"
argv = ["x"]
[[phases]]
name = "manual"
objective = "The users have a manual that is right"
"""

CLASSIFIED = {
    "type": "documentation",
    "complexity": "simple",
    "parallelizability": "fully_sequential",
    "effort_hours": 3,
    "confidence": 0.8,
    "rationale": "It asks for a manual.",
}
CHOSEN = {
    "personas": ["plumber", "writer"],
    "mode": "sequential",
    "rationale": "Pipes first.",
    "alternatives": ["the writer alone"],
    "score": 0.9,
}
PROMISED = {
    "contracts": [{"name": "manual", "deliverables": ["manual.md"], "criteria": ["it is short"]}],
    "rationale": "A manual is a file.",
}
REVIEWED = {
    "opinion": 0.6,
    "findings": [{"severity": "low", "place": "manual.md", "finding": "too short"}],
    "summary": "Good enough.",
}


def workflow(server: ModelServer, *advice: str, more: str = "") -> str:
    return WORKFLOW.format(advice=list(advice), url=server.base_url, more=more)


async def test_all_four_questions_are_answered_recorded_and_paid_for(tmp_path: Path) -> None:
    script = [Says(one, tokens=(100, 10)) for one in (CLASSIFIED, CHOSEN, PROMISED, REVIEWED)]
    with model_server(*script) as server:
        flow = workflow(server, "classification", "blueprint", "contracts", "review")
        bench = Bench(tmp_path, flow, Team(writer=writing("manual.md")))
        context = await bench.engine.execute_batch("Write the manual.", session_id="s")
    result = context.phase_results["manual"]
    assert str(result.status) == "completed"
    assert bench.team.who == ["plumber", "writer"]
    by = {one.about: one for one in (*context.session_decisions, *result.decisions)}
    assert by["classification"].details["type"] == "documentation"
    assert [by[about].decided_by for about in ("classification", "blueprint", "contract")] == ["qwen3"] * 3
    assert by["blueprint"].choice == "sequential: plumber, writer"
    assert by["blueprint"].alternatives == ("sequential: writer", "the writer alone")
    assert by["contract"].choice == "manual: manual.md"
    assert result.contract is not None and result.contract.fulfilled == ("manual.md",)
    assert result.quality["opinion"] == 0.6 and result.quality["quality"] is None
    assert result.outputs["review"]["findings"][0]["finding"] == "too short"
    assert bench.team.tasks[0].context["contracts"][0]["criteria"] == ["it is short"]
    assert (context.usage.input_tokens, result.usage.input_tokens) == (400, 300)


async def test_a_contract_that_was_proposed_binds(tmp_path: Path) -> None:
    with model_server(Says(PROMISED)) as server:
        bench = Bench(tmp_path, workflow(server, "contracts"), Team())
        context = await bench.engine.execute_batch("Write the manual.", session_id="s")
    error = context.phase_results["manual"].error
    assert error is not None and "contract 'manual': 'manual.md' is missing" in error.message


async def test_the_requirement_is_classified_by_the_model_once(tmp_path: Path) -> None:
    with model_server(Says(CLASSIFIED)) as server:
        bench = Bench(tmp_path, workflow(server, "classification"), Team())
        await bench.engine.execute_batch("Write the manual.", session_id="s")
        await bench.engine.resume("s", from_phase="manual")
        assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [Fault(500, "down"), Fault(401, "no")])
async def test_where_the_advisor_fails_the_rules_answer_and_the_reason_is_told(
    tmp_path: Path, fault: Any
) -> None:
    with model_server(fault, fault) as server:
        bench = Bench(tmp_path, workflow(server, "classification", "blueprint"), Team())
        context = await bench.engine.execute_batch("Write the manual.", session_id="s")
    assert str(context.phase_results["manual"].status) == "completed"
    assert {one.decided_by for one in context.decisions} == {"rules"}
    reasons = [told["reason"] for told in bench.told("advice_failed")]
    assert "could not classify the requirement" in reasons[0]
    assert "could not choose a blueprint" in reasons[1]


async def test_what_the_advisor_spends_counts_for_the_budgets(tmp_path: Path) -> None:
    with model_server(Says(CHOSEN, tokens=(900, 200))) as server:
        flow = workflow(server, "blueprint", more="budget = { tokens = 1000 }")
        bench = Bench(tmp_path, flow, Team())
        context = await bench.engine.execute_batch("Write the manual.", session_id="s")
    error = context.phase_results["manual"].error
    assert error is not None and error.kind == "budget" and "1,100 of 1,000 tokens" in error.message
    assert bench.team.calls == []


@pytest.mark.parametrize("changed", [False, True])
async def test_a_word_about_the_team_is_kept_for_the_next_attempt_while_the_candidates_are_the_same(
    tmp_path: Path, changed: bool
) -> None:
    def down(task: Task, port: Port) -> PerformerResult:
        raise PerformerFailed("The network is down.", retry=False)

    again = Says({**CHOSEN, "personas": ["editor", "writer"]})
    with model_server(Says(CHOSEN), again) as server:
        flow = workflow(server, "blueprint")
        bench = Bench(tmp_path, flow, Team(plumber=down))
        await bench.engine.execute_batch("Write the manual.", session_id="s")
        bench.team.work.clear()
        if changed:
            bench.workflow = Workflow.parse(flow.replace('name = "plumber"', 'name = "editor"'))
        context = await bench.engine.resume("s")
        assert len(server.requests) == 1 + changed
    assert str(context.phase_results["manual"].status) == "completed"
    assert bench.team.who == ["plumber", "editor" if changed else "plumber", "writer"]
    assert bench.told("blueprint_selected")[-1]["decided_by"] == "qwen3"


@pytest.mark.parametrize(
    ("limit", "status"),
    [("timeout_seconds = 5", "completed"), ("budget = { seconds = 5 }", "pending")],
)
async def test_a_review_has_no_more_time_than_its_phase(tmp_path: Path, limit: str, status: str) -> None:
    worked = 0.0

    class Hangs:
        async def review(self, *_: Any) -> None:
            nonlocal worked
            worked = 6.0
            await asyncio.Event().wait()

    flow = WORKFLOW.format(advice=["review"], url="http://127.0.0.1:9/v1", more="") + limit
    bench = Bench(tmp_path, flow, Team(writer=lambda *_: PerformerResult(outputs={"text": "right"})))
    bench.stopwatch = lambda: worked
    engine = bench.engine
    engine.team.advisors = lambda persona: Hangs()  # type: ignore[assignment,return-value]
    context = await engine.execute_batch("Write the manual.", session_id="s")
    result = context.phase_results["manual"]
    assert str(result.status) == status
    if status == "completed":
        assert result.outputs == {"text": "right"}, "an opinion that comes too late undoes nothing"
        assert "time was over before the review" in bench.told("advice_failed")[-1]["reason"]
    else:
        assert result.error is not None and "(6 of 5 seconds)" in result.error.message
