"""A session as one JSON document: what `--json` prints, and what scripts read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.context import DONE, PhaseResult, TeamExecutionContext
from maestro_tui.model.errors import InputError
from maestro_tui.model.fingerprint import stale_reasons
from maestro_tui.model.plan import Plan
from maestro_tui.model.summary import PhaseSummary, SessionStatus, StatusFacts, derive_status
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore, CommitInfo
from maestro_tui.store.hive_detail import HiveHistory
from maestro_tui.store.journal import utc
from maestro_tui.store.lease import read_owner
from maestro_tui.store.questions import Question
from maestro_tui.store.summaries import read_summary
from maestro_tui.store.verdicts import read_verdicts

WAITING = "waits for approval"
FORMAT, PLAN_FORMAT = "maestro-session/1", "maestro-plan/1"
"""Of the documents; keys are added, never renamed, within a format."""


def session_document(engine: TeamExecutionEngineV2SplitMode, session_id: str) -> dict[str, Any]:
    """`{format, session_id, status, phases: [{phase, status, attempt, stale, reason, duration_seconds, quality,
    artifacts, error}]}` of the newest commit and what runs now. Raises `InputError`, `StoreError`."""
    situation = engine.situation(session_id, need_workspace=False)
    context, workflow = situation.head.context, situation.workflow
    owner = read_owner(engine.store.session_dir(session_id), time.time())
    alive = owner is not None and owner.alive is not False
    stale = stale_reasons(workflow, context)
    asked = [one for one in engine.questions(session_id) if one.open]
    phases = []
    summaries = []
    for name in _names(workflow, context):
        result = context.phase_results.get(name)
        status = str(result.status) if result is not None else "pending"
        reason = stale.get(name) or (result.source if result is not None else None)
        attempt = result.attempt if result is not None else 0
        if name in context.rerun:
            status, reason = "pending", "asked to run again"
        if name in situation.open_attempts:
            attempt = situation.open_attempts[name]
            # A living runner of other phases does not make an attempt of a dead one run.
            running = alive and owner is not None and (not owner.phases or name in owner.phases)
            status = "running" if running else "pending"
            reason = None if running else f"attempt {attempt} was interrupted"
            if running and (question := next((one for one in asked if one.phase == name), None)):
                reason = f"asks: {clean(question.text, 200)}"
        waiting = result is not None and result.gate is not None and result.gate.verdict == "waiting"
        if waiting:
            reason = WAITING
        phases.append(_phase_document(name, status, attempt, name in stale, reason, result))
        summaries.append(
            PhaseSummary(
                name=name,
                status="running" if name in situation.open_attempts else status,
                waiting=waiting,
                selected=context.scope is None or name in context.scope,
            )
        )
    facts = StatusFacts(
        owner=owner, phases=tuple(summaries), begun=bool(context.phase_results), asking=bool(asked)
    )
    return {
        "format": FORMAT,
        "session_id": session_id,
        "status": str(derive_status(facts)),
        "phases": phases,
    }


def _names(workflow: Workflow, context: TeamExecutionContext) -> list[str]:
    gone = [name for name in context.phase_results if name not in workflow.names]
    return [*workflow.order, *gone]


def _phase_document(
    name: str, status: str, attempt: int, stale: bool, reason: str | None, result: PhaseResult | None
) -> dict[str, Any]:
    return {
        "phase": name,
        "status": status,
        "attempt": attempt,
        "stale": stale,
        "reason": reason,
        "duration_seconds": result.duration_seconds if result is not None else None,
        "quality": dict(result.quality) if result is not None else {},
        "artifacts": [artifact.model_dump(mode="json") for artifact in result.artifacts] if result else [],
        "error": error_text(result),
    }


def error_text(result: PhaseResult | None) -> str | None:
    """The sentence of a failed result with the last lines of output; None when it did not fail."""
    if result is None or result.error is None or result.status in DONE:
        return None
    return "\n".join([result.error.message, *result.error.tail])


def _had_gates(context: TeamExecutionContext) -> bool:
    """True when people may have decided something: only then is the journal read for it."""
    gates = [result.gate for result in context.phase_results.values() if result.gate is not None]
    return (
        bool(context.pushed_back)
        or any(gate.by is not None for gate in gates)
        or any(phase.approval for phase in context.workflow.phases)
    )


def show_document(engine: TeamExecutionEngineV2SplitMode, session_id: str) -> dict[str, Any]:
    """The session document with requirement, workflow, decisions (those at gates, of every round, last), damage,
    open and void questions, and every commit."""
    document = session_document(engine, session_id)
    context = engine.store.head(session_id).context
    rows = checkpoint_rows(engine.store, session_id)
    summary = read_summary(engine.store.session_dir(session_id), time.time())
    older = [row["problem"] for row in rows if "problem" in row and row["seq"] <= summary.seq]
    state = _state_document(context)
    verdicts = read_verdicts(engine.store.session_dir(session_id)) if _had_gates(context) else ()
    return {
        **document,
        **state,
        "decisions": [*state["decisions"], *(one.model_dump(mode="json") for one in verdicts)],
        "damage": [*summary.damage, *older],
        "questions": [question_document(one) for one in engine.questions(session_id) if one.answer is None],
        "checkpoints": rows,
    }


def _state_document(context: TeamExecutionContext) -> dict[str, Any]:
    return {
        "requirement": context.requirement,
        "workflow": context.workflow.name,
        "workflow_path": context.workflow_path,
        "workspace": context.workspace,
        "created_at": context.model_dump(mode="json", include={"created_at"})["created_at"],
        "outputs": {name: context.outputs_of(name) for name, _ in context.results()},
        "decisions": [decision.model_dump(mode="json") for decision in context.decisions],
        "lineage": context.lineage.model_dump(mode="json") if context.lineage else None,
        "usage": context.usage.model_dump(mode="json"),
    }


def history_document(history: HiveHistory) -> dict[str, Any]:
    """The same of a workflow that Maestro Hive ran; raises `InputError` when no file of it can be read."""
    summary, context = history.summary, history.context
    if context is None:
        raise InputError(f"{summary.session_id} cannot be read: {summary.damage[0]}. Nothing was changed.")
    phases = [
        _phase_document(
            phase.name,
            phase.status,
            phase.attempt,
            False,
            None,
            context.phase_results.get(phase.name),
        )
        for phase in summary.phases
    ]
    return {
        "format": FORMAT,
        "session_id": summary.session_id,
        "status": str(summary.status),
        "foreign": summary.foreign,
        "damage": list(summary.damage),
        "phases": phases,
        **_state_document(context),
        "questions": [],
        "checkpoints": _rows(history.commits),
    }


def question_document(question: Question) -> dict[str, Any]:
    """`{question, phase, attempt, persona, text, options, default, asked_at, expires_at, state, answer, by}`;
    `state` is open, answered or void (its runner ended before an answer came)."""
    answer = question.answer
    return {
        "question": question.number,
        "phase": question.phase,
        "attempt": question.attempt,
        "persona": question.persona,
        "text": question.text,
        "options": list(question.options),
        "default": question.default,
        "asked_at": utc(question.asked_at),
        "expires_at": utc(question.expires_at) if question.expires_at is not None else None,
        "state": "open" if question.open else "void" if question.void else "answered",
        "answer": answer.answer if answer is not None else None,
        "by": answer.by if answer is not None else None,
    }


def checkpoint_rows(store: CheckpointStore, session_id: str) -> list[dict[str, Any]]:
    """Every commit: `{seq, phase, attempt, sha256, path}`, with `problem` where one is damaged."""
    return _rows(store.history(session_id))


def _rows(commits: Sequence[CommitInfo]) -> list[dict[str, Any]]:
    rows = []
    for commit in commits:
        row: dict[str, Any] = {
            "seq": commit.seq,
            "phase": commit.phase,
            "attempt": commit.attempt,
            "sha256": commit.sha256,
            "path": str(commit.path),
        }
        if commit.problem:
            row["problem"] = commit.problem
        rows.append(row)
    return rows


def plan_document(plan: Plan) -> dict[str, Any]:
    """`{format, session_id, plan_hash, phases: [{phase, action, reason, estimate}]}`."""
    return {
        "format": PLAN_FORMAT,
        "session_id": plan.session_id,
        "plan_hash": plan.hash,
        "changes": list(plan.changes),
        "phases": [
            {
                "phase": planned.phase,
                "action": str(planned.action),
                "reason": planned.reason,
                "estimate": planned.estimate.model_dump() if planned.estimate.runs else None,
                "stale": planned.stale,
                "goes_stale": planned.goes_stale,
                "overwrites": list(planned.overwrites),
                "approval": planned.approval,
                "pause": planned.pause,
            }
            for planned in plan.phases
        ],
    }


def exit_code(document: Mapping[str, Any], phase: str | None = None) -> int:
    """0 completed, 1 a phase failed, 3 paused or waiting, 130 cancelled; of one phase when it ran alone."""
    if phase is not None:
        entry = next(entry for entry in document["phases"] if entry["phase"] == phase)
        if entry["reason"] == WAITING:
            return 3
        done = {"completed": 0, "provided": 0, "skipped": 0}
        return {**done, "failed": 1, "cancelled": 130}.get(entry["status"], 3)
    return {
        SessionStatus.COMPLETED: 0,
        SessionStatus.FAILED: 1,
        SessionStatus.CANCELLED: 130,
    }.get(document["status"], 3)
