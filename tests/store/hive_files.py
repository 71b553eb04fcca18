"""Writes files as Maestro Hive's engine does, and reads them as strictly as its own loader: both after its format."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

PHASES = ("requirements", "design", "implementation", "testing", "deployment")
WORKFLOW = "workflow-20261122-090000"


def outputs(phase: str) -> dict[str, Any]:
    """A phase's outputs in the engine's shape."""
    return {
        "phase": phase,
        "artifact_paths": [f"generated/{phase}.md", f"generated/{phase}.md"],
        "artifacts_content": {f"generated/{phase}.md": f"# {phase} – ünïcode\n"},
        "summary": f"Phase: {phase}",
        "deliverables": {"writer": {"files_created": [f"generated/{phase}.md"], "deliverables": {}}},
        "quality": {"overall_quality_score": 0.91, "contracts_fulfilled": 1, "contracts_total": 1},
        "execution_summary": {"personas": ["writer"], "blueprint": "Alone", "duration": 1.5},
        "odd": [1e-7, 0.1 + 0.2, -0.0, 10**30, None, True, {"": []}],
    }


def result(phase: str, status: str = "completed", **changes: Any) -> dict[str, Any]:
    """A PhaseResult with its fifteen keys."""
    return {
        "phase_name": phase,
        "status": status,
        "outputs": outputs(phase),
        "context_received": {},
        "context_passed": {f"{phase}_output": outputs(phase)},
        "contracts_validated": [],
        "validation_results": [],
        "artifacts_created": ["writer"],
        "artifacts_consumed": [],
        "started_at": "2026-11-22T10:00:00.000001",
        "completed_at": "2026-11-22T10:00:30.500000",
        "duration_seconds": 30.5,
        "agent_assignments": {},
        "error_message": None,
        "error_details": None,
        **changes,
    }


def checkpoint(
    *phases: str,
    workflow_id: str = WORKFLOW,
    failed: Sequence[str] = (),
    gate: bool = True,
    scores: Mapping[str, float] | None = None,
    metadata: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A v1.0 checkpoint after the last of `phases`."""
    last = phases[-1] if phases else None
    after = PHASES.index(last) + 1 if last in PHASES else 5
    return {
        "checkpoint_metadata": {
            "version": "1.0",
            "created_at": "2026-11-22T09:00:00.123456",
            "workflow_id": workflow_id,
            "phase_completed": last,
            "awaiting_phase": PHASES[after] if after < 5 else None,
            "checkpoint_type": "phase_boundary",
            "awaiting_human_review": False,
            "human_edits_applied": False,
            "quality_gate_passed": gate,
            "quality_score": 0.91,
            **(metadata or {}),
        },
        "workflow_context": {
            "workflow_id": workflow_id,
            "workflow_type": "sdlc",
            "execution_mode": "phased",
            "phase_results": {
                name: result(name, "failed" if name in failed else "completed") for name in phases
            },
            "phase_order": list(phases),
            "current_phase": last,
            "shared_artifacts": [],
            "shared_context": {},
            "contracts_validated": [],
            "metadata": {"initial_requirement": "Refunds are idempotent"},
            "started_at": "2026-11-22T09:00:00.123456",
            "completed_at": None,
            "checkpoint_path": None,
            "last_checkpoint_at": None,
            "human_edits": {},
            "awaiting_human_review": False,
            **(context or {}),
        },
        "team_execution_state": {
            "classification": None,
            "blueprint_selections": {
                name: {
                    "blueprint_id": "alone",
                    "blueprint_name": "Alone",
                    "match_score": 0.6,
                    "personas": ["writer"],
                    "rationale": "one is enough",
                    "execution_mode": "sequential",
                    "coordination_mode": "handoff",
                    "scaling_strategy": "static",
                    "estimated_time_savings": 0.0,
                }
                for name in phases
            },
            "contract_specs": [],
            "persona_results": {},
            "quality_metrics": {
                name: {"overall_quality": (scores or {}).get(name, 0.91), "contract_fulfillment": 1.0}
                for name in phases
            },
            "timing_metrics": {},
            "template_package_id": None,
            "template_package_name": None,
            "template_package_confidence": 0.0,
            "template_package_explanation": "",
            "recommended_templates": {},
            "templates_used": {},
            "template_selection_reasoning": {},
            "custom_development_reasons": {},
        },
    }


def injected() -> dict[str, Any]:
    """The synthetic form of `execution`: design is to run next."""
    return {
        "workflow_id": "wf-synthetic-0a1b2c3d",
        "target_phase": "design",
        "injected_phases": [
            {
                "phase_name": "requirements",
                "status": "completed",
                "outputs": {"classified_requirement": "Refunds are idempotent", "stakeholders": ["shop"]},
                "artifacts": [],
                "synthetic": True,
                "injected_at": "2026-11-22T10:00:00.000001",
            }
        ],
        "metadata": {"source": "external", "type": "document"},
        "created_at": "2026-11-22T09:00:00.123456",
        "synthetic": True,
        "version": "1.0",
    }


