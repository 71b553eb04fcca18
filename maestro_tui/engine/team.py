"""Carries out one attempt of one phase: chooses the team, lets it work, then measures what it left."""

from __future__ import annotations

import asyncio
import json
import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from maestro_tui.engine.blueprints import Blueprint, choose
from maestro_tui.engine.contracts import check_contract, judge, measure_quality
from maestro_tui.model.context import (
    Artifact,
    Decision,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
    Usage,
)
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.fingerprint import fingerprint, inputs_of
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Persona, Phase, Workflow
from maestro_tui.performers.port import Performer, PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.registry import performer_for
from maestro_tui.store.workspace import FileChange, Workspace

RETRY_DELAY_SECONDS = 1.0
RETRY_DELAY_LIMIT = 60.0


class PhaseSink(Protocol):
    """Where an attempt's events and output lines go: the journal, the log, and whoever listens."""

    def event(self, type: str, *, persona: str | None = None, **data: Any) -> None:
        """A fact of this attempt."""

    def line(self, persona: str, stream: Literal["out", "err", "engine"], text: str) -> None:
        """A line for this attempt's log."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that one attempt of a phase needs to know."""

    context: TeamExecutionContext
    workflow: Workflow
    phase: Phase
    number: int
    workspace: Workspace
    scratch: Path
    """An existing folder of this attempt alone."""
    log_name: str = ""
    feedback: Mapping[str, Any] | None = None
    """Why there is a new attempt: the earlier error, or the reviewer's comments."""
    foreign_globs: frozenset[str] = frozenset()
    """Deliverables of phases that may run at the same time in the same workspace."""


@dataclass(slots=True)
class _Work:
    """What has been gathered so far in an attempt."""

    outputs: dict[str, Any] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    error: PhaseError | None = None
    bad_outcome: bool = False


