"""The team of a phase is chosen by rules that can be read afterwards."""

from __future__ import annotations

import pytest

from maestro_tui.engine.blueprints import bm25, choose
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc


def test_each_standard_phase_gets_the_tools_made_for_it_with_scores_and_words() -> None:
    teams = {phase.name: choose(phase, "Refunds are idempotent") for phase in sdlc().phases}
    assert {name: [p.name for p in team.personas] for name, team in teams.items()} == {
        "requirements": ["requirement_analyst", "project_surveyor"],
        "design": ["software_architect"],
        "implementation": ["build_engineer"],
        "testing": ["test_engineer", "code_reviewer"],
        "deployment": ["release_engineer"],
    }
    decision = teams["testing"].decision
    assert decision.decided_by == "rules"
    assert decision.score > 0
    assert "test_engineer" in decision.rationale
    assert "pass" in decision.rationale
    assert "build_engineer" in decision.alternatives


def test_a_phase_of_another_name_gets_the_tool_that_fits_its_objective() -> None:
    team = choose(Phase(name="check", objective="Run the tests and count failures"), "x")
    assert "test_engineer" in [persona.name for persona in team.personas]


@pytest.mark.parametrize("objective", ["Check the code and its style", "Hunt for typos", ""])
def test_no_wording_of_a_testing_phase_leaves_the_tests_out(objective: str) -> None:
    team = choose(Phase(name="review", objective=objective), "x")
    assert team.personas[0].name == "test_engineer"


def test_a_phase_that_no_tool_fits_is_refused_by_sentence() -> None:
    with pytest.raises(InputError, match="no tool of the toolbox fits its objective"):
        choose(Phase(name="zebra", objective="qqq"), "x")


def test_named_personas_are_taken_as_they_are() -> None:
    team = choose(Phase(name="a", personas=(Persona(name="me", shell="true"),), mode="parallel"), "x")
    assert [p.name for p in team.personas] == ["me"]
    assert team.mode == "parallel"
    assert team.decision.decided_by == "workflow"


def test_bm25_prefers_rare_words_and_short_documents() -> None:
    scores = bm25(
        "wheel",
        {"short": "builds a wheel", "long": "builds a wheel " + "and more words " * 20, "none": "tests"},
    )
    assert scores["short"][0] > scores["long"][0] > scores["none"][0] == 0
