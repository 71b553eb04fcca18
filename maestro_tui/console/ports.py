"""What the console needs from outside: a source of snapshots and a host that runs sessions.

Tests put their own in; `production.py` has the real ones. Nothing heavy is imported here, because the
first paint waits for this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from maestro_tui.model.summary import FleetSnapshot, Owner, SessionSummary

if TYPE_CHECKING:
    from maestro_tui.engine.launch import Launch
    from maestro_tui.engine.phase_team import PhaseTeam
    from maestro_tui.model.budgets import Standing
    from maestro_tui.model.context import GateVerdict
    from maestro_tui.model.phase import Mode, Phase
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.policy import Budget
    from maestro_tui.model.workflow import Workflow
    from maestro_tui.performers.agents.detect import FoundAgent
    from maestro_tui.store.checkpoints import CommitInfo
    from maestro_tui.store.prune import Pruned
    from maestro_tui.store.questions import Question


class Source(Protocol):
    """Hands over immutable snapshots of all sessions, from a thread of its own."""

    def start(self, post: Callable[[FleetSnapshot], None]) -> None:
        """Begin; `post` may be called from any thread."""

    def stop(self) -> None:
        """End soon; no snapshot is posted afterwards."""


class Host(Protocol):
    """Runs sessions in this process. Planning reads the disk for milliseconds; the rest returns at once.

    Refusals are `MaestroError`s whose text is the whole sentence.
    """

    def plan_resume(self, session_id: str, from_phase: str | None = None) -> Plan:
        """What resuming, or rerunning from a phase, would do."""

    def plan_phase(self, session_id: str, phase: str) -> Plan:
        """What running one phase alone would do."""

    def plan_launch(self, launch: Launch) -> Plan:
        """What a new session would do."""

    def plan_decision(self, session_id: str, phase: str, verdict: GateVerdict) -> Plan:
        """What going on would do once a phase that waits is decided."""

    def plan_skip(self, session_id: str, phase: str) -> Plan:
        """What going on would do once a phase is skipped."""

    def plan_fork(self, session_id: str, seq: int) -> Plan:
        """What resuming a fork from that commit would do."""

    def launch(self, launch: Launch) -> str:
        """Start a new session; its id."""

    def resume(
        self,
        session_id: str,
        plan_hash: str | None = None,
        from_phase: str | None = None,
    ) -> None:
        """Go on as planned; refused when the session has changed since, or names untrusted commands."""

    def trust(self, workflow: Workflow, source: str) -> None:
        """Record the operator's approval of the commands of exactly this workflow."""

    def run_phase(self, session_id: str, phase: str, plan_hash: str | None = None) -> None:
        """Run one phase alone, as planned."""

    def approve(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record the approval of a waiting phase."""

    def reject(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record the refusal of a waiting phase."""

    def push_back(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record that a waiting phase is to be done again, with comments."""

    def questions(self, session_id: str) -> Sequence[Question]:
        """All questions of a session, with their answers."""

    def answer(self, session_id: str, number: int, choice: str, by: str | None = None) -> None:
        """Answer an open question of a running session with one of its options."""

    def skip(self, session_id: str, phase: str, by: str | None = None, reason: str = "") -> None:
        """Record that a phase will not be done."""

    def edit(
        self, session_id: str, phase: str, outputs: Mapping[str, Any], by: str | None = None, reason: str = ""
    ) -> None:
        """Record changed outputs of a committed phase."""

    def edit_files(
        self, session_id: str, phase: str, paths: Sequence[str], by: str | None = None, reason: str = ""
    ) -> None:
        """Record files of a committed phase that were changed in the workspace by hand."""

    def budgets(self, session_id: str) -> Sequence[Standing]:
        """Every budget of a session, what it allows and what is spent of it."""

    def raise_budget(
        self, session_id: str, phase: str | None, more: Budget, by: str | None = None, reason: str = ""
    ) -> None:
        """Record that more may be spent, on the session (None) or one phase."""

    def team_of(self, session_id: str, phase: str) -> PhaseTeam:
        """Who works on a phase now, and who could."""

    def choose_blueprint(
        self,
        session_id: str,
        phase: str,
        personas: Sequence[str] | None,
        mode: Mode | None,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        """Record who is to work on a phase and how; with neither, the team decides again."""

    def agents(self) -> Sequence[FoundAgent]:
        """The known agents, with where they are on this computer; none of them is started."""

    def definition(self, session_id: str, phase: str) -> Phase:
        """A phase as its workflow says it now: thresholds, limits, contracts."""

    def fork(self, session_id: str, seq: int | None = None, new_id: str | None = None) -> str:
        """Begin a new session from a commit of an old one; its id."""

    def prune(self, session_ids: Sequence[str]) -> Pruned:
        """Remove sessions that are over and that nobody holds; which, and what could not be deleted."""

    def history(self, session_id: str) -> Sequence[CommitInfo]:
        """Every commit of a session, oldest first."""

    def summary(self, session_id: str) -> SessionSummary:
        """A session as the list shows it, read now."""

    def outputs(self, session_id: str, phase: str) -> dict[str, Any]:
        """A committed phase's outputs with the edits so far."""

    def dependents(self, session_id: str, phase: str) -> tuple[str, ...]:
        """The phases that need this one, directly or not."""

    def examine(self, session_id: str) -> Mapping[str, Any]:
        """Who holds a session, whether that lives, what is damaged, what resume would do."""

    def take_over(self, session_id: str, reason: str) -> None:
        """Put whoever holds a session out of force; recorded."""

    def stop_runner(self, session_id: str, owner: Owner, *, force: bool = False) -> None:
        """Ask another process of this user on this computer to end, or with `force` end it."""

    def cancel(self, session_id: str) -> bool:
        """Stop a session that runs here, at once and resumably; False when it does not run here."""

    def running(self) -> tuple[str, ...]:
        """The sessions that run in this process."""

    def problems(self) -> list[tuple[str, str]]:
        """What went wrong since the last call: (session id, sentence)."""

    def stop_all(self, timeout: float = 5.0) -> tuple[str, ...]:
        """Stop everything that runs here, resumably; the ids of those that did not stop in time."""
