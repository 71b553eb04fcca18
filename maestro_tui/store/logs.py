"""The log of one attempt: what performers print, line by line, as it came."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maestro_tui.model.errors import StoreError
from maestro_tui.model.text import Run, clean, clean_output
from maestro_tui.store import durable
from maestro_tui.store.journal import utc

LINE_LIMIT = 1_000_000
"""Bytes of text in one line; longer ones are split."""
FLUSH_SECONDS = 0.1
_BUFFER_BYTES = 64_000

_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | durable.NO_FOLLOW
_IN_HEAD = str.maketrans("\t\n\r", "   ")


class PhaseLog:
    """Appends lines; buffered for at most a tenth of a second. Safe to use from several threads.

    A log that cannot be written says so once, at the next `write` or at `close`; nothing is written after that.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        durable.make_dir(path.parent)
        with durable.told("open the log", path):
            self._fd = os.open(path, _OPEN, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                    raise StoreError(f"{durable.shown(path)} is in the way: it is not a regular file.")
                durable.keep_private(self._fd, 0o600)
            except BaseException:
                os.close(self._fd)
                raise
        self._lock = threading.Lock()
        self._parts: list[bytes] = []
        self._size = 0
        self._timer: threading.Timer | None = None
        self._problem: OSError | None = None
        self._told = False

    def write(self, persona: str, stream: str, text: str) -> float:
        """Output of a performer; each line of `text` becomes one line. The moment of it, seconds since the epoch.

        After `close` nothing is written. Raises `StoreError` when an earlier line could not be written.
        """
        at = self._clock()
        head = f"{utc(at)}\t{persona.translate(_IN_HEAD)}\t{stream.translate(_IN_HEAD)}\t".encode(
            "utf-8", "replace"
        )
        with self._lock:
            self._tell()
            if self._fd < 0 or self._problem is not None:
                return at
            for line in text.split("\n"):
                for part in _split(line.encode("utf-8", "replace")):
                    self._parts.append(head + part + b"\n")
                    self._size += len(head) + len(part) + 1
            if self._size >= _BUFFER_BYTES:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._on_time)
                self._timer.daemon = True
                self._timer.start()
        return at

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        """Write what is buffered. An error is kept, since a timer's thread has nobody to tell it to."""
        if self._fd < 0 or not self._parts:
            return
        view = memoryview(b"".join(self._parts))
        self._parts, self._size = [], 0
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self._problem = error

    def _tell(self) -> None:
        if self._problem is not None and not self._told:
            self._told = True
            raise StoreError(
                f"Cannot write the log {durable.shown(self._path)}: "
                f"{self._problem.strerror or self._problem}; the last commit is safe."
            ) from self._problem

    def close(self) -> None:
        """Write what is left and close; harmless when closed already. Raises `StoreError` as `write` does."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._fd >= 0:
                self._flush()
                fd, self._fd = self._fd, -1
                os.close(fd)
            self._tell()


def _split(body: bytes) -> list[bytes]:
    """Parts of at most `LINE_LIMIT` bytes, never within a character."""
    parts = []
    while len(body) > LINE_LIMIT:
        end = LINE_LIMIT
        while body[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(body[:end])
        body = body[end:]
    return [*parts, body]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log, its text clean. `at` is None for a line that is not of our form."""

    at: float | None
    persona: str
    stream: str
    text: str
    runs: tuple[Run, ...] = ()
    """The colours in which its program wrote it."""


def last_line_at(path: Path) -> float | None:
    """When the newest line near a log's end was written, seconds since the epoch; None when none tells."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | durable.NO_FOLLOW)
    except OSError:
        return None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return None
        tail = os.pread(descriptor, _BUFFER_BYTES, max(0, facts.st_size - _BUFFER_BYTES))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    for line in reversed(tail.split(b"\n")):
        at = parse_log_line(line).at
        if at is not None:
            return at
    return None


def parse_log_line(line: bytes) -> LogLine:
    """The parts of a line; a foreign line is all text."""
    whole = line.removesuffix(b"\n").decode("utf-8", "replace")
    parts = whole.split("\t", 3)
    if len(parts) == 4:
        try:
            at = datetime.fromisoformat(parts[0]).timestamp()
        except (ValueError, OverflowError, OSError):
            return LogLine(None, "", "out", *clean_output(whole))
        return LogLine(at, clean(parts[1], 64), clean(parts[2], 8), *clean_output(parts[3]))
    return LogLine(None, "", "out", *clean_output(whole))
