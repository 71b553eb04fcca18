"""Drives one session: plans from the newest commit, runs what is ready, commits each outcome, plans anew."""

from __future__ import annotations

import asyncio
import shutil
import traceback
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from maestro_tui.engine.advice import classified
from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.attempts import JOURNAL
from maestro_tui.engine.feedback import feedback_of
from maestro_tui.engine.ledger import Elsewhere, Ledger
from maestro_tui.engine.open_spending import SpendingReader, lost_spending, spent_elsewhere
from maestro_tui.engine.questions import Asking
from maestro_tui.engine.receipts import REDONE_KINDS
from maestro_tui.engine.sinks import AttemptSink, Listener, SessionJournal
from maestro_tui.engine.situation import Situation, cannot_run, operator_name
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import FencedError, HeldError, MaestroError, StoreError
from maestro_tui.model.events import Event
from maestro_tui.model.plan import Action, Plan, PlannedPhase, Request, spent_words
from maestro_tui.model.policy import BreakerState
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.orphans import end_all, survivors_of
from maestro_tui.performers.process import SESSION_DIR
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold
from maestro_tui.store.logs import PhaseLog
from maestro_tui.store.receipts import drop_receipts
from maestro_tui.store.redaction import Redactor
from maestro_tui.store.workspace import Workspace

HEARTBEAT_SECONDS = 2.0
BY_OPERATOR = "by the operator"
"""What a task is cancelled with (`Task.cancel`) at a person's word; without it its caller had another reason."""
NAMED_SECONDS = 0.1
"""A phase that runs so long is named in the lease: what is over before that costs it no rewriting."""


