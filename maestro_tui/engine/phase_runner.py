"""Runs one attempt of a phase and commits its outcome, whatever that is."""

from __future__ import annotations

import asyncio
import os
import shutil
import traceback
from datetime import datetime
from typing import Any

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.feedback import feedback_of
from maestro_tui.engine.ledger import Ledger
from maestro_tui.engine.questions import Asking
from maestro_tui.engine.receipts import REDONE_KINDS
from maestro_tui.engine.sinks import AttemptSink, SessionJournal
from maestro_tui.engine.situation import Situation
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import MaestroError, StoreError
from maestro_tui.model.plan import PlannedPhase
from maestro_tui.model.policy import BreakerState
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.process import SESSION_DIR
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_path
from maestro_tui.store.lease import Hold
from maestro_tui.store.locks import CommitLock
from maestro_tui.store.logs import PhaseLog
from maestro_tui.store.receipts import drop_receipts
from maestro_tui.store.redaction import Redactor
from maestro_tui.store.workspace import Workspace


class PhaseRunner:
    """Carries out attempts for one run of a session, several at once where they are independent."""

    def __init__(
        self,
        store: CheckpointStore,
        team: TeamExecutionEngineV2,
        session_id: str,
        hold: Hold,
        journal: SessionJournal,
        ledger: Ledger,
    ) -> None:
        self._store, self._team, self._hold = store, team, hold
        self._session_id, self._dir = session_id, store.session_dir(session_id)
        self._journal, self._ledger = journal, ledger
        self._redactor = Redactor()
        self._last: Checkpoint | None = None
        self._made: dict[str | None, str | None] = {}
        """SHA-256 of the commits of this run → that of the one before."""
        self.stopped = ""
        """Who or what ends the work that is cancelled, after `cancelled `."""

    async def run(self, planned: PlannedPhase, situation: Situation) -> PhaseResult | None:
        """One attempt with its outcome committed: completed, failed or cancelled. None when nothing began, since
        the session has changed after `situation`.

        Raises `asyncio.CancelledError`, `FencedError` and `StoreError` when it could not be committed.
        """
        name, number = planned.phase, planned.attempt or 1
        SESSION_DIR.set(str(self._dir))
        started = self._team.now()
        if not self._begin(planned, number, situation):
            return None
        clock = self._ledger.begin(name)
        log_path = self._dir.joinpath("logs", f"{name}.{number}.log")
        scratch = self._dir.joinpath("tmp", f"{name}.{number}")
        log = PhaseLog(log_path)
        asking = Asking(self._dir, self._redactor, self._team.clock, self._hold.id)
        sink = AttemptSink(self._journal, log, self._redactor, self._session_id, name, number, asking)
        try:
            earlier = situation.head.context.phase_results.get(name)
            feedback = await asyncio.to_thread(feedback_of, self._dir, name, earlier) if earlier else None
            attempt = Attempt(
                context=situation.head.context,
                workflow=situation.workflow,
                phase=situation.workflow.phase(name),
                number=number,
                workspace=Workspace(self._dir, situation.workspace, exclude=(self._store.root,)),
                session_dir=self._dir,
                scratch=scratch,
                ledger=self._ledger,
                clock=clock,
                now=self._team.now,
                log_name=log_path.name,
                feedback=feedback,
                reusable=_reusable(name, situation),
                foreign_globs=_foreign_globs(name, situation.workflow),
                redactor=self._redactor,
            )
            result = await self._outcome(attempt, sink)
        except asyncio.CancelledError:
            now = self._team.now()
            result = PhaseResult(
                status=PhaseStatus.CANCELLED,
                attempt=number,
                started_at=started,
                finished_at=now,
                usage=self._ledger.of_attempt(name),
                usage_by=self._ledger.by_persona(name),
                error=PhaseError(
                    kind="cancelled", message=f"cancelled {self.stopped}".strip(), log=log_path.name
                ),
            )
            self._commit(name, result, situation.workflow, sink.close())
            raise
        except BaseException:
            sink.close()
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._commit(name, result, situation.workflow, sink.close())
        return result

    def _begin(self, planned: PlannedPhase, number: int, situation: Situation) -> bool:
        """Write that the attempt begins; False when somebody else has committed something since `situation`.

        Under the commit lock: whoever records an act on a phase looks there for what has begun.
        """
        with CommitLock(self._dir):
            newest = max(self._last or situation.head, situation.head, key=lambda commit: commit.seq)
            if os.path.lexists(commit_path(self._dir, newest.seq + 1)):
                newest = self._store.head(self._session_id)
            sha256: str | None = newest.sha256
            while sha256 != situation.head.sha256:
                if sha256 not in self._made:
                    return False
                sha256 = self._made[sha256]
            data = self._redactor.data({"reason": planned.reason})
            begun = self._journal.append("phase_started", phase=planned.phase, attempt=number, data=data)
        # Those who listen may act on the session themselves.
        self._journal.tell(begun)
        return True

    async def _outcome(self, attempt: Attempt, sink: AttemptSink) -> PhaseResult:
        started = self._team.now()
        try:
            return await self._team.execute_phase(attempt, sink)
        except Exception as error:
            # Whatever goes wrong in one attempt is its outcome: the others go on, and what it spent counts.
            for line in traceback.format_exc().splitlines():
                sink.line("engine", "engine", line)
            told = str(error) if isinstance(error, MaestroError) else f"{type(error).__name__}: {error}"
            now, name = self._team.now(), attempt.phase.name
            return PhaseResult(
                status=PhaseStatus.FAILED,
                attempt=attempt.number,
                started_at=started,
                finished_at=now,
                usage=self._ledger.of_attempt(name),
                usage_by=self._ledger.by_persona(name),
                error=PhaseError(
                    kind="store" if isinstance(error, StoreError | OSError) else "internal",
                    message=clean(told, 2000),
                    log=attempt.log_name,
                ),
            )

    def _commit(self, name: str, result: PhaseResult, workflow: Workflow, log_problem: str | None) -> None:
        """Commit an outcome and write its event. A cancelled rerun leaves the committed result in place."""
        dumped = result.model_dump()
        shown = self._redactor.data(dumped)
        if shown is not dumped:
            result = PhaseResult.model_validate(shown)
        data: dict[str, Any] = {"status": result.status, "duration_seconds": result.duration_seconds}
        if log_problem is not None:
            data["log_problem"] = log_problem
        if result.error is not None:
            data["error"] = clean(result.error.message, 1000)

        def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
            context = head.context
            before = context.phase_results.get(name)
            stopped = result.status in (PhaseStatus.CANCELLED, PhaseStatus.PENDING)
            if stopped and before is not None and before.done:
                # A rerun that was broken off leaves the committed result; what it spent is counted here, once.
                context = context.with_spent(name, result.usage, result.usage_by)
                recovered = {**context.recovered, name: result.attempt}
                return context.model_copy(update={"recovered": recovered}), workflow
            context = _with_breaker(
                context.with_result(name, result), name, result, workflow, self._team.now()
            )
            if context.scope is not None and name not in context.scope:
                context = context.model_copy(update={"scope": (*context.scope, name)})
            return context, workflow

        commit = self._store.commit(self._session_id, name, result.attempt, change, hold=self._hold)
        self._last, self._made[commit.sha256] = commit, commit.prev
        self._ledger.close(name, commit.context)
        if result.done:
            # Nothing of it will be done again; until here a receipt may save a second payment.
            try:
                drop_receipts(self._dir, name)
            except StoreError as error:
                data["receipts_problem"] = clean(error, 400)
        data |= {"seq": commit.seq, "sha256": commit.sha256}
        waiting = result.gate is not None and result.gate.verdict == "waiting"
        kind = {
            PhaseStatus.COMPLETED: "phase_committed",
            PhaseStatus.CANCELLED: "phase_cancelled",
            PhaseStatus.PENDING: "phase_cancelled",
        }.get(result.status, "phase_failed")
        self._journal.event(kind, phase=name, attempt=result.attempt, data=data)
        if waiting:
            self._journal.event("gate_waiting", phase=name, attempt=result.attempt, data={})
        if result.error is not None and result.error.kind == "budget":
            self._journal.event(
                "budget_spent", phase=name, attempt=result.attempt, data={"reason": data["error"]}
            )
        state = commit.context.breakers.get(name)
        if state is not None and state.opened_at is not None and result.status == PhaseStatus.FAILED:
            self._journal.event(
                "breaker_opened", phase=name, attempt=result.attempt, data={"failures": state.failures}
            )


