"""Reads all that one selected session has to tell: attempts, artifacts, decisions, commits, events, logs."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maestro_tui.model.context import (
    Artifact,
    ContractCheck,
    Decision,
    PhaseResult,
    TeamExecutionContext,
)
from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.events import Event
from maestro_tui.model.phase import Phase
from maestro_tui.model.summary import AttemptSummary, Owner, SessionSummary
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoints import CheckpointStore, CommitInfo
from maestro_tui.store.fold import OpenAttempt
from maestro_tui.store.heads import read_head
from maestro_tui.store.hive_detail import HiveHistory, history_of
from maestro_tui.store.hive_folder import find_hive
from maestro_tui.store.journal import read_events
from maestro_tui.store.logs import last_line_at
from maestro_tui.store.summaries import JOURNAL, SummaryReader

EVENTS_SHOWN = 500
TAIL_BYTES = 256 * 1024
_OUTCOMES = frozenset(["completed", "failed", "cancelled"])
_REMEMBERED = 4
_LOG_NAME = re.compile(r"(.+)\.(\d{1,9})\.log\Z")


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log of one attempt."""

    phase: str
    attempt: int
    path: Path
    size: int
    written_at: float


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """A session in full. Texts beyond `summary` and `attempts` are as recorded: clean them when shown."""

    summary: SessionSummary
    attempts: tuple[AttemptSummary, ...] = ()
    """In the order of their start; one that has no outcome and no living runner is `interrupted`."""
    phases: tuple[Phase, ...] = ()
    """The workflow's phases as the newest commit defines them, each after what it needs."""
    results: Mapping[str, PhaseResult] = field(default_factory=dict)
    """Phase → its result in the newest commit: outputs, quality, contract, gate, error."""
    artifacts: tuple[Artifact, ...] = ()
    decisions: tuple[Decision, ...] = ()
    history: tuple[CommitInfo, ...] = ()
    head_json: Mapping[str, Any] = field(default_factory=dict)
    """The newest intact commit as JSON values; empty when there is none."""
    events: tuple[Event, ...] = ()
    """The newest ones, oldest first."""
    events_left_out: bool = False
    """True when the journal holds older events than these."""
    logs: tuple[LogFile, ...] = ()

    @property
    def contracts(self) -> dict[str, ContractCheck]:
        """Phase → what it had to deliver, held against what was there."""
        return {name: result.contract for name, result in self.results.items() if result.contract is not None}


class DetailReader:
    """Reads one session in full again and again; what did not change since is not read again."""

    def __init__(self, session_dir: Path) -> None:
        self.session_dir = session_dir
        self._reader = SummaryReader(session_dir)
        self._sha256: str | None = None
        self._history_mark: tuple[int, ...] = ()
        self._context: TeamExecutionContext | None = None
        self._head_json: Mapping[str, Any] = {}
        self._history: tuple[CommitInfo, ...] = ()
        self._last: SessionDetail | None = None

    def read(self, now: float) -> SessionDetail:
        """The session as it is on disk. Never raises for damage: the summary's `.damage` says it."""
        summary = self._reader.read(now)
        logs = log_files(self.session_dir)
        if self._last is not None and self._last.summary is summary and self._last.logs == logs:
            return self._last
        self._read_commits(summary)
        live = self._reader.live_attempts(summary.owner).values()
        attempts = self._reader.fold.summaries(
            frozenset((one.phase, one.number) for one in live),
            lambda attempt: self._sign_of_life(attempt, summary.owner, logs),
        )
        events, left_out = newest_events(self.session_dir / JOURNAL)
        context = self._context
        damaged = tuple(info.problem for info in self._history if info.problem and info.seq <= summary.seq)
        self._last = SessionDetail(
            summary=replace(summary, damage=(*summary.damage, *damaged)) if damaged else summary,
            attempts=_with_commits(attempts, self._history),
            phases=tuple(map(context.workflow.phase, context.workflow.order)) if context is not None else (),
            results=dict(context.results()) if context is not None else {},
            artifacts=context.artifacts if context is not None else (),
            decisions=context.decisions if context is not None else (),
            history=self._history,
            head_json=self._head_json,
            events=events,
            events_left_out=left_out,
            logs=logs,
        )
        return self._last

    def _sign_of_life(self, attempt: OpenAttempt, owner: Owner | None, logs: tuple[LogFile, ...]) -> float:
        """When an attempt without an outcome was last known to go on, by its log and by its dead runner's lease."""
        log = next((one for one in logs if (one.phase, one.attempt) == (attempt.phase, attempt.number)), None)
        written = (last_line_at(log.path) if log is not None else None) or 0.0
        own = attempt.after_runner == self._reader.fold.runners
        held = owner is not None and owner.alive is False and own and clean(attempt.phase, 64) in owner.phases
        return max(written, owner.heartbeat_at if held and owner is not None else 0.0)

    def _commits(self) -> tuple[CommitInfo, ...]:
        try:
            return tuple(CheckpointStore(self.session_dir.parent).history(self.session_dir.name))
        except StoreError:
            return ()  # the summary says what is wrong with the history

    def _read_commits(self, summary: SessionSummary) -> None:
        mark = _mark(self.session_dir / "history")
        if mark != self._history_mark:
            self._history, self._history_mark = self._commits(), mark
        if summary.sha256 == self._sha256:
            return
        self._sha256, self._context, self._head_json = summary.sha256, None, {}
        if summary.seq < 0:
            return
        try:
            data = read_head(self.session_dir, summary.seq).data
            self._head_json = data
            self._context = TeamExecutionContext.model_validate(
                {**data["context"], "workflow": data["workflow"]}
            )
        except (DamagedFile, FileNotFoundError):
            self._sha256 = None  # it was changed a moment after the summary was read: the next reading tells
        except (ValueError, KeyError, TypeError):
            return  # the history says that it is no checkpoint's content; the JSON is there to look at