class Drive:
    """Carries out one request on one session under a hold. Made new for every run."""

    def __init__(
        self,
        store: CheckpointStore,
        team: TeamExecutionEngineV2,
        session_id: str,
        hold: Hold,
        situation: Callable[[Checkpoint | None], Situation],
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self._store, self._team, self._hold = store, team, hold
        self._session_id = session_id
        self._situation_at = situation
        self._dir = store.session_dir(session_id)
        self._journal = SessionJournal(
            Journal(self._dir / JOURNAL, session_id, clock=team.clock, seal=True), listeners
        )
        self._redactor = Redactor()
        self._running: dict[str, asyncio.Task[PhaseResult]] = {}
        self._paused_at: set[str] = set()
        self._lost: MaestroError | None = None
        self._stopped = ""
        """Who or what ended the work, after `cancelled `."""
        self._spending = SpendingReader(self._dir)
        self._next_beat: asyncio.TimerHandle | None = None
        self._ledger: Ledger

    async def run(self, request: Request, started: bool = False) -> TeamExecutionContext:
        """Run until nothing is ready; the last committed context. Cancelling stops all work, resumably.

        Raises `PlanError` when the one phase that was asked for cannot run, `FencedError` when another
        runner took the session over, `StoreError` when a commit could not be written.
        """
        self._beat_within(HEARTBEAT_SECONDS)
        try:
            # The lease is written anew now: the last that is known of the dead is kept here.
            lost = {name: one.heartbeat_at for one in self._hold.dead for name in one.phases}
            acquired = {
                "epoch": self._hold.epoch,
                "mode": self._hold.mode,
                **({"lost": lost} if lost else {}),
            }
            self._journal.event("runner_acquired", data=acquired)
            if self._hold.dead:
                await self._end_survivors()
            situation = self._situation()
            if started:
                self._journal.event("session_started", data={"workflow": situation.workflow.name})
            # Beside others only one's own phase may be dead: theirs are alive, and report for themselves.
            own = request.phase if self._hold.mode == "shared" else None
            if self._recover_spending(situation, own):
                situation = self._situation()
            if await self._classify(situation):
                situation = self._situation()
            request, changed = self._persist(request, situation)
            if changed:
                situation = self._situation()
            self._ledger = Ledger(
                situation.workflow,
                situation.head.context,
                self._elsewhere if self._hold.mode == "shared" else None,
                self._team.stopwatch,
            )
            return await self._loop(request.model_copy(update={"widen": False}), situation)
        except asyncio.CancelledError as error:
            await self._stop(BY_OPERATOR if BY_OPERATOR in error.args else "by its caller")
            self._journal.event("session_cancelled", data={"by": operator_name()})
            raise
        except BaseException:
            await self._stop("because its session could not go on")
            raise
        finally:
            self._stop_beating()
            self._journal.close()

    def _situation(self) -> Situation:
        """Where the session stands now; what this run committed itself is not read again."""
        return self._situation_at(self._store.own_head(self._session_id))

    def _elsewhere(self, own: Collection[str]) -> Elsewhere:
        return spent_elsewhere(self._store, self._session_id, self._spending, own, self._team.clock())

    async def _end_survivors(self) -> None:
        """End what a dead runner's guard could not: it would go on working beside the new attempt."""
        found = await asyncio.to_thread(survivors_of, self._dir)
        if not found:
            return
        left = await asyncio.to_thread(end_all, lambda: [one.pid for one in survivors_of(self._dir)])
        pids = sorted(one.pid for one in found)
        self._journal.event("survivors_ended", data={"pids": pids, "left": left})
        if left:
            raise HeldError(
                f"Session {self._session_id}: its runner is dead, but processes that it started still work and "
                f"cannot be ended (pid {', '.join(map(str, left))}). End them, then resume. Nothing was run; all "
                "commits are safe."
            )

    def _persist(self, request: Request, situation: Situation) -> tuple[Request, bool]:
        """Record what outlives this process before it begins: a rerun, a widened scope, new stops.

        The request to go on with, and whether something was recorded.
        """
        context = situation.head.context
        update: dict[str, Any] = {}
        if request.kind == "rerun_from" and request.phase is not None:
            target = situation.workflow.resolve(request.phase)
            wanted = situation.workflow.dependents_of(target) | {target} | set(context.rerun)
            done = [name for name in situation.workflow.order if name in wanted]
            update["rerun"] = tuple(
                name for name in done if name in context.phase_results and context.phase_results[name].done
            )
            if context.scope is not None:
                update["scope"] = tuple(dict.fromkeys((*context.scope, *done)))
            request = Request(kind="resume", pause_after=request.pause_after, excused=target)
        elif request.kind == "resume" and context.scope is not None:
            made = situation.plan(request)
            if any(name not in context.scope for name in made.runs):
                update["scope"] = None
        if request.pause_after is not None and request.pause_after != context.pause_after:
            update["pause_after"] = request.pause_after
        if update:
            self._commit_context(lambda head: head.model_copy(update=update))
        return request, bool(update)

    def _recover_spending(self, situation: Situation, own: str | None) -> bool:
        """What an attempt had spent when its runner died is in the journal only: it counts for the budgets.

        With `own` only that phase is looked at. True when there was something to record.
        """
        context = situation.head.context
        mine = situation.workflow.resolve(own) if own is not None else None
        dead = {n: number for n, number in situation.open_attempts.items() if mine in (None, n)}
        lost = lost_spending(self._dir, dead, context.recovered, situation.workflow)
        if not lost:
            return False

        def change(head: TeamExecutionContext) -> TeamExecutionContext:
            for name, (number, usage, by) in lost.items():
                head = head.with_spent(name, usage, by)
                head = head.model_copy(update={"recovered": {**head.recovered, name: number}})
            return head

        self._commit_context(change)
        return True

    async def _classify(self, situation: Situation) -> bool:
        """Let the workflow's advisor classify the requirement, once per session; True when it did."""
        found = await classified(situation.workflow, situation.head.context, self._team.advisors)
        if found is None:
            return False
        if found.problem is not None:
            self._journal.event("advice_failed", data={"reason": found.problem})

        def change(head: TeamExecutionContext) -> TeamExecutionContext:
            decisions = (*head.session_decisions, found.decision.model_copy(update={"at": self._team.now()}))
            return head.model_copy(
                update={"session_decisions": decisions, "usage": head.usage.plus(found.usage)}
            )

        self._commit_context(change)
        return True

    def _commit_context(self, change: Callable[[TeamExecutionContext], TeamExecutionContext]) -> None:
        self._store.commit(
            self._session_id, "init", 0, lambda head: (change(head.context), None), hold=self._hold
        )

    async def _loop(self, request: Request, situation: Situation) -> TeamExecutionContext:
        stopping, rejected = False, _rejected(situation)
        while True:
            made = situation.plan(request)
            if request.kind == "phase" and not self._running and not stopping:
                planned = made.phase(situation.workflow.resolve(request.phase or ""))
                if planned.settled:
                    self._store.forget(self._session_id)
                    return situation.head.context
                if planned.action != Action.RUN:
                    raise cannot_run(planned, self._session_id)
            if not stopping:
                self._start_ready(made, situation)
            if not self._running:
                self._close(situation, made, stopping)
                self._store.forget(self._session_id)
                return situation.head.context
            self._beat_within(NAMED_SECONDS)
            done, _ = await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            for name in [name for name, task in self._running.items() if task in done]:
                result = self._running.pop(name).result()
                stopping = stopping or result.status != PhaseStatus.COMPLETED or request.kind == "phase"
                if made.phase(name).pause and result.done:
                    self._paused_at.add(name)
            if self._lost is not None:
                raise self._lost
            # Here and not in a thread: it is the journal's newest lines, and the commit was here as well.
            situation = self._situation()
            # A rejection that was recorded beside this run stops it, as a failure does.
            stopping = stopping or bool(_rejected(situation) - rejected)

    def _start_ready(self, made: Plan, situation: Situation) -> None:
        behind = frozenset[str]().union(*(situation.workflow.dependents_of(name) for name in self._paused_at))
        for planned in made.phases:
            if planned.action != Action.RUN or planned.phase in self._running or planned.phase in behind:
                continue
            needs = situation.workflow.phase(planned.phase).needs
            if any(made.phase(need).action in (Action.RUN, Action.BLOCKED) for need in needs):
                continue
            self._running[planned.phase] = asyncio.create_task(self._phase(planned, situation))

    async def _phase(self, planned: PlannedPhase, situation: Situation) -> PhaseResult:
        """One attempt with its outcome committed: completed, failed or cancelled."""
        name, number = planned.phase, planned.attempt or 1
        SESSION_DIR.set(str(self._dir))
        started = self._team.now()
        clock = self._ledger.begin(name)
        log_path = self._dir.joinpath("logs", f"{name}.{number}.log")
        scratch = self._dir.joinpath("tmp", f"{name}.{number}")
        log = PhaseLog(log_path)
        asking = Asking(self._dir, self._redactor, self._team.clock, self._hold.id)
        sink = AttemptSink(self._journal, log, self._redactor, self._session_id, name, number, asking)
        try:
            sink.event("phase_started", reason=planned.reason)
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
                    kind="cancelled", message=f"cancelled {self._stopped}".strip(), log=log_path.name
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

        try:
            commit = self._store.commit(self._session_id, name, result.attempt, change, hold=self._hold)
        except (StoreError, FencedError) as error:
            self._lost = error
            raise
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

    def _close(self, situation: Situation, made: Plan, stopped: bool) -> None:
        """Say how this run ended."""
        results = situation.head.context.phase_results
        failed = [name for name, result in results.items() if result.status == PhaseStatus.FAILED]
        waiting = [
            name
            for name, result in results.items()
            if result.gate is not None and result.gate.verdict == "waiting"
        ]
        context, workflow = situation.head.context, situation.workflow
        held = {
            planned.phase: spent_words(workflow, context, planned.phase)
            for planned in made.phases
            if planned.action == Action.BLOCKED
        }
        # The first ones of those that cannot go on; what only needs them is held by them.
        spent = [
            name
            for name, words in held.items()
            if words is not None and not any(need in held for need in workflow.phase(name).needs)
        ]
        broken = [one.phase for one in made.phases if "circuit breaker is open" in one.reason]
        if failed:
            self._journal.event("session_failed", data={"phases": failed})
        elif waiting:
            self._journal.event("session_paused", data={"reason": "approval", "phases": waiting})
        elif spent:
            self._journal.event("session_paused", data={"reason": "budget", "phases": spent})
        elif broken:
            self._journal.event("session_paused", data={"reason": "circuit breaker", "phases": broken})
        elif self._paused_at:
            self._journal.event(
                "session_paused", data={"reason": "review", "phases": sorted(self._paused_at)}
            )
        elif stopped or any(planned.action in (Action.RUN, Action.BLOCKED) for planned in made.phases):
            self._journal.event("session_paused", data={"reason": "asked phases are done"})
        else:
            stale = [planned.phase for planned in made.phases if planned.stale]
            selected = situation.head.context.scope is not None
            self._journal.event(
                "session_completed", data={"phases": len(results), "selected": selected, "stale": stale}
            )

    async def _stop(self, why: str) -> None:
        """Cancel what runs and wait until every child has ended and every outcome is committed."""
        self._stopped = why
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    def _beat_within(self, seconds: float) -> None:
        """Renew the lease in so many seconds, or when it was to be renewed anyway if that is sooner."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._next_beat is None or self._next_beat.when() > due:
            self._stop_beating()
            self._next_beat = loop.call_at(due, self._beat)

    def _stop_beating(self) -> None:
        if self._next_beat is not None:
            self._next_beat.cancel()
            self._next_beat = None

    def _beat(self) -> None:
        """Renew the lease; when another runner took the session over, stop all work at once."""
        self._next_beat = None
        try:
            self._hold.beat(tuple(self._running))
        except FencedError as error:
            self._lost = error
            for task in self._running.values():
                task.cancel()
            return
        except StoreError as error:
            # The lease only grows old, as it would if this process were stopped; the next commit decides.
            self._journal.tell(
                Event("runner_lost", self._team.clock(), self._session_id, data={"problem": str(error)})
            )
        self._beat_within(HEARTBEAT_SECONDS)


def _rejected(situation: Situation) -> set[tuple[str, int]]:
    """The attempts that a person has rejected, of those that count now."""
    results = situation.head.context.phase_results.items()
    return {(n, r.attempt) for n, r in results if r.gate is not None and r.gate.verdict == "rejected"}


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
