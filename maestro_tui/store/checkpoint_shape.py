"""Says whether JSON is a checkpoint's as far as the list shows it, without the models: thousands are read so.

The models decide whenever something is run. What they refuse must not be shown as a session's state either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maestro_tui.model.text import clean, name_problem

_RESULTS = "context.phase_results"
STATUSES = frozenset("pending running completed failed cancelled skipped provided".split())


def check_shape(data: Mapping[str, Any]) -> None:
    """Raise `ValueError` with the place of what is not of its kind, `KeyError` for what is missing."""
    workflow, context = data["workflow"], data["context"]
    _is(data["phase"], str, "phase")
    _is_whole(data["attempt"], "attempt")
    _is_whole(data["epoch"], "epoch")
    _is_moment(data["created_at"], "created_at")
    _is(workflow, dict, "workflow")
    _is(context, dict, "context")
    _check_phases(workflow["phases"])
    if context["session_id"] != data["session_id"]:
        raise ValueError("context.session_id is that of another session")
    _is(context["requirement"], str, "context.requirement")
    _is_moment(context["created_at"], "context.created_at")
    if context["workflow"] != workflow["name"]:
        raise ValueError("context.workflow is not the workflow's name")
    results = context.get("phase_results", {})
    _is(results, dict, "context.phase_results")
    for name, result in results.items():
        _check_result(result, name)


def _check_phases(phases: Any) -> None:
    _is(phases, list, "workflow.phases")
    names = []
    for number, phase in enumerate(phases):
        _is(phase, dict, "workflow.phases", number)
        _is(phase["name"], str, "workflow.phases", number, "name")
        problem = name_problem(phase["name"])
        if problem is not None:
            raise ValueError(f"workflow.phases.{number}.name: {problem}")
        _is(phase["needs"], list, "workflow.phases", number, "needs")
        names.append(phase["name"])
    known = frozenset(names)
    if len(known) != len(names):
        raise ValueError("two phases of the workflow have one name")
    for number, phase in enumerate(phases):
        for need in phase["needs"]:
            if not isinstance(need, str) or need not in known:
                raise ValueError(f"workflow.phases.{number} needs a phase that is not there")


def _check_result(result: Any, name: str) -> None:
    _is(result, dict, _RESULTS, name)
    status = result["status"]
    if not isinstance(status, str) or status not in STATUSES:
        raise ValueError(f"{_shown((_RESULTS, name))}.status is none of a phase's")
    _is_whole(result.get("attempt", 1), _RESULTS, name, "attempt")
    for key in ("started_at", "finished_at"):
        if result.get(key) is not None:
            _is_moment(result[key], _RESULTS, name, key)
    _is(result.get("outputs", {}), dict, _RESULTS, name, "outputs")
    artifacts = result.get("artifacts", [])
    _is(artifacts, list, _RESULTS, name, "artifacts")
    for artifact in artifacts:
        _is(artifact, dict, _RESULTS, name, "artifacts")


# The place comes in parts: it is put together only for a sentence, which hardly ever comes.


def _is(value: Any, kind: type, *place: object) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{_shown(place)} is not of its kind")


def _is_whole(value: Any, *place: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{_shown(place)} is no whole number")


def _is_moment(value: Any, *place: object) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return  # seconds since the epoch: the models take them as well
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise ValueError(f"{_shown(place)} is no moment") from None
    if moment.tzinfo is None:
        raise ValueError(f"{_shown(place)} does not say in which time zone")


def _shown(place: tuple[object, ...]) -> str:
    return clean(".".join(map(str, place)), 120)
