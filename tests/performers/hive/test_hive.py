"""A Maestro Hive engine works in its own process, and its word is not taken for success."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import Budget
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.hive import HivePerformer
from maestro_tui.performers.port import PerformerFailed, PerformerResult
from maestro_tui.performers.registry import performer_for
from tests.performers.bench_fixtures import RememberingPort, make_task
from tests.waiting import wait_until

HERE = str(Path(__file__).parent)


def persona(engine: str, timeout: float | None = None, **options: Any) -> Persona:
    named = engine if ":" in engine else f"engines:{engine}"
    given = {"engine": named, "pythonpath": [HERE], "python": sys.executable, **options}
    return Persona(name="team", performer="hive", options=given, timeout_seconds=timeout)


async def perform(tmp_path: Path, who: Persona, **words: Any) -> tuple[PerformerResult, RememberingPort]:
    port = RememberingPort()
    return await performer_for(who).perform(make_task(tmp_path, who, **words), port), port


async def test_that_an_engine_s_spending_is_not_known_is_told_where_a_budget_would_count_it(
    tmp_path: Path,
) -> None:
    who = persona("TeamExecutionEngineV2").model_copy(update={"budget": Budget(cost_usd=2)})
    _, port = await perform(tmp_path, who)
    assert (
        ":TeamExecutionEngineV2 does not tell its cost: the budget (here $2.00) cannot be checked"
        in port.text
    )


async def test_an_engine_makes_files_in_the_workspace_and_returns_its_details(tmp_path: Path) -> None:
    result, _ = await perform(tmp_path, persona("TeamExecutionEngineV2"))
    assert (tmp_path / "workspace" / "notes.md").read_text() == "# Notes\n"
    assert result.failure is None
    assert result.metrics == {"opinion": 0.85}
    assert result.outputs["contracts"][0]["id"] == "contract_0"
    assert result.outputs["quality"]["contracts_total"] == 2
    assert result.outputs["session_id"] == "s-1_requirements"
    assert result.outputs["a_key_of_tomorrow"] == {"any": "thing"}
    assert [(d.about, d.choice, d.decided_by) for d in result.decisions] == [
        ("blueprint", "A Pair", "hive"),
        ("classification", "bug_fix", "hive"),
    ]
    assert "2 of 2 contracts" in result.summary


async def test_an_engine_is_given_the_real_context(tmp_path: Path) -> None:
    who = persona(
        "TeamExecutionEngineV2",
        cwd="sub",
        output_dir="made",
        arguments={"session_manager": "mine"},
        constraints={"jira_task_key": "MD-1", "phase": "not this"},
    )
    (tmp_path / "workspace" / "sub").mkdir(parents=True)
    outputs = {"requirements": {"n": 1, "contracts": [{"id": "c-1", "name": "first"}, "none"]}}
    task = make_task(tmp_path, who, phase="design", outputs=outputs)
    task.context["artifacts"].extend(  # type: ignore[attr-defined]
        [
            {"path": "a.md", "phase": "requirements", "change": "new"},
            {"path": "b.md", "phase": "requirements", "change": "deleted"},
        ]
    )
    result = await HivePerformer(who).perform(task, RememberingPort())
    assert result.failure is None
    seen = json.loads((tmp_path / "workspace" / "made" / "seen.json").read_text())
    given = seen["constraints"]
    workspace = tmp_path / "workspace"
    assert sorted(given) == [
        "artifact_paths",
        "jira_task_key",
        "output_dir",
        "phase",
        "previous_phase_contracts",
        "previous_phase_outputs",
        "quality_threshold",
        "workflow_id",
    ]
    assert given["phase"] == "design" and given["quality_threshold"] == 0.8
    assert given["previous_phase_outputs"] == outputs
    assert given["artifact_paths"] == {"requirements": [str(workspace / "a.md")]}
    assert given["workflow_id"] == "s-1" and given["output_dir"] == str(workspace / "made")
    assert seen["contract_ids"] == ["c-1", "requirements-design"]
    assert given["previous_phase_contracts"][1]["deliverables"][0]["artifacts"] == [str(workspace / "a.md")]
    assert seen["cwd"] == str(workspace / "sub") and seen["session_manager"] == "mine"


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("Nobody", "no persona worked"),
        ("READY", "no persona worked"),
        ("Fewer", "1 personas worked for 2 contracts"),
        ("Blocked", "its verdict is blocked, grade F (Poor BDV performance (0.0%))"),
        ("GateBlocked", "its gate blocked the phase (no tests were written, 2 files lack a header)"),
    ],
)
async def test_success_is_not_believed(tmp_path: Path, engine: str, reason: str) -> None:
    result, _ = await perform(tmp_path, persona(engine))
    assert result.failure is not None and reason in result.failure
    assert result.outputs["session_id"] == "s-1_requirements", "the outputs are kept"


async def test_the_score_of_a_blocked_gate_counts_to_a_hundred_and_is_an_opinion(tmp_path: Path) -> None:
    result, _ = await perform(tmp_path, persona("GateBlocked"))
    assert result.metrics == {"opinion": 0.41}
    assert result.outputs["blockers"] == ["no tests were written", "2 files lack a header"]


@pytest.mark.parametrize("engine", ["Nulls", "NotANumber"])
async def test_a_score_that_is_none_is_not_measured(tmp_path: Path, engine: str) -> None:
    result, _ = await perform(tmp_path, persona(engine))
    assert result.failure is None
    assert result.metrics == {"opinion": None}


async def test_what_an_engine_prints_goes_to_the_log_and_nowhere_else(tmp_path: Path) -> None:
    result, port = await perform(tmp_path, persona("Loud"))
    assert result.failure is None
    assert ("out", '{"result": {"success": false}}') in port.lines
    assert ("err", "\U0001f680 starting") in port.lines
    assert ("out", "no end") in port.lines


@pytest.mark.parametrize(
    ("engine", "kind", "reason"),
    [
        ("Exits", "performer", r"ended its own process \(exit code 0\)"),
        ("Vanishes", "exit", "ended without a result"),
        ("Raises", "performer", "raised KeyError: 'quality'"),
        ("Nothing", "result", "returned nothing, where an object was expected"),
        ("Missing", "performer", "The module 'engines' has no 'Missing'"),
        ("PERSONAS", "performer", "is no class and has no method 'execute'"),
    ],
)
async def test_an_engine_without_a_result_is_a_sentence(
    tmp_path: Path, engine: str, kind: str, reason: str
) -> None:
    with pytest.raises(PerformerFailed, match=reason) as caught:
        await perform(tmp_path, persona(engine))
    assert caught.value.kind == kind


async def test_a_module_that_is_not_there_names_it(tmp_path: Path) -> None:
    who = persona("no_such_module_here:X")
    with pytest.raises(PerformerFailed, match="'no_such_module_here' cannot be imported"):
        await perform(tmp_path, who)


async def test_an_engine_that_blocks_its_loop_is_ended_with_its_children(tmp_path: Path) -> None:
    spoken = asyncio.Event()

    class Port(RememberingPort):
        def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
            super().line(text, stream)
            if "grandchild" in text:
                spoken.set()

    port = Port()
    who = persona("Blocking")
    work = asyncio.create_task(HivePerformer(who).perform(make_task(tmp_path, who), port))
    await spoken.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    found = re.search(r"grandchild (\d+)", port.text)
    assert found is not None
    wait_until(lambda: not _lives(int(found[1])), "the grandchild ends")


async def test_an_engine_that_never_ends_is_stopped_at_its_limit(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match=r"was stopped after its limit of 1\.5 s") as caught:
        await perform(tmp_path, persona("Blocking", timeout=1.5))
    assert caught.value.kind == "timeout"


async def test_a_thread_that_an_engine_leaves_does_not_keep_the_phase(tmp_path: Path) -> None:
    result, _ = await perform(tmp_path, persona("Thread", timeout=60))
    assert result.failure is None


async def test_what_json_cannot_hold_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    result, port = await perform(tmp_path, persona("Unhelpful"))
    assert result.outputs["path"] == "a/b" and result.outputs["names"] == ["one"]
    assert result.outputs["lock"].startswith("<unlocked _thread.lock")
    json.dumps(dict(result.outputs), allow_nan=False)
    assert any("result.lock is nothing that JSON holds" in text for _, text in port.lines)


async def test_events_and_progress_are_shown_as_sub_steps(tmp_path: Path) -> None:
    _, port = await perform(tmp_path, persona("Telling"))
    assert port.events == [
        ("sub_step", {"step": "workflow_started", "of": {"requirement": "The list must show 20 rows."}}),
        ("sub_step", {"step": "phase_completed", "of": {"phase": "team_execution", "duration_seconds": 2}}),
        ("sub_step", {"step": "quality_check", "of": {"type": "quality_check", "quality_score": 0.85}}),
    ]


async def test_a_function_may_make_the_engine(tmp_path: Path) -> None:
    result, _ = await perform(tmp_path, persona("made_by_function"))
    assert result.failure is None and (tmp_path / "workspace" / "notes.md").exists()


async def test_an_argument_that_the_engine_does_not_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="does not take the argument 'colour'"):
        await perform(tmp_path, persona("TeamExecutionEngineV2", arguments={"colour": "red"}))


async def test_files_outside_the_workspace_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="lies outside the workspace"):
        await perform(tmp_path, persona("TeamExecutionEngineV2", output_dir=str(tmp_path / "elsewhere")))
    assert not (tmp_path / "elsewhere").exists()


def test_the_persona_of_the_readme_is_one() -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    section = text.partition("## For Maestro Hive users")[2]
    flow = Workflow.parse(section.partition("```toml")[2].partition("```")[0])
    made = performer_for(flow.phase("design").personas[0])
    assert isinstance(made, HivePerformer)
    assert made.options.engine.endswith(":TeamExecutionEngineV2") and len(made.options.pythonpath) == 3


async def test_an_interpreter_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="'no-such-python' was not found"):
        await perform(tmp_path, persona("Nobody", python="no-such-python"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "'engine' is wrong"),
        ({"engine": "no colon"}, "package.module:Class"),
        ({"engine": "a:B", "colour": 1}, "'colour' is wrong"),
        ({"engine": "a:B", "output_dir": "../x"}, "must not contain '..'"),
        ({"engine": "a:B", "constraints": ["x"]}, "'constraints' is wrong"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        performer_for(Persona(name="team", performer="hive", options=options))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
