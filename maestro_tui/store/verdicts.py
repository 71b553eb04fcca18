"""What people decided at the gates of a session, in every round: a commit holds the word on the newest attempt only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean
from maestro_tui.store.journal import read_events
from maestro_tui.store.summaries import JOURNAL

_DECIDED = b'"type":"gate_decided"'


def read_verdicts(session_dir: Path) -> tuple[Decision, ...]:
    """Each approval, rejection and push back with its author, time and reason, the oldest first.

    They are read from the journal; never raises for damage: what cannot be read there is not told.
    """
    told = read_events(session_dir / JOURNAL, holding=_DECIDED).events
    return tuple(
        Decision(
            phase=clean(event.phase, 64) if event.phase else None,
            about=f"review of attempt {event.attempt}",
            choice=clean(event.data.get("verdict") or "decided", 40).replace("_", " "),
            rationale=clean(event.data.get("reason") or "", 2_000),
            decided_by=clean(event.data.get("by") or "someone", 80),
            at=datetime.fromtimestamp(event.at, UTC),
        )
        for event in told
        if event.type == "gate_decided"
    )