def _foreign_globs(own: str, workflow: Workflow) -> frozenset[str]:
    """Deliverables of phases that may run at the same time: no path leads between them and this one."""
    related = workflow.needs_of(own) | workflow.dependents_of(own) | {own}
    return frozenset(glob for phase in workflow.phases if phase.name not in related for glob in phase.globs)


def _reusable(name: str, situation: Situation) -> int | None:
    """The attempt whose finished personas may stand: broken off, or failed for another reason than its work."""
    if name in situation.open_attempts:
        return situation.open_attempts[name]
    result = situation.head.context.phase_results.get(name)
    if result is None or result.done or result.error is None or result.error.kind in REDONE_KINDS:
        return None
    return result.attempt


def _with_breaker(
    context: TeamExecutionContext, name: str, result: PhaseResult, workflow: Workflow, now: datetime
) -> TeamExecutionContext:
    """The context with the phase's circuit breaker after one more attempt; nothing without one."""
    breaker = workflow.phase(name).breaker if name in workflow.names else None
    if breaker is None or result.status not in (PhaseStatus.COMPLETED, PhaseStatus.FAILED):
        return context
    state = context.breakers.get(name, BreakerState())
    failed = result.status == PhaseStatus.FAILED
    return context.model_copy(
        update={"breakers": {**context.breakers, name: state.after(breaker, failed, now)}}
    )