def session(session_id: str = "sdlc_0a1b2c3d_20261122_090000", **changes: Any) -> dict[str, Any]:
    """A file of `sdlc_sessions`."""
    return {
        "session_id": session_id,
        "requirement": "Refunds are idempotent",
        "output_dir": "/srv/out",
        "created_at": "2026-11-22T09:00:00.123456",
        "last_updated": "2026-11-22T09:30:00.123456",
        "completed_personas": ["writer", "writer"],
        "files_registry": {},
        "persona_outputs": {},
        "metadata": {
            "phase_history": [
                {"phase": "REQUIREMENTS", "iteration": 1, "state": "completed", "quality_score": None}
            ],
            "current_phase": "DESIGN",
            "iteration_count": 1,
            "workflow_mode": "phase_based",
        },
        **changes,
    }


def put(path: Path, document: Any, at: float | None = None) -> Path:
    """Write a document as their engine does; `at` is the time of its last change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2))
    if at is not None:
        os.utime(path, (at, at))
    return path


def picture(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Path → inode, time of change and bytes of everything below a folder."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *sorted(folder.rglob("*"))]
    }


# ── As strict as their loader ─────────────────────────────────────────────────────────────────────────────

METADATA = {
    "version": str,
    "created_at": str,
    "workflow_id": str,
    "phase_completed": (str, type(None)),
    "awaiting_phase": (str, type(None)),
    "checkpoint_type": str,
    "awaiting_human_review": bool,
    "human_edits_applied": bool,
    "quality_gate_passed": bool,
    "quality_score": float,
}
CONTEXT = {
    "workflow_id": str,
    "workflow_type": str,
    "execution_mode": str,
    "phase_results": dict,
    "phase_order": list,
    "current_phase": (str, type(None)),
    "shared_artifacts": list,
    "shared_context": dict,
    "contracts_validated": list,
    "metadata": dict,
    "started_at": str,
    "completed_at": (str, type(None)),
    "checkpoint_path": (str, type(None)),
    "last_checkpoint_at": (str, type(None)),
    "human_edits": dict,
    "awaiting_human_review": bool,
}
RESULT = {
    "phase_name": str,
    "status": str,
    "outputs": dict,
    "context_received": dict,
    "context_passed": dict,
    "contracts_validated": list,
    "validation_results": list,
    "artifacts_created": list,
    "artifacts_consumed": list,
    "started_at": (str, type(None)),
    "completed_at": (str, type(None)),
    "duration_seconds": float,
    "agent_assignments": dict,
    "error_message": (str, type(None)),
    "error_details": (dict, type(None)),
}
STATE = {
    "classification": (dict, type(None)),
    "blueprint_selections": dict,
    "contract_specs": list,
    "persona_results": dict,
    "quality_metrics": dict,
    "timing_metrics": dict,
    "template_package_id": (str, type(None)),
    "template_package_name": (str, type(None)),
    "template_package_confidence": float,
    "template_package_explanation": str,
    "recommended_templates": dict,
    "templates_used": dict,
    "template_selection_reasoning": dict,
    "custom_development_reasons": dict,
}
BLUEPRINT = {
    "blueprint_id": str,
    "blueprint_name": str,
    "match_score": float,
    "personas": list,
    "rationale": str,
    "execution_mode": str,
    "coordination_mode": str,
    "scaling_strategy": str,
    "estimated_time_savings": float,
}


def load_strictly(data: bytes) -> dict[str, Any]:
    """The document, when it has exactly the keys of the format in the types of the format."""
    document = json.loads(data.decode("utf-8"))
    assert list(document) == ["checkpoint_metadata", "workflow_context", "team_execution_state"]
    metadata, context, state = document.values()
    _exactly(metadata, METADATA)
    assert metadata["version"] == "1.0" and metadata["workflow_id"]
    assert metadata["checkpoint_type"] in (
        "phase_boundary",
        "human_review",
        "error_recovery",
        "batch_complete",
    )
    _naive(metadata["created_at"])
    _exactly(context, CONTEXT)
    for moment in ("started_at", "completed_at", "last_checkpoint_at"):
        _naive(context[moment])
    for name, one in context["phase_results"].items():
        _exactly(one, RESULT)
        assert one["phase_name"] == name and one["status"] in ("completed", "failed", "skipped")
        _naive(one["started_at"])
        _naive(one["completed_at"])
    assert set(context["phase_order"]) == set(context["phase_results"])
    for one in context["contracts_validated"]:
        assert set(one) == {"phase", "contract_id", "timestamp", "result"}
    for one in context["shared_artifacts"]:
        assert {"name", "created_by_phase"} <= set(one) <= {"name", "created_by_phase", "created_at"}
    for edit in context["human_edits"].values():
        assert set(edit) == {"outputs"}
    _exactly(state, STATE)
    for one in state["blueprint_selections"].values():
        _exactly(one, BLUEPRINT)
    return document


def _exactly(table: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    assert set(table) == set(keys)
    for key, kind in keys.items():
        assert isinstance(table[key], kind), f"{key} is {table[key]!r}"


def _naive(text: str | None) -> None:
    assert text is None or datetime.fromisoformat(text).tzinfo is None
