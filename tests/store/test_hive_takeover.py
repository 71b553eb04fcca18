"""A workflow of Maestro Hive becomes a session of ours, and goes back, without losing an output."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.context import (
    Artifact,
    ContractCheck,
    Decision,
    Edit,
    Gate,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import InputError
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.hive_context import Taken, state_from, whole_head, workflow_for
from maestro_tui.store.hive_export import hive_checkpoint, hive_name
from maestro_tui.store.hive_folder import groups_in
from tests.store.hive_files import checkpoint, load_strictly, outputs, put, result

NOW = datetime(2026, 11, 26, 9, 0, 0, 0, UTC)


def taken(tmp_path: Path, document: dict[str, Any], workflow: Workflow | None = None, **words: Any) -> Taken:
    put(tmp_path / "hive" / "x.json", document)
    (group,) = groups_in([tmp_path / "hive"]).values()
    file = whole_head(group)
    return state_from(group, file, workflow or workflow_for(file), session_id="s1", now=NOW, **words)


def test_what_was_completed_is_provided_with_its_outputs_as_they_were(tmp_path: Path) -> None:
    context = taken(tmp_path, checkpoint("requirements", "design")).context
    for name in ("requirements", "design"):
        one = context.phase_results[name]
        assert one.status == PhaseStatus.PROVIDED and one.done
        assert json.dumps(one.outputs) == json.dumps(outputs(name))
        assert one.source is not None and one.source.endswith("x.json")
        assert one.quality == {"opinion": 0.91}
    assert context.lineage is not None and context.lineage.how == "import"
    assert context.lineage.session_id == "workflow-20261122-090000"
    assert context.requirement == "Refunds are idempotent"
    assert context.usage.seconds == 61.0


def test_what_failed_there_has_failed_here_and_is_not_done(tmp_path: Path) -> None:
    failed = taken(tmp_path, checkpoint("requirements", "design", failed=["design"], gate=False))
    one = failed.context.phase_results["design"]
    assert one.status == PhaseStatus.FAILED and not one.done
    assert one.error is not None and "missed its quality gate" in one.error.message


def test_a_review_that_was_pending_there_waits_here(tmp_path: Path) -> None:
    document = checkpoint("requirements", "design", metadata={"awaiting_human_review": True})
    context = taken(tmp_path, document).context
    gate = context.phase_results["design"].gate
    assert gate is not None and gate.verdict == "waiting"
    assert context.phase_results["requirements"].done


def test_human_edits_are_edits(tmp_path: Path) -> None:
    own = {"human_edits": {"design": {"outputs": {"summary": "mine"}}, "nowhere": {"outputs": {"x": 1}}}}
    context = taken(tmp_path, checkpoint("requirements", "design", context=own)).context
    [edit] = context.edits
    assert (edit.phase, edit.outputs) == ("design", {"summary": "mine"})
    assert edit.attempt == context.phase_results["design"].attempt == 1, (
        "what a later attempt leaves is its own"
    )
    assert context.outputs_of("design")["summary"] == "mine"
    assert context.phase_results["design"].outputs["summary"] == "Phase: design"


def test_their_names_of_phases_are_known(tmp_path: Path) -> None:
    names = ("requirement_analysis", "architecture", "coding", "qa", "release")
    context = taken(tmp_path, checkpoint(*names)).context
    assert tuple(context.phase_results) == sdlc().order
    assert context.phase_results["implementation"].outputs["phase"] == "coding"


def test_backend_and_frontend_are_two_branches_that_keep_their_outputs(tmp_path: Path) -> None:
    names = ("requirements", "design", "backend_development", "frontend_development", "testing")
    context = taken(tmp_path, checkpoint(*names)).context
    flow = context.workflow
    assert flow.order == (*names, "deployment")
    assert flow.phase("backend_development").needs == flow.phase("frontend_development").needs == ("design",)
    assert set(flow.phase("testing").needs) == {"backend_development", "frontend_development"}
    for name in names:
        assert context.phase_results[name].outputs["phase"] == name


def test_one_branch_alone_is_the_implementation(tmp_path: Path) -> None:
    context = taken(tmp_path, checkpoint("requirements", "design", "backend_development")).context
    assert context.workflow.name == "sdlc"
    assert context.phase_results["implementation"].outputs["phase"] == "backend_development"


def test_in_a_workflow_without_branches_neither_overwrites_the_other(tmp_path: Path) -> None:
    document = checkpoint(
        "requirements",
        "design",
        "backend_development",
        "frontend_development",
        failed=["frontend_development"],
    )
    context = taken(tmp_path, document, sdlc()).context
    one = context.phase_results["implementation"]
    assert one.outputs["phase"] == "backend_development"
    assert one.outputs["frontend_development"]["phase"] == "frontend_development"
    assert one.status == PhaseStatus.FAILED, "it is done when both are"


def test_a_phase_that_the_workflow_does_not_have_is_kept_beside_it_and_told(tmp_path: Path) -> None:
    found = taken(tmp_path, checkpoint("requirements", "bananas", "init"))
    assert found.context.phase_results["bananas"].outputs["phase"] == "bananas"
    assert any("'bananas' is none of workflow 'sdlc'" in note for note in found.notes)
    commit = CheckpointStore(tmp_path / "root").create(found.context)
    assert CheckpointStore(tmp_path / "root").head("s1").sha256 == commit.sha256


def test_files_that_are_there_are_artifacts_with_their_hash_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    workspace = tmp_path / "shop"
    (workspace / "generated").mkdir(parents=True)
    (workspace / "generated" / "design.md").write_text("# design\n")
    found = taken(tmp_path, checkpoint("requirements", "design"), workspace=workspace)
    (artifact,) = found.context.artifacts
    assert (artifact.path, artifact.size, artifact.phase) == ("generated/design.md", 9, "design")
    assert artifact.change == "provided" and artifact.sha256 == sha256(b"# design\n").hexdigest()
    assert "named and not there, so without a hash: 1 of its files" in found.notes


@pytest.mark.parametrize("named", ["../secret", "/etc/passwd", "link/secret", "a\0b", "pipe"])
def test_no_file_outside_of_the_workspace_is_read(tmp_path: Path, named: str) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (tmp_path / "secret").write_text("x")
    (workspace / "link").symlink_to(outside)
    os.mkfifo(workspace / "pipe")
    own = {"phase_results": {"design": result("design", outputs={"artifact_paths": [named]})}}
    found = taken(tmp_path, checkpoint(context=own), workspace=workspace)
    assert found.context.artifacts == ()


# ── Back again ────────────────────────────────────────────────────────────────────────────────────────────


def full(**changes: Any) -> TeamExecutionContext:
    """A session of ours with a bit of everything."""
    at = datetime(2026, 11, 25, 9, 0, 0, 0, UTC)
    flow = Workflow(
        name="own", phases=tuple(Phase(name=name) for name in ("requirements", "design", "audit"))
    )
    done = PhaseResult(
        status=PhaseStatus.COMPLETED,
        started_at=at,
        finished_at=NOW,
        outputs=outputs("requirements"),
        summary="said",
        artifacts=(Artifact(path="a.md", size=1, sha256="0" * 64, phase="requirements"),),
        decisions=(Decision(about="blueprint", choice="parallel: a, b", decided_by="rules"),),
        contract=ContractCheck(deliverables=("a.md",), fulfilled=("a.md",)),
        quality={"contract": 1.0, "coverage": None},
        gate=Gate(verdict="passed"),
        personas=("a", "b"),
    )
    missed = done.model_copy(
        update={
            "status": PhaseStatus.FAILED,
            "outputs": {"n": 1},
            "contract": ContractCheck(deliverables=("b.md",), missing=("b.md",)),
            "error": PhaseError(kind="contract", message="b.md is missing"),
            "gate": Gate(verdict="failed"),
        }
    )
    facts: dict[str, Any] = {
        "session_id": "s1",
        "requirement": "Refunds – größer ✓",
        "workflow": flow,
        "created_at": at,
        "current_phase": "design",
        "phase_results": {"requirements": done, "design": missed},
        "edits": (Edit(phase="requirements", outputs={"n": 2}, by="Ann", at=NOW),),
    }
    return TeamExecutionContext(**{**facts, **changes})


def test_an_export_has_exactly_their_keys_and_types(tmp_path: Path) -> None:
    commit = CheckpointStore(tmp_path).create(full())
    document = load_strictly(hive_checkpoint(commit))
    metadata, context, state = document.values()
    assert hive_name(commit) == "s1_design.json"
    assert metadata["phase_completed"] == "design" and metadata["awaiting_phase"] == "implementation"
    assert metadata["quality_gate_passed"] is False and metadata["human_edits_applied"] is True
    assert context["phase_order"] == ["requirements", "design"]
    assert context["phase_results"]["design"]["error_message"] == "b.md is missing"
    assert context["human_edits"] == {"requirements": {"outputs": {"n": 2}}}
    assert [one["result"]["passed"] for one in context["contracts_validated"]] == [True, False]
    assert context["contracts_validated"][1]["contract_id"] == "requirements-design"
    assert state["blueprint_selections"]["requirements"]["execution_mode"] == "parallel"
    assert state["quality_metrics"]["requirements"]["overall_quality"] == 1.0


def test_out_and_in_again_keeps_every_output_bit_for_bit(tmp_path: Path) -> None:
    commit = CheckpointStore(tmp_path / "one").create(full())
    file = tmp_path / "hive" / hive_name(commit)
    file.parent.mkdir()
    file.write_bytes(hive_checkpoint(commit))
    (group,) = groups_in([file]).values()
    head = whole_head(group)
    assert head.notes == ()
    state = state_from(group, head, full().workflow, session_id="s1", now=NOW).context
    back = CheckpointStore(tmp_path / "two").create(state)
    again = CheckpointStore(tmp_path / "two").head("s1").context
    for name, result_ in full().phase_results.items():
        assert json.dumps(again.phase_results[name].outputs) == json.dumps(result_.outputs)
        assert again.phase_results[name].done == result_.done
        assert again.outputs_of(name) == full().outputs_of(name)
    assert again.requirement == full().requirement
    assert hive_checkpoint(back).count(b'"status": "failed"') == 1


def test_a_gate_that_passed_here_passes_there_and_back_whatever_its_score(tmp_path: Path) -> None:
    low = full().phase_results["requirements"].model_copy(update={"quality": {"opinion": 0.1}})
    commit = CheckpointStore(tmp_path / "one").create(
        full(phase_results={"requirements": low, "design": low})
    )
    file = tmp_path / "x.json"
    file.write_bytes(hive_checkpoint(commit))
    (group,) = groups_in([file]).values()
    head = whole_head(group)
    assert [group.status_of(phase) for phase in head.phases] == ["completed", "completed"]


def test_a_session_without_an_outcome_has_nothing_to_export(tmp_path: Path) -> None:
    commit = CheckpointStore(tmp_path).create(full(phase_results={}, current_phase=None))
    with pytest.raises(InputError, match="No phase of session s1 has an outcome yet"):
        hive_checkpoint(commit)
