"""What a phase usually takes, from earlier runs of the same workflow in the same checkpoint directory."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from maestro_tui.model.plan import Estimate
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.summaries import read_summary

SESSIONS_LOOKED_AT = 100


def usual_estimates(root: Path, workflow: str) -> dict[str, Estimate]:
    """Phase → median seconds over completed attempts in the newest sessions of that workflow.

    A phase that never completed there is absent: not measured is not a guess.
    """
    store = CheckpointStore(root)
    now = time.time()
    seconds: dict[str, list[float]] = {}
    for session_id in sorted(store.session_ids(), reverse=True)[:SESSIONS_LOOKED_AT]:
        summary = read_summary(store.session_dir(session_id), now)
        if summary.workflow != workflow:
            continue
        for phase in summary.phases:
            if phase.status == "completed" and phase.started_at and phase.finished_at:
                seconds.setdefault(phase.name, []).append(phase.finished_at - phase.started_at)
    return {
        name: Estimate(seconds=round(statistics.median(values), 3), runs=len(values))
        for name, values in seconds.items()
    }