class TeamExecutionEngineV2:
    """Does one phase: blueprint → personas → measured artifacts → contract → quality → gate → result.

    `performers` maps a persona to what carries it out. Success is measured from the files, exit codes and
    tests that are there afterwards; a performer's word is only a claim.
    """

    def __init__(
        self,
        *,
        performers: Callable[[Persona], Performer] = performer_for,
        clock: Callable[[], float] = time.time,
        retry_delay_seconds: float = RETRY_DELAY_SECONDS,
    ) -> None:
        self._performers = performers
        self.clock = clock
        self._retry_delay = retry_delay_seconds

    def now(self) -> datetime:
        """The present moment of the engine's clock, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def check(self, workflow: Workflow, names: Sequence[str], requirement: str) -> None:
        """Make sure that every named phase has a team. Raises `InputError` before anything runs."""
        for name in names:
            for persona in choose(workflow.phase(name), requirement).personas:
                self._performers(persona)

    async def execute_phase(self, attempt: Attempt, sink: PhaseSink) -> PhaseResult:
        """Run one attempt and return its outcome; failures are results, not exceptions.

        Raises `asyncio.CancelledError` after every child process has ended.
        """
        phase = attempt.phase
        started = self.now()
        inputs = inputs_of(attempt.workflow, attempt.context, phase.name)
        blueprint = choose(phase, attempt.context.requirement)
        sink.event(
            "blueprint_selected",
            personas=[persona.name for persona in blueprint.personas],
            mode=blueprint.mode,
            choice=blueprint.decision.choice,
            decided_by=blueprint.decision.decided_by,
        )
        before = await asyncio.to_thread(attempt.workspace.snapshot, f"{phase.name}/{attempt.number}/before")
        work = _Work(decisions=[blueprint.decision.model_copy(update={"at": started})])
        try:
            async with asyncio.timeout(phase.timeout_seconds):
                await self._perform(blueprint, attempt, work, sink)
        except TimeoutError:
            work.error = PhaseError(
                kind="timeout",
                message=f"Phase {phase.name!r} was stopped after its limit of {phase.timeout_seconds:g} s.",
            )
        after = await asyncio.to_thread(attempt.workspace.snapshot, f"{phase.name}/{attempt.number}/after")
        changes = await asyncio.to_thread(attempt.workspace.changes, before, after)
        artifacts = _own_artifacts(changes, attempt)
        if artifacts:
            sink.event(
                "artifacts_created",
                count=len(artifacts),
                paths=[artifact.path for artifact in artifacts[:50]],
            )
        return await self._measure(attempt, blueprint, work, artifacts, inputs, started, sink)

    async def _perform(self, blueprint: Blueprint, attempt: Attempt, work: _Work, sink: PhaseSink) -> None:
        if blueprint.mode == "parallel" and len(blueprint.personas) > 1:
            async with asyncio.TaskGroup() as group:
                for persona in blueprint.personas:
                    group.create_task(self._persona(persona, attempt, work, sink))
            return
        for persona in blueprint.personas:
            await self._persona(persona, attempt, work, sink)
            if work.error is not None:
                return

    async def _persona(self, persona: Persona, attempt: Attempt, work: _Work, sink: PhaseSink) -> None:
        """One persona's work with the phase's retries; a failure becomes `work.error`."""
        tries = attempt.phase.retries + 1
        for number in range(1, tries + 1):
            sink.event(
                "persona_started", persona=persona.name, performer=persona.performer, attempt_try=number
            )
            try:
                result = await self._try(persona, attempt, work, sink, number)
                self._take(persona, attempt.phase.name, result, work)
            except PerformerFailed as error:
                problem = PhaseError(
                    kind=error.kind,
                    message=clean(str(error), 2000),
                    persona=persona.name,
                    tail=_tail(error.tail),
                )
            except MaestroError as error:
                problem = PhaseError(kind="performer", message=clean(str(error), 2000), persona=persona.name)
            except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
                problem = PhaseError(
                    kind="internal",
                    message=f"The performer of {persona.name!r} broke: {type(error).__name__}: {clean(error, 500)}",
                    persona=persona.name,
                )
                for line in traceback.format_exc().splitlines():
                    sink.line(persona.name, "engine", line)
            else:
                sink.event(
                    "persona_finished",
                    persona=persona.name,
                    ok=result.failure is None,
                    summary=clean(result.summary, 400),
                )
                return
            sink.event(
                "persona_finished", persona=persona.name, ok=False, summary=clean(problem.message, 400)
            )
            sink.line(persona.name, "engine", problem.message)
            if number == tries or problem.kind == "internal":
                suffix = f" ({number} tries)" if number > 1 else ""
                work.error = problem.model_copy(
                    update={"message": problem.message + suffix, "log": attempt.log_name or None}
                )
                return
            delay = min(self._retry_delay * 2 ** (number - 1), RETRY_DELAY_LIMIT)
            sink.event(
                "phase_retried", persona=persona.name, failed_try=number, tries=tries, delay_seconds=delay
            )
            await asyncio.sleep(delay)

    async def _try(
        self, persona: Persona, attempt: Attempt, work: _Work, sink: PhaseSink, number: int
    ) -> PerformerResult:
        scratch = attempt.scratch / f"{persona.name}.{number}"
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        task = Task(
            session_id=attempt.context.session_id,
            phase=attempt.phase,
            attempt=attempt.number,
            persona=persona,
            requirement=attempt.context.requirement,
            workspace=attempt.workspace.path,
            scratch=scratch,
            context=handed_over(attempt, work.outputs),
        )
        performer = self._performers(persona)
        try:
            async with asyncio.timeout(persona.timeout_seconds):
                return await performer.perform(task, _PersonaPort(persona.name, sink))
        except TimeoutError as error:
            if persona.timeout_seconds is None:
                raise
            raise PerformerFailed(
                f"{persona.name!r} was stopped after its limit of {persona.timeout_seconds:g} s.",
                kind="timeout",
            ) from error

    def _take(self, persona: Persona, phase: str, result: PerformerResult, work: _Work) -> None:
        """Add a persona's result to what the phase has so far."""
        for name, value in result.metrics.items():
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
                raise PerformerFailed(
                    f"{persona.name!r} reported {clean(name, 60)} = {clean(value, 60)}, which is no finite number.",
                    kind="result",
                )
        try:
            json.dumps(dict(result.outputs), allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise PerformerFailed(
                f"{persona.name!r} returned outputs that JSON cannot hold ({clean(error, 200)}).",
                kind="result",
            ) from error
        work.outputs.update(result.outputs)
        now = self.now()
        work.decisions.extend(
            decision.model_copy(update={"phase": phase, "at": decision.at or now})
            for decision in result.decisions
        )
        work.metrics.update(result.metrics)
        if result.summary:
            work.summaries.append(clean(result.summary, 2000))
        work.usage = work.usage.plus(result.usage)
        if result.failure is not None:
            work.bad_outcome = True
            work.error = PhaseError(
                kind="gate", message=clean(result.failure, 2000), persona=persona.name, log=None
            )

    async def _measure(
        self,
        attempt: Attempt,
        blueprint: Blueprint,
        work: _Work,
        artifacts: tuple[Artifact, ...],
        inputs: dict[str, str],
        started: datetime,
        sink: PhaseSink,
    ) -> PhaseResult:
        phase = attempt.phase
        globs = (*phase.deliverables, *blueprint.promises)
        changed = [artifact.path for artifact in artifacts if artifact.change != "deleted"]
        contract = await asyncio.to_thread(check_contract, attempt.workspace.path, globs, changed)
        quality = measure_quality(contract, work.metrics, work.error is not None)
        gate = None
        if work.error is None or work.bad_outcome:
            sink.event("contract_checked", fulfilled=list(contract.fulfilled), missing=list(contract.missing))
            gate = judge(phase, contract, quality)
            if work.error is not None:
                failures = (work.error.message, *gate.failures)
                gate = gate.model_copy(update={"verdict": "failed", "failures": failures})
            sink.event("quality_checked", quality=quality, verdict=gate.verdict, failures=list(gate.failures))
        error = work.error
        if error is None and gate is not None and gate.verdict == "failed":
            error = PhaseError(
                kind="contract" if contract.missing else "gate",
                message=_gate_sentence(phase, gate.failures, changed),
                log=attempt.log_name or None,
            )
        elif error is not None and error.log is None:
            error = error.model_copy(update={"log": attempt.log_name or None})
        finished = self.now()
        seconds = max(0.0, (finished - started).total_seconds())
        return PhaseResult(
            status=PhaseStatus.FAILED if error is not None else PhaseStatus.COMPLETED,
            attempt=attempt.number,
            started_at=started,
            finished_at=finished,
            inputs=inputs,
            inputs_fingerprint=fingerprint(inputs),
            outputs=work.outputs,
            summary="\n".join(work.summaries),
            artifacts=artifacts,
            decisions=tuple(work.decisions),
            contract=contract if contract.deliverables else None,
            quality=quality,
            gate=gate,
            usage=work.usage.model_copy(update={"seconds": round(seconds, 3)}),
            error=error,
            personas=tuple(persona.name for persona in blueprint.personas),
        )


class _PersonaPort(Port):
    def __init__(self, persona: str, sink: PhaseSink) -> None:
        self._persona = persona
        self._sink = sink

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        self._sink.line(self._persona, stream, text)

    def emit(self, type: str, **data: Any) -> None:
        self._sink.event(type, persona=self._persona, **data)

    def spend(self, usage: Usage) -> None:
        self._sink.event(
            "usage_reported", persona=self._persona, **usage.model_dump(mode="json", exclude_none=True)
        )

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        """Nobody is asked yet: the default is taken, and the journal says so."""
        self._sink.event(
            "question_answered", persona=self._persona, question=clean(question), answer=default, by="default"
        )
        return default


def handed_over(attempt: Attempt, so_far: Mapping[str, Any]) -> dict[str, Any]:
    """What a performer gets: everything that earlier phases left, whole, and what this phase has so far."""
    context = attempt.context
    outputs = {
        name: context.outputs_of(name)
        for name, result in context.results()
        if name != attempt.phase.name and result.done and result.status != PhaseStatus.SKIPPED
    }
    if so_far:
        outputs[attempt.phase.name] = dict(so_far)
    others = [result for name, result in context.results() if name != attempt.phase.name]
    data: dict[str, Any] = {
        "session_id": context.session_id,
        "phase": attempt.phase.name,
        "objective": attempt.phase.objective,
        "attempt": attempt.number,
        "requirement": context.requirement,
        "outputs": outputs,
        "decisions": [
            decision.model_dump(mode="json", exclude_none=True)
            for decision in (*context.session_decisions, *(d for result in others for d in result.decisions))
        ],
        "artifacts": [a.model_dump(mode="json") for result in others for a in result.artifacts],
    }
    if attempt.feedback:
        data["feedback"] = dict(attempt.feedback)
    return data


def _own_artifacts(changes: Sequence[FileChange], attempt: Attempt) -> tuple[Artifact, ...]:
    """The changes of this attempt, without what a phase running beside it has to deliver.

    A file that no contract claims and that changed while two phases ran is listed with both: which of them
    wrote it cannot be measured, and leaving it out would hide it.
    """
    own = []
    for change in changes:
        mine = any(Path(change.path).match(glob) for glob in attempt.phase.deliverables)
        if not mine and any(Path(change.path).match(glob) for glob in attempt.foreign_globs):
            continue
        own.append(
            Artifact(
                path=change.path,
                size=change.size,
                sha256=change.sha256,
                change=change.change,
                phase=attempt.phase.name,
                attempt=attempt.number,
            )
        )
    return tuple(own)


def _gate_sentence(phase: Phase, failures: Sequence[str], made: Sequence[str]) -> str:
    found = (
        f" Made instead: {', '.join(clean(path, 80) for path in made[:5])}." if made else " No file was made."
    )
    missing = any("is missing" in failure for failure in failures)
    return f"Phase {phase.name!r} missed its gate: {'; '.join(failures)}.{found if missing else ''}"


def _tail(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(clean(line, 500) for line in list(lines)[-20:])
