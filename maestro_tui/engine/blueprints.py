"""Chooses who works on a phase and how, and records the choice as a decision with its reasons."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maestro_tui.model.context import BlueprintChoice, Decision
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Mode, Phase
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import ALIASES
from maestro_tui.performers.toolbox.catalogue import CATALOGUE

KEEP_RATIO = 0.25
"""A persona joins the team when its score is at least this part of the best one's."""

_STOP_WORDS = frozenset(
    "a an and are as at be by for from has have if in into is it its not of on or so that the then this to "
    "was what when which with without you your must can all each".split()
)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The team of a phase: its personas in order, how they work, what they promise, and why they."""

    personas: tuple[Persona, ...]
    mode: Mode
    promises: tuple[str, ...]
    """Deliverables (globs) that the personas promise beyond the phase's own."""
    decision: Decision


def choose(
    phase: Phase,
    requirement: str,
    *,
    pool: Sequence[Persona] = (),
    override: BlueprintChoice | None = None,
    classification: Mapping[str, Any] | None = None,
) -> Blueprint:
    """The blueprint of a phase: the operator's word, else the personas it names, else personas chosen by rules.

    The rules are BM25 (Robertson and Zaragoza 2009, k1 1.2, b 0.75) of the phase's name and objective over
    the descriptions of the workflow's `pool`, or of the toolbox when there is none. `classification` is the
    session's (type, complexity, parallelizability) and decides how a chosen team works. Raises `InputError`
    when no persona fits, or the operator named one that does not exist.
    """
    if override is not None:
        return _as_overridden(phase, requirement, pool, override)
    if phase.personas:
        return blueprint_of(
            phase,
            phase.personas,
            phase.mode or "sequential",
            rationale="The workflow names the personas of this phase.",
            decided_by="workflow",
        )
    if pool:
        return _from_pool(phase, requirement, pool, classification or {})
    return _from_toolbox(phase, requirement)


def candidates_of(phase: Phase, pool: Sequence[Persona]) -> tuple[Persona, ...]:
    """Who could work on a phase: its own personas, the workflow's, then the toolbox."""
    tools = [Persona(name=tool.name, description=tool.description) for tool in CATALOGUE]
    named = {one.name: one for one in (*tools, *pool, *phase.personas)}
    first = [one.name for one in (*phase.personas, *pool)]
    return tuple(named[name] for name in dict.fromkeys((*first, *named)))


def blueprint_of(
    phase: Phase,
    personas: Sequence[Persona],
    mode: Mode,
    *,
    rationale: str,
    decided_by: str,
    alternatives: Sequence[str] = (),
    score: float | None = None,
    label: str = "",
) -> Blueprint:
    """A blueprint with its decision."""
    catalogue = {tool.name: tool for tool in CATALOGUE}
    promises = tuple(
        glob
        for persona in personas
        if persona.performer == "toolbox" and persona.name in catalogue
        for glob in catalogue[persona.name].deliverables
    )
    names = ", ".join(persona.name for persona in personas)
    return Blueprint(
        personas=tuple(personas),
        mode=mode,
        promises=promises,
        decision=Decision(
            phase=phase.name,
            about="blueprint",
            choice=f"{label}{mode}: {names}",
            rationale=rationale,
            alternatives=tuple(alternatives),
            score=score,
            decided_by=decided_by,
        ),
    )


def _as_overridden(
    phase: Phase, requirement: str, pool: Sequence[Persona], word: BlueprintChoice
) -> Blueprint:
    everyone = {one.name: one for one in candidates_of(phase, pool)}
    if word.personas is not None:
        unknown = [name for name in word.personas if name not in everyone]
        if unknown:
            raise InputError(
                f"Nobody is called {clean(unknown[0], 80)!r} who could work on {phase.name!r}; there are "
                f"{', '.join(everyone)}. Nothing was run in it."
            )
        personas: Sequence[Persona] = [everyone[name] for name in word.personas]
        usual = phase.mode or "sequential"
    else:
        base = choose(phase, requirement, pool=pool)
        personas, usual = base.personas, base.mode
    return blueprint_of(
        phase,
        personas,
        word.mode or usual,
        rationale=word.reason or "asked for by the operator",
        decided_by=word.by,
        alternatives=[name for name in everyone if name not in {one.name for one in personas}],
    )


