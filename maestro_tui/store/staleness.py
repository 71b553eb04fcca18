"""Says which results of a commit are stale, and asks the models only when something really differs.

Most sessions have no stale phase. Their recorded inputs are compared with the present ones by hash, from plain
JSON; `model.fingerprint` decides as soon as one hash differs, so a mistake here could cost time, never truth.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

_definitions: dict[str, str] = {}
_definitions_lock = threading.Lock()
_MOST_DEFINITIONS = 2_000


def known_definitions() -> dict[str, str]:
    """What was learnt so far: hash of a phase's JSON → its definition hash. Kept in the index."""
    with _definitions_lock:
        return dict(_definitions)


def learn_definitions(known: Mapping[str, str]) -> None:
    """Take over what an earlier process learnt."""
    with _definitions_lock:
        for key, value in known.items():
            if len(_definitions) < _MOST_DEFINITIONS:
                _definitions.setdefault(key, value)


def stale_phases(workflow: dict[str, Any], context: dict[str, Any]) -> dict[str, str]:
    """Stale phase → reason, for the `workflow` and `context` of a checkpoint's JSON.

    Raises `ValueError`, `KeyError` or `TypeError` when they are not what a checkpoint holds.
    """
    results = context["phase_results"]
    fresh = all(
        not result["inputs"] or result["inputs"] == _inputs_now(phase, context, results)
        for phase in workflow["phases"]
        if (result := results.get(phase["name"])) is not None and result["status"] == "completed"
    )
    if fresh:
        return {}
    from maestro_tui.model.context import TeamExecutionContext
    from maestro_tui.model.fingerprint import stale_reasons

    whole = TeamExecutionContext.model_validate({**context, "workflow": workflow})
    return stale_reasons(whole.workflow, whole)


def _inputs_now(
    phase: dict[str, Any], context: dict[str, Any], results: Mapping[str, dict[str, Any]]
) -> dict[str, str]:
    inputs = {"requirement": _hash(context["requirement"]), "definition": _definition(phase)}
    choice = (context.get("blueprints") or {}).get(phase["name"])
    if choice is not None:
        inputs["blueprint"] = _hash([choice["personas"], choice["mode"]])
    for need in phase["needs"]:
        result = results.get(need)
        if result is None:
            continue
        outputs = dict(result["outputs"])
        files = {artifact["path"]: artifact["sha256"] for artifact in result["artifacts"]}
        for edit in context["edits"]:
            if edit["phase"] == need and edit.get("attempt") in (None, result["attempt"]):
                outputs.update(edit["outputs"])
                files.update({one["path"]: one["sha256"] for one in edit.get("artifacts") or ()})
        inputs[f"needs:{need}"] = _hash(
            {
                "attempt": result["attempt"],
                "status": result["status"],
                "outputs": outputs,
                "artifacts": sorted([path, sha256] for path, sha256 in files.items()),
            }
        )
    return inputs


def _definition(phase: dict[str, Any]) -> str:
    key = _hash(phase)
    with _definitions_lock:
        known = _definitions.get(key)
    if known is None:
        from maestro_tui.model.phase import Phase

        known = Phase.model_validate(phase).definition_hash()
        learn_definitions({key: known})
    return known


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
