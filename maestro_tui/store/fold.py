"""Folds a session's journal, as it grows, into what is running, what was said last, and every attempt.

Every line's checksum is looked at, but only the few kinds of events that decide something are parsed: a
journal of many megabytes is folded in tens of milliseconds, and afterwards only what was added is read.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro_tui.model.summary import AttemptSummary, PersonaSpan
from maestro_tui.model.text import clean
from maestro_tui.store import journal
from maestro_tui.store.event_words import event_words
from maestro_tui.store.heads import seconds_of
from maestro_tui.store.journal import breaks_off

CHUNK = 8 * 1024 * 1024
LINE_LIMIT = 2 * journal.LINE_LIMIT
"""Bytes of a line that has no end yet; no record is half as long."""

OUTCOMES = {"phase_committed": "completed", "phase_failed": "failed", "phase_cancelled": "cancelled"}
_DECIDING = frozenset(
    b"""phase_started phase_committed phase_failed phase_cancelled persona_started persona_finished
    runner_acquired question_asked question_answered""".split()
)
_HEAD = b'{"crc":"'
_ZEROED = zlib.crc32(_HEAD + b"00000000")


@dataclass(slots=True)
class OpenAttempt:
    """An attempt as far as the journal tells of it; `status` is running until its outcome comes."""

    phase: str
    number: int
    started_at: float
    after_runner: int
    """How many runners had come when it began; the work of an earlier one ended with that one."""
    status: str = "running"
    finished_at: float | None = None
    last_at: float = 0.0
    error: str | None = None
    seq: int | None = None
    personas: dict[str, PersonaSpan] = field(default_factory=dict)
    """Persona, with its step where it has several (`critic comment-1`) → when it worked."""
    at_work: dict[str, str] = field(default_factory=dict)
    """Persona → its newest span."""


class JournalFold:
    """What the journal says so far. `update` reads what was added since the last time."""

    def __init__(self) -> None:
        self._start_anew(0)

    def _start_anew(self, inode: int) -> None:
        self._inode = inode
        self._offset = 0
        self._bad = 0
        self._first_bad: int | None = None
        self.runners = 0
        """How often a runner took the session."""
        self.last_at: float | None = None
        self.last_words = ""
        self.attempts: dict[tuple[str, int], OpenAttempt] = {}
        self.questions: dict[tuple[str, int, int], str | None] = {}
        """Phase, attempt and number of each question that is not answered yet → the runner that asked it."""

    @property
    def damage(self) -> str | None:
        """One line about records that are not what was written; None when all are."""
        if not self._bad:
            return None
        records = "a record is" if self._bad == 1 else f"{self._bad} records are"
        return (
            f"journal.jsonl: {records} damaged (the first at byte {self._first_bad}) and passed over; "
            "the commits do not depend on it"
        )

    def update(self, path: Path) -> None:
        """Read what was added. A replaced or shortened file is read anew. Raises `OSError`."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._offset:
                self._start_anew(0)
            return
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(0, "it is no regular file")
            if facts.st_ino != self._inode or facts.st_size < self._offset:
                self._start_anew(facts.st_ino)
            self._read(descriptor, facts.st_size)
        finally:
            os.close(descriptor)

    def open_attempts(self, committed: Mapping[str, int]) -> dict[str, OpenAttempt]:
        """Phase → its newest attempt, where that has no outcome in the journal and none in the commits.

        `committed` maps a phase to the newest attempt number that a commit holds.
        """
        newest: dict[str, OpenAttempt] = {}
        for (phase, number), attempt in self.attempts.items():
            if phase not in newest or number > newest[phase].number:
                newest[phase] = attempt
        return {
            phase: attempt
            for phase, attempt in newest.items()
            if attempt.status == "running" and attempt.number > committed.get(phase, 0)
        }

    def asking(self, attempt: OpenAttempt, runners: Container[str]) -> int | None:
        """Number of the newest question of an attempt that is not answered yet and that one of `runners` asked."""
        own = (attempt.phase, attempt.number)
        open_ones = (
            question
            for (phase, number, question), runner in self.questions.items()
            if (phase, number) == own and (runner is None or runner in runners)
        )
        return max(open_ones, default=None)

    def summaries(
        self,
        running: frozenset[tuple[str, int]],
        sign: Callable[[OpenAttempt], float] = lambda attempt: attempt.last_at,
    ) -> tuple[AttemptSummary, ...]:
        """Every attempt in the order of its start; one without an outcome that is not in `running` was
        interrupted, and ends with its last sign of life, of which `sign` may know more than the journal."""
        return tuple(
            _summary(attempt, (attempt.phase, attempt.number) in running, sign)
            for attempt in sorted(self.attempts.values(), key=lambda attempt: attempt.started_at)
        )

    def _lost(self, phases: object) -> None:
        """Take in when the dead runners before this one were last known to work on a phase."""
        for phase, at in phases.items() if isinstance(phases, dict) else ():
            open_ones = [
                one for one in self.attempts.values() if (one.phase, one.status) == (phase, "running")
            ]
            if open_ones and isinstance(at, int | float):
                newest = max(open_ones, key=lambda one: one.number)
                newest.last_at = max(newest.last_at, float(at))

    def _read(self, descriptor: int, size: int) -> None:
        rest = b""
        while True:
            place = self._offset + len(rest)
            # As much as there is and one byte more, which tells the end: room for a whole chunk is made slowly.
            wanted = min(CHUNK, max(0, size - place) + 1)
            chunk = os.pread(descriptor, wanted, place)
            if not chunk:
                return
            data = rest + chunk if rest else chunk
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) > LINE_LIMIT:
                raise OSError(0, f"a line is longer than {LINE_LIMIT:,} bytes")
            self._lines(data[:end] if end < len(data) else data, self._offset)
            self._offset += end
            if len(chunk) < wanted:
                return
            rest = data[end:]

    def _lines(self, data: bytes, offset: int) -> None:
        last = None
        for line in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
            size = len(line)
            body = line[:-1]
            if not body:
                pass  # what closes a torn line; there may be millions
            elif not _intact(body):
                # A line that breaks off is what a dead runner leaves, as often as it dies: that is no damage.
                if not breaks_off(body):
                    self._bad += 1
                    self._first_bad = offset if self._first_bad is None else self._first_bad
            else:
                at = body.find(b'"type":"') + 8
                kind = body[at : body.find(b'"', at)]
                if kind in _DECIDING:
                    record = _record(body)
                    if record is not None:
                        self._take(record)
                last = body
            offset += size
        if last is not None and (record := _record(last)) is not None:
            self.last_at = seconds_of(record.get("at")) or self.last_at
            self.last_words = event_words(record)

    def _take(self, record: Mapping[str, Any]) -> None:
        kind, at = record["type"], seconds_of(record.get("at")) or 0.0
        phase, number, persona = record.get("phase"), record.get("attempt"), record.get("persona")
        data = record.get("data")
        data = data if isinstance(data, dict) else {}
        if kind == "runner_acquired":
            self.runners += 1
            self._lost(data.get("lost"))
        if not isinstance(phase, str) or not isinstance(number, int):
            return
        if kind == "phase_started":
            self.attempts[phase, number] = OpenAttempt(phase, number, at, self.runners, last_at=at)
            return
        attempt = self.attempts.get((phase, number))
        if attempt is None or data.get("status") == "skipped":
            return  # that a phase is left out says nothing of what became of an attempt before
        attempt.last_at = max(attempt.last_at, at)
        who = clean(persona, 64) if isinstance(persona, str) else ""
        if kind in OUTCOMES:
            attempt.status, attempt.finished_at = OUTCOMES[kind], at
            attempt.seq = data["seq"] if isinstance(data.get("seq"), int) else None
            attempt.error = clean(data["error"], 1000) if data.get("error") else None
            for question in [one for one in self.questions if one[:2] == (phase, number)]:
                del self.questions[question]
        elif kind == "persona_started":
            step = data.get("step")
            # A persona's draft, comments and revision are spans of their own; a further try of one is not.
            span = f"{who} {clean(step, 40)}" if isinstance(step, str) and step != "work" else who
            before = attempt.personas.get(span)
            attempt.personas[span] = PersonaSpan(span, "running", before.started_at if before else at)
            attempt.at_work[who] = span
        elif kind == "persona_finished" and who in attempt.at_work:
            span = attempt.at_work[who]
            ended = "failed" if data.get("ok") is False else "completed"
            attempt.personas[span] = PersonaSpan(span, ended, attempt.personas[span].started_at, at)
        elif kind in ("question_asked", "question_answered"):
            question = (phase, number, data["id"] if isinstance(data.get("id"), int) else 0)
            if kind == "question_asked":
                runner = data.get("runner")
                self.questions[question] = runner if isinstance(runner, str) else None
            else:
                self.questions.pop(question, None)


