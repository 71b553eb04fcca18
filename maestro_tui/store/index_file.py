"""Keeps the summaries of all sessions in `index.json`, so that thousands are there at once on the next start.

The index is disposable: each session's entry counts only while the stat signature of its files is the same,
and a missing, foreign or damaged index is made anew without a word. One session stands on one line: first
its brief, which is all that `list` needs, then a tab and its whole entry.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO, NamedTuple

from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import (
    FleetSnapshot,
    Owner,
    PhaseSummary,
    SessionBrief,
    SessionStatus,
    SessionSummary,
    brief_of,
)
from maestro_tui.model.text import clean, session_id_problem
from maestro_tui.store.durable import TEMP_PREFIX, keep_private, open_regular
from maestro_tui.store.staleness import known_definitions, learn_definitions

INDEX = "index.json"
FORMAT = "maestro-index/1"
SIZE_LIMIT = 512_000_000
LEFT_SECONDS = 600.0
"""An index that is not finished after this time will not be."""
FIRST = 100
"""So many sessions can be read before the rest of the index: more than a screen holds."""

_SESSION = tuple(field.name for field in fields(SessionSummary))
_PHASE = tuple(field.name for field in fields(PhaseSummary))
_OWNER = tuple(field.name for field in fields(Owner))
_BRIEF = SessionBrief._fields[:-1]
BETWEEN = ",\t"
"""Between the brief and the entry: within JSON a tab is always written as an escape."""
_SHAPE = f"{zlib.crc32(','.join(['mark', 'newest', *_BRIEF, *_SESSION, *_PHASE, *_OWNER]).encode()):08x}"
"""Changes with the summaries' fields: an index of another version is no index."""
_STATUS, _PHASES, _OWNED, _DAMAGE = map(_SESSION.index, ("status", "phases", "owner", "damage"))
_SHARED = tuple(map(_SESSION.index, ("session_id", "workflow", "workspace", "last_event")))
"""Words that thousands of sessions have in common, or that are used in several places: kept once."""
_BEGUN = _PHASE.index("started_at")
_PLAIN_PHASE = tuple(field.default for field in fields(PhaseSummary))
_LAST_MOMENT = 1e11
_WIDEST = 2**40
"""No checksum and no size in the head is longer when it is written."""
_RANK = {status: rank for rank, status in enumerate((
    SessionStatus.WAITING, SessionStatus.FAILED, SessionStatus.INTERRUPTED, SessionStatus.RUNNING,
))}  # fmt: skip
NO_INDEX = (
    OSError, StoreError, ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError,
)  # fmt: skip
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


class Kept(NamedTuple):
    """An entry of which only the brief was read, and its line, to be written again as it is.

    `mark` and `newest` are those of an `Entry`.
    """

    mark: int
    newest: int
    summary: SessionBrief
    line: bytes


def load_index(root: Path) -> dict[str, Entry]:
    """What an earlier process left; empty when there is no index that can be trusted in form."""
    try:
        with without_collecting(), opened(root) as stream:
            return _entries(entry_lines(stream, read_head(stream)["crc"]))
    except NO_INDEX:
        return {}  # damaged or of another make: it is written anew after the first reading


def first_glance(root: Path) -> FleetSnapshot:
    """The sessions that need attention first, as the index remembers them: something to show at once.

    More than a screen holds, and read in a moment however long the index is.
    """
    sessions: dict[str, SessionSummary] = {}
    try:
        with opened(root) as stream:
            size, crc = read_head(stream)["first"]
            lines = stream.read(size)
            if zlib.crc32(lines) == crc:
                entries = _entries(lines.split(b",\n"))
                sessions = {name: entry.summary for name, entry in entries.items()}
    except NO_INDEX:
        sessions = {}
    return FleetSnapshot(root=clean(str(root), 1_000), sessions=sessions, loading=True)


