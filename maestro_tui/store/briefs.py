"""Reads of all sessions what a line about each tells: from the index, and anew where a session's files changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maestro_tui.model.summary import SessionBrief, SessionStatus, brief_of, runner_of
from maestro_tui.store.holder_life import holder_lines, lease_lines
from maestro_tui.store.index import FleetReader, unchanged, worth_an_index
from maestro_tui.store.index_file import (
    BETWEEN,
    NO_INDEX,
    Kept,
    check_moments,
    cleaned,
    entry_lines,
    is_plain,
    opened,
    read_head,
)
from maestro_tui.store.runner_file import owner_in, read_lease

_STATUSES = {str(status): status for status in SessionStatus}
_STATUS, _DAMAGE, _RUNNER = map(SessionBrief._fields.index, ("status", "damage", "runner"))
_NONE = type(None)
_KINDS: tuple[tuple[type, ...], ...] = (
    (int,), (int,), (str,), (str,), (float, int), (str,), (str,), (str,), (bool,), (str, _NONE), (list,), (list, _NONE),
)  # fmt: skip
"""Of a brief in the index, after its mark and the highest number of a commit."""


def read_briefs(root: Path, now: float) -> list[SessionBrief]:
    """Every session under `root`, in no order. Raises `StoreError` when the directory cannot be read."""
    known = load_briefs(root)
    fleet = FleetReader(root)
    place = str(root)
    held: dict[str, Kept] = {}
    told: list[SessionBrief] = []
    for name in fleet.names(known):
        folder = f"{place}/{name}"
        kept = known.get(name) if name not in fleet.foreign else None
        brief = _with_notes(kept.summary, folder, now) if kept and unchanged(folder, kept) else None
        if kept is not None and brief is not None:
            held[name] = kept
            told.append(brief)
        else:
            fleet.refresh(name, now)
    if worth_an_index(fleet.read, len(held) + len(fleet.entries)):
        fleet.save(held)
    for name, entry in fleet.entries.items():
        notes = holder_lines(root / name, now, living=False) if entry.summary.owner else ()
        told.append(brief_of(entry.summary)._replace(notes=tuple(notes)))
    return told


def _with_notes(brief: SessionBrief, folder: str, now: float) -> SessionBrief | None:
    """The brief with notes on its runners; None when these are not any more what it tells."""
    if brief.runner is None:
        return brief
    path = Path(folder)
    lease = read_lease(path)
    # A runner that dies changes no file; one that is dead stays so.
    if brief.runner[0] is not False and runner_of(owner_in(lease, now)) != brief.runner:
        return None
    return brief._replace(notes=tuple(lease_lines(lease, path, now, living=False)))


def load_briefs(root: Path) -> dict[str, Kept]:
    """What an earlier process left of our own sessions; empty when there is no index that can be trusted in form."""
    try:
        with opened(root) as stream:
            return _decoded(list(entry_lines(stream, read_head(stream)["crc"])))
    except NO_INDEX:
        return {}


def _decoded(lines: list[bytes]) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    between = BETWEEN.encode()
    texts = [line.partition(between)[0].decode() for line in lines]
    right: set[tuple[type, ...]] = set()
    # In one go: a call of the JSON reader for each line takes longer than its reading.
    rows: list[list[Any]] = json.loads(f"[{','.join(texts)}]")
    for row, text, line in zip(rows, texts, lines, strict=True):
        kinds = tuple(map(type, row))
        if kinds not in right:
            _check(kinds)
            right.add(kinds)
        mark, newest, *told = row if is_plain(text) else cleaned(row)
        told[_STATUS] = _STATUSES[told[_STATUS]]
        told[_DAMAGE] = tuple(map(str, told[_DAMAGE]))
        if told[_RUNNER] is not None:
            alive, phases = told[_RUNNER]
            told[_RUNNER] = (alive, tuple(phases))
        brief = SessionBrief(*told)
        check_moments(brief.updated_at)
        if brief.foreign is None:
            found[brief.session_id] = Kept(mark, newest, brief, line)
    return found


def _check(kinds: tuple[type, ...]) -> None:
    for kind, right in zip(kinds, _KINDS, strict=True):
        if kind not in right:
            raise TypeError("no brief")
