"""Reads a session's folder into a `SessionSummary`: newest commit, journal and lease, whatever is damaged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from sys import intern

from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import (
    Owner,
    PhaseSummary,
    SessionStatus,
    SessionSummary,
    StatusFacts,
    derive_status,
)
from maestro_tui.model.text import clean
from maestro_tui.store.commit_facts import CommitFacts, facts_of
from maestro_tui.store.fold import JournalFold, OpenAttempt
from maestro_tui.store.heads import newest_intact
from maestro_tui.store.history_files import HISTORY, commit_numbers, misnamed
from maestro_tui.store.runner_file import LEASE, living_runners, read_lease, read_owner

JOURNAL = "journal.jsonl"
HEARTBEAT_GRAIN = 10.0
"""Seconds by which a heartbeat must move before the summary counts as changed."""

Signature = tuple[int, ...]


def read_summary(session_dir: Path, now: float) -> SessionSummary:
    """The session as it is on disk. Never raises for damage: `.damage` says it, one line each."""
    return SummaryReader(session_dir).read(now)


def signature_of(session_dir: Path | str, newest: int) -> Signature:
    """Changes whenever journal, lease, history or commit `newest`, the highest number, change, or one follows it.

    Zeros stand for what is not there; the last place is `newest` itself.
    """
    history = f"{session_dir}/{HISTORY}"
    return (
        *_stat(f"{session_dir}/{JOURNAL}"),
        *_stat(f"{session_dir}/{LEASE}"),
        *_stat(history),
        *_stat(f"{history}/{newest:04d}.json"),
        # exFAT does not tell by a folder's time that a file came into it.
        *_stat(f"{history}/{newest + 1:04d}.json"),
        newest,
    )


_NONE = (0, 0, 0)


def _stat(path: str) -> Signature:
    try:
        facts = os.lstat(path)
    except OSError:
        return _NONE
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)


class SummaryReader:
    """Reads one session again and again, each time only what changed. Not for use by two threads at once.

    As long as nothing changed, `read` gives the very same object, so that identity tells the difference.
    """

    def __init__(self, session_dir: Path) -> None:
        self.session_dir = session_dir
        self.fold = JournalFold()
        self.facts: CommitFacts | None = None
        self.signature: Signature = ()
        self._newest = 0
        self._damage: tuple[str, ...] = ()
        self._summary: SessionSummary | None = None
        self._log_at = 0.0
        self._journal_problem: str | None = None
        self._lease_damage: str | None = None

    def read(self, now: float) -> SessionSummary:
        """The session as it is on disk now."""
        # The signature comes first: what changes while we read is seen by the next reading.
        seen = signature_of(self.session_dir, self._newest)
        changed = self._summary is None or seen != self.signature
        if changed:
            if seen[6:] != self.signature[6:]:
                self._read_head(seen)
            self._read_journal()
            self._lease_damage = read_lease(self.session_dir).damage if seen[3] else None
        owner = self._owner(now) if seen[3] else None
        log_at = self._newest_log()
        before = self._summary
        if not changed and before is not None and owner is before.owner and log_at <= self._log_at:
            return before
        commit = _stat(f"{self.session_dir}/{HISTORY}/{self._newest:04d}.json")
        self.signature = (*seen[:9], *commit, *_NONE, self._newest)
        self._log_at = log_at
        summary = self._build(owner)
        if before is not None and summary == before:
            return before
        self._summary = summary
        return summary

    def _read_head(self, seen: Signature) -> None:
        before = self.facts
        if before is not None and not self._damage and seen[9:] == self.signature[9:]:
            # Temporary files come and go in the history during a commit; only a new number is news.
            try:
                if commit_numbers(self.session_dir) == list(range(before.seq + 1)):
                    return
            except StoreError as error:
                self._damage = (str(error),)
                return
        self.facts, self._damage, self._newest = newest_intact(self.session_dir, facts_of)

    def _read_journal(self) -> None:
        self._journal_problem = None
        try:
            self.fold.update(self.session_dir / JOURNAL)
        except OSError as error:
            self._journal_problem = f"{JOURNAL}: it cannot be read: {error.strerror or error}"

    def _owner(self, now: float) -> Owner | None:
        owner = read_owner(self.session_dir, now)
        before = self._summary.owner if self._summary is not None else None
        if owner is None or before is None:
            return owner
        if replace(owner, heartbeat_at=before.heartbeat_at) != before:
            return owner
        return before if owner.heartbeat_at - before.heartbeat_at < HEARTBEAT_GRAIN else owner

    def _newest_log(self) -> float:
        """When an attempt without an outcome last wrote to its log: a long silent phase may still be busy."""
        newest = 0.0
        for attempt in self.open_attempts().values():
            if "/" not in attempt.phase and "\0" not in attempt.phase:
                name = f"{attempt.phase}.{attempt.number}.log"
                newest = max(newest, _stat(f"{self.session_dir}/logs/{name}")[2] / 1e9)
        return newest

    def open_attempts(self) -> dict[str, OpenAttempt]:
        """Phase → attempt that began and has no outcome, neither in the journal nor in the commits."""
        return self.fold.open_attempts(self.facts.committed if self.facts is not None else {})

    def live_attempts(self, owner: Owner | None) -> dict[str, OpenAttempt]:
        """Those of the open attempts that the present runner works on."""
        if owner is None or owner.alive is False:
            return {}
        return {
            phase: attempt
            for phase, attempt in self.open_attempts().items()
            if clean(phase, 64) in owner.phases or attempt.after_runner == self.fold.runners
        }

    def _build(self, owner: Owner | None) -> SessionSummary:
        problems = (self.fold.damage, self._journal_problem, self._lease_damage)
        damage = (*self._damage, *(problem for problem in problems if problem))
        session_id = clean(self.session_dir.name, 130)
        facts = self.facts
        if facts is None:
            return self._unreadable(session_id, owner, damage)
        live = self.live_attempts(owner)
        # An attempt of a dead runner looks alive for the moment in which the next one begins the phase anew.
        runners = living_runners(self.session_dir) if self.fold.questions else frozenset()
        asking = {phase: self.fold.asking(attempt, runners) for phase, attempt in live.items()}
        phases = _with_attempts(
            facts.phases,
            live if owner is not None and owner.alive is not False else self.open_attempts(),
            asking,
        )
        status = derive_status(
            StatusFacts(
                owner=owner,
                phases=phases,
                begun=bool(facts.committed) or bool(self.fold.attempts),
                asking=any(number is not None for number in asking.values()),
            )
        )
        return SessionSummary(
            session_id=session_id,
            status=status,
            requirement=facts.requirement,
            workflow=facts.workflow,
            workspace=facts.workspace,
            created_at=facts.created_at,
            updated_at=max(facts.written_at, self.fold.last_at or 0.0, self._log_at),
            phases=phases,
            seq=facts.seq,
            sha256=facts.sha256,
            owner=owner,
            last_event=intern(self.fold.last_words),
            error=next((phase.error for phase in phases if phase.status == "failed"), None),
            damage=damage,
            **facts.usage,
        )

    def _unreadable(self, session_id: str, owner: Owner | None, damage: tuple[str, ...]) -> SessionSummary:
        # A history that may not be looked at has no time; the folder itself has one.
        written = (_stat(f"{self.session_dir}/{HISTORY}")[2] or _stat(str(self.session_dir))[2]) / 1e9
        return SessionSummary(
            session_id=session_id,
            status=SessionStatus.FAILED,
            requirement="",
            workflow="",
            workspace=None,
            created_at=written,
            updated_at=max(written, self.fold.last_at or 0.0),
            phases=(),
            seq=-1,
            owner=owner,
            last_event=self.fold.last_words,
            error=misnamed(self.session_dir)
            or "No commit of this session is intact; nothing was deleted. Bring the history back from a copy.",
            damage=damage,
        )


def _with_attempts(
    phases: Mapping[str, PhaseSummary], attempts: Mapping[str, OpenAttempt], asking: Mapping[str, int | None]
) -> tuple[PhaseSummary, ...]:
    """The phases, those with an attempt under way as running since its start."""
    return tuple(
        phase
        if (attempt := attempts.get(name)) is None
        else PhaseSummary(
            phase.name,
            "running",
            attempt.number,
            attempt.started_at,
            stale=phase.stale,
            selected=phase.selected,
            asking=asking.get(name),
        )
        for name, phase in phases.items()
    )
