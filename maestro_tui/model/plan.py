"""Decides, without doing anything, what a request would run, reuse, skip or be blocked by, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from maestro_tui.model.context import NO_USAGE, PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.errors import PlanError
from maestro_tui.model.fingerprint import stale_reasons
from maestro_tui.model.policy import spent_of
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow

WAITS = "waits for approval"


class Action(StrEnum):
    """What a plan does with a phase."""

    REUSE = "reuse"
    RUN = "run"
    PROVIDED = "provided"
    SKIP = "skip"
    BLOCKED = "blocked"


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Fact):
    """Medians over this workflow's earlier runs; None where nothing was measured."""

    seconds: float | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    runs: int = 0


_NO_ESTIMATE = Estimate()


class PlannedPhase(_Fact):
    """One phase of a plan."""

    phase: str
    action: Action
    reason: str
    needs: tuple[str, ...] = ()
    attempt: int | None = None
    """The number that the new attempt will have, when the phase runs."""
    recorded: bool = False
    """True for a skip that is committed; a phase that was only not asked for stays open."""
    stale: str | None = None
    """Why the committed result is stale; None when it is not."""
    goes_stale: bool = False
    """True when this plan makes its committed result stale."""
    overwrites: tuple[str, ...] = ()
    """Files of the earlier attempt that the new one may write over."""
    approval: bool = False
    pause: bool = False
    """True when the session stops for review after this phase."""
    estimate: Estimate = _NO_ESTIMATE

    @property
    def waits(self) -> bool:
        """True when it, or what it needs, waits for a person's word."""
        return self.action == Action.BLOCKED and self.reason.endswith(WAITS)

    @property
    def settled(self) -> bool:
        """True when there is nothing to do: its result stands, or waits for a person's word."""
        return self.action in (Action.REUSE, Action.PROVIDED) or _recorded_skip(self) or self.reason == WAITS


class Plan(_Fact):
    """What would happen. `hash` changes with the session and the request, so a late `yes` can be refused."""

    session_id: str
    basis: str
    """SHA-256 of the commit that the plan was made from; empty for a session that does not exist yet."""
    request: str
    phases: tuple[PlannedPhase, ...]
    changes: tuple[str, ...] = ()
    """What is different in the workflow since the last commit."""
    hash: str = ""

    def phase(self, name: str) -> PlannedPhase:
        """The part of the plan about one phase. Raises `KeyError`."""
        for planned in self.phases:
            if planned.phase == name:
                return planned
        raise KeyError(name)

    @property
    def runs(self) -> tuple[str, ...]:
        """The phases that would run, in workflow order."""
        return tuple(planned.phase for planned in self.phases if planned.action == Action.RUN)


class Request(_Fact):
    """What is asked of a session that exists (for a new one, of its first state)."""

    kind: Literal["resume", "phase", "rerun_from"] = "resume"
    phase: str | None = None
    """The phase for `phase` (this one alone) and `rerun_from` (this one and what depends on it)."""
    pause_after: tuple[str, ...] | None = None
    """Replaces the session's own stops for review; None keeps them."""
    excused: str | None = None
    """The phase that was asked for by name: its circuit breaker does not hold it back."""
    again: bool = True
    """With `phase`: run it although its result stands; False runs it when there is none, or a stale one."""
    widen: bool = True
    """When all selected phases are done, go on with the rest; False within a run that is under way."""

    def words(self) -> str:
        """The request as a few words for people."""
        if self.kind == "phase":
            return f"run {self.phase} alone{'' if self.again else ' if needed'}"
        if self.kind == "rerun_from":
            return f"rerun from {self.phase}"
        return "resume"


