"""Judges what a Maestro Hive engine returned: its own word for success is one condition among several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.port import PerformerResult

DECIDED_BY = "hive"
_NOT_OUTPUTS = frozenset(["requirement", "success"])


class BadHiveResult(Exception):
    """What came back is no result at all; `str()` says what it is, as the end of a sentence."""


def judge_hive(result: Any) -> PerformerResult:
    """The persona's result, from the normal or the gate-blocked shape; nulls and further keys are fine.

    It has failed when `success` is not true, when nobody or fewer than the contracts ask for worked, or when
    the verdict is blocked. Its quality score is an opinion (`metrics["opinion"]`, 0 to 1, None when it has
    none); all the rest is kept in the outputs. Raises `BadHiveResult`.
    """
    if not isinstance(result, dict):
        raise BadHiveResult(f"{_kind(result)}, where an object was expected")
    found = _encodable(result)
    reasons = list(_reasons(found))
    return PerformerResult(
        outputs={key: value for key, value in found.items() if key not in _NOT_OUTPUTS},
        decisions=tuple(_decisions(found)),
        metrics={"opinion": _opinion(found)},
        summary=_summary(found),
        failure=f"The engine's result does not pass: {'; '.join(reasons)}." if reasons else None,
    )


def _reasons(found: Mapping[str, Any]) -> Iterator[str]:
    """Each reason for which the phase has failed, as a part of a sentence."""
    if found.get("phase_gate_blocked"):
        blockers = found.get("blockers")
        told = blockers if isinstance(blockers, list) else []
        yield f"its gate blocked the phase ({_told(told) or 'without naming a blocker'})"
    elif found.get("success") is not True:
        error = found.get("error")
        yield f"it says that it failed{f' ({clean(error, 300)})' if error else ''}"
    yield from _nobody_worked(found)
    verdict = _table(found, "verdict")
    decision = verdict.get("deployment_decision")
    if isinstance(decision, str) and decision.strip().lower() == "blocked":
        weak = verdict.get("weaknesses")
        why = f" ({_told(weak)})" if isinstance(weak, list) and weak else ""
        yield f"its verdict is blocked, grade {clean(verdict.get('grade'), 20)}{why}"
    if found.get("deployment_rejected"):
        yield f"it rejects deployment ({clean(found.get('rejection_reason'), 300)})"


def _nobody_worked(found: Mapping[str, Any]) -> Iterator[str]:
    contracts = found.get("contracts")
    wanted = len(contracts) if isinstance(contracts, list) else 0
    executed = _number(_table(found, "execution").get("personas_executed"))
    if "execution" not in found and not wanted and not found.get("phase_gate_blocked"):
        # Another engine than theirs need not count personas; its files are measured all the same.
        return
    if executed is None:
        yield "it does not say that anybody worked"
    elif executed <= 0:
        yield "no persona worked"
    elif executed < wanted:
        yield f"{executed:g} personas worked for {wanted} contracts"


def _opinion(found: Mapping[str, Any]) -> float | None:
    score = _number(_table(found, "quality").get("overall_quality_score"))
    blocked = _number(found.get("quality_score")) if found.get("phase_gate_blocked") else None
    if score is None and blocked is not None:
        # This shape alone counts to a hundred.
        score = blocked / 100
    return score if score is not None and 0 <= score <= 1 else None


def _decisions(found: Mapping[str, Any]) -> Iterator[Decision]:
    blueprint = _table(found, "blueprint")
    name = blueprint.get("name") or blueprint.get("id")
    if isinstance(name, str) and name:
        personas = _table(found, "team").get("personas")
        yield Decision(
            about="blueprint",
            choice=name,
            rationale=f"personas: {_told(personas)}" if isinstance(personas, list) else "",
            score=_number(blueprint.get("match_score")),
            decided_by=DECIDED_BY,
        )
    kind = _table(found, "classification").get("type")
    if isinstance(kind, str) and kind:
        facts = _table(found, "classification")
        yield Decision(
            about="classification",
            choice=kind,
            rationale=f"complexity {facts.get('complexity')}, {facts.get('parallelizability')}",
            score=_number(facts.get("confidence")),
            decided_by=DECIDED_BY,
        )


def _summary(found: Mapping[str, Any]) -> str:
    words = []
    executed = _number(_table(found, "execution").get("personas_executed"))
    if executed is not None:
        words.append(f"{executed:g} personas worked")
    quality = _table(found, "quality")
    met, total = _number(quality.get("contracts_fulfilled")), _number(quality.get("contracts_total"))
    if met is not None and total is not None:
        words.append(f"it says {met:g} of {total:g} contracts are met")
    decision = _table(found, "verdict").get("deployment_decision")
    if isinstance(decision, str):
        words.append(f"its verdict: {clean(decision, 60)}")
    if found.get("requires_human_review"):
        words.append("it asks for a person's review")
    return "; ".join(words)


def _table(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _told(values: list[Any]) -> str:
    shown = ", ".join(clean(value, 160) for value in values[:5])
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown


def _kind(value: object) -> str:
    names = {type(None): "nothing", bool: "true or false", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), "a list")


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
