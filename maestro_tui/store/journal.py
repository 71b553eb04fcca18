"""The append-only record of what happened in a session: one line an event, one write a line."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.events import SYNCED_TYPES, Event
from maestro_tui.model.text import clean
from maestro_tui.store import durable

LINE_LIMIT = 16_000_000
"""Bytes of one record. The data of a larger one is left out, with a word about it."""

_ZEROS = b"00000000"
_START = b'{"crc":"'
_OPEN = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | durable.NO_FOLLOW
LOST = "the journal was removed or replaced while this runner wrote it; the events before are lost"
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_as_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
_CHUNK = 4 << 20
_MOST_DAMAGE = 100


def utc(at: float) -> str:
    """A moment as it is written: `2026-11-23T20:36:51.123Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """Appends events of one writer; safe to use from several threads, beside writers of other processes.

    With `seal`, for those who hold the session, a last line that a dead writer left torn is closed first.
    """

    def __init__(
        self, path: Path, session_id: str, *, clock: Callable[[], float] = time.time, seal: bool = False
    ) -> None:
        self.path, self._session_id, self._clock = path, session_id, clock
        self._writer, self._seq = secrets.token_hex(4), 0
        self._lock = threading.Lock()
        self._torn = False
        self._closed = False
        self._fd = self._open()
        if seal:
            self._seal()

    def _open(self) -> int:
        with durable.told("open the journal", self.path):
            try:
                fd = os.open(self.path, _OPEN)
            except FileNotFoundError:
                fd = os.open(self.path, _OPEN | os.O_CREAT, 0o600)
                try:
                    durable.keep_private(fd, 0o600)
                    durable.sync_dir(self.path.parent)
                except BaseException:
                    os.close(fd)
                    raise
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise StoreError(f"{durable.shown(self.path)} is in the way: it is not a regular file.")
            return fd

    def _seal(self) -> None:
        with durable.told("read the journal", self.path):
            size = os.fstat(self._fd).st_size
            self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        if self._torn:
            # Should a living writer be in the midst of its line, this comes after it: an empty line, harmless.
            self._write(b"")

    def append(
        self,
        type: str,
        *,
        phase: str | None = None,
        attempt: int | None = None,
        persona: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Write one event; on disk when this returns where its type asks for it. Raises `StoreError`.

        Data that JSON cannot hold is replaced by a word about it, so that the event itself is never lost. A journal
        that was taken away is begun anew, and its first event says so.
        """
        if self._was_taken_away():
            self.append("journal_lost", data={"reason": LOST})
        at = self._clock()
        with self._lock:
            self._seq += 1
            record: dict[str, Any] = {
                "crc": _ZEROS.decode(),
                "seq": self._seq,
                "w": self._writer,
                "at": utc(at),
                "session": self._session_id,
            }
            for key, value in (("phase", phase), ("attempt", attempt), ("persona", persona)):
                if value is not None:
                    record[key] = value
            record["type"] = type
            record["data"] = dict(data or {})
            line = _line(record)
            self._write(line + b"\n")
            if type in SYNCED_TYPES:
                self._sync()
        return Event(
            type, at, self._session_id, phase, attempt, persona, record["data"], self._writer, self._seq
        )

    def _was_taken_away(self) -> bool:
        """True, once, when what is open is not the session's journal any more; it is opened anew then."""
        with self._lock:
            if self._fd < 0:
                return False
            try:
                # A session's folder that was moved took its journal along.
                there = durable.is_named(self._fd, self.path) or not durable.is_folder(str(self.path.parent))
            except OSError:
                there = True  # nobody can tell; what is open can be written
            if there:
                return False
            os.close(self._fd)
            self._fd = -1
            return True

    def _write(self, line: bytes) -> None:
        if self._closed:
            raise StoreError(f"The journal {durable.shown(self.path)} is closed already.")
        with durable.told("write to the journal", self.path):
            if self._fd < 0:
                self._fd = self._open()
                self._seal()
            if self._torn:
                line = b"\n" + line
            done = os.write(self._fd, line)
            if done < len(line):
                # The disk is full, as a rule. Never add the rest in a second write: another writer's line may
                # stand between. The whole line goes after a line break, and says so if it fails again.
                self._torn = True
                line = b"\n" + line.removeprefix(b"\n")
                done = os.write(self._fd, line)
                if done < len(line):
                    raise OSError(None, "only a part of the record could be written (is the disk full?)")
            self._torn = False

    def _sync(self) -> None:
        try:
            with durable.told("write to the journal", self.path):
                _data_sync(self._fd)
        except BaseException:
            # A descriptor whose sync failed tells nothing any more; the next event opens the file anew.
            os.close(self._fd)
            self._fd = -1
            raise

    def close(self) -> None:
        """Close the file; harmless when closed already. Later appends raise `StoreError`."""
        with self._lock:
            self._closed = True
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)


def _data_sync(fd: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        durable.sync(fd)


def _line(record: dict[str, Any]) -> bytes:
    try:
        line = _dump(record)
        problem = f"its data has {len(line):,} bytes, too many for the journal"
    except (TypeError, ValueError, RecursionError) as error:
        line, problem = b"", f"its data cannot be written as JSON ({type(error).__name__})"
    if not 0 < len(line) <= LINE_LIMIT:
        record["data"] = {"left_out": problem}
        line = _dump(record)
    return _START + f"{zlib.crc32(line):08x}".encode() + line[len(_START) + 8 :]


def _dump(record: dict[str, Any]) -> bytes:
    try:
        text = _as_json(record)
    except ValueError:
        # NaN and infinities are no JSON: null, as in a checkpoint.
        record["data"] = json.loads(json.dumps(record["data"], default=str), parse_constant=lambda _: None)
        text = _as_json(record)
    return text.encode()


@dataclass(frozen=True, slots=True)
class JournalPart:
    """Events up to `next_offset` (bytes), with a line for each record that could not be read.

    `torn` are those lines of `damage` that a writer's death explains: a record that breaks off.
    """

    events: list[Event]
    next_offset: int
    damage: list[str]
    torn: list[str] = field(default_factory=list)


def read_events(
    path: Path, offset: int = 0, *, holding: bytes = b"", take: Callable[[Event], None] | None = None
) -> JournalPart:
    """Events from a byte offset up to the last newline. Never raises; a missing journal is an empty one.

    With `holding` only of the records that hold these bytes anywhere; the others are not looked at. With `take` each
    event goes there as it is read, and none is kept: a journal may hold more of them than the memory.
    A journal that is shorter than `offset` has been replaced: it is read from its beginning, and says so.
    """
    events: list[Event] = []
    damage: list[str] = []
    torn: list[str] = []
    keep = take or events.append
    name = clean(path.name, 100)
    try:
        fd = durable.open_regular(path)
    except FileNotFoundError:
        return JournalPart([], 0, [])
    except DamagedFile as error:
        return JournalPart([], offset, [str(error)])
    place, bad, rest = offset, 0, b""
    try:
        size = os.fstat(fd).st_size
        if size < offset:
            damage.append(f"{name}: it is shorter than it was ({size:,} bytes after {offset:,})")
            place = offset = 0
        # Little more than there is: no large buffer is made for a few lines.
        most = min(_CHUNK, size - place + 4_096)
        while data := os.pread(fd, most, place + len(rest)):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if holding not in line:
                    place += len(line) + 1
                    continue
                event = _parse(line) if line else None
                if event is not None:
                    keep(event)
                elif line:
                    bad += 1
                    if bad <= _MOST_DAMAGE:
                        broken = breaks_off(line)
                        told = "breaks off" if broken else "is not as it was written"
                        damage.append(f"{name}: the record at byte {place} {told}; passed over")
                        if broken:
                            torn.append(damage[-1])
                place += len(line) + 1
            if len(rest) > 2 * LINE_LIMIT:
                damage.append(f"{name}: from byte {place} on it is not a journal; not read further")
                break
    except OSError as error:
        damage.append(f"{name}: it cannot be read further than byte {place}: {error.strerror or error}")
    finally:
        os.close(fd)
    if bad > _MOST_DAMAGE:
        damage.append(f"{name}: {bad - _MOST_DAMAGE:,} more records cannot be read")
    return JournalPart(events, place, damage, torn)


def breaks_off(line: bytes) -> bool:
    """True for the beginning of a record: what a killed writer leaves, and with zeros after it a power loss."""
    begun = line.rstrip(b"\0")
    if not (begun.startswith(_START) or _START.startswith(begun)):
        return False
    without_texts = _TEXT.sub(b"", begun)
    closed = without_texts.count(b"{") <= without_texts.count(b"}")
    return not (begun.endswith(b"}") and (closed or b'"' in without_texts))


def _parse(line: bytes) -> Event | None:
    if not line.startswith(_START) or len(line) > LINE_LIMIT:
        return None
    end = len(_START) + 8
    crc = zlib.crc32(memoryview(line)[end:], zlib.crc32(_START + _ZEROS))
    if f"{crc:08x}".encode() != line[len(_START) : end]:
        return None
    try:
        record = json.loads(line)
        at = datetime.fromisoformat(record["at"]).timestamp()
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    kind, writer, seq = record.get("type"), record.get("w"), record.get("seq")
    session, data = record.get("session", ""), record.get("data")
    phase, attempt, persona = record.get("phase"), record.get("attempt"), record.get("persona")
    if not (
        isinstance(kind, str)
        and isinstance(writer, str)
        and isinstance(seq, int)
        and isinstance(session, str)
        and isinstance(data, dict | None)
        and isinstance(phase, str | None)
        and isinstance(attempt, int | None)
        and isinstance(persona, str | None)
    ):
        return None
    return Event(kind, at, session, phase, attempt, persona, data or {}, writer, seq)
