"""The engine's host with what only a console asks for: commits, outputs, an examination, the end of a runner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from maestro_tui.console.stop_runner import stop_runner
from maestro_tui.engine import doctor
from maestro_tui.engine.host import EngineHost
from maestro_tui.engine.phase_team import PhaseTeam, phase_team
from maestro_tui.model.budgets import Standing, standings
from maestro_tui.model.context import GateVerdict, PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.errors import InputError
from maestro_tui.model.phase import Phase
from maestro_tui.model.plan import Plan, Request
from maestro_tui.model.summary import Owner, SessionSummary
from maestro_tui.performers.agents.detect import FoundAgent, find_agents
from maestro_tui.store.checkpoints import CheckpointStore, CommitInfo
from maestro_tui.store.summaries import read_summary


class ConsoleHost(EngineHost):
    """Everything here reads the disk and raises `MaestroError`: call it in a thread."""

    def history(self, session_id: str) -> list[CommitInfo]:
        """Every commit of a session, oldest first."""
        return CheckpointStore(self.root).history(session_id)

    def summary(self, session_id: str) -> SessionSummary:
        """A session as the list shows it, read now."""
        return read_summary(CheckpointStore(self.root).session_dir(session_id), time.time())

    def outputs(self, session_id: str, phase: str) -> dict[str, Any]:
        """A committed phase's outputs with the edits so far."""
        context = CheckpointStore(self.root).head(session_id).context
        if phase not in context.phase_results:
            raise InputError(f"{phase} of {session_id} has no committed result.")
        return context.outputs_of(phase)

    def plan_decision(self, session_id: str, phase: str, verdict: GateVerdict) -> Plan:
        """What going on would do once a phase that waits is decided; nothing is decided and nothing runs."""

        def decided(context: TeamExecutionContext) -> PhaseResult:
            result = context.phase_results.get(phase)
            if result is None or result.gate is None:
                raise InputError(f"{phase} of {session_id} has no result that could be decided upon.")
            update: dict[str, Any] = {"gate": result.gate.model_copy(update={"verdict": verdict})}
            if verdict == "pushed_back":
                update["status"] = PhaseStatus.PENDING
            return result.model_copy(update=update)

        return self._plan_as_if(session_id, phase, decided)

    def plan_skip(self, session_id: str, phase: str) -> Plan:
        """What going on would do once a phase is skipped; nothing is recorded and nothing runs."""

        def skipped(context: TeamExecutionContext) -> PhaseResult:
            return PhaseResult(status=PhaseStatus.SKIPPED, source="skipped")

        return self._plan_as_if(session_id, phase, skipped)

    def _plan_as_if(
        self, session_id: str, phase: str, result: Callable[[TeamExecutionContext], PhaseResult]
    ) -> Plan:
        engine = self._engine()
        situation = engine.situation(session_id)
        context = situation.head.context
        results = {**context.phase_results, phase: result(context)}
        head = situation.head.model_copy(
            update={"context": context.model_copy(update={"phase_results": results})}
        )
        plan = replace(situation, head=head).plan(Request())
        return engine.with_estimates(plan, situation.workflow)

    def plan_fork(self, session_id: str, seq: int) -> Plan:
        """What resuming a fork from that commit would do; the fork is not made."""
        engine = self._engine()
        commit = CheckpointStore(self.root).load(session_id, seq)
        # A fork begins with a journal of its own: no attempt of the old one is open in it, or counted.
        situation = replace(engine.situation(session_id, head=commit), open_attempts={}, highest_attempts={})
        return engine.with_estimates(situation.plan(Request()), situation.workflow)

    def definition(self, session_id: str, phase: str) -> Phase:
        """A phase as its workflow says it now: thresholds, limits, contracts."""
        situation = self._engine().situation(session_id, need_workspace=False)
        return situation.workflow.phase(phase)

    def budgets(self, session_id: str) -> tuple[Standing, ...]:
        """Every budget of a session, what it allows and what is spent of it."""
        situation = self._engine().situation(session_id, need_workspace=False)
        return standings(situation.workflow, situation.head.context)

    def team_of(self, session_id: str, phase: str) -> PhaseTeam:
        """Who works on a phase now, and who could."""
        return phase_team(self._engine(), session_id, phase)

    def agents(self) -> tuple[FoundAgent, ...]:
        """The known agents, with where they are on this computer; none of them is started."""
        return find_agents(versions=False)

    def dependents(self, session_id: str, phase: str) -> tuple[str, ...]:
        """The phases that need this one, directly or not, in workflow order."""
        workflow = CheckpointStore(self.root).head(session_id).workflow
        found = workflow.dependents_of(workflow.resolve(phase))
        return tuple(name for name in workflow.order if name in found)

    def examine(self, session_id: str) -> dict[str, Any]:
        """Who holds a session, whether that lives, what is damaged, what resume would do."""
        return doctor.examine(self._engine(), session_id)

    def take_over(self, session_id: str, reason: str) -> None:
        """Put whoever holds a session out of force; recorded."""
        engine = self._engine()
        doctor.take_over(engine, session_id, by=None, reason=reason)

    def stop_runner(self, session_id: str, owner: Owner, *, force: bool = False) -> None:
        """Ask another process of this user on this computer to end, or with `force` end it."""
        stop_runner(CheckpointStore(self.root).session_dir(session_id), owner, force=force)