def _split(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _intact(line: bytes) -> bool:
    if not line.startswith(_HEAD) or line[16:17] != b'"':
        return False
    try:
        wanted = int(line[8:16], 16)
    except ValueError:
        return False
    return zlib.crc32(line[16:], _ZEROED) == wanted


def _record(line: bytes) -> dict[str, Any] | None:
    """A line as a record; None for one whose checksum is right and which still is no record of ours."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("type"), str) else None


def _summary(attempt: OpenAttempt, running: bool, sign: Callable[[OpenAttempt], float]) -> AttemptSummary:
    lost = attempt.status == "running" and not running
    over = attempt.finished_at if not lost else max(attempt.last_at, sign(attempt))
    return AttemptSummary(
        phase=clean(attempt.phase, 64),
        attempt=attempt.number,
        status="interrupted" if lost else attempt.status,
        started_at=attempt.started_at,
        finished_at=over,
        personas=tuple(_span(span, attempt.status, lost, over) for span in attempt.personas.values()),
        error=attempt.error,
        seq=attempt.seq,
    )


def _span(span: PersonaSpan, status: str, lost: bool, over: float | None) -> PersonaSpan:
    if span.status != "running" or over is None:
        return span
    ended = "interrupted" if lost else "failed" if status == "failed" else "cancelled"
    return PersonaSpan(span.persona, ended, span.started_at, max(over, span.started_at))
