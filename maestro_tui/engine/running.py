"""Lets a session run when it is asked for: held, mended, planned, approved, and then driven as planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.decisions import signed
from maestro_tui.engine.drive import Drive
from maestro_tui.engine.edits import record_edits
from maestro_tui.engine.launch import Launch, require_same
from maestro_tui.engine.situation import Situation, cannot_run
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.errors import HeldError, InputError, PlanError
from maestro_tui.model.plan import Plan, PlannedPhase, Request
from maestro_tui.model.plan import plan as make_plan
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.lease import Hold, held_by, hold_phase, hold_session

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine


async def run_new(engine: Engine, session_id: str) -> TeamExecutionContext:
    """Run a session that was just created."""
    engine.require(session_id)
    with hold_session(engine.store.session_dir(session_id), clock=engine.team.clock) as hold:
        head = engine.store.own_head(session_id) or engine.store.head(session_id)
        return await _drive(engine, session_id, hold, head.context.workflow).run(Request(), started=True)


async def run_phase(
    engine: Engine,
    phase: str,
    request: Request,
    requirement: str | None,
    session_id: str | None,
    inputs: Mapping[str, str],
    plan_hash: str | None,
) -> TeamExecutionContext:
    """Run one phase alone, if it needs to run, in a session that is made when it is not there."""
    fresh = False
    if session_id is None or not engine.store.exists(session_id):
        session_id, fresh = _begin_with(engine, request, requirement, session_id, inputs)
    situation = engine.situation(session_id)
    name = situation.workflow.resolve(phase)
    if not fresh:
        require_same(situation, requirement, inputs)
        if situation.plan(request).phase(name).settled:
            holder = held_by(engine.store.session_dir(session_id), name, engine.team.clock())
            if holder is not None:
                raise HeldError(holder)
            # Nothing is written for it; what a runner commits from now on comes after this answer.
            return situation.head.context
    with hold_phase(engine.store.session_dir(session_id), name, clock=engine.team.clock) as hold:
        # Mended first: a plan from a damaged history would run again what is committed.
        engine.store.repair_views(session_id)
        situation = engine.situation(session_id)
        planned = situation.plan(request).phase(name)
        _require_runnable(engine, planned, situation.head.context, situation.workflow)
        engine.allow(situation)
        _same_plan(situation, request, plan_hash)
        return await _drive(engine, session_id, hold, situation.workflow).run(request, started=fresh)


async def go_on(
    engine: Engine,
    session_id: str,
    request: Request,
    edits: Mapping[str, Mapping[str, Any]] | None,
    plan_hash: str | None,
    reason: str,
    on_plan: Callable[[Plan], None] | None,
) -> TeamExecutionContext:
    """Record the edits, then run what the request's plan says."""
    engine.require(session_id)
    with hold_session(engine.store.session_dir(session_id), clock=engine.team.clock) as hold:
        # Mended first: a plan from a damaged history would promise to run what is committed.
        engine.store.repair_views(session_id, alone=True)
        if edits:
            _same_plan(engine.situation(session_id), request, plan_hash)
            record_edits(engine, session_id, edits, {}, signed(engine, None, reason), hold)
        situation = engine.situation(session_id)
        made = situation.plan(request)
        if not edits:
            _same_plan(situation, request, plan_hash)
        engine.allow(situation)
        engine.team.check(situation.workflow, made.runs, situation.head.context)
        if on_plan is not None:
            # Without estimates: they are read from up to a hundred sessions, and the work should not wait for them.
            on_plan(made)
        return await _drive(engine, session_id, hold, situation.workflow).run(request)


def _begin_with(
    engine: Engine,
    request: Request,
    requirement: str | None,
    session_id: str | None,
    inputs: Mapping[str, str],
) -> tuple[str, bool]:
    """The id of a new session whose first phase is that of the request; False when it was begun meanwhile."""
    if requirement is None:
        raise InputError(
            f"There is no session {clean(session_id, 80)!r} in {engine.store.root}; give a requirement to begin one."
            if session_id
            else "A new session needs a requirement. Nothing was run."
        )
    context = engine.first_context(Launch(requirement=requirement, session_id=session_id, inputs=inputs))
    # Before the session is made: a phase that cannot begin it must leave nothing behind.
    name = context.workflow.resolve(request.phase or "")
    planned = make_plan(context.workflow, context, request).phase(name)
    _require_runnable(engine, planned, context, context.workflow)
    try:
        engine.store.create(context)
    except InputError:
        # Another process of the same orchestrator began this session a moment ago.
        if not engine.store.exists(context.session_id):
            raise
        return context.session_id, False
    return context.session_id, True


def _drive(engine: Engine, session_id: str, hold: Hold, workflow: Workflow) -> Drive:
    # The workflow that was approved, to the end of this run: a phase may write the file that it came from.
    def situation(head: Checkpoint | None) -> Situation:
        return engine.situation(session_id, head=head, workflow=workflow)

    return Drive(engine.store, engine.team, session_id, hold, situation, engine.listeners)


def _require_runnable(
    engine: Engine, planned: PlannedPhase, context: TeamExecutionContext, workflow: Workflow
) -> None:
    if planned.settled:
        return
    if planned.action != "run":
        raise cannot_run(planned, context.session_id)
    engine.team.check(workflow, [planned.phase], context)


def _same_plan(situation: Situation, request: Request, plan_hash: str | None) -> None:
    if plan_hash is not None and situation.plan(request).hash != plan_hash:
        raise PlanError(
            f"Session {situation.head.session_id} has changed since the plan was made; look at the new "
            "plan. Nothing was run."
        )
