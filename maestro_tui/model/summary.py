"""What a list of sessions needs to know of each, and how a session's status is derived from it.

Plain dataclasses: the console and `list` read thousands of them before anything heavy is imported.
Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

SILENT_AFTER = 300.0
"""A session that runs and has written nothing for so many seconds is shown as silent."""
_BRIEF_REQUIREMENT = 60


class SessionStatus(StrEnum):
    """Derived from what is on disk, never stored."""

    NEW = "new"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs a session, from its lease. `alive` is None when it cannot be known (another host)."""

    pid: int
    host: str
    user: str
    started_at: float
    heartbeat_at: float
    here: bool
    """True when it is a process of this very computer, since its last boot."""
    alive: bool | None
    epoch: int
    phases: tuple[str, ...] = ()

    def words(self) -> str:
        """`pid 4121 here`, `pid 4121 on build-7`."""
        return f"pid {self.pid} {'here' if self.here else 'on ' + self.host}"


@dataclass(frozen=True, slots=True)
class PhaseSummary:
    """A phase as the list shows it. `status` is a `PhaseStatus` value."""

    name: str
    status: str = "pending"
    attempt: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    stale: str | None = None
    waiting: bool = False
    """True when it completed and waits for a person's approval."""
    selected: bool = True
    error: str | None = None
    asking: int | None = None
    """Number of the newest question that a performer of the running attempt has put to a person and that is
    open; None when nobody is asked."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session as the list shows it; every text in it is clean."""

    session_id: str
    status: SessionStatus
    requirement: str
    workflow: str
    workspace: str | None
    created_at: float
    updated_at: float
    """When anything was last written: commit, event or log line."""
    phases: tuple[PhaseSummary, ...]
    seq: int
    """Number of the newest intact commit; -1 when there is none."""
    sha256: str = ""
    owner: Owner | None = None
    """The runner that holds it or died holding it; None when nobody does."""
    last_event: str = ""
    error: str | None = None
    """Why it failed, one line."""
    damage: tuple[str, ...] = ()
    """One line for each damaged file."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    foreign: str | None = None
    """Name of another system's format when this is read-only history."""

    @property
    def current(self) -> PhaseSummary | None:
        """The phase to talk about: running, else waiting, failed, interrupted, else the first open one."""
        return current_phase(self.phases)

    @property
    def over_budget(self) -> bool:
        """True when it is paused until a person allows more: only a spent budget leaves a phase open with an error."""
        if self.status is not SessionStatus.PAUSED:
            return False
        phase = self.current
        return phase is not None and phase.status == "pending" and phase.error is not None


Runner = tuple[bool | None, tuple[str, ...]] | None
"""Of an owner: whether it is alive, and its phases; None when nobody holds the session."""


class SessionBrief(NamedTuple):
    """As much of a summary as one line about the session tells: made of the index without the rest of it."""

    session_id: str
    status: SessionStatus
    updated_at: float
    requirement: str
    """Its beginning, as long as a line has room for."""
    phases: str
    """A word for each phase, as `phase_word` says it, with blanks between."""
    current: str
    """The name of the phase that the session is at; empty when all are done."""
    over_budget: bool
    foreign: str | None
    damage: tuple[str, ...]
    runner: Runner
    notes: tuple[str, ...] = ()
    """What is to be said of its runners at this moment, a line each; nothing of one that simply lives."""


def runner_of(owner: Owner | None) -> Runner:
    """As much of an owner as decides a session's status."""
    return (owner.alive, owner.phases) if owner is not None else None


def phase_word(phase: PhaseSummary, session_status: str) -> str:
    """The status word that a phase shows within a session of that status."""
    if phase.waiting or phase.asking is not None:
        return "waiting"
    if phase.status == "running":
        return session_status if session_status in ("silent", "interrupted") else "running"
    if phase.stale is not None and phase.status == "completed":
        return "stale"
    if phase.status == "pending" and not phase.selected:
        return "skipped"
    return phase.status


def brief_of(summary: SessionSummary) -> SessionBrief:
    """The brief of a summary."""
    current = summary.current
    return SessionBrief(
        session_id=summary.session_id,
        status=summary.status,
        updated_at=summary.updated_at,
        requirement=summary.requirement[:_BRIEF_REQUIREMENT],
        phases=" ".join([phase_word(phase, summary.status) for phase in summary.phases]),
        current=current.name if current is not None else "",
        over_budget=summary.over_budget,
        foreign=summary.foreign,
        damage=summary.damage,
        runner=runner_of(summary.owner),
    )


def current_phase(phases: Sequence[PhaseSummary]) -> PhaseSummary | None:
    """The phase that the session is at; None when all are done."""
    for wanted in ("running", "waiting", "failed", "cancelled", "pending"):
        for phase in phases:
            if not phase.selected and wanted == "pending":
                continue
            if (phase.waiting and wanted == "waiting") or (phase.status == wanted and not phase.waiting):
                return phase
    return None


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One attempt of a phase, from the journal: the timeline's bars.

    `status` is a `PhaseStatus` value, or `interrupted`: begun, without an outcome, and nobody runs it any more;
    `finished_at` is then its last sign of life.
    """

    phase: str
    attempt: int
    status: str
    started_at: float
    finished_at: float | None = None
    personas: tuple[PersonaSpan, ...] = ()
    error: str | None = None
    seq: int | None = None
    """Number of the commit that holds its outcome."""


@dataclass(frozen=True, slots=True)
class PersonaSpan:
    """When a persona worked within an attempt. `status`: running, completed, failed, cancelled, interrupted."""

    persona: str
    """Its name, and after it the step where it has several: `critic comment-1`, `author revise-1`."""
    status: str
    started_at: float
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """All that decides a session's status."""

    owner: Owner | None
    phases: tuple[PhaseSummary, ...]
    begun: bool
    """True when any phase was ever started, provided or skipped by request."""
    asking: bool = False
    """True when a running performer waits for a person's answer."""


def derive_status(facts: StatusFacts) -> SessionStatus:
    """A session's status. A lease without a living runner means interrupted, unless nothing was left to do."""
    selected = [phase for phase in facts.phases if phase.selected]
    finished = bool(selected) and all(
        phase.status in ("completed", "skipped", "provided") and not phase.waiting for phase in selected
    )
    if facts.owner is not None and facts.owner.alive is not False:
        return SessionStatus.WAITING if facts.asking else SessionStatus.RUNNING
    if finished:
        return SessionStatus.COMPLETED
    statuses = {phase.status for phase in facts.phases}
    if "failed" in statuses:
        return SessionStatus.FAILED
    if facts.owner is not None or "running" in statuses:
        return SessionStatus.INTERRUPTED
    if "cancelled" in statuses:
        return SessionStatus.CANCELLED
    if any(phase.waiting for phase in facts.phases):
        return SessionStatus.WAITING
    return SessionStatus.PAUSED if facts.begun else SessionStatus.NEW


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """All sessions of a checkpoint directory at one moment. Never changed once made."""

    root: str
    sessions: dict[str, SessionSummary] = field(default_factory=dict)
    version: int = 0
    loading: bool = False
    """True while the first reading is still under way."""
    problem: str | None = None
    """Why the directory cannot be read, one line."""
