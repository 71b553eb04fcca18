"""Classifies a requirement once per session, by rules: what kind of work it is, how complex, how parallel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maestro_tui.model.context import Decision, TeamExecutionContext

ABOUT = "classification"

_TYPES: Mapping[str, str] = {
    "bug_fix": r"\b(bugs?|fix(es|ed)?|broken|crash(es|ed)?|regression|defects?|wrong(ly)?|error in|fails?|repair)\b",
    "refactoring": r"\b(refactor\w*|restructure|clean ?up|rename|extract|simplif\w+|modulari\w+|technical debt)\b",
    "performance_optimization": r"\b(performance|faster|slow|latency|throughput|optimi[sz]\w*|speed|memory use|cache)\b",
    "security_audit": r"\b(security|vulnerab\w+|audit|cve|exploit|injection|hardening|secrets?)\b",
    "testing": r"\b(tests?|coverage|test suite|unit tests?|regression tests?)\b",
    "documentation": r"\b(document\w*|docs|readme|manual|tutorial|docstrings?|guide)\b",
    "deployment": r"\b(deploy\w*|release|rollout|publish|ship|install\w*|packag\w+)\b",
    "maintenance": r"\b(upgrade|update|bump|migrate|migration|dependenc\w+|deprecat\w+)\b",
    "feature_development": r"\b(add|build|create|implement\w*|new|support|feature|introduce|allow|must|should|make)\b",
}
"""Type → the words that speak for it; the order breaks ties."""

_BREADTH = re.compile(
    r"\b(api|ui|frontend|backend|database|schema|auth\w*|payment\w*|queue|cache|network|mobile|web|cli|cloud|"
    r"concurren\w+|distributed|migration|integration|service|server|client|search|report\w*|email|webhook)s?\b",
    re.I,
)
_SEQUENCE = re.compile(r"\b(then|after(wards)?|before|once|first|finally|depends? on|until|next)\b", re.I)
_COMPLEXITY = ("simple", "moderate", "complex", "very_complex")


def classify(requirement: str, now: datetime) -> Decision:
    """The classification as a decision of `rules`; `details` has `type`, `complexity`, `parallelizability`
    and `confidence` (0 to 1, in Hive's words)."""
    text = requirement[:200_000]
    found = {
        kind: [match.group().lower() for match in re.finditer(pattern, text, re.I)]
        for kind, pattern in _TYPES.items()
    }
    counts = {kind: len(words) for kind, words in found.items()}
    ranked = sorted(counts, key=lambda kind: -counts[kind])
    kind = ranked[0] if counts[ranked[0]] else "feature_development"
    total = sum(counts.values())
    confidence = round(counts[kind] / total, 2) if total else 0.3
    words = len(text.split())
    areas = sorted({match.group().lower() for match in _BREADTH.finditer(text)})
    statements = max(1, len(re.findall(r"[.;!?\n]+\s*\S", text)) + 1)
    size = (words > 40) + (words > 200) + (len(areas) > 2) + (len(areas) > 5) + (statements > 8)
    complexity = _COMPLEXITY[min(3, size)]
    ordered = sum(1 for _ in _SEQUENCE.finditer(text))
    if statements >= 3 and ordered == 0:
        parallel = "fully_parallel" if len(areas) >= 2 else "partially_parallel"
    else:
        parallel = "mostly_sequential" if ordered <= statements else "fully_sequential"
    signs = ", ".join(sorted(set(found[kind]))[:6])
    rationale = (
        f"{kind}: {signs or 'no word that speaks for another type'}; {words} words, {statements} statements, "
        f"areas: {', '.join(areas[:8]) or 'none named'}; {ordered} words of sequence"
    )
    return Decision(
        about=ABOUT,
        choice=f"{kind}, {complexity}, {parallel}",
        rationale=rationale,
        alternatives=tuple(other for other in ranked[1:4] if counts[other]),
        score=confidence,
        decided_by="rules",
        at=now,
        details={
            "type": kind,
            "complexity": complexity,
            "parallelizability": parallel,
            "confidence": confidence,
        },
    )


def classification_of(context: TeamExecutionContext) -> Mapping[str, Any]:
    """The session's newest classification; empty when it has none."""
    for decision in reversed(context.session_decisions):
        if decision.about == ABOUT:
            return decision.details
    return {}
