"""The append-only record of what happened in a session: one line an event, one write a line."""

from __future__ import annotations

import json
import os
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import StoreError
from maestro_tui.model.events import SYNCED_TYPES, Event
from maestro_tui.model.text import clean

LINE_LIMIT = 16_000_000
_ZEROS = b"00000000"
_START = b'{"crc":"'


class Journal:
    """Appends events of one writer. With `seal`, a torn last line of a dead writer is closed first."""

    def __init__(
        self, path: Path, session_id: str, *, clock: Callable[[], float] = time.time, seal: bool = False
    ) -> None:
        self.path, self._session_id, self._clock = path, session_id, clock
        self._writer, self._seq = secrets.token_hex(4), 0
        try:
            self._fd = os.open(
                path,
                os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0),
                0o600,
            )
            if seal:
                size = os.fstat(self._fd).st_size
                if size and os.pread(self._fd, 1, size - 1) != b"\n":
                    os.write(self._fd, b"\n")
        except OSError as error:
            raise StoreError(f"Cannot open the journal {clean(str(path), 300)}: {error.strerror}.") from error

    def append(
        self,
        type: str,
        *,
        phase: str | None = None,
        attempt: int | None = None,
        persona: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Write one event; durable on return where its type asks for it. Raises `StoreError`."""
        at = self._clock()
        self._seq += 1
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record: dict[str, Any] = {"crc": _ZEROS.decode(), "seq": self._seq, "w": self._writer, "at": moment}
        record["session"] = self._session_id
        for key, value in (("phase", phase), ("attempt", attempt), ("persona", persona)):
            if value is not None:
                record[key] = value
        record["type"] = type
        record["data"] = dict(data or {})
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=True, default=str).encode()
        line = _START + f"{zlib.crc32(line):08x}".encode() + line[len(_START) + 8 :]
        try:
            view = memoryview(line + b"\n")
            while view:
                view = view[os.write(self._fd, view) :]
            if type in SYNCED_TYPES:
                os.fdatasync(self._fd)
        except OSError as error:
            raise StoreError(
                f"Cannot write to the journal {clean(str(self.path), 300)}: {error.strerror}; the last commit is safe."
            ) from error
        return Event(
            type, at, self._session_id, phase, attempt, persona, record["data"], self._writer, self._seq
        )

    def close(self) -> None:
        """Close the file; later appends fail."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class JournalPart:
    """Events up to `next_offset` (bytes), with a line for each record that could not be read."""

    events: list[Event]
    next_offset: int
    damage: list[str]


def read_events(path: Path, offset: int = 0, limit: int | None = None) -> JournalPart:
    """Events from a byte offset up to the last newline. A missing journal is an empty one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return JournalPart([], 0, [])
    except OSError as error:
        return JournalPart([], offset, [f"{clean(str(path), 300)} cannot be read: {error.strerror}"])
    try:
        with os.fdopen(fd, "rb") as stream:
            stream.seek(offset)
            data = stream.read() if limit is None else stream.read(limit)
    except OSError as error:
        return JournalPart([], offset, [f"{clean(str(path), 300)} cannot be read: {error.strerror}"])
    end = data.rfind(b"\n") + 1
    events, damage, place = [], [], offset
    for line in data[:end].split(b"\n")[:-1]:
        if line:
            event = _parse(line)
            if event is None:
                damage.append(
                    f"{clean(path.name, 100)}: the record at byte {place} is torn or changed; passed over"
                )
            else:
                events.append(event)
        place += len(line) + 1
    return JournalPart(events, offset + end, damage)


def _parse(line: bytes) -> Event | None:
    if not line.startswith(_START) or len(line) > LINE_LIMIT:
        return None
    crc = line[len(_START) : len(_START) + 8]
    plain = _START + _ZEROS + line[len(_START) + 8 :]
    if f"{zlib.crc32(plain):08x}".encode() != crc:
        return None
    try:
        record = json.loads(line)
        at = datetime.fromisoformat(record["at"]).timestamp()
        return Event(
            type=record["type"],
            at=at,
            session_id=record.get("session", ""),
            phase=record.get("phase"),
            attempt=record.get("attempt"),
            persona=record.get("persona"),
            data=record.get("data") or {},
            writer=record["w"],
            seq=record["seq"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
