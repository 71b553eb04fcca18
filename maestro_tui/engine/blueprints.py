"""Chooses who works on a phase and how, and records the choice as a decision with its reasons."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maestro_tui.model.context import Decision
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import ALIASES, Persona, Phase
from maestro_tui.performers.toolbox.catalogue import CATALOGUE, ToolPersona

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
    mode: str
    """`sequential` or `parallel`."""
    promises: tuple[str, ...]
    """Deliverables (globs) that the personas promise beyond the phase's own."""
    decision: Decision


def choose(phase: Phase, requirement: str) -> Blueprint:
    """The blueprint of a phase: the personas it names, else toolbox personas chosen by rules.

    The rules are BM25 (Robertson and Zaragoza 2009, k1 1.2, b 0.75) of the phase's name and objective over
    the personas' descriptions. Raises `InputError` when no persona fits.
    """
    if phase.personas:
        return _as_written(phase)
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
    chosen = [name for name in ranked if scored[name][0] >= KEEP_RATIO * best]
    tools: list[ToolPersona] = [tool for tool in CATALOGUE if tool.name in chosen]
    words = "; ".join(
        f"{name} {scored[name][0]:.2f} ({', '.join(scored[name][1]) or 'no word in common'})"
        for name in ranked
    )
    mode = phase.mode or "sequential"
    return Blueprint(
        personas=tuple(Persona(name=tool.name, description=tool.description) for tool in tools),
        mode=mode,
        promises=tuple(glob for tool in tools for glob in tool.deliverables),
        decision=Decision(
            phase=phase.name,
            about="blueprint",
            choice=f"toolbox, {mode}: {', '.join(tool.name for tool in tools)}",
            rationale=f"BM25 of the phase's name and objective over the personas' descriptions: {words}",
            alternatives=tuple(tool.name for tool in CATALOGUE if tool.name not in chosen),
            score=round(best, 4),
            decided_by="rules",
        ),
    )


def _as_written(phase: Phase) -> Blueprint:
    mode = phase.mode or "sequential"
    catalogue = {tool.name: tool for tool in CATALOGUE}
    promises = tuple(
        glob
        for persona in phase.personas
        if persona.performer == "toolbox" and persona.name in catalogue
        for glob in catalogue[persona.name].deliverables
    )
    return Blueprint(
        personas=phase.personas,
        mode=mode,
        promises=promises,
        decision=Decision(
            phase=phase.name,
            about="blueprint",
            choice=f"{mode}: {', '.join(persona.name for persona in phase.personas)}",
            rationale="The workflow names the personas of this phase.",
            decided_by="workflow",
        ),
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