def _from_pool(
    phase: Phase, requirement: str, pool: Sequence[Persona], classification: Mapping[str, Any]
) -> Blueprint:
    by_name = {one.name: one for one in pool}
    scored = bm25(f"{phase.name} {phase.objective}", {one.name: one.description for one in pool})
    best = max(score for score, _ in scored.values())
    if best <= 0:
        raise InputError(
            f"None of the workflow's personas ({', '.join(by_name)}) has a word in common with phase "
            f"{phase.name!r} and its objective {clean(phase.objective, 120)!r}. Name its personas, or describe them "
            "better. Nothing was run in it."
        )
    extra = bm25(requirement, {name: by_name[name].description for name in scored})
    ranked = sorted(scored, key=lambda name: (-scored[name][0], -extra[name][0], name))
    chosen = [name for name in ranked if scored[name][0] >= KEEP_RATIO * best]
    mode, why = _mode(phase, len(chosen), classification)
    return blueprint_of(
        phase,
        [by_name[name] for name in chosen],
        mode,
        rationale=f"BM25 of the phase's name and objective over the personas' descriptions: {_scores(ranked, scored)}. {why}",
        decided_by="rules",
        alternatives=[name for name in ranked if name not in chosen],
        score=round(best, 4),
    )


def _mode(phase: Phase, count: int, classification: Mapping[str, Any]) -> tuple[Mode, str]:
    if phase.mode is not None:
        return phase.mode, f"The workflow says {phase.mode}."
    if count < 2:
        return "sequential", "One persona works alone."
    if classification.get("parallelizability") == "fully_parallel":
        return "parallel", "Side by side: the requirement was classified as fully parallel."
    if classification.get("complexity") in ("complex", "very_complex"):
        return (
            "collaborative",
            f"Draft, comments, revision: the requirement is {classification['complexity']}.",
        )
    return "sequential", "One after the other: nothing speaks for another way."


def _from_toolbox(phase: Phase, requirement: str) -> Blueprint:
    kind = ALIASES.get(phase.name, phase.name)
    fitting = [persona for persona in CATALOGUE if kind in persona.phases]
    scored = bm25(
        f"{phase.name} {phase.objective}", {tool.name: tool.description for tool in fitting or CATALOGUE}
    )
    by_name = {tool.name: tool for tool in CATALOGUE}
    best = max((score for score, _ in scored.values()), default=0.0)
    if best <= 0 and not fitting:
        raise InputError(
            f"Phase {phase.name!r} names no persona, and no tool of the toolbox fits its objective "
            f"{clean(phase.objective, 120)!r}. Add [[phases.personas]] with a command. Nothing was run in it."
        )
    # The requirement breaks ties between personas that fit the phase equally well.
    extra = bm25(requirement, {name: by_name[name].description for name in scored})
    ranked = sorted(scored, key=lambda name: (-scored[name][0], -extra[name][0], name))
    # The first tool of a standard phase is what the phase is for: no wording of an objective leaves it out.
    lead = fitting[0].name if fitting else None
    chosen = [name for name in ranked if name == lead or scored[name][0] >= KEEP_RATIO * best]
    tools = [tool for tool in CATALOGUE if tool.name in chosen]
    return blueprint_of(
        phase,
        [Persona(name=tool.name, description=tool.description) for tool in tools],
        phase.mode or "sequential",
        rationale=f"BM25 of the phase's name and objective over the personas' descriptions: {_scores(ranked, scored)}",
        decided_by="rules",
        alternatives=[tool.name for tool in CATALOGUE if tool.name not in chosen],
        score=round(best, 4),
        label="toolbox, ",
    )


def _scores(ranked: Sequence[str], scored: Mapping[str, tuple[float, Sequence[str]]]) -> str:
    return "; ".join(
        f"{name} {scored[name][0]:.2f} ({', '.join(scored[name][1]) or 'no word in common'})"
        for name in ranked
    )


def _words(text: str) -> list[str]:
    out = []
    for word in re.findall(r"[a-z][a-z0-9]+", text.lower()):
        if word not in _STOP_WORDS:
            out.append(_stem(word))
    return out


def _stem(word: str) -> str:
    for ending in ("ments", "ment", "ings", "ing", "tion", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def bm25(
    query: str, documents: Mapping[str, str], k1: float = 1.2, b: float = 0.75
) -> dict[str, tuple[float, Sequence[str]]]:
    """Each document's BM25 score for the query, with the words that matched."""
    bags = {name: Counter(_words(f"{name.replace('_', ' ')} {text}")) for name, text in documents.items()}
    average = sum(sum(bag.values()) for bag in bags.values()) / max(1, len(bags)) or 1.0
    wanted = list(dict.fromkeys(_words(query)))
    out: dict[str, tuple[float, Sequence[str]]] = {}
    for name, bag in bags.items():
        length = sum(bag.values())
        score, matched = 0.0, []
        for word in wanted:
            count = bag[word]
            if not count:
                continue
            having = sum(1 for other in bags.values() if other[word])
            weight = math.log(1 + (len(bags) - having + 0.5) / (having + 0.5))
            score += weight * count * (k1 + 1) / (count + k1 * (1 - b + b * length / average))
            matched.append(word)
        out[name] = (score, matched)
    return out
