"""A Maestro Hive engine carries out the phases of a session of ours, which measures what it left."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from maestro_tui import TeamExecutionEngineV2SplitMode
from maestro_tui.model.context import PhaseStatus
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow

HERE = str(Path(__file__).parent)


def phase(name: str, engine: str, **words: object) -> Phase:
    options = {
        "engine": f"engines:{engine}",
        "pythonpath": [HERE],
        "python": sys.executable,
        "output_dir": name,
    }
    team = (Persona(name="team", performer="hive", options=options),)
    return Phase.model_validate({"name": name, "personas": team, **words})


async def test_files_are_measured_outputs_handed_on_and_a_blocked_verdict_stops_the_session(
    tmp_path: Path,
) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    flow = Workflow(
        name="hive",
        phases=(
            phase("requirements", "TeamExecutionEngineV2", deliverables=["requirements/notes.md"]),
            phase("design", "TeamExecutionEngineV2", threshold={"opinion": 0.8}),
            phase("implementation", "Blocked"),
            phase("testing", "TeamExecutionEngineV2"),
        ),
    )
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", workflow=flow, workspace=workspace)
    context = await engine.execute_batch("Refunds are idempotent", session_id="s1")
    results = context.phase_results
    assert [(name, str(one.status)) for name, one in results.items()] == [
        ("requirements", "completed"),
        ("design", "completed"),
        ("implementation", "failed"),
    ]
    assert results["requirements"].contract is not None and results["requirements"].contract.missing == ()
    assert [one.path for one in results["design"].artifacts] == ["design/notes.md", "design/seen.json"]
    assert results["design"].quality["opinion"] == 0.85
    error = results["implementation"].error
    assert error is not None and "verdict is blocked" in error.message
    given = json.loads((workspace / "design" / "seen.json").read_text())["constraints"]
    assert given["previous_phase_outputs"] == {"requirements": results["requirements"].outputs}
    assert given["artifact_paths"]["requirements"] == [
        str(workspace / "requirements" / name) for name in ("notes.md", "seen.json")
    ]
    plan = engine.plan("s1")
    assert [str(one.action) for one in plan.phases] == ["reuse", "reuse", "run", "run"]


async def test_a_score_that_is_only_an_opinion_does_not_meet_a_threshold_on_quality(tmp_path: Path) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    flow = Workflow(
        name="hive", phases=(phase("design", "TeamExecutionEngineV2", threshold={"quality": 0.5}),)
    )
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", workflow=flow, workspace=workspace)
    context = await engine.execute_batch("Refunds are idempotent", session_id="s1")
    assert context.phase_results["design"].status == PhaseStatus.FAILED