def plan(
    workflow: Workflow,
    context: TeamExecutionContext,
    request: Request,
    *,
    basis: str = "",
    interrupted: Mapping[str, int] | None = None,
    estimates: Mapping[str, Estimate] | None = None,
    attempts: Mapping[str, int] | None = None,
    now: datetime | None = None,
) -> Plan:
    """The plan for a request. Pure.

    `workflow` is the one to run now, `context` the newest committed state, `basis` that commit's SHA-256.
    `interrupted` maps phases to an attempt that began and has no outcome, `attempts` to the highest attempt
    number ever begun, `estimates` to what earlier runs took; `now` says which circuit breakers are open
    (None: none is looked at). Raises `PlanError` when the request names a
    phase that does not exist.
    """
    try:
        target = workflow.resolve(request.phase) if request.phase is not None else None
    except Exception as error:
        raise PlanError(str(error)) from error
    if request.kind != "resume" and target is None:
        raise PlanError(f"The request to {request.words()} names no phase.")
    stale = stale_reasons(workflow, context)
    again = _again(workflow, context, request, target, stale)
    scope = _scope(workflow, context, request, target, again)
    pauses = context.pause_after if request.pause_after is None else request.pause_after
    pauses = tuple(workflow.resolve(name) for name in pauses if _knows(workflow, name))
    decided: dict[str, PlannedPhase] = {}
    for name in workflow.order:
        phase = workflow.phase(name)
        result = context.phase_results.get(name)
        action, reason = _decide(
            workflow, name, result, request, target, again, scope, decided, stale, interrupted or {}
        )
        if action == Action.RUN:
            stop = spent_words(workflow, context, name) or (
                _breaker_words(workflow, context, name, now)
                if name not in (target, request.excused)
                else None
            )
            if stop is not None:
                action, reason = Action.BLOCKED, stop
        run = action == Action.RUN
        begun = max((attempts or {}).get(name, 0), result.attempt if result and result.started_at else 0)
        decided[name] = PlannedPhase(
            phase=name,
            action=action,
            reason=reason,
            needs=phase.needs,
            attempt=begun + 1 if run else None,
            recorded=result is not None and result.status == PhaseStatus.SKIPPED and result.done,
            stale=stale.get(name),
            goes_stale=bool(
                not run
                and result
                and result.status == PhaseStatus.COMPLETED
                and name not in stale
                and any(need in decided and _renews(decided[need], context) for need in phase.needs)
            ),
            overwrites=tuple(artifact.path for artifact in result.artifacts) if run and result else (),
            approval=run and phase.approval,
            pause=run and name in pauses and request.kind != "phase",
            estimate=(estimates or {}).get(name, _NO_ESTIMATE),
        )
    ordered = tuple(decided[name] for name in workflow.order)
    changes = tuple(_changes(context.workflow, workflow))
    made = Plan(
        session_id=context.session_id, basis=basis, request=request.words(), phases=ordered, changes=changes
    )
    return made.model_copy(update={"hash": _hash(made, workflow)})


def _again(
    workflow: Workflow,
    context: TeamExecutionContext,
    request: Request,
    target: str | None,
    stale: Mapping[str, str],
) -> frozenset[str]:
    """The phases that run although they are committed: asked for now, or before and not yet done."""
    if request.kind == "phase" and target is not None:
        needed = _done(context, target) and (target in stale or target in context.rerun)
        return frozenset([target] if request.again or needed else [])
    asked = frozenset(context.rerun) & frozenset(workflow.names)
    if request.kind == "rerun_from" and target is not None:
        return asked | workflow.dependents_of(target) | {target}
    return asked


def _scope(
    workflow: Workflow,
    context: TeamExecutionContext,
    request: Request,
    target: str | None,
    again: frozenset[str],
) -> frozenset[str]:
    everything = frozenset(workflow.names)
    if request.kind == "phase":
        return frozenset([target] if target else [])
    if context.scope is None:
        return everything
    chosen = frozenset(context.scope) & everything
    if again:
        return chosen | again
    open_ones = [name for name in chosen if not _done(context, name)]
    return chosen if open_ones or not request.widen else everything


def _decide(
    workflow: Workflow,
    name: str,
    result: PhaseResult | None,
    request: Request,
    target: str | None,
    again: frozenset[str],
    scope: frozenset[str],
    decided: Mapping[str, PlannedPhase],
    stale: Mapping[str, str],
    interrupted: Mapping[str, int],
) -> tuple[Action, str]:
    wanted = name in again
    if result is not None and not wanted:
        if result.status == PhaseStatus.PROVIDED and result.done:
            return Action.PROVIDED, f"from {clean(result.source or 'outside', 200)}"
        if result.status == PhaseStatus.SKIPPED and (result.done and name not in (target,)):
            return Action.SKIP, clean(result.source or "skipped", 200)
        if result.done:
            if name in stale:
                return Action.REUSE, f"stale: {stale[name]}; not run again unless asked"
            return Action.REUSE, f"unchanged since {_moment(result.finished_at)}"
        if result.gate is not None and result.gate.verdict == "waiting":
            return Action.BLOCKED, WAITS
    if name not in scope:
        return Action.SKIP, "not asked for; stays as it is" if request.kind == "phase" else "not selected"
    for need in workflow.phase(name).needs:
        planned = decided[need]
        if request.kind == "phase":
            if planned.action not in (Action.REUSE, Action.PROVIDED) and not _recorded_skip(planned):
                waits = planned.reason == WAITS
                return (
                    Action.BLOCKED,
                    f"needs {need}, which {planned.reason if waits else 'is not completed'}",
                )
        elif planned.action == Action.BLOCKED:
            return Action.BLOCKED, f"needs {need}, which {_blocked_words(planned)}"
        elif planned.action == Action.RUN and planned.pause:
            return Action.BLOCKED, f"the session stops for review after {need}"
        elif planned.action == Action.RUN and planned.approval:
            return Action.BLOCKED, f"needs {need}, which runs and then waits for your approval"
        elif planned.action == Action.SKIP and not _recorded_skip(planned):
            return Action.BLOCKED, f"needs {need}, which was not selected and has no result"
    return Action.RUN, _why_run(name, result, request, target, wanted, interrupted, stale.get(name))


