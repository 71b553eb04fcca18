"""The log of one attempt: what performers print, line by line, as it came."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.text import clean
from maestro_tui.store import durable

LINE_LIMIT = 1_000_000
FLUSH_SECONDS = 0.1


class PhaseLog:
    """Appends lines; buffered for at most a tenth of a second. Safe to use from several threads."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        durable.make_dir(path.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        with durable.told("open the log", path):
            self._file = os.fdopen(os.open(path, flags, 0o600), "ab", buffering=64_000)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def write(self, persona: str, stream: str, text: str) -> float:
        """One line of output; very long ones are split. The moment of it, seconds since the epoch."""
        at = self._clock()
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = f"{moment}\t{persona}\t{stream}\t".encode()
        body = text.replace("\n", " ").encode("utf-8", "replace")
        with self._lock:
            if self._file.closed:
                return at
            for start in range(0, max(1, len(body)), LINE_LIMIT):
                self._file.write(head + body[start : start + LINE_LIMIT] + b"\n")
            if self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._flush)
                self._timer.daemon = True
                self._timer.start()
        return at

    def _flush(self) -> None:
        with self._lock:
            self._timer = None
            if not self._file.closed:
                self._file.flush()

    def close(self) -> None:
        """Write what is left and close; harmless when closed already."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._file.close()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log, its text clean. `at` is None for a line that is not of our form."""

    at: float | None
    persona: str
    stream: str
    text: str


def parse_log_line(line: bytes) -> LogLine:
    """The parts of a line; a foreign line is all text."""
    parts = line.rstrip(b"\n").decode("utf-8", "replace").split("\t", 3)
    if len(parts) == 4:
        try:
            at = datetime.fromisoformat(parts[0]).timestamp()
        except ValueError:
            return LogLine(None, "", "out", clean("\t".join(parts)))
        return LogLine(at, clean(parts[1], 64), clean(parts[2], 8), clean(parts[3]))
    return LogLine(None, "", "out", clean("\t".join(parts)))
