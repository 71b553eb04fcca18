"""What the README says of teams is so: its workflow runs as its comments say, and its keys, commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from maestro_tui import Workflow
from maestro_tui.cli import commands
from maestro_tui.model.contract import Contract
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.policy import Breaker, Budget
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.performers.toolbox.catalogue import CATALOGUE
from tests.engine.scripted import Bench, Team, said

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## Teams\n")[1].split("\n## ")[0]
BLOCK = SECTION.split("```toml\n")[1].split("```")[0]
TABLE = README.split("\n## Commands\n")[1].split("\n## ")[0]


def architect(task: Task, port: Port) -> PerformerResult:
    (task.workspace / "docs").mkdir(exist_ok=True)
    (task.workspace / "docs/api.json").write_text('{"version": 1}')
    return PerformerResult(outputs={"tables": ["refunds"]})


def measuring(**metrics: float) -> object:
    """A tool that leaves what the catalogue promises for it, with these metrics."""

    def work(task: Task, port: Port) -> PerformerResult:
        for tool in CATALOGUE:
            for path in tool.deliverables if tool.name == task.persona.name else ():
                (task.workspace / path).parent.mkdir(parents=True, exist_ok=True)
                (task.workspace / path).write_text("measured")
        return PerformerResult(metrics=metrics)

    return work


def team(findings: int) -> Team:
    return Team(
        architect=architect,
        security_reviewer=said,
        test_engineer=measuring(tests=1.0, coverage=0.9),  # type: ignore[arg-type]
        code_reviewer=measuring(lint_findings=findings),  # type: ignore[arg-type]
    )


def without_advisor() -> str:
    """The README's workflow as rules alone carry it out: no model is asked in a test."""
    before, _, rest = BLOCK.partition("[advisor]")
    return before + rest[rest.index("[[personas]]") :]


def test_the_workflow_of_the_readme_is_taken_as_printed() -> None:
    workflow = Workflow.parse(BLOCK)
    assert workflow.names == ("design", "build", "manual")
    assert workflow.advisor is not None and workflow.budget == Budget(
        cost_usd=20, tokens=5_000_000, seconds=14_400
    )
    assert [one.performer for one in workflow.phase("build").personas] == ["command", "toolbox", "toolbox"]


async def test_it_runs_as_its_comments_say(tmp_path: Path) -> None:
    bench = Bench(tmp_path, without_advisor(), team(findings=0))
    await bench.engine.execute_batch("x", session_id="s")
    assert [(who, role) for _, who, role in bench.team.calls] == [
        ("architect", "work"),
        ("security_reviewer", "comment"),
        ("architect", "revise"),
        ("security_reviewer", "comment"),
        ("architect", "revise"),
    ]
    bench.team.calls.clear()
    bench.engine.decide("s", "design", "approved", by="ada", reason="fine")
    context = await bench.engine.resume("s")
    assert bench.team.who == ["developer", "test_engineer", "code_reviewer", "writer"]
    told = bench.team.tasks[-1].context["contracts"]
    assert any(one["name"] == "interface" and one["consumers"] == ["build"] for one in told)
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}


async def test_a_single_finding_fails_its_gate_and_the_breaker_opens_after_three(tmp_path: Path) -> None:
    bench = Bench(tmp_path, without_advisor(), team(findings=1))
    await bench.engine.execute_batch("x", session_id="s")
    bench.engine.decide("s", "design", "approved", by="ada", reason="fine")
    for _ in range(3):
        context = await bench.engine.resume("s")
        error = context.phase_results["build"].error
        assert error is not None and "lint_findings is 1, and the gate allows at most 0" in error.message
    assert bench.engine.plan("s").phase("build").action == "blocked"


@pytest.mark.parametrize("model", [Workflow, Phase, Persona, Contract, Budget, Breaker])
def test_every_key_of_a_workflow_file_is_in_the_readme(model: type) -> None:
    keys = {"schema" if key == "json_schema" else key for key in model.model_fields}  # type: ignore[attr-defined]
    blocks = "\n".join(re.findall(r"```toml\n(.*?)```", README, re.S))
    written = set(re.findall(r"[A-Za-z_]+", blocks)) | set(re.findall(r"`([a-z_]+)(?: = [^`]*)?`", README))
    assert keys - written == set()


def test_every_command_is_in_the_readme_and_in_the_changelog() -> None:
    visible = [name for name, command in commands.commands.items() if not command.hidden]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in visible:
        assert re.search(rf"^\|.*`{name}\b.*\|", TABLE, re.M), name
        assert f"`{name}`" in changelog, name


def test_every_option_that_the_readme_names_exists() -> None:
    named = [
        (words.split()[0], set(re.findall(r"--[a-z-]+", words)))
        for words in re.findall(r"`(?:maestro-tui )?((?:raise|blueprint|edit|run|resume) [^`]*)`", SECTION)
    ]
    assert {name for name, options in named if options} == {"raise", "blueprint", "edit", "run"}
    for name, options in named:
        command = commands.commands[name]
        known = {
            word
            for option in command.params
            if isinstance(option, click.Option)
            for word in (*option.opts, *option.secondary_opts)
        }
        assert options <= known, (name, options - known)
