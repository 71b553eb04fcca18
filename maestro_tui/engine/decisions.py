"""A person's acts on a session: gate decisions, skips, raises, blueprints; recorded, never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from maestro_tui.engine.attempts import JOURNAL
from maestro_tui.engine.in_the_way import check_for
from maestro_tui.engine.sinks import SessionJournal
from maestro_tui.engine.situation import operator_name
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    BlueprintChoice,
    Decision,
    PersonVerdict,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import HeldError, PlanError, StoreError
from maestro_tui.model.phase import Mode
from maestro_tui.model.policy import Budget, BudgetRaise
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.beside import Beside, named_by_a_runner
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold, held_by, hold_session
from maestro_tui.store.receipts import drop_receipts
from maestro_tui.store.redaction import Redactor

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine

REASON_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class Signature:
    """Under which an act is recorded."""

    by: str
    at: datetime
    reason: str


def signed(engine: Engine, by: str | None, reason: str) -> Signature:
    """Who acts now, and why. Raises `PlanError` unless name (None is the operator) and reason are text."""
    if not isinstance(by, str | None) or not isinstance(reason, str):
        raise PlanError("A name and a reason are recorded as text; nothing was changed.")
    return Signature(by or operator_name(), engine.team.now(), recorded(reason))


def recorded(reason: str) -> str:
    """A person's reason as it is written: one clean line without secrets."""
    return clean(Redactor().text(reason), REASON_LIMIT)


@contextmanager
def acting(engine: Engine, session_id: str, *phases: str) -> Iterator[Hold | Beside]:
    """The right to record an act on these phases of a session, or on none of them, its files mended: nothing may be
    committed after a damaged commit, or beside one that a view still has, since it would be lost for good.

    While others run the session the act is recorded beside them, and they plan with it as soon as one of their
    phases has ended; the commit raises `HeldError` where a running phase is in the way.
    """
    folder = engine.store.session_dir(session_id)
    try:
        hold = hold_session(folder, clock=engine.team.clock)
    except HeldError:
        engine.store.repair_views(session_id)
        yield Beside(folder, check_for(engine, session_id, phases)) if phases else Beside(folder)
        return
    with hold:
        engine.store.repair_views(session_id, alone=True)
        yield hold


def decide(
    engine: Engine, session_id: str, phase: str | None, verdict: PersonVerdict, by: str | None, reason: str
) -> TeamExecutionContext:
    """Approve, reject or push back a phase that waits. Raises `PlanError` when none does, or for another word."""
    sign = signed(engine, by, reason)
    if verdict not in get_args(PersonVerdict):
        raise PlanError(
            f"A phase that waits is approved, rejected or pushed_back, not {clean(repr(verdict), 60)}. "
            "Nothing was changed."
        )
    situation = engine.situation(session_id, need_workspace=False)
    results = situation.head.context.phase_results
    waiting = [n for n, r in results.items() if r.gate is not None and r.gate.verdict == "waiting"]
    name = situation.workflow.resolve(phase) if phase is not None else (waiting[0] if waiting else None)
    if name is None or name not in waiting:
        raise PlanError(
            f"No phase of session {session_id} waits for approval."
            if name is None
            else f"Phase {name!r} of session {session_id} does not wait for approval."
        )
    if verdict != "approved" and not reason.strip():
        raise PlanError("Say why: a rejection or a push back needs a reason.")
    most = situation.workflow.phase(name).max_iterations
    if verdict == "pushed_back" and most is not None:
        times = situation.head.context.pushed_back.get(name, 0)
        if times >= most:
            raise PlanError(
                f"Phase {name!r} of session {session_id} was pushed back {times} times, and its workflow allows "
                f"{most} (max_iterations). Approve it, reject it, or edit its outputs; nothing was changed."
            )
    folder, attempt = engine.store.session_dir(session_id), results[name].attempt
    if name in situation.open_attempts and named_by_a_runner(folder, name):
        holder = held_by(folder, name, engine.team.clock())
        raise HeldError(holder or f"Phase {name!r} of session {session_id} ends just now; look again.")

    def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        result = head.context.phase_results[name]
        if result.gate is None or result.gate.verdict != "waiting" or result.attempt != attempt:
            raise PlanError(f"Phase {name!r} of session {session_id} was decided by somebody else meanwhile.")
        gate = result.gate.model_copy(
            update={"verdict": verdict, "by": sign.by, "at": sign.at, "reason": sign.reason}
        )
        update: dict[str, Any] = {"gate": gate}
        if verdict == "rejected":
            update["status"] = PhaseStatus.FAILED
            update["error"] = PhaseError(kind="rejected", message=f"rejected by {sign.by}: {sign.reason}")
        context = head.context
        if verdict == "pushed_back":
            update["status"] = PhaseStatus.PENDING
            times = {**context.pushed_back, name: context.pushed_back.get(name, 0) + 1}
            context = context.model_copy(update={"pushed_back": times})
        return _with(context, name, result.model_copy(update=update)), None

    # Mended first: what is committed after a damaged commit would be lost for good.
    engine.store.repair_views(session_id)
    commit = engine.store.commit(session_id, name, attempt, change, hold=Beside(folder))
    data = {"verdict": verdict, "by": sign.by, "reason": sign.reason, "seq": commit.seq}
    if verdict == "approved":
        try:
            drop_receipts(folder, name)
        except StoreError as error:
            # The approval is committed: receipts that stay cost only their place.
            data["problem"] = str(error)
    tell(engine, session_id, "gate_decided", name, attempt, data)
    return commit.context