def save_index(root: Path, entries: Mapping[str, Entry | Kept]) -> bool:
    """Write the index; False when that is not possible here (a read-only directory), which costs only time."""
    temp = root / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    head = {
        "format": FORMAT, "shape": _SHAPE, "crc": _WIDEST, "first": [_WIDEST, _WIDEST],
        "definitions": known_definitions(), "sessions": [],
    }  # fmt: skip
    try:
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            keep_private(descriptor, 0o600)
            # The sums stand before the lines, which are many: they are not kept for it, but written over.
            room = stream.write(_head_line(head, 0))
            head |= _write_lines(stream, entries)
            stream.seek(0)
            stream.write(_head_line(head, room))
        temp.replace(root / INDEX)
        _sweep(root)
    except OSError:
        with suppress(OSError):
            # A read-only file system refuses this too, even of a file that is not there.
            temp.unlink()
        return False
    return True


def _sweep(root: Path) -> None:
    """Remove what consoles left that were killed while they wrote an index; one that lives only loses a cache."""
    with suppress(OSError), os.scandir(root) as found:
        for entry in found:
            if entry.name.startswith(TEMP_PREFIX) and entry.is_file(follow_symlinks=False):
                age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age > LEFT_SECONDS:
                    Path(entry.path).unlink(missing_ok=True)


def _head_line(head: Mapping[str, Any], room: int) -> bytes:
    line = json.dumps(head, separators=(",", ":")).encode().removesuffix(b"]}")
    return line.ljust(room - 1) + b"\n"


def _write_lines(stream: BinaryIO, entries: Mapping[str, Entry | Kept]) -> dict[str, Any]:
    """Write all entries; what the head tells of them."""
    crc, size, first = 0, 0, (0, 0)
    encode = json.JSONEncoder(separators=(",", ":")).encode
    for number, (session_id, entry) in enumerate(sorted(list(entries.items()), key=_attention)):
        if isinstance(entry, Kept):
            line = entry.line
        else:
            brief = encode([entry.mark, entry.newest, *brief_of(entry.summary)[: len(_BRIEF)]])
            row = encode([session_id, entry.mark, entry.newest, _row(entry.summary)])
            line = f"{brief}{BETWEEN}{row}".encode()
        part = b",\n" + line if number else line
        crc = zlib.crc32(part, crc)
        size += stream.write(part)
        if number < FIRST:
            first = (size, crc)
    stream.write(b"\n]}\n")
    return {"crc": crc, "first": first}


def _attention(item: tuple[str, Entry | Kept]) -> tuple[int, float]:
    """Those that need a person first, then the newest: what a list most likely begins with."""
    summary = item[1].summary
    return _RANK.get(summary.status, len(_RANK)), -summary.updated_at


@contextmanager
def opened(root: Path) -> Iterator[BinaryIO]:
    """The index for reading."""
    with os.fdopen(open_regular(root / INDEX), "rb", 1 << 16) as stream:
        if os.fstat(stream.fileno()).st_size > SIZE_LIMIT:
            raise ValueError("too long")
        yield stream


def read_head(stream: BinaryIO) -> dict[str, Any]:
    """The first line, after a look at it; what it tells of definitions is learnt."""
    head: dict[str, Any] = json.loads(stream.readline() + b"]}")
    if head["format"] != FORMAT or head["shape"] != _SHAPE:
        raise ValueError("another format")
    definitions = head["definitions"]
    if not all(isinstance(value, str) and len(value) == 64 for value in definitions.values()):
        raise ValueError("no definitions")
    learn_definitions(definitions)
    return head


def entry_lines(stream: BinaryIO, crc: int) -> Iterator[bytes]:
    """The lines after the head, without what stands between them.

    One at a time: the text of ten thousand sessions at once would be several times their size. Raises
    `ValueError`, if only at the end, when it is not there or the sum is another one.
    """
    found = 0
    for line in stream:
        if line == b"]}\n":
            if found != crc:
                raise ValueError("another sum")
            return
        part = line.rstrip(b",\n")
        found = zlib.crc32(line if line.endswith(b",\n") else part, found)
        if part:
            yield part
    raise ValueError("cut off")


