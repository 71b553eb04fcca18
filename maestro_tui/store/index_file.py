"""Keeps the summaries of all sessions in `index.json`, so that thousands are there at once on the next start.

The index is disposable: each session's entry counts only while the stat signature of its files is the same,
and a missing, foreign or damaged index is made anew without a word. One session stands on one line.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import Owner, PhaseSummary, SessionStatus, SessionSummary
from maestro_tui.model.text import clean, session_id_problem
from maestro_tui.store.durable import TEMP_PREFIX, read_regular
from maestro_tui.store.staleness import known_definitions, learn_definitions

INDEX = "index.json"
FORMAT = "maestro-index/1"
SIZE_LIMIT = 512_000_000

_SESSION = tuple(field.name for field in fields(SessionSummary))
_PHASE = tuple(field.name for field in fields(PhaseSummary))
_OWNER = tuple(field.name for field in fields(Owner))
_SHAPE = f"{zlib.crc32(','.join(['mark', 'newest', *_SESSION, *_PHASE, *_OWNER]).encode()):08x}"
"""Changes with the summaries' fields: an index of another version is no index."""
_LAST_MOMENT = 1e11
_RANK = {status: rank for rank, status in enumerate((
    SessionStatus.WAITING, SessionStatus.FAILED, SessionStatus.RUNNING, SessionStatus.INTERRUPTED,
))}  # fmt: skip
_KINDS: dict[str, tuple[type, ...]] = {
    "status": (str,), "requirement": (str,), "workflow": (str,), "workspace": (str, type(None)),
    "created_at": (float, int), "updated_at": (float, int), "phases": (list,), "seq": (int,), "sha256": (str,),
    "owner": (list, type(None)), "last_event": (str,), "error": (str, type(None)), "damage": (list,),
    "input_tokens": (int, type(None)), "output_tokens": (int, type(None)),
    "cost_usd": (float, int, type(None)), "seconds": (float, int, type(None)), "foreign": (str, type(None)),
    "session_id": (str,), "name": (str,), "attempt": (int,), "started_at": (float, int, type(None)),
    "finished_at": (float, int, type(None)), "stale": (str, type(None)), "waiting": (bool,), "selected": (bool,),
    "asking": (int, type(None)),
    "pid": (int,), "host": (str,), "user": (str,), "heartbeat_at": (float, int), "here": (bool,),
    "alive": (bool, type(None)), "epoch": (int,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A session's summary, and what its files were like when it was read."""

    mark: int
    """Hash of the files' signature."""
    newest: int
    """The highest number of a commit, damaged or not."""
    summary: SessionSummary


def load_index(root: Path, most: int | None = None) -> dict[str, Entry]:
    """What an earlier process left; empty when there is no index that can be trusted in form.

    With `most`, only so many: those that need attention first, for a picture before the rest is read.
    """
    try:
        raw = read_regular(root / INDEX, SIZE_LIMIT)
    except (FileNotFoundError, NotADirectoryError, StoreError):
        return {}
    head, _, body = raw.partition(b"\n")
    try:
        with without_collecting():
            return _entries(json.loads(head + b"]}"), body, most)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        return {}  # damaged or of another make: it is written anew after the first reading


def save_index(root: Path, entries: Mapping[str, Entry]) -> bool:
    """Write the index; False when that is not possible here (a read-only directory), which costs only time."""
    body: list[bytes] = []
    crc = 0
    for session_id, entry in sorted(list(entries.items()), key=_attention):
        line = json.dumps(
            [session_id, entry.mark, entry.newest, _row(entry.summary)], separators=(",", ":")
        ).encode()
        body.append(b",\n" + line if body else line)
        crc = zlib.crc32(body[-1], crc)
    head = {"format": FORMAT, "shape": _SHAPE, "crc": crc, "definitions": known_definitions(), "sessions": []}
    temp = root / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    try:
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(json.dumps(head, separators=(",", ":")).encode().removesuffix(b"]}") + b"\n")
            stream.writelines(body)
            stream.write(b"\n]}\n")
        temp.replace(root / INDEX)
    except OSError:
        temp.unlink(missing_ok=True)
        return False
    return True


def _attention(item: tuple[str, Entry]) -> tuple[int, float]:
    """Those that need a person first, then the newest: what a list most likely begins with."""
    summary = item[1].summary
    return _RANK.get(summary.status, len(_RANK)), -summary.updated_at


def _entries(head: Mapping[str, Any], body: bytes, most: int | None = None) -> dict[str, Entry]:
    lines = body.removesuffix(b"\n]}\n")
    if head["format"] != FORMAT or head["shape"] != _SHAPE or head["crc"] != zlib.crc32(lines):
        return {}
    definitions = head["definitions"]
    if not all(isinstance(value, str) and len(value) == 64 for value in definitions.values()):
        return {}
    learn_definitions(definitions)
    found = {}
    decoder = _Decoder()
    parts = lines.split(b",\n", -1 if most is None else most) if lines else []
    for line in parts[:most]:
        session_id, mark, newest, row = json.loads(line)
        if session_id_problem(session_id) is not None or type(mark) is not int or type(newest) is not int:
            return {}
        # Without backslashes and DEL a line of ASCII holds nothing but printable characters.
        plain = b"\\" not in line and b"\x7f" not in line and line.isascii()
        summary = decoder.summary(row if plain else _cleaned(row))
        if summary.session_id != session_id:
            return {}
        found[session_id] = Entry(mark, newest, summary)
    return found


class _Decoder:
    """Makes summaries of rows, after a look at the type of each field."""

    def __init__(self) -> None:
        self._right: set[tuple[str, tuple[type, ...]]] = set()
        self._pending: dict[tuple[Any, ...], PhaseSummary] = {}

    def summary(self, row: list[Any]) -> SessionSummary:
        self._check(row, _SESSION)
        values = dict(zip(_SESSION, row, strict=True))
        values["status"] = SessionStatus(values["status"])
        values["phases"] = tuple(map(self._phase, values["phases"]))
        values["damage"] = tuple(map(str, values["damage"]))
        if values["owner"] is not None:
            values["owner"] = self._owner(values["owner"])
        _check_moments(values["created_at"], values["updated_at"])
        return SessionSummary(**values)

    def _phase(self, row: list[Any]) -> PhaseSummary:
        key = tuple(row)
        known = self._pending.get(key)
        if known is None:
            self._check(row, _PHASE)
            known = PhaseSummary(*row)
            _check_moments(known.started_at, known.finished_at)
            if known.started_at is None:
                self._pending[key] = known
        return known

    def _owner(self, row: list[Any]) -> Owner:
        self._check(row[:-1], _OWNER[:-1])
        values = dict(zip(_OWNER, row, strict=True))
        owner = Owner(**{**values, "phases": tuple(map(str, values["phases"]))})
        _check_moments(owner.started_at, owner.heartbeat_at)
        return owner

    def _check(self, row: list[Any], names: tuple[str, ...]) -> None:
        kinds = tuple(map(type, row))
        if (names[0], kinds) in self._right:
            return
        for name, kind in zip(names, kinds, strict=True):
            if kind not in _KINDS[name]:
                raise TypeError(name)
        self._right.add((names[0], kinds))


def _check_moments(*moments: float | None) -> None:
    for moment in moments:
        if moment is not None and not 0 <= moment < _LAST_MOMENT:
            raise ValueError("no moment")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def _row(summary: SessionSummary) -> list[Any]:
    row = [getattr(summary, name) for name in _SESSION]
    row[_SESSION.index("phases")] = [[getattr(phase, name) for name in _PHASE] for phase in summary.phases]
    if summary.owner is not None:
        row[_SESSION.index("owner")] = [getattr(summary.owner, name) for name in _OWNER]
    return row


@contextmanager
def without_collecting() -> Iterator[None]:
    """Thousands of lasting objects are made at once: looking for garbage among them would only take time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