def _why_run(
    name: str,
    result: PhaseResult | None,
    request: Request,
    target: str | None,
    wanted: bool,
    interrupted: Mapping[str, int],
    stale: str | None,
) -> str:
    if name in interrupted:
        return f"attempt {interrupted[name]} was interrupted"
    if result is None:
        return "never ran"
    if wanted and result.done:
        if name == target and request.again:
            return "asked for"
        if name == target and stale is not None:
            return f"stale: {stale}"
        return (
            f"depends on {target}, which runs again" if target not in (None, name) else "asked to run again"
        )
    if result.gate is not None and result.gate.verdict == "pushed_back":
        return f"pushed back by {result.gate.by or 'the operator'}: {clean(result.gate.reason or '', 120)}"
    if result.gate is not None and result.gate.verdict == "rejected":
        return f"rejected by {result.gate.by or 'the operator'}: {clean(result.gate.reason or '', 120)}"
    if result.error is not None and result.error.kind == "budget":
        return f"attempt {result.attempt} stopped at its budget"
    if result.status == PhaseStatus.FAILED and result.error is not None:
        return f"failed at attempt {result.attempt}: {clean(result.error.message, 160)}"
    if result.status == PhaseStatus.CANCELLED:
        return f"attempt {result.attempt} was cancelled"
    return f"{result.status} at attempt {result.attempt}"


def spent_words(workflow: Workflow, context: TeamExecutionContext, name: str) -> str | None:
    """Why the budgets let no attempt of this phase begin, with the command that raises them; None when they do."""
    own = context.budget_of(name, workflow.phase(name).budget)
    words = spent_of(own, context.spent.get(name, NO_USAGE))
    if words is not None:
        return f"its budget is spent ({words}); maestro-tui raise {context.session_id} {name} allows more"
    by = context.spent_by.get(name, {})
    for persona in (*workflow.phase(name).personas, *workflow.personas):
        words = spent_of(
            context.budget_of(name, persona.budget, persona.name), by.get(persona.name, NO_USAGE)
        )
        if words is not None:
            return (
                f"the budget of persona {persona.name} is spent ({words}); maestro-tui raise "
                f"{context.session_id} {name} --persona {persona.name} allows more"
            )
    words = spent_of(context.budget_of(None, workflow.budget), context.usage)
    if words is not None:
        return f"the session's budget is spent ({words}); maestro-tui raise {context.session_id} allows more"
    return None


def _breaker_words(
    workflow: Workflow, context: TeamExecutionContext, name: str, now: datetime | None
) -> str | None:
    breaker, state = workflow.phase(name).breaker, context.breakers.get(name)
    if breaker is None or state is None or now is None:
        return None
    return state.blocks(breaker, now)


def _blocked_words(planned: PlannedPhase) -> str:
    if planned.reason == WAITS:
        return WAITS
    return "is itself blocked"


def _recorded_skip(planned: PlannedPhase) -> bool:
    return planned.action == Action.SKIP and planned.recorded


def _renews(planned: PlannedPhase, context: TeamExecutionContext) -> bool:
    return planned.goes_stale or (planned.action == Action.RUN and planned.phase in context.phase_results)


def _done(context: TeamExecutionContext, name: str) -> bool:
    result = context.phase_results.get(name)
    return result is not None and result.done


def _knows(workflow: Workflow, name: str) -> bool:
    try:
        workflow.resolve(name)
    except Exception:
        return False
    return True


def _moment(at: datetime | None) -> str:
    return at.astimezone().strftime("%H:%M") if at is not None else "it was made"


def _changes(before: Workflow, now: Workflow) -> Sequence[str]:
    if before is now or before == now:
        return []
    out = []
    for name in now.names:
        if name not in before.names:
            out.append(f"phase {name} is new")
            continue
        old, new = before.phase(name), now.phase(name)
        keys = [key for key in type(new).model_fields if getattr(old, key) != getattr(new, key)]
        if keys:
            out.append(f"phase {name}: {', '.join(keys)} changed")
    out.extend(f"phase {name} is gone" for name in before.names if name not in now.names)
    if not out and before.name != now.name:
        out.append(f"the workflow is now called {now.name}")
    return out


def _hash(made: Plan, workflow: Workflow) -> str:
    data: dict[str, Any] = {
        "session": made.session_id,
        "basis": made.basis,
        "request": made.request,
        "workflow": workflow.content_hash(),
        "phases": [[p.phase, p.action, p.attempt, p.approval, p.pause] for p in made.phases],
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
