"""What a performer gets: all that the phases it needs left, near and far, whole, and what this phase has so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maestro_tui.engine.attempt import Attempt
from maestro_tui.model.context import PhaseStatus
from maestro_tui.model.phase import Phase


def handed_over(attempt: Attempt, so_far: Mapping[str, Any]) -> dict[str, Any]:
    """The context for one persona as JSON values, see `Task.context`."""
    context, own = attempt.context, attempt.phase.name
    # What runs beside this phase is not handed over: it could be another thing in every attempt.
    needs = attempt.workflow.needs_of(own)
    earlier = [(name, result) for name, result in context.results() if name in needs]
    before = [name for name, result in earlier if result.done]
    outputs = {
        name: _copied(context.outputs_of(name))
        for name in before
        if context.phase_results[name].status != PhaseStatus.SKIPPED
    }
    if so_far:
        outputs[own] = dict(so_far)
    decisions = [
        *(one for one in context.session_decisions if one.phase is None or one.phase in {own, *needs}),
        *(one for _, result in earlier for one in result.decisions),
    ]
    data: dict[str, Any] = {
        "session_id": context.session_id,
        "phase": own,
        "objective": attempt.phase.objective,
        "attempt": attempt.number,
        "requirement": context.requirement,
        "outputs": outputs,
        "decisions": [one.model_dump(mode="json", exclude_defaults=True) for one in decisions],
        "artifacts": [
            one.model_dump(mode="json", exclude_none=True)
            for name, _ in earlier
            for one in context.artifacts_of(name)
        ],
        "contracts": [
            *contracts_of(attempt.phase),
            *(one for name in before for one in contracts_of(attempt.workflow.phase(name))),
        ],
    }
    if attempt.feedback:
        data["feedback"] = _copied(dict(attempt.feedback))
    return data


_CONTAINERS = frozenset([dict, list])


def _copied(value: Any) -> Any:
    """JSON values with containers of their own: what a performer does to them changes no later phase's."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_copied(one) if type(one) in _CONTAINERS else one for one in value]
    return value


def contracts_of(phase: Phase) -> list[dict[str, Any]]:
    """A phase's promises as JSON values: its deliverables and its contracts."""
    promises: list[dict[str, Any]] = []
    if phase.deliverables:
        promises.append(
            {"phase": phase.name, "name": "deliverables", "deliverables": list(phase.deliverables)}
        )
    for contract in phase.contracts:
        told = contract.model_dump(mode="json", exclude_defaults=True)
        if "json_schema" in told:
            told["schema"] = told.pop("json_schema")
        promises.append({"phase": phase.name, **told})
    return promises