def skip(engine: Engine, session_id: str, phase: str, by: str | None, reason: str) -> TeamExecutionContext:
    """Record that a phase will not be done, and why. Raises `PlanError` when it is done already."""
    sign = signed(engine, by, reason)
    situation = engine.situation(session_id, need_workspace=False)
    name = situation.workflow.resolve(phase)
    if not reason.strip():
        raise PlanError("Say why: a skipped phase needs a reason.")
    # Also one that was broken off without an outcome: from now on it is nobody's open attempt.
    attempt = situation.highest_attempts.get(name, 0)

    def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        before = head.context.phase_results.get(name)
        if before is not None and before.done:
            raise PlanError(
                f"Phase {name!r} of session {session_id} is {before.status}; there is nothing to skip."
            )
        result = PhaseResult(
            status=PhaseStatus.SKIPPED,
            attempt=max(attempt, before.attempt) if before is not None else attempt,
            finished_at=sign.at,
            source=f"skipped by {sign.by}: {sign.reason}",
        )
        decision = Decision(
            phase=name, about="skip", choice="skipped", rationale=sign.reason, decided_by=sign.by, at=sign.at
        )
        context = _with(head.context, name, result)
        return context.model_copy(
            update={"session_decisions": (*context.session_decisions, decision)}
        ), situation.workflow

    with acting(engine, session_id, name) as hold:
        commit = engine.store.commit(session_id, name, attempt, change, hold=hold)
        data = {"status": "skipped", "by": sign.by, "reason": sign.reason, "seq": commit.seq}
        tell(engine, session_id, "phase_committed", name, attempt, data)
    return commit.context


