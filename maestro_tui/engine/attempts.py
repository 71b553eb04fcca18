"""Reads from a session's journal which attempts began and which never came to an outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from maestro_tui.model.context import Usage
from maestro_tui.store.journal import read_events

JOURNAL = "journal.jsonl"
_OUTCOMES = frozenset(["phase_committed", "phase_failed", "phase_cancelled"])


_LOG = re.compile(r"(.+)\.(\d{1,6})\.log\Z")


@dataclass(frozen=True, slots=True)
class BegunAttempts:
    """`highest`: phase → highest attempt number ever begun. `open`: phase → attempt without an outcome."""

    highest: Mapping[str, int]
    open: Mapping[str, int]


def begun_attempts(session_dir: Path) -> BegunAttempts:
    """Fold the journal. Damaged records are passed over; the commits remain the truth about outcomes."""
    path = session_dir / JOURNAL
    # A lost journal must not let a number be used twice: the logs of the attempts are there too.
    highest = _logged(session_dir / "logs")
    if not path.exists():
        return BegunAttempts(highest, {})
    unfinished: dict[str, int] = {}
    for event in read_events(path).events:
        if event.phase is None or event.attempt is None:
            continue
        if event.type == "phase_started":
            highest[event.phase] = max(highest.get(event.phase, 0), event.attempt)
            unfinished[event.phase] = event.attempt
        elif event.type in _OUTCOMES and unfinished.get(event.phase) == event.attempt:
            del unfinished[event.phase]
    return BegunAttempts(highest, unfinished)


def lost_spending(
    session_dir: Path, unfinished: Mapping[str, int], recovered: Mapping[str, int]
) -> dict[str, tuple[int, Usage]]:
    """Phase → the attempt that was broken off and what it had spent, as far as the journal tells.

    `recovered` names the attempts whose spending was added before.
    """
    wanted = {name: number for name, number in unfinished.items() if recovered.get(name, 0) < number}
    if not wanted:
        return {}
    last: dict[str, dict[tuple[str | None, str, int], Usage]] = {}
    for event in read_events(session_dir / JOURNAL).events:
        if event.type != "usage_reported" or event.phase is None or wanted.get(event.phase) != event.attempt:
            continue
        one_try = (event.persona, str(event.data.get("step")), int(event.data.get("attempt_try") or 0))
        known = {key: event.data[key] for key in Usage.model_fields if key in event.data}
        try:
            # Each event of one try tells the whole of that try.
            last.setdefault(event.phase, {})[one_try] = Usage.model_validate(known)
        except ValidationError:
            continue
    found: dict[str, tuple[int, Usage]] = {}
    for name, tries in last.items():
        total = Usage()
        for usage in tries.values():
            total = total.plus(usage)
        found[name] = (wanted[name], total)
    return found


def _logged(folder: Path) -> dict[str, int]:
    """Phase → highest attempt that has a log."""
    highest: dict[str, int] = {}
    if folder.is_dir():
        for entry in folder.iterdir():
            found = _LOG.match(entry.name)
            if found is not None:
                highest[found[1]] = max(highest.get(found[1], 0), int(found[2]))
    return highest
