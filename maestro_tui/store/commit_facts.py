"""What the list needs to know of a commit, taken out of its JSON; the JSON itself, maybe large, is let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

from maestro_tui.model.summary import PhaseSummary
from maestro_tui.model.text import clean
from maestro_tui.store.heads import Head, seconds_of
from maestro_tui.store.staleness import stale_phases

REQUIREMENT_LIMIT = 400
ERROR_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """A commit as the list shows it. All texts are clean but the keys of `phases` and `committed`."""

    seq: int
    sha256: str
    written_at: float
    created_at: float
    requirement: str
    workflow: str
    workspace: str | None
    phases: Mapping[str, PhaseSummary]
    """In workflow order, without what only the journal knows."""
    committed: Mapping[str, int]
    """Phase → attempt of its result."""
    usage: Mapping[str, Any]


def facts_of(head: Head) -> CommitFacts:
    """Raises `ValueError`, `TypeError` or `LookupError` when the content is not a checkpoint's."""
    workflow, context = head.data["workflow"], head.data["context"]
    results = context["phase_results"]
    stale = stale_phases(workflow, context)
    scope, rerun = context.get("scope"), context.get("rerun") or ()
    order = workflow_order(workflow["phases"])
    place = context.get("workspace")
    return CommitFacts(
        seq=head.seq,
        sha256=head.sha256,
        written_at=seconds_of(head.data.get("created_at")) or 0.0,
        created_at=seconds_of(context["created_at"]) or 0.0,
        requirement=_one_line(context["requirement"]),
        # Words that thousands of sessions have in common are kept once.
        workflow=intern(clean(workflow["name"], 64)),
        workspace=intern(clean(place, 1_000)) if place else None,
        phases={
            name: _phase(
                name, results.get(name), stale.get(name), scope is None or name in scope, name in rerun
            )
            for name in [*order, *(name for name in results if name not in order)]
        },
        committed={name: int(result["attempt"]) for name, result in results.items()},
        usage=_usage(context),
    )


def _phase(
    name: str, result: Mapping[str, Any] | None, stale: str | None, selected: bool, again: bool
) -> PhaseSummary:
    shown = intern(clean(name, 64))
    if result is None:
        return _pending(shown, selected)
    error, gate = result.get("error"), result.get("gate")
    return PhaseSummary(
        name=shown,
        status="pending" if again else intern(clean(result["status"], 20)),
        attempt=int(result["attempt"]),
        started_at=seconds_of(result.get("started_at")),
        finished_at=seconds_of(result.get("finished_at")),
        stale=clean(stale, 200) if stale else None,
        waiting=not again and gate is not None and gate["verdict"] == "waiting",
        selected=selected,
        error=clean(error["message"], ERROR_LIMIT) if error and not again else None,
    )


@lru_cache(maxsize=4096)
def _pending(name: str, selected: bool) -> PhaseSummary:
    return PhaseSummary(name, selected=selected)


def workflow_order(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of a checkpoint's phases, each after what it needs; ties keep the order of definition."""
    waiting = {phase["name"]: set(phase["needs"]) for phase in phases}
    order: list[str] = []
    while waiting:
        ready = next((name for name, needs in waiting.items() if not needs & waiting.keys()), None)
        if ready is None:
            raise ValueError("its phases need each other in a circle")
        del waiting[ready]
        order.append(ready)
    return order


def _one_line(text: object) -> str:
    """The beginning of a requirement as one line."""
    return clean(" ".join(str(text)[: 4 * REQUIREMENT_LIMIT].split()), REQUIREMENT_LIMIT)


def _usage(context: Mapping[str, Any]) -> dict[str, Any]:
    usage = context.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        key: value if isinstance(value := usage.get(key), int | float) else None
        for key in ("input_tokens", "output_tokens", "cost_usd", "seconds")
    }
