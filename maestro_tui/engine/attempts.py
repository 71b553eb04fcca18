"""Reads from a session's journal which attempts began and which never came to an outcome."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from maestro_tui.model.context import Usage
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.journal import read_events

JOURNAL = "journal.jsonl"
_OUTCOMES = frozenset(["phase_committed", "phase_failed", "phase_cancelled"])
_OF_PHASES = b'"type":"phase_'

_LOG = re.compile(r"(.+)\.(\d{1,6})\.log\Z")


@dataclass(frozen=True, slots=True)
class BegunAttempts:
    """`highest`: phase → highest attempt number ever begun. `open`: phase → attempt without an outcome."""

    highest: Mapping[str, int]
    open: Mapping[str, int]


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

    def read(self) -> BegunAttempts:
        """As the journal is now. Damaged records are passed over; the commits remain the truth about outcomes."""
        with self._lock:
            self._follow()
            # A lost journal must not let a number be used twice: the logs of the attempts are there too.
            highest = _logged(self._logs)
            for name, number in self._highest.items():
                highest[name] = max(highest.get(name, 0), number)
            return BegunAttempts(highest, dict(self._open))

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
            elif event.type in _OUTCOMES and self._open.get(event.phase) == event.attempt:
                del self._open[event.phase]


def lost_spending(
    session_dir: Path,
    unfinished: Mapping[str, int],
    recovered: Mapping[str, int],
    workflow: Workflow,
) -> dict[str, tuple[int, Usage, dict[str, Usage]]]:
    """Phase → the attempt that was broken off, what it had spent and who, as far as the journal tells.

    `recovered` names the attempts whose spending was added before. Seconds are told where a budget counts them.
    """
    wanted = {name: number for name, number in unfinished.items() if recovered.get(name, 0) < number}
    if not wanted:
        return {}
    last: dict[str, dict[tuple[str, str, str], Usage]] = {}
    span: dict[str, tuple[float, float]] = {}
    for event in read_events(session_dir / JOURNAL).events:
        if event.phase is None or wanted.get(event.phase) != event.attempt:
            continue
        span[event.phase] = (span.get(event.phase, (event.at, event.at))[0], event.at)
        if event.type != "usage_reported":
            continue
        one_try = (event.persona or "", str(event.data.get("step")), str(event.data.get("attempt_try")))
        known = {key: event.data[key] for key in Usage.model_fields if key in event.data}
        try:
            # Each event of one try tells the whole of that try.
            last.setdefault(event.phase, {})[one_try] = Usage.model_validate(known)
        except ValidationError:
            continue
    found: dict[str, tuple[int, Usage, dict[str, Usage]]] = {}
    for name in span:
        total, by = Usage(), dict[str, Usage]()
        for (persona, _, _), usage in last.get(name, {}).items():
            total = total.plus(usage)
            by[persona] = by.get(persona, Usage()).plus(usage)
        if _counts_seconds(workflow, name):
            total = total.plus(Usage(seconds=max(0.0, span[name][1] - span[name][0])))
        if total != Usage():
            found[name] = (wanted[name], total, by)
    return found


def _counts_seconds(workflow: Workflow, name: str) -> bool:
    budgets = [workflow.budget, workflow.phase(name).budget if name in workflow.names else None]
    return any(budget is not None and budget.seconds is not None for budget in budgets)


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
