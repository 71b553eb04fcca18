"""Makes a v1.0 checkpoint that Maestro Hive's own loader takes from the state of a session: exactly its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    Decision,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import slug
from maestro_tui.model.workflow import ALIASES
from maestro_tui.store.hive_format import EXPORTED, PHASES, VERSION

_STATUSES = {
    PhaseStatus.COMPLETED: "completed",
    PhaseStatus.PROVIDED: "completed",
    PhaseStatus.FAILED: "failed",
    PhaseStatus.CANCELLED: "failed",
    PhaseStatus.SKIPPED: "skipped",
}


def hive_name(commit: Checkpoint) -> str:
    """The file's name as Maestro Hive's engine would give it: `{workflow_id}_{phase}.json`."""
    return f"{commit.session_id}_{_last(commit.context)}.json"


def hive_checkpoint(commit: Checkpoint) -> bytes:
    """The whole state of a session as the bytes of one v1.0 file; outputs are kept as they are.

    What their format has no place for stands in `workflow_context.metadata`. Raises `InputError` when no phase
    has an outcome yet.
    """
    context = commit.context
    results = _results(context)
    last = _last(context)
    outcome = results[last]
    waiting = outcome.gate is not None and outcome.gate.verdict == "waiting"
    metadata = {
        "version": VERSION,
        "created_at": _utc(context.created_at),
        "workflow_id": context.session_id,
        "phase_completed": last,
        "awaiting_phase": _next(last),
        "checkpoint_type": "human_review" if waiting else "phase_boundary",
        "awaiting_human_review": waiting,
        "human_edits_applied": bool(context.edits),
        "quality_gate_passed": outcome.done or waiting,
        "quality_score": _mean(results),
    }
    document = {
        "checkpoint_metadata": metadata,
        "workflow_context": _workflow_context(commit, results, last, waiting),
        "team_execution_state": _team_state(context, results),
    }
    return json.dumps(document, indent=2).encode("ascii")


def _results(context: TeamExecutionContext) -> dict[str, PhaseResult]:
    return {name: result for name, result in context.results() if result.status in _STATUSES}


def _last(context: TeamExecutionContext) -> str:
    results = _results(context)
    if not results:
        raise InputError(
            f"No phase of session {context.session_id} has an outcome yet: there is nothing that Maestro Hive "
            "could go on from. Nothing was written."
        )
    if context.current_phase in results:
        return str(context.current_phase)
    return list(results)[-1]


def _next(phase: str) -> str | None:
    standard = ALIASES.get(phase, phase)
    place = PHASES.index(standard) + 1 if standard in PHASES else len(PHASES)
    return PHASES[place] if place < len(PHASES) else None


def _workflow_context(
    commit: Checkpoint, results: Mapping[str, PhaseResult], last: str, waiting: bool
) -> dict[str, Any]:
    context = commit.context
    edits: dict[str, dict[str, Any]] = {}
    for edit in (one for name in context.workflow.names for one in context.edits_of(name)):
        edits.setdefault(edit.phase, {"outputs": {}})["outputs"].update(edit.outputs)
    finished = results[last].finished_at
    over = all(name in results and results[name].done for name in context.workflow.order)
    return {
        "workflow_id": context.session_id,
        "workflow_type": "sdlc",
        "execution_mode": "phased",
        "phase_results": {name: _phase_result(name, result) for name, result in results.items()},
        "phase_order": list(results),
        "current_phase": last,
        "shared_artifacts": [
            {"name": artifact.path, "created_by_phase": name, "created_at": _local(result.finished_at)}
            for name, result in results.items()
            for artifact in result.artifacts
            if artifact.change != "deleted"
        ],
        "shared_context": {},
        "contracts_validated": _contracts(context, results),
        "metadata": {
            "initial_requirement": context.requirement,
            EXPORTED: {
                "session_id": context.session_id,
                "seq": commit.seq,
                "sha256": commit.sha256,
                "gates": {name: result.done for name, result in results.items()},
                "quality": {name: result.quality for name, result in results.items()},
                "decisions": [one.model_dump(mode="json", exclude_none=True) for one in context.decisions],
                "artifacts": [one.model_dump(mode="json") for one in context.artifacts],
            },
        },
        "started_at": _local(context.created_at),
        "completed_at": _local(finished) if over else None,
        "checkpoint_path": None,
        "last_checkpoint_at": _utc(commit.created_at),
        "human_edits": edits,
        "awaiting_human_review": waiting,
    }


def _phase_result(name: str, result: PhaseResult) -> dict[str, Any]:
    return {
        "phase_name": name,
        "status": _STATUSES[result.status],
        "outputs": result.outputs,
        "context_received": {},
        "context_passed": {f"{name}_output": result.outputs},
        "contracts_validated": [],
        "validation_results": [],
        "artifacts_created": list(result.personas),
        "artifacts_consumed": [],
        "started_at": _local(result.started_at),
        "completed_at": _local(result.finished_at),
        "duration_seconds": result.duration_seconds or 0.0,
        "agent_assignments": {},
        "error_message": result.error.message if result.error is not None else None,
        "error_details": {"kind": result.error.kind} if result.error is not None else None,
    }


def _contracts(context: TeamExecutionContext, results: Mapping[str, PhaseResult]) -> list[dict[str, Any]]:
    """Each check of a phase's deliverables, as their context records the check of a boundary."""
    found = []
    for name, result in results.items():
        contract = result.contract
        if contract is None:
            continue
        needs = context.workflow.phase(name).needs if name in context.workflow.names else ()
        contract_id = f"{needs[0] if needs else 'start'}-{name}"
        outcome: dict[str, Any] = {
            "passed": not contract.missing,
            "contract_found": True,
            "contract_version": VERSION,
        }
        if contract.missing:
            outcome["error"] = "required files are missing"
            outcome["required_artifacts"] = list(contract.deliverables)
            outcome["artifacts_created"] = [artifact.path for artifact in result.artifacts]
            outcome["missing_artifacts"] = list(contract.missing)
        else:
            outcome["contract_id"] = contract_id
            outcome["artifacts_validated"] = list(contract.fulfilled) or "none"
        found.append(
            {
                "phase": name,
                "contract_id": contract_id,
                "timestamp": _local(result.finished_at),
                "result": outcome,
            }
        )
    return found


