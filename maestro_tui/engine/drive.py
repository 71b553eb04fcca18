"""Drives one session: plans from the newest commit, lets what is ready run, plans anew after each outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from maestro_tui.engine.advice import classified
from maestro_tui.engine.attempts import JOURNAL
from maestro_tui.engine.blocked_loop import Blocker
from maestro_tui.engine.heartbeat import Heartbeat
from maestro_tui.engine.ledger import Elsewhere, Ledger
from maestro_tui.engine.open_spending import SpendingReader, lost_spending, spent_elsewhere
from maestro_tui.engine.phase_runner import PhaseRunner
from maestro_tui.engine.sinks import Listener, SessionJournal
from maestro_tui.engine.situation import Situation, cannot_run, operator_name
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.errors import FencedError, HeldError, StoreError
from maestro_tui.model.events import Event
from maestro_tui.model.plan import Action, Plan, Request, spent_words
from maestro_tui.performers.orphans import end_all, survivors_of
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold

BY_OPERATOR = "by the operator"
"""What a task is cancelled with (`Task.cancel`) at a person's word; without it its caller had another reason."""


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
        self._running: dict[str, asyncio.Task[PhaseResult | None]] = {}
        self._paused_at: set[str] = set()
        self._lost: FencedError | None = None
        self._spending = SpendingReader(self._dir)
        self._heartbeat = Heartbeat(
            hold, self._running, self._taken_over, self._not_renewed, self._blocked, session_id
        )
        self._phases: PhaseRunner

    async def run(self, request: Request, started: bool = False) -> TeamExecutionContext:
        """Run until nothing is ready; the last committed context. Cancelling stops all work, resumably.

        Raises `PlanError` when the one phase that was asked for cannot run, `FencedError` when another
        runner took the session over, `StoreError` when a commit could not be written.
        """
        self._heartbeat.start()
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
            ledger = Ledger(
                situation.workflow,
                situation.head.context,
                self._elsewhere,
                self._team.stopwatch,
            )
            self._phases = PhaseRunner(
                self._store, self._team, self._session_id, self._hold, self._journal, ledger
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
            self._heartbeat.stop()
            self._journal.close()

    def _situation(self) -> Situation:
        """Where the session stands now; what this run committed itself is not read again."""
        return self._situation_at(self._store.own_head(self._session_id))

    def _elsewhere(self, own: Collection[str]) -> Elsewhere:
        if self._hold.mode == "exclusive":
            # Nobody else spends anything; a person may have raised a budget.
            return Elsewhere(
                (self._store.own_head(self._session_id) or self._store.head(self._session_id)).context
            )
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
        alone, stopped = False, dict[str, int]()
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
            self._heartbeat.name_soon()
            done, _ = await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            for name in [name for name, task in self._running.items() if task in done]:
                result = self._running.pop(name).result()
                if result is None:
                    continue
                alone = request.kind == "phase"
                if result.status != PhaseStatus.COMPLETED:
                    stopped[name] = len(situation.head.context.raises)
                if made.phase(name).pause and result.done:
                    self._paused_at.add(name)
            if self._lost is not None:
                raise self._lost
            # Here and not in a thread: it is the journal's newest lines, and the commit was here as well.
            situation = self._situation()
            # A rejection that was recorded beside this run stops it, as a failure does.
            stopped |= {name: 0 for name, _ in _rejected(situation) - rejected}
            stopped = {n: raises for n, raises in stopped.items() if not _mended(situation, n, raises)}
            stopping = alone or bool(stopped)

    def _start_ready(self, made: Plan, situation: Situation) -> None:
        behind = frozenset[str]().union(*(situation.workflow.dependents_of(name) for name in self._paused_at))
        for planned in made.phases:
            if planned.action != Action.RUN or planned.phase in self._running or planned.phase in behind:
                continue
            needs = situation.workflow.phase(planned.phase).needs
            if any(made.phase(need).action in (Action.RUN, Action.BLOCKED) for need in needs):
                continue
            self._running[planned.phase] = asyncio.create_task(self._phases.run(planned, situation))

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
        tasks = list(self._running.values())
        if tasks:
            self._phases.stopped = why
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    def _taken_over(self, error: FencedError) -> None:
        """Another runner has the session: stop all work at once."""
        self._lost = error
        for task in self._running.values():
            task.cancel()

    def _blocked(self, blocker: Blocker) -> None:
        """Tell, while it lasts and so in another thread, who blocks the loop of this run."""
        task = blocker.task
        with suppress(StoreError):  # the next event of this run meets it as well
            event = self._journal.append(
                "performer_blocks",
                phase=task.phase.name if task is not None else None,
                attempt=task.attempt if task is not None else None,
                persona=task.persona.name if task is not None else None,
                data={"where": blocker.where},
            )
            self._journal.tell_beside(event)

    def _not_renewed(self, error: StoreError) -> None:
        self._journal.tell(
            Event("runner_lost", self._team.clock(), self._session_id, data={"problem": str(error)})
        )


def _mended(situation: Situation, name: str, raises: int) -> bool:
    """True when a person has let the session go on meanwhile: the phase that stopped it is skipped, or stopped at a
    budget and there are more than so many raises."""
    context = situation.head.context
    result = context.phase_results.get(name)
    if result is None or result.status == PhaseStatus.SKIPPED:
        return result is not None
    return result.error is not None and result.error.kind == "budget" and len(context.raises) > raises


def _rejected(situation: Situation) -> set[tuple[str, int]]:
    """The attempts that a person has rejected, of those that count now."""
    results = situation.head.context.phase_results.items()
    return {(n, r.attempt) for n, r in results if r.gate is not None and r.gate.verdict == "rejected"}
