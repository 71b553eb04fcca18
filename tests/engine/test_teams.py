"""A team that is asked for by name works where the workflow names nobody; tools go on measuring beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui import InputError, TeamExecutionEngineV2, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.engine.launch import Launch
from maestro_tui.engine.teams import with_team
from maestro_tui.model.sdlc import sdlc
from tests.engine.scripted import Team


def test_an_agent_works_in_each_standard_phase_and_the_tools_measure_after_it() -> None:
    made = with_team(sdlc(), "claude")
    who = {phase.name: [(one.name, one.performer) for one in phase.personas] for phase in made.phases}
    assert who["implementation"] == [("developer", "agent_cli"), ("build_engineer", "toolbox")]
    assert who["testing"] == [
        ("quality_engineer", "agent_cli"),
        ("test_engineer", "toolbox"),
        ("code_reviewer", "toolbox"),
    ]
    assert made.phase("design").personas[1].options == {"agent": "claude"}
    assert "ANTHROPIC_API_KEY" in made.phase("design").personas[1].env
    assert made.phase("testing").threshold == sdlc().phase("testing").threshold
    assert len(made.commands) == 5, "what it starts is told, and is approved like any command"


@pytest.mark.parametrize(
    ("spec", "performer", "options"),
    [
        ("llm:qwen3", "llm", {"model": "qwen3"}),
        ("llm:openai:gpt-x", "llm", {"model": "openai:gpt-x"}),
        ("llm:qwen3@http://127.0.0.1:1/v1", "llm", {"model": "qwen3", "base_url": "http://127.0.0.1:1/v1"}),
        ("hive:engines.v2:TeamExecutionEngineV2", "hive", {"engine": "engines.v2:TeamExecutionEngineV2"}),
    ],
)
def test_a_team_is_named_with_its_model_or_class(spec: str, performer: str, options: dict[str, str]) -> None:
    worker = next(
        one for one in with_team(sdlc(), spec).phase("design").personas if one.performer != "toolbox"
    )
    assert (worker.performer, worker.options) == (performer, options)


@pytest.mark.parametrize("spec", ["nobody", "llm:", "llm", "hive:module", "hive:", "claude:3", ""])
def test_an_unknown_team_is_a_sentence_with_those_that_there_are(spec: str) -> None:
    with pytest.raises(InputError, match=r"There is no team .* name toolbox, claude"):
        with_team(sdlc(), spec)


def test_personas_and_objectives_of_the_workflow_are_kept() -> None:
    flow = Workflow.parse(
        'name = "w"\n[[phases]]\nname = "design"\nobjective = "Draw the bridge"\n'
        '[[phases]]\nname = "weld"\nobjective = "Weld it"\n'
        '[[phases]]\nname = "check"\n[[phases.personas]]\nname = "gauge"\nargv = ["gauge"]\n'
    )
    made = with_team(flow, "codex")
    assert made.phase("design").objective == "Draw the bridge"
    assert [one.name for one in made.phase("weld").personas] == ["worker"]
    assert [one.name for one in made.phase("check").personas] == ["gauge"]
    assert [phase.needs for phase in made.phases] == [phase.needs for phase in flow.phases]
    assert with_team(flow, "toolbox") == flow


async def test_a_session_goes_on_with_the_team_that_it_was_launched_with(tmp_path: Path) -> None:
    file = tmp_path / "maestro.toml"
    file.write_text('name = "w"\n[[phases]]\nname = "a"\n[[phases]]\nname = "b"\n')
    approved: list[str] = []
    remembered: list[tuple[int, str]] = []
    team = Team()
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "checkpoints",
        team=TeamExecutionEngineV2(performers=team),
        approve=lambda flow, source: approved.append(source),
        remember=lambda flow, source: remembered.append((len(flow.commands), source)),
    )
    launch = Launch(
        "x", workflow=str(file), workspace=str(tmp_path), team="claude", session_id="s", pause_after=("a",)
    )
    await engine.drive_new(engine.create(launch))
    assert remembered == [(2, "team claude")], "naming it was the operator's word"
    context = await engine.resume("s")
    assert context.team == "claude"
    assert [(one.phase.name, one.persona.performer) for one in team.tasks] == [
        ("a", "agent_cli"),
        ("b", "agent_cli"),
    ]
    assert approved[-1] == str(file)