def _team_state(context: TeamExecutionContext, results: Mapping[str, PhaseResult]) -> dict[str, Any]:
    blueprints = {
        name: _blueprint(decision, result)
        for name, result in results.items()
        for decision in result.decisions
        if decision.about == "blueprint"
    }
    metrics: dict[str, dict[str, float]] = {}
    for name, result in results.items():
        told = {
            "overall_quality": _quality(result),
            "contract_fulfillment": result.quality.get("contract"),
            "completeness": _quality(result),
        }
        metrics[name] = {key: value for key, value in told.items() if value is not None}
    return {
        "classification": None,
        "blueprint_selections": blueprints,
        "contract_specs": [],
        "persona_results": {},
        "quality_metrics": metrics,
        "timing_metrics": {
            name: {"phase_duration": result.duration_seconds}
            for name, result in results.items()
            if result.duration_seconds is not None
        },
        "template_package_id": None,
        "template_package_name": None,
        "template_package_confidence": 0.0,
        "template_package_explanation": "",
        "recommended_templates": {},
        "templates_used": {},
        "template_selection_reasoning": {},
        "custom_development_reasons": {},
    }


def _blueprint(decision: Decision, result: PhaseResult) -> dict[str, Any]:
    mode = "parallel" if "parallel" in decision.choice else "sequential"
    return {
        "blueprint_id": slug(decision.choice, 64),
        "blueprint_name": decision.choice,
        "match_score": decision.score if decision.score is not None else 0.0,
        "personas": list(result.personas),
        "rationale": decision.rationale,
        "execution_mode": mode,
        "coordination_mode": "contract",
        "scaling_strategy": "static",
        "estimated_time_savings": 0.0,
    }


def _quality(result: PhaseResult) -> float | None:
    for key in ("quality", "opinion", "contract"):
        value = result.quality.get(key)
        if value is not None:
            return value
    return None


def _mean(results: Mapping[str, PhaseResult]) -> float:
    """Their field must be a number: 0 where nothing was measured, which `metadata` tells."""
    known = [score for result in results.values() if (score := _quality(result)) is not None]
    return sum(known) / len(known) if known else 0.0


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _local(at: datetime | None) -> str | None:
    return at.astimezone().replace(tzinfo=None).isoformat(timespec="microseconds") if at is not None else None
