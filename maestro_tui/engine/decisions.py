"""A person's acts on a session that nobody runs: gate decisions, edits, skips, forks; recorded, never run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from maestro_tui.engine.attempts import JOURNAL
from maestro_tui.engine.drive import operator_name
from maestro_tui.engine.sinks import SessionJournal
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    Decision,
    Edit,
    GateVerdict,
    Lineage,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import PlanError
from maestro_tui.model.text import clean, new_session_id
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold, hold_session

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine

REASON_LIMIT = 4000


def decide(
    engine: Engine, session_id: str, phase: str | None, verdict: GateVerdict, by: str | None, reason: str
) -> TeamExecutionContext:
    """Approve, reject or push back a phase that waits. Raises `PlanError` when none does."""
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
    author, now, why = by or operator_name(), engine.team.now(), clean(reason, REASON_LIMIT)

    def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        result = head.context.phase_results[name]
        if result.gate is None or result.gate.verdict != "waiting":
            raise PlanError(f"Phase {name!r} of session {session_id} was decided by somebody else meanwhile.")
        gate = result.gate.model_copy(update={"verdict": verdict, "by": author, "at": now, "reason": why})
        update: dict[str, Any] = {"gate": gate}
        if verdict == "rejected":
            update["status"] = PhaseStatus.FAILED
            update["error"] = PhaseError(kind="rejected", message=f"rejected by {author}: {why}")
        elif verdict == "pushed_back":
            update["status"] = PhaseStatus.PENDING
        return _with(head.context, name, result.model_copy(update=update)), None

    attempt = results[name].attempt
    with hold_session(engine.store.session_dir(session_id), clock=engine.team.clock) as hold:
        commit = engine.store.commit(session_id, name, attempt, change, hold=hold)
        data = {"verdict": verdict, "by": author, "reason": why, "seq": commit.seq}
        _tell(engine, session_id, "gate_decided", name, attempt, data)
    return commit.context


def skip(engine: Engine, session_id: str, phase: str, by: str | None, reason: str) -> TeamExecutionContext:
    """Record that a phase will not be done, and why. Raises `PlanError` when it is done already."""
    situation = engine.situation(session_id, need_workspace=False)
    name = situation.workflow.resolve(phase)
    if not reason.strip():
        raise PlanError("Say why: a skipped phase needs a reason.")
    author, now, why = by or operator_name(), engine.team.now(), clean(reason, REASON_LIMIT)

    def change(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        before = head.context.phase_results.get(name)
        if before is not None and before.done:
            raise PlanError(
                f"Phase {name!r} of session {session_id} is {before.status}; there is nothing to skip."
            )
        result = PhaseResult(
            status=PhaseStatus.SKIPPED,
            attempt=before.attempt if before is not None else 0,
            finished_at=now,
            source=f"skipped by {author}: {why}",
        )
        decision = Decision(
            phase=name, about="skip", choice="skipped", rationale=why, decided_by=author, at=now
        )
        context = _with(head.context, name, result)
        return context.model_copy(
            update={"session_decisions": (*context.session_decisions, decision)}
        ), situation.workflow

    with hold_session(engine.store.session_dir(session_id), clock=engine.team.clock) as hold:
        attempt = situation.highest_attempts.get(name, 0)
        commit = engine.store.commit(session_id, name, attempt, change, hold=hold)
        data = {"status": "skipped", "by": author, "reason": why, "seq": commit.seq}
        _tell(engine, session_id, "phase_committed", name, attempt, data)
    return commit.context


def edit(
    engine: Engine,
    session_id: str,
    edits: Mapping[str, Mapping[str, Any]],
    hold: Hold,
    by: str | None,
    reason: str,
) -> TeamExecutionContext:
    """Record changed outputs of committed phases; later phases become stale. The caller holds the session."""
    situation = engine.situation(session_id, need_workspace=False)
    author, now = by or operator_name(), engine.team.now()
    made: list[Edit] = []
    for given, change in edits.items():
        name = situation.workflow.resolve(given)
        result = situation.head.context.phase_results.get(name)
        if result is None or result.status not in (PhaseStatus.COMPLETED, PhaseStatus.PROVIDED):
            raise PlanError(f"Phase {name!r} of session {session_id} has no committed outputs to edit.")
        outputs = change["outputs"] if set(change) == {"outputs"} else change
        if not isinstance(outputs, Mapping):
            raise PlanError(f"The edit of {name!r} must be a table of outputs.")
        try:
            json.dumps(outputs, allow_nan=False, ensure_ascii=False).encode("utf-8")
        except (ValueError, TypeError, RecursionError) as error:
            raise PlanError(f"The edit of {name!r} is not JSON: {clean(error, 200)}.") from error
        made.append(
            Edit(phase=name, outputs=dict(outputs), by=author, at=now, reason=clean(reason, REASON_LIMIT))
        )

    def add(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        return head.context.model_copy(update={"edits": (*head.context.edits, *made)}), None

    commit = engine.store.commit(session_id, "init", 0, add, hold=hold)
    for one in made:
        data = {"by": author, "keys": sorted(one.outputs), "reason": one.reason, "seq": commit.seq}
        _tell(engine, session_id, "edits_applied", one.phase, None, data)
    return commit.context


def descend(
    engine: Engine, commit: Checkpoint, session_id: str | None, how: Literal["fork", "import"]
) -> str:
    """Begin a session from a checkpoint of another one, lineage recorded; the old one stays as it is."""
    name = session_id or new_session_id(commit.context.requirement, engine.team.now())
    lineage = Lineage(session_id=commit.session_id, seq=commit.seq, sha256=commit.sha256, how=how)
    engine.store.create(commit.context.model_copy(update={"session_id": name, "lineage": lineage}))
    data = {"from": commit.session_id, "seq": commit.seq, "sha256": commit.sha256, "how": how}
    _tell(engine, name, "forked", None, None, data)
    return name


def _with(context: TeamExecutionContext, name: str, result: PhaseResult) -> TeamExecutionContext:
    return context.model_copy(update={"phase_results": {**context.phase_results, name: result}})


def _tell(
    engine: Engine,
    session_id: str,
    type: str,
    phase: str | None,
    attempt: int | None,
    data: Mapping[str, Any],
) -> None:
    path = engine.store.session_dir(session_id) / JOURNAL
    journal = SessionJournal(Journal(path, session_id, clock=engine.team.clock, seal=True), engine.listeners)
    journal.event(type, phase=phase, attempt=attempt, data=data)
    journal.close()
