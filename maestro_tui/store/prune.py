"""Removes sessions that are over; never one that runs, waits, is paused or can be taken up after a crash."""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.errors import InputError, StoreError
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


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did."""

    removed: tuple[str, ...] = ()
    """Ids of the sessions that are no more in the list, whole or not."""
    problems: tuple[str, ...] = ()
    """What could not be deleted and where it lies, one line each."""
    failed: tuple[str, ...] = ()
    """Ids of the sessions that stay because their removal failed."""


def prune_sessions(store: CheckpointStore, session_ids: Sequence[str]) -> Pruned:
    """Remove the named sessions. One that is held, damaged or not over by now is left.

    A session goes in one step (renamed, then deleted), so that a crash leaves it whole or gone. What cannot be
    deleted is told and does not keep the others. Raises `InputError` when there is no checkpoint directory.
    """
    problems = finish_pruning(store.root)
    removed, failed = [], []
    for session_id in session_ids:
        folder = store.session_dir(session_id)
        try:
            doomed = _out_of_the_list(store, folder)
        except StoreError as error:
            if folder.is_dir():  # else another prune was first
                problems.append(str(error))
                failed.append(session_id)
            continue
        if doomed is not None:
            removed.append(session_id)
            problems += _delete(doomed, f"session {session_id}")
    return Pruned(tuple(removed), tuple(problems), tuple(failed))


def _out_of_the_list(store: CheckpointStore, folder: Path) -> Path | None:
    """Give the session's folder another name, and say which; None when it is to stay. Raises `StoreError`."""
    lock = FileLock(folder / "locks" / "session")
    if not folder.is_dir() or not lock.take():
        return None
    try:
        summary = read_summary(folder, time.time())
        if summary.status not in TERMINAL or summary.damage:
            return None
        doomed = store.root / f"{_DOOMED}{secrets.token_hex(8)}"
        with durable.told("remove the session", folder):
            try:
                folder.rename(doomed)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                raise StoreError(
                    f"Session {folder.name} cannot be removed in one step: it lies in a lower layer of an overlay, as "
                    f"the image of a container has them. It is left whole; to be rid of it, delete {durable.shown(folder)}."
                ) from error
            durable.sync_dir(store.root)
        return doomed
    finally:
        lock.free()


def finish_pruning(root: Path) -> list[str]:
    """Delete what an interrupted prune had already taken out of the list; a line for each rest that stays."""
    if not root.is_dir():
        raise InputError(f"There is no checkpoint directory {clean(str(root), 200)}.")
    doomed = [entry for entry in root.iterdir() if entry.name.startswith(_DOOMED)]
    return [line for entry in doomed for line in _delete(entry, "a session that was removed before")]


def _delete(folder: Path, what: str) -> list[str]:
    """Delete as much as can be, beside another prune that does the same; one line when something stays."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except FileNotFoundError:
        pass  # another prune is at it
    except OSError as error:
        return [
            f"{clean(what, 150)} cannot be deleted whole: {error.strerror or error}; the rest lies in "
            f"{durable.shown(folder)}: delete it with the rights that it asks for."
        ]
    return []
