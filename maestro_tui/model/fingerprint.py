"""What a phase's result was made from, as hashes: the base for saying which result is stale, and why."""

from __future__ import annotations

from collections.abc import Mapping

from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.facts import digest
from maestro_tui.model.workflow import Workflow


def inputs_of(workflow: Workflow, context: TeamExecutionContext, name: str) -> dict[str, str]:
    """Component → SHA-256 (hex): `requirement`, `definition`, and `needs:<phase>` for each direct need."""
    phase = workflow.phase(name)
    inputs = {"requirement": digest(context.requirement), "definition": phase.definition_hash()}
    choice = context.blueprints.get(name)
    if choice is not None:
        inputs["blueprint"] = digest([choice.personas, choice.mode])
    for need in phase.needs:
        result = context.phase_results.get(need)
        if result is None:
            continue
        edited = bool(context.edits_of(need))
        inputs[f"needs:{need}"] = (
            result.input_hash_with(context.outputs_of(need), context.artifacts_of(need))
            if edited
            else result.input_hash
        )
    return inputs


def fingerprint(inputs: Mapping[str, str]) -> str:
    """One SHA-256 (hex) over all components."""
    return digest(dict(inputs))


def stale_reasons(workflow: Workflow, context: TeamExecutionContext) -> dict[str, str]:
    """Completed phases whose inputs are no longer what they were, each with the component that changed."""
    reasons: dict[str, str] = {}
    for name in workflow.order:
        result = context.phase_results.get(name)
        if result is None or result.status != "completed":
            continue
        now = inputs_of(workflow, context, name)
        if result.inputs and now != result.inputs:
            changed = [
                key for key in sorted({*now, *result.inputs}) if now.get(key) != result.inputs.get(key)
            ]
            reasons[name] = "; ".join(_because(key, context, name) for key in changed)
            continue
        stale_need = next((need for need in workflow.phase(name).needs if need in reasons), None)
        if stale_need is not None:
            reasons[name] = f"it needs {stale_need}, which is stale"
    return reasons


def _because(component: str, context: TeamExecutionContext, name: str) -> str:
    if component == "requirement":
        return "the requirement changed"
    if component == "definition":
        return "its definition changed"
    if component == "blueprint":
        choice = context.blueprints.get(name)
        return f"its blueprint was changed by {choice.by}" if choice else "its blueprint is the team's again"
    need = component.partition(":")[2]
    result = context.phase_results.get(need)
    own = context.phase_results[name]
    edits = context.edits_of(need)
    if result is None:
        return f"{need} has no result any more"
    if edits and (own.finished_at is None or edits[-1].at >= own.finished_at):
        return f"{need} was edited by {edits[-1].by}"
    if result.finished_at and own.started_at and result.finished_at > own.started_at:
        return f"{need} ran again (attempt {result.attempt})"
    return f"its input {need} changed"
