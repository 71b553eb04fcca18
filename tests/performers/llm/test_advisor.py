"""A model answers the team's own questions in typed answers, with what it took and whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.models.test import TestModel

from maestro_tui.model.context import Artifact, Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.performers.advice import BlueprintAdvice, Classification
from maestro_tui.performers.advisor import Advisor
from maestro_tui.performers.port import PerformerFailed
from tests.model_server.chat_completions import Says, model_server
from tests.performers.bench_fixtures import RememberingPort, make_task
from tests.performers.llm.asking import persona_at

KIND: dict[str, Any] = {
    "type": "feature_development",
    "complexity": "moderate",
    "parallelizability": "partially_parallel",
    "effort_hours": 12.5,
    "confidence": 0.6,
    "rationale": "One new endpoint.",
    "risks": ["double refunds"],
}
TEAM: dict[str, Any] = {
    "personas": ["writer", "checker"],
    "mode": "collaborative",
    "rationale": "Two views.",
    "alternatives": ["writer alone"],
    "score": 0.8,
}
CANDIDATES = (
    Persona(name="writer", description="writes", argv=("true",)),
    Persona(name="checker", instructions="find faults", argv=("true",)),
    Persona(name="deployer", description="deploys", argv=("true",)),
)
DESIGN = Phase(name="design", objective="How it is built", deliverables=("docs/*.md",))


async def test_a_requirement_is_classified_in_hives_words() -> None:
    port = RememberingPort()
    with model_server(Says(KIND)) as server:
        advice = await Advisor(persona_at(server)).classify("Refunds are idempotent", port)
    assert advice.answer == Classification.model_validate(KIND)
    assert (advice.decided_by, advice.usage) == ("qwen3", Usage(input_tokens=100, output_tokens=20))
    assert port.spent == []
    assert "Refunds are idempotent" in str(server.requests[0]["body"]["messages"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("complexity", "hard"), ("type", "feature"), ("parallelizability", "yes"), ("confidence", 60)],
)
async def test_a_word_that_hive_does_not_know_is_asked_for_again(field: str, value: Any) -> None:
    with model_server(Says({**KIND, field: value}), Says(KIND)) as server:
        advice = await Advisor(persona_at(server)).classify("x")
    assert getattr(advice.answer, field) == KIND[field]
    assert advice.usage.input_tokens == 200 and field in str(server.requests[1]["body"]["messages"])


async def test_a_team_is_chosen_among_the_candidates_only() -> None:
    with model_server(Says({**TEAM, "personas": ["writer", "poet"]}), Says(TEAM)) as server:
        advice = await Advisor(persona_at(server)).choose_blueprint(DESIGN, CANDIDATES, "Refunds")
    assert advice.answer == BlueprintAdvice.model_validate(TEAM)
    asked, again = (str(request["body"]["messages"]) for request in server.requests)
    for part in ("How it is built", "- checker: find faults", "- deployer: deploys", "Refunds"):
        assert part in asked
    assert "'poet' is no candidate; there are writer, checker, deployer" in again.replace("\\", "")


async def test_a_proposed_contract_keeps_to_the_workspace() -> None:
    def proposal(glob: str) -> dict[str, Any]:
        contract = {
            "name": "design",
            "deliverables": [glob],
            "provider": "writer",
            "consumers": ["backend"],
            "criteria": ["names every table"],
            "schema": {"type": "object"},
        }
        return {"contracts": [contract], "rationale": "Backend needs it."}

    with model_server(Says(proposal("/etc/*")), Says(proposal("docs/*.md"))) as server:
        advice = await Advisor(persona_at(server)).propose_contract(DESIGN)
    (contract,) = advice.answer.contracts
    assert contract.deliverables == ("docs/*.md",) and contract.consumers == ("backend",)
    assert contract.json_schema == {"type": "object"}
    assert "relative to the workspace" in str(server.requests[1]["body"]["messages"])


async def test_a_review_reads_what_was_made_and_gives_an_opinion(tmp_path: Path) -> None:
    task = make_task(tmp_path, CANDIDATES[0], phase="design")
    (task.workspace / "design.md").write_text("One table holds all.")
    made = Artifact(path="design.md", size=20, sha256="0" * 64, phase="design")
    finding = {"severity": "high", "place": "design.md", "finding": "no index"}
    with model_server(Says({"opinion": 0.4, "findings": [finding], "summary": "thin"})) as server:
        advice = await Advisor(persona_at(server)).review(task, {"tables": 1}, [made])
    assert advice.answer.opinion == 0.4 and advice.answer.findings[0].finding == "no index"
    question = str(server.requests[0]["body"]["messages"])
    assert "One table holds all." in question and "tables" in question


async def test_a_requirement_beyond_the_limit_is_cut_and_that_is_told() -> None:
    port = RememberingPort()
    with model_server(Says(KIND)) as server:
        await Advisor(persona_at(server, prompt_characters=2_000)).classify("x" * 9_000, port)
    ((type, data),) = port.events
    assert type == "context_trimmed" and data["left_out"][0]["size"] > 7_000
    assert "more characters are left out" in str(server.requests[0]["body"]["messages"])


async def test_any_model_of_the_library_can_advise() -> None:
    advisor = Advisor(persona_at(model="openai:gpt-5"), model=TestModel(custom_output_args=KIND))
    assert (await advisor.classify("x")).answer.effort_hours == 12.5
    assert advisor.decided_by == "openai:gpt-5"


async def test_only_a_persona_with_a_model_advises_and_a_choice_needs_candidates() -> None:
    with pytest.raises(InputError, match='only one with performer = "llm" can advise'):
        Advisor(CANDIDATES[0])
    with pytest.raises(InputError, match="no candidates"):
        await Advisor(persona_at(model="openai:gpt-5")).choose_blueprint(DESIGN, [])


async def test_an_answer_that_never_fits_fails_with_what_it_took() -> None:
    twice = Says({**TEAM, "personas": ["writer", "writer"]})
    with model_server(twice) as server, pytest.raises(PerformerFailed, match="is named twice") as caught:
        await Advisor(persona_at(server)).choose_blueprint(DESIGN, CANDIDATES)
    assert caught.value.usage.input_tokens == 300