_readers: OrderedDict[Path, tuple[DetailReader, threading.Lock]] = OrderedDict()
_readers_lock = threading.Lock()


def read_detail(session_dir: Path, now: float) -> SessionDetail:
    """The session in full; safe to call from any thread. The last few sessions are read incrementally.

    Never raises for damage: the summary's `.damage` says it. History of Maestro Hive is shown the same way.
    """
    if not (session_dir / "history").exists():
        group = find_hive(session_dir.parent, session_dir.name)
        if group is not None:
            return _foreign_detail(history_of(group))
    with _readers_lock:
        reader, lock = _readers.setdefault(session_dir, (DetailReader(session_dir), threading.Lock()))
        _readers.move_to_end(session_dir)
        while len(_readers) > _REMEMBERED:
            _readers.popitem(last=False)
    with lock:
        return reader.read(now)


def _foreign_detail(history: HiveHistory) -> SessionDetail:
    context = history.context
    if context is None:
        return SessionDetail(summary=history.summary)
    return SessionDetail(
        summary=history.summary,
        attempts=history.attempts,
        phases=tuple(map(context.workflow.phase, context.workflow.order)),
        results=dict(context.results()),
        artifacts=context.artifacts,
        decisions=context.decisions,
        history=history.commits,
        head_json=history.head.data if history.head is not None else {},
    )


def newest_events(path: Path, count: int = EVENTS_SHOWN) -> tuple[tuple[Event, ...], bool]:
    """The last events of a journal, oldest first, and whether there are older ones; only its end is read."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            return (), False
        start = _line_start(path, max(0, facts.st_size - TAIL_BYTES))
    except OSError:
        return (), False  # the summary says what is wrong with the journal
    events = read_events(path, start).events
    return tuple(events[-count:]), start > 0 or len(events) > count


def _line_start(path: Path, offset: int) -> int:
    """Where the first whole line at or after `offset` begins."""
    if offset == 0:
        return 0
    with path.open("rb") as stream:
        stream.seek(offset - 1)
        while chunk := stream.read(1024 * 1024):
            found = chunk.find(b"\n")
            if found >= 0:
                return stream.tell() - len(chunk) + found + 1
        return stream.tell()


def log_files(session_dir: Path) -> tuple[LogFile, ...]:
    """The logs of all attempts, the oldest first."""
    found = []
    try:
        with os.scandir(session_dir / "logs") as entries:
            for entry in entries:
                match = _LOG_NAME.match(entry.name)
                if match and entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    place = session_dir / "logs" / entry.name
                    found.append(
                        LogFile(match[1], int(match[2]), place, facts.st_size, facts.st_mtime_ns / 1e9)
                    )
    except OSError:
        return ()  # a session without logs has none to show
    return tuple(sorted(found, key=lambda log: (log.written_at, log.phase, log.attempt)))


def _with_commits(
    attempts: tuple[AttemptSummary, ...], history: tuple[CommitInfo, ...]
) -> tuple[AttemptSummary, ...]:
    """The attempts, where an outcome that only a commit tells of (the runner died right after) is put in."""
    known = {(attempt.phase, attempt.attempt): attempt for attempt in attempts}
    for info in history:
        if info.status not in _OUTCOMES or info.attempt < 1 or info.created_at is None:
            continue
        key, at = (clean(info.phase, 64), info.attempt), info.created_at.timestamp()
        attempt = known.get(key)
        if attempt is None:
            known[key] = AttemptSummary(*key, info.status, at, at, seq=info.seq)
        elif attempt.status in ("running", "interrupted"):
            known[key] = replace(attempt, status=info.status, finished_at=at, seq=info.seq)
    return tuple(sorted(known.values(), key=lambda attempt: attempt.started_at))


def _mark(history: Path) -> tuple[int, ...]:
    """Changes when any file of the history does."""
    try:
        with os.scandir(history) as entries:
            facts = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
    except OSError:
        return (0,)
    return tuple(number for _, fact in facts for number in (fact.st_ino, fact.st_size, fact.st_mtime_ns))
