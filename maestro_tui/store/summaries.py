"""Reads a session's folder into a `SessionSummary`: newest commit, journal and lease, whatever is damaged."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from maestro_tui.model.summary import (
    Owner,
    PhaseSummary,
    SessionStatus,
    SessionSummary,
    StatusFacts,
    derive_status,
)
from maestro_tui.model.text import clean
from maestro_tui.store.fold import JournalFold, OpenAttempt
from maestro_tui.store.heads import HISTORY, Head, commit_numbers, newest_head, seconds_of
from maestro_tui.store.runner_file import LEASE, read_lease, read_owner
from maestro_tui.store.staleness import stale_phases

JOURNAL = "journal.jsonl"
REQUIREMENT_LIMIT = 400
ERROR_LIMIT = 1_000
HEARTBEAT_GRAIN = 10.0
"""Seconds by which a heartbeat must move before the summary counts as changed."""

Signature = tuple[int, ...]


def read_summary(session_dir: Path, now: float) -> SessionSummary:
    """The session as it is on disk. Never raises for damage: `.damage` says it, one line each."""
    return SummaryReader(session_dir).read(now)


def signature_of(session_dir: Path, newest: int) -> Signature:
    """Changes whenever journal, lease, history or commit `newest`, the highest number, change.

    Zeros stand for what is not there; the last place is `newest` itself.
    """
    base = str(session_dir)
    return (
        *_stat(f"{base}/{JOURNAL}"),
        *_stat(f"{base}/{LEASE}"),
        *_stat(f"{base}/{HISTORY}"),
        *_stat(f"{base}/{HISTORY}/{newest:04d}.json"),
        newest,
    )


def _stat(path: str) -> Signature:
    try:
        facts = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)


class SummaryReader:
    """Reads one session again and again, each time only what changed. Not for use by two threads at once.

    As long as nothing changed, `read` gives the very same object, so that identity tells the difference.
    """

    def __init__(self, session_dir: Path) -> None:
        self.session_dir = session_dir
        self.fold = JournalFold()
        self.head: Head | None = None
        self.signature: Signature = ()
        self._newest = 0
        self._damage: tuple[str, ...] = ()
        self._stale: Mapping[str, str] = {}
        self._summary: SessionSummary | None = None
        self._log_at = 0.0
        self._journal_problem: str | None = None
        self._lease_problem: str | None = None

    def read(self, now: float) -> SessionSummary:
        """The session as it is on disk now."""
        # The signature comes first: what changes while we read is seen by the next reading.
        seen = signature_of(self.session_dir, self._newest)
        changed = self._summary is None or seen != self.signature
        if changed:
            if seen[6:] != self.signature[6:]:
                self._read_head(seen)
            self._read_journal()
            self._lease_problem = read_lease(self.session_dir).problem if seen[3] else None
        owner = self._owner(now) if seen[3] else None
        log_at = self._newest_log()
        before = self._summary
        if not changed and before is not None and owner is before.owner and log_at <= self._log_at:
            return before
        commit = _stat(f"{self.session_dir}/{HISTORY}/{self._newest:04d}.json")
        self.signature = (*seen[:9], *commit, self._newest)
        self._log_at = log_at
        summary = self._build(owner)
        if before is not None and summary == before:
            return before
        self._summary = summary
        return summary

    def _read_head(self, seen: Signature) -> None:
        before = self.head
        if before is not None and not self._damage and seen[9:] == self.signature[9:]:
            # Temporary files come and go in the history during a commit; only a new number is news.
            try:
                if commit_numbers(self.session_dir) == list(range(before.seq + 1)):
                    return
            except OSError as error:
                self._damage = (f"{HISTORY}: it cannot be listed: {error.strerror}",)
                return
        head, damage, self._newest = newest_head(self.session_dir)
        stale: Mapping[str, str] = {}
        if head is not None:
            try:
                stale = stale_phases(head.data["workflow"], head.data["context"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                damage = (*damage, _strange(head, error))
        self.head, self._damage, self._stale = head, damage, stale

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
        return self.fold.open_attempts(_committed(self.head))

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
        damage = [
            *self._damage,
            *filter(None, [self.fold.damage, self._journal_problem, self._lease_problem]),
        ]
        built: _Session | None = None
        if self.head is not None:
            try:
                built = _session(
                    self.head, self.open_attempts(), self.live_attempts(owner), self._stale, owner
                )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                damage.append(_strange(self.head, error))
        session_id = clean(self.session_dir.name, 130)
        if built is None or self.head is None:
            return self._unreadable(session_id, owner, tuple(damage))
        phases = built.phases
        facts = StatusFacts(
            owner=owner,
            phases=phases,
            begun=bool(built.results) or bool(self.fold.attempts),
            asking=any(phase in self.live_attempts(owner) for phase, _ in self.fold.questions),
        )
        return SessionSummary(
            session_id=session_id,
            status=derive_status(facts),
            requirement=_one_line(built.context["requirement"]),
            workflow=clean(built.workflow["name"], 64),
            workspace=clean(place, 1_000) if (place := built.context.get("workspace")) else None,
            created_at=seconds_of(built.context["created_at"]) or 0.0,
            updated_at=max(
                seconds_of(self.head.data.get("created_at")) or 0.0, self.fold.last_at or 0.0, self._log_at
            ),
            phases=phases,
            seq=self.head.seq,
            sha256=self.head.sha256,
            owner=owner,
            last_event=self.fold.last_words,
            error=next((phase.error for phase in phases if phase.status == "failed"), None),
            damage=tuple(damage),
            **_usage(built.context),
        )

    def _unreadable(self, session_id: str, owner: Owner | None, damage: tuple[str, ...]) -> SessionSummary:
        written = _stat(f"{self.session_dir}/{HISTORY}")[2] / 1e9
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
            error="No commit of this session is intact; nothing was deleted. Bring the history back from a copy.",
            damage=damage,
        )


@dataclass(frozen=True, slots=True)
class _Session:
    """What a commit says of its session."""

    workflow: Mapping[str, Any]
    context: Mapping[str, Any]
    results: Mapping[str, Mapping[str, Any]]
    phases: tuple[PhaseSummary, ...]


def _session(
    head: Head,
    unfinished: Mapping[str, OpenAttempt],
    live: Mapping[str, OpenAttempt],
    stale: Mapping[str, str],
    owner: Owner | None,
) -> _Session:
    workflow, context = head.data["workflow"], head.data["context"]
    results = context["phase_results"]
    order = workflow_order(workflow["phases"])
    scope, rerun = context.get("scope"), context.get("rerun") or ()
    alive = owner is not None and owner.alive is not False
    phases = []
    for name in [*order, *(name for name in results if name not in order)]:
        phase = _phase(
            name, results.get(name), stale.get(name), scope is None or name in scope, name in rerun
        )
        attempt = unfinished.get(name)
        if attempt is not None and (name in live or not alive):
            phase = PhaseSummary(
                phase.name,
                "running",
                attempt.number,
                attempt.started_at,
                None,
                phase.stale,
                selected=phase.selected,
            )
        phases.append(phase)
    return _Session(workflow, context, results, tuple(phases))


def _phase(
    name: str, result: Mapping[str, Any] | None, stale: str | None, selected: bool, again: bool
) -> PhaseSummary:
    shown = clean(name, 64)
    if result is None:
        return _pending(shown, selected)
    error, gate = result.get("error"), result.get("gate")
    return PhaseSummary(
        name=shown,
        status="pending" if again else clean(result["status"], 20),
        attempt=int(result["attempt"]),
        started_at=seconds_of(result.get("started_at")),
        finished_at=seconds_of(result.get("finished_at")),
        stale=clean(stale, 200) if stale else None,
        waiting=not again and gate is not None and gate["verdict"] == "waiting",
        selected=selected,
        error=clean(error["message"], ERROR_LIMIT) if error and not again else None,
    )


@lru_cache(maxsize=4096)
def _pending(name: str, selected: bool) -> PhaseSummary:
    return PhaseSummary(name, selected=selected)


def workflow_order(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of a checkpoint's phases, each after what it needs; ties keep the order of definition."""
    waiting = {phase["name"]: set(phase["needs"]) for phase in phases}
    order: list[str] = []
    while waiting:
        ready = next((name for name, needs in waiting.items() if not needs & waiting.keys()), None)
        if ready is None:
            raise ValueError("its phases need each other in a circle")
        del waiting[ready]
        order.append(ready)
    return order


def _strange(head: Head, error: Exception) -> str:
    return f"{HISTORY}/{head.seq:04d}.json: its content is not a checkpoint's ({clean(error, 80)})"


def _committed(head: Head | None) -> dict[str, int]:
    if head is None:
        return {}
    results = head.data["context"].get("phase_results")
    if not isinstance(results, dict):
        return {}
    return {
        name: result["attempt"]
        for name, result in results.items()
        if isinstance(result, dict) and isinstance(result.get("attempt"), int)
    }


def _one_line(text: object) -> str:
    """The beginning of a requirement as one line."""
    return clean(" ".join(str(text)[: 4 * REQUIREMENT_LIMIT].split()), REQUIREMENT_LIMIT)


def _usage(context: Mapping[str, Any]) -> dict[str, Any]:
    usage = context.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        key: value if isinstance(value := usage.get(key), int | float) else None
        for key in ("input_tokens", "output_tokens", "cost_usd", "seconds")
    }
