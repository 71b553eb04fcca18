"""What the tabs need of a session's details, in the form in which they need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maestro_tui.console.widgets.log_view import LogChoice

if TYPE_CHECKING:
    from maestro_tui.store.detail import SessionDetail


def log_choices(session_dir: Path, detail: SessionDetail) -> list[LogChoice]:
    """The logs of the session's attempts, in the order in which the attempts began."""
    ordered = sorted(detail.attempts, key=lambda attempt: (attempt.started_at, attempt.attempt))
    return [
        LogChoice(
            attempt.phase,
            attempt.attempt,
            session_dir / "logs" / f"{attempt.phase}.{attempt.attempt}.log",
        )
        for attempt in ordered
        if "/" not in attempt.phase and "\0" not in attempt.phase and attempt.phase not in ("", ".", "..")
    ]


def missing_deliverables(detail: SessionDetail) -> Mapping[str, Sequence[str]]:
    """Phase → the globs of its contract that nothing in the workspace fulfilled."""
    return {
        phase: check.missing
        for phase, check in detail.contracts.items()
        if check is not None and check.missing
    }
