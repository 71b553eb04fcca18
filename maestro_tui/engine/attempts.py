"""Reads from a session's journal which attempts began and which never came to an outcome."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.store import durable
from maestro_tui.store.journal import read_events

JOURNAL = "journal.jsonl"
OUTCOMES = frozenset(["phase_committed", "phase_failed", "phase_cancelled"])
_OF_PHASES = b'"type":"phase_'

_LOG = re.compile(r"(.+)\.(\d{1,6})\.log\Z")


@dataclass(frozen=True, slots=True)
class BegunAttempts:
    """`highest`: phase → highest attempt number ever begun. `open`: phase → attempt without an outcome. `since`:
    phase → when the newest of its attempts began, in seconds since the epoch."""

    highest: Mapping[str, int]
    open: Mapping[str, int]
    since: Mapping[str, float]


class AttemptReader:
    """Follows one session's journal: what was read once is not read again. Safe to use from several threads."""

    def __init__(self, session_dir: Path) -> None:
        self._journal, self._logs = session_dir / JOURNAL, session_dir / "logs"
        self._lock = threading.Lock()
        self._begin(0)

    def _begin(self, inode: int) -> None:
        self._inode, self._offset = inode, 0
        self._highest: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def read(self) -> BegunAttempts:
        """As the journal is now. Damaged records are passed over; the commits remain the truth about outcomes."""
        with self._lock:
            self._follow()
            # A lost journal must not let a number be used twice: the logs of the attempts are there too.
            highest = _logged(self._logs)
            for name, number in self._highest.items():
                highest[name] = max(highest.get(name, 0), number)
            return BegunAttempts(highest, dict(self._open), dict(self._since))

    def _follow(self) -> None:
        path = self._journal
        try:
            facts = path.stat(follow_symlinks=False)
        except OSError:
            self._begin(0)
            return
        if facts.st_ino != self._inode or facts.st_size < self._offset:
            self._begin(facts.st_ino)
        part = read_events(path, self._offset, holding=_OF_PHASES)
        self._offset = part.next_offset
        for event in part.events:
            if event.phase is None or event.attempt is None:
                continue
            if event.type == "phase_started":
                self._highest[event.phase] = max(self._highest.get(event.phase, 0), event.attempt)
                self._open[event.phase] = event.attempt
                self._since[event.phase] = event.at
            elif event.type in OUTCOMES and self._open.get(event.phase) == event.attempt:
                del self._open[event.phase]


def _logged(folder: Path) -> dict[str, int]:
    """Phase → highest attempt that has a log."""
    highest: dict[str, int] = {}
    try:
        names = durable.names_in(folder)
    except OSError:
        return highest
    for name in names:
        found = _LOG.match(name)
        if found is not None:
            highest[found[1]] = max(highest.get(found[1], 0), int(found[2]))
    return highest
