"""What a phase usually takes, from earlier runs of the same workflow in the same checkpoint directory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.plan import Estimate, Plan
from maestro_tui.model.summary import SessionSummary
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.heads import read_head
from maestro_tui.store.summaries import read_summary

SESSIONS_LOOKED_AT = 100


def with_estimates(made: Plan, root: Path, workflow: str) -> Plan:
    """The plan, with what each phase that would run usually takes."""
    usual = usual_estimates(root, workflow)
    phases = [
        planned.model_copy(update={"estimate": usual[planned.phase]})
        if planned.attempt is not None and planned.phase in usual
        else planned
        for planned in made.phases
    ]
    return made.model_copy(update={"phases": tuple(phases)})


def usual_estimates(root: Path, workflow: str) -> dict[str, Estimate]:
    """Phase → medians over completed attempts in the newest sessions of that workflow: seconds, tokens, dollars.

    A phase that never completed there is absent, and what nobody measured is None: that is not a guess.
    """
    store = CheckpointStore(root)
    now = time.time()
    seconds: dict[str, list[float]] = {}
    tokens: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for session_id in sorted(store.session_ids(), reverse=True)[:SESSIONS_LOOKED_AT]:
        folder = store.session_dir(session_id)
        summary = read_summary(folder, now)
        if summary.workflow != workflow:
            continue
        for phase in summary.phases:
            if phase.status == "completed" and phase.started_at and phase.finished_at:
                seconds.setdefault(phase.name, []).append(phase.finished_at - phase.started_at)
        for name, usage in _spent(folder, summary):
            counts = [usage[key] for key in ("input_tokens", "output_tokens") if usage.get(key) is not None]
            if counts:
                tokens.setdefault(name, []).append(sum(counts))
            if usage.get("cost_usd") is not None:
                costs.setdefault(name, []).append(usage["cost_usd"])
    return {
        name: Estimate(
            seconds=round(statistics.median(values), 3),
            tokens=round(statistics.median(tokens[name])) if name in tokens else None,
            cost_usd=round(statistics.median(costs[name]), 6) if name in costs else None,
            runs=len(values),
        )
        for name, values in seconds.items()
    }


def _spent(folder: Path, summary: SessionSummary) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each completed phase of a session spent, as recorded; nothing where nobody counted."""
    if summary.seq < 0 or (summary.input_tokens, summary.output_tokens, summary.cost_usd) == (None,) * 3:
        return
    try:
        results = read_head(folder, summary.seq).data["context"]["phase_results"]
        for name, result in results.items():
            if result["status"] == "completed" and isinstance(result.get("usage"), Mapping):
                yield name, result["usage"]
    except (DamagedFile, FileNotFoundError, KeyError, TypeError, AttributeError):
        return  # such a session is told as damaged where it is shown; it says nothing of the others