def _entries(lines: Iterable[bytes]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    decoder = _Decoder()
    decode = json.JSONDecoder().raw_decode
    for line in lines:
        text = line.decode().partition(BETWEEN)[2]
        (session_id, mark, newest, row), _ = decode(text)
        if session_id_problem(session_id) is not None or type(mark) is not int or type(newest) is not int:
            raise ValueError("no entry")
        summary = decoder.summary(row if is_plain(text) else cleaned(row))
        if summary.session_id != session_id:
            raise ValueError("no entry")
        found[summary.session_id] = Entry(mark, newest, summary)
    return found


def is_plain(text: str) -> bool:
    """True for JSON without characters to be cleaned: no escapes, and all printable."""
    return text.isascii() and "\\" not in text and "\x7f" not in text


class _Decoder:
    """Makes summaries of rows, after a look at the type of each field."""

    def __init__(self) -> None:
        self._right: set[tuple[str, tuple[type, ...]]] = set()
        self._pending: dict[tuple[Any, ...], PhaseSummary] = {}

    def summary(self, row: list[Any]) -> SessionSummary:
        if len(row) != len(_SESSION):
            raise ValueError("no row")
        self._check(row, _SESSION)
        row[_STATUS] = SessionStatus(row[_STATUS])
        row[_PHASES] = tuple([self._phase(phase) for phase in row[_PHASES]])
        row[_DAMAGE] = tuple(map(str, row[_DAMAGE]))
        if row[_OWNED] is not None:
            row[_OWNED] = self._owner(row[_OWNED])
        for place in _SHARED:
            if row[place] is not None:
                row[place] = intern(row[place])
        summary = SessionSummary(*row)
        check_moments(summary.created_at, summary.updated_at)
        return summary

    def _phase(self, row: list[Any]) -> PhaseSummary:
        if len(row) > _BEGUN:
            self._check(row, _PHASE)
            phase = PhaseSummary(intern(row[0]), intern(row[1]), *row[2:])
            check_moments(phase.started_at, phase.finished_at)
            return phase
        # Thousands of sessions have the same phases before them: one object stands for each.
        key = tuple(row)
        known = self._pending.get(key)
        if known is None:
            self._check(row, _PHASE)
            known = self._pending[key] = PhaseSummary(*row)
        return known

    def _owner(self, row: list[Any]) -> Owner:
        self._check(row[:-1], _OWNER[:-1])
        values = dict(zip(_OWNER, row, strict=True))
        owner = Owner(**{**values, "phases": tuple(map(str, values["phases"]))})
        check_moments(owner.started_at, owner.heartbeat_at)
        return owner

    def _check(self, row: list[Any], names: tuple[str, ...]) -> None:
        kinds = tuple(map(type, row))
        if (names[0], kinds) in self._right:
            return
        if len(kinds) > len(names):
            raise TypeError("too many fields")
        for name, kind in zip(names, kinds, strict=False):
            if kind not in _KINDS[name]:
                raise TypeError(name)
        self._right.add((names[0], kinds))


def check_moments(*moments: float | None) -> None:
    for moment in moments:
        if moment is not None and not 0 <= moment < _LAST_MOMENT:
            raise ValueError("no moment")


def cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    return value


def _row(summary: SessionSummary) -> list[Any]:
    row = [getattr(summary, name) for name in _SESSION]
    row[_PHASES] = [_phase_row(phase) for phase in summary.phases]
    if summary.owner is not None:
        row[_OWNED] = [getattr(summary.owner, name) for name in _OWNER]
    return row


def _phase_row(phase: PhaseSummary) -> list[Any]:
    """Its fields up to the last one that says something: most phases say little."""
    row = [getattr(phase, name) for name in _PHASE]
    while len(row) > 2 and row[-1] == _PLAIN_PHASE[len(row) - 1]:
        row.pop()
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
