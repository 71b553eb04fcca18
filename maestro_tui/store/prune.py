"""Removes sessions that are over; never one that runs, waits, is paused or can be taken up after a crash."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import SessionStatus, SessionSummary
from maestro_tui.model.text import clean
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.locks import FileLock
from maestro_tui.store.summaries import read_summary

TERMINAL = frozenset([SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.CANCELLED])
_DOOMED = ".pruned-"


def prunable(
    sessions: Iterable[SessionSummary], *, keep: int | None, older_than: float | None, now: float
) -> list[SessionSummary]:
    """The terminal, undamaged sessions beyond the newest `keep`, and last written over `older_than` s ago.

    Raises `InputError` when neither bound is given.
    """
    if keep is None and older_than is None:
        raise InputError(
            "Say what may go: --keep N, --older-than AGE, or both (or [retention] in the settings). "
            "Nothing was removed."
        )
    terminal = [one for one in sessions if one.status in TERMINAL and not one.damage and one.foreign is None]
    newest_first = sorted(terminal, key=lambda one: (-one.updated_at, one.session_id))
    beyond = newest_first[keep or 0 :]
    return [one for one in beyond if older_than is None or now - one.updated_at > older_than]


def prune_sessions(store: CheckpointStore, session_ids: Sequence[str]) -> tuple[str, ...]:
    """Remove the named sessions; the ids of those removed. One that is held, damaged or not over by now is left.

    A session goes in one step (renamed, then deleted), so that a crash leaves it whole or gone.
    """
    finish_pruning(store.root)
    removed = []
    for session_id in session_ids:
        folder = store.session_dir(session_id)
        lock = FileLock(folder / "locks" / "session")
        if not folder.is_dir() or not lock.take():
            continue
        try:
            summary = read_summary(folder, time.time())
            if summary.status not in TERMINAL or summary.damage:
                continue
            doomed = store.root / f"{_DOOMED}{secrets.token_hex(8)}"
            with durable.told("remove the session", folder):
                folder.rename(doomed)
                durable.sync_dir(store.root)
        finally:
            lock.free()
        shutil.rmtree(doomed)
        removed.append(session_id)
    return tuple(removed)


def finish_pruning(root: Path) -> None:
    """Delete what an interrupted prune had already taken out of the list."""
    if not root.is_dir():
        raise InputError(f"There is no checkpoint directory {clean(str(root), 200)}.")
    for entry in root.iterdir():
        if entry.name.startswith(_DOOMED):
            shutil.rmtree(entry, ignore_errors=True)