def raise_budget(
    engine: Engine,
    session_id: str,
    phase: str | None,
    persona: str | None,
    more: Budget,
    by: str | None,
    reason: str,
) -> TeamExecutionContext:
    """Record that more may be spent. Raises `PlanError` when that budget does not exist or nothing is added."""
    sign = signed(engine, by, reason)
    if not isinstance(more, Budget):
        raise PlanError(f"more takes a Budget, not {type(more).__name__}; nothing was changed.")
    situation = engine.situation(session_id, need_workspace=False)
    name = situation.workflow.resolve(phase) if phase is not None else None
    workflow = situation.workflow
    budget = workflow.phase(name).budget if name is not None else workflow.budget
    whose = f"phase {name!r}" if name is not None else "the session"
    if persona is not None:
        if name is None:
            raise PlanError("Name the phase whose persona may spend more. Nothing was changed.")
        people = {one.name: one for one in (*workflow.personas, *workflow.phase(name).personas)}
        if persona not in people:
            raise PlanError(
                f"Phase {name!r} has no persona {clean(persona, 80)!r}; there are {', '.join(people) or 'none'}. "
                "Nothing was changed."
            )
        budget, whose = people[persona].budget, f"persona {persona!r} of phase {name!r}"
    asked = [key for key in Budget.model_fields if getattr(more, key) is not None]
    if not asked:
        raise PlanError("Say what to add: seconds, tokens or cost. Nothing was changed.")
    if budget is None or any(getattr(budget, key) is None for key in asked):
        raise PlanError(
            f"{whose[0].upper()}{whose[1:]} of {session_id} has no budget in {', '.join(asked)}, so there is nothing "
            "to raise. Nothing was changed."
        )
    if not reason.strip():
        raise PlanError("Say why: a raise is recorded with your name, the time and the reason.")
    word = BudgetRaise(phase=name, persona=persona, more=more, by=sign.by, at=sign.at, reason=sign.reason)

    def add(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        return head.context.model_copy(update={"raises": (*head.context.raises, word)}), None

    with acting(engine, session_id) as hold:
        commit = engine.store.commit(session_id, "init", 0, add, hold=hold)
        data = {
            "more": more.model_dump(exclude_none=True),
            **({"persona": persona} if persona is not None else {}),
            "by": sign.by,
            "reason": sign.reason,
            "seq": commit.seq,
        }
        tell(engine, session_id, "budget_raised", name, None, data)
    return commit.context


def choose_blueprint(
    engine: Engine,
    session_id: str,
    phase: str,
    personas: Sequence[str] | None,
    mode: Mode | None,
    by: str | None,
    reason: str,
) -> TeamExecutionContext:
    """Record who is to work on a phase and how; with neither, take the earlier word back."""
    sign = signed(engine, by, reason)
    if mode is not None and mode not in get_args(Mode):
        raise PlanError(
            f"A team works {', '.join(get_args(Mode))}, not {clean(repr(mode), 40)}; nothing was changed."
        )
    situation = engine.situation(session_id, need_workspace=False)
    name = situation.workflow.resolve(phase)
    word = None
    if personas is not None or mode is not None:
        chosen = tuple(personas) if personas is not None else None
        word = BlueprintChoice(personas=chosen, mode=mode, by=sign.by, at=sign.at, reason=sign.reason)

    def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        others = {key: one for key, one in head.context.blueprints.items() if key != name}
        blueprints = others if word is None else {**others, name: word}
        context = head.context.model_copy(update={"blueprints": blueprints})
        # Whoever is not there must be told now, not when the phase begins.
        made = engine.team.blueprint(situation.workflow, situation.workflow.phase(name), context)
        decision = made.decision.model_copy(
            update={"decided_by": sign.by, "at": sign.at, "rationale": sign.reason or made.decision.rationale}
        )
        return context.model_copy(update={"session_decisions": (*context.session_decisions, decision)}), None

    with acting(engine, session_id, name) as hold:
        commit = engine.store.commit(session_id, "init", 0, change, hold=hold)
        told = commit.context.session_decisions[-1]
        data = {"choice": told.choice, "decided_by": sign.by, "reason": sign.reason, "seq": commit.seq}
        tell(engine, session_id, "blueprint_selected", name, None, data)
    return commit.context


def _with(context: TeamExecutionContext, name: str, result: PhaseResult) -> TeamExecutionContext:
    return context.model_copy(update={"phase_results": {**context.phase_results, name: result}})


def tell(
    engine: Engine,
    session_id: str,
    type: str,
    phase: str | None,
    attempt: int | None,
    data: Mapping[str, Any],
) -> None:
    """Write one event about an act to the session's journal."""
    path = engine.store.session_dir(session_id) / JOURNAL
    journal = SessionJournal(Journal(path, session_id, clock=engine.team.clock, seal=True), engine.listeners)
    journal.event(type, phase=phase, attempt=attempt, data=data)
    journal.close()
