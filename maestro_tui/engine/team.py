"""Carries out one attempt of one phase: chooses the team, lets it work, then measures what it left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime

from maestro_tui.engine.advice import AttemptAdvisor, MakeAdvisor, advisor_of, asks
from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.blueprints import Blueprint, choose
from maestro_tui.engine.classification import classification_of
from maestro_tui.engine.contracts import check_contract, check_outputs, judge, measure_quality
from maestro_tui.engine.delivered import delivered, snapshot
from maestro_tui.engine.handover import handed_over
from maestro_tui.engine.ledger import BudgetSpent
from maestro_tui.engine.performing import Gathered, Performing
from maestro_tui.engine.persona_port import PhaseSink
from maestro_tui.engine.work_clock import Stopwatch, ended_by
from maestro_tui.model.context import (
    Artifact,
    ContractCheck,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.fingerprint import fingerprint, inputs_of
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.port import Performer, Task
from maestro_tui.performers.registry import performer_for


class TeamExecutionEngineV2:
    """Does one phase: blueprint → personas → measured artifacts → contract → quality → gate → result.

    `performers` maps a persona to what carries it out. Success is measured from the files, exit codes and
    tests that are there afterwards; a performer's word is only a claim. `clock` (epoch seconds) dates what
    happens, `stopwatch` measures work. `retry_delay_seconds` stands for that of every phase.
    """

    def __init__(
        self,
        *,
        performers: Callable[[Persona], Performer] = performer_for,
        clock: Callable[[], float] = time.time,
        stopwatch: Stopwatch = time.monotonic,
        retry_delay_seconds: float | None = None,
        advisors: MakeAdvisor = advisor_of,
    ) -> None:
        self._performers = performers
        self.advisors = advisors
        self.clock, self.stopwatch = clock, stopwatch
        self._retry_delay = retry_delay_seconds

    def now(self) -> datetime:
        """The present moment of the engine's clock, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def check(self, workflow: Workflow, names: Sequence[str], context: TeamExecutionContext) -> None:
        """Make sure that every named phase has a team. Raises `InputError` before anything runs."""
        for name in names:
            for persona in self.blueprint(workflow, workflow.phase(name), context).personas:
                self._performers(persona)
        if workflow.advisor is not None:
            self.advisors(workflow.advisor)
            for persona in workflow.personas:
                self._performers(persona)

    def blueprint(self, workflow: Workflow, phase: Phase, context: TeamExecutionContext) -> Blueprint:
        """Who will work on a phase and how. Raises `InputError` when nobody can."""
        return choose(
            phase,
            context.requirement,
            pool=workflow.personas,
            override=context.blueprints.get(phase.name),
            classification=classification_of(context),
        )

    async def execute_phase(self, attempt: Attempt, sink: PhaseSink) -> PhaseResult:
        """Run one attempt and return its outcome; failures are results, not exceptions.

        Raises `asyncio.CancelledError` after every child process has ended.
        """
        phase = attempt.phase
        started = self.now()
        inputs = inputs_of(attempt.workflow, attempt.context, phase.name)
        blueprint = self.blueprint(attempt.workflow, phase, attempt.context)
        advisor = AttemptAdvisor(attempt, sink, self.advisors)
        before = await snapshot(attempt, "before")
        work = Gathered()
        try:
            async with _limited(attempt) as scope:
                blueprint = await advisor.blueprint(blueprint)
                contracts, decision = await advisor.contracts()
                if contracts:
                    phase = phase.model_copy(update={"contracts": contracts})
                    attempt = replace(attempt, phase=phase)
                made = (blueprint.decision, decision)
                work.decisions += [one.model_copy(update={"at": started}) for one in made if one is not None]
                sink.event(
                    "blueprint_selected",
                    personas=[persona.name for persona in blueprint.personas],
                    mode=blueprint.mode,
                    choice=blueprint.decision.choice,
                    decided_by=blueprint.decision.decided_by,
                )
                performing = Performing(
                    attempt, blueprint, sink, self._performers, work, before, self._retry_delay
                )
                await performing.run()
                if work.error is None:
                    work.error = _too_late(attempt)
        except BudgetSpent as error:
            work.error = PhaseError(kind="budget", message=str(error))
        except TimeoutError:
            if not scope.expired():
                raise
            work.error = _out_of_time(attempt)
        only = blueprint.personas[0].name if len(blueprint.personas) == 1 else None
        globs = (*attempt.phase.globs, *blueprint.promises)
        artifacts, problems = await delivered(before, attempt, globs, work.reused, work.authors, only)
        for problem in problems:
            sink.line("engine", "engine", problem)
        touched = [artifact.path for artifact in artifacts if artifact.change != "same"]
        if touched:
            sink.event("artifacts_created", count=len(touched), paths=touched[:50])
        if work.error is None:
            await _review(advisor, attempt, blueprint, work, artifacts)
        return await self._measure(attempt, blueprint, work, artifacts, inputs, started, sink)

    async def _measure(
        self,
        attempt: Attempt,
        blueprint: Blueprint,
        work: Gathered,
        artifacts: tuple[Artifact, ...],
        inputs: dict[str, str],
        started: datetime,
        sink: PhaseSink,
    ) -> PhaseResult:
        phase, error = attempt.phase, work.error
        globs = (*phase.deliverables, *blueprint.promises)
        changed = [artifact.path for artifact in artifacts if artifact.change in ("new", "changed")]

        def checked() -> tuple[ContractCheck, list[str]]:
            place = attempt.workspace.path
            root = attempt.session_dir.parent
            contract = check_contract(place, globs, changed, phase.contracts, exclude=root)
            return contract, check_outputs(phase, work.outputs, place)

        if globs or phase.contracts or phase.outputs_schema is not None:
            contract, broken = await asyncio.to_thread(checked)
        else:
            contract, broken = checked()
        if broken and (error is None or work.bad_outcome):
            contract = contract.model_copy(update={"violations": (*contract.violations, *broken)})
        if work.opinions:
            work.metrics["opinion"] = round(sum(work.opinions) / len(work.opinions), 4)
        quality = measure_quality(contract, work.metrics, error is not None)
        gate = None
        if error is None or work.bad_outcome:
            sink.event(
                "contract_checked",
                fulfilled=list(contract.fulfilled),
                missing=list(contract.missing),
                violations=list(contract.violations),
            )
            gate = judge(phase, contract, quality)
            if error is not None:
                failures = (error.message, *gate.failures)
                gate = gate.model_copy(update={"verdict": "failed", "failures": failures})
            sink.event("quality_checked", quality=quality, verdict=gate.verdict, failures=list(gate.failures))
        if error is None and gate is not None and gate.verdict == "failed":
            error = PhaseError(
                kind="contract" if contract.missing or contract.violations else "gate",
                message=_gate_sentence(phase, gate.failures, changed),
                log=attempt.log_name or None,
            )
        elif error is not None and error.log is None:
            error = error.model_copy(update={"log": attempt.log_name or None})
        finished = self.now()
        return PhaseResult(
            status=_status(error),
            attempt=attempt.number,
            started_at=started,
            finished_at=finished,
            inputs=inputs,
            inputs_fingerprint=fingerprint(inputs),
            outputs=work.outputs,
            summary="\n".join(work.summaries),
            artifacts=artifacts,
            decisions=tuple(work.decisions),
            contract=contract if contract.deliverables or contract.violations else None,
            quality=quality,
            gate=gate,
            usage=attempt.ledger.of_attempt(phase.name),
            usage_by=attempt.ledger.by_persona(phase.name),
            error=error,
            personas=tuple(persona.name for persona in blueprint.personas),
        )


async def _review(
    advisor: AttemptAdvisor,
    attempt: Attempt,
    blueprint: Blueprint,
    work: Gathered,
    artifacts: tuple[Artifact, ...],
) -> None:
    """Add the advisor's opinion of the work, where it is asked for one: kept with the outputs, never a measure."""
    if asks(attempt.workflow, "review") is None:
        return
    task = Task(
        session_id=attempt.context.session_id,
        phase=attempt.phase,
        attempt=attempt.number,
        persona=blueprint.personas[0],
        requirement=attempt.context.requirement,
        workspace=attempt.workspace.path,
        scratch_at=attempt.scratch,
        context=handed_over(attempt, work.outputs),
    )
    try:
        async with _limited(attempt) as scope:
            review = await advisor.review(task, work.outputs, artifacts)
    except BudgetSpent as error:
        work.error = PhaseError(kind="budget", message=str(error))
        return
    except TimeoutError:
        if not scope.expired():
            raise
        out = _out_of_time(attempt)
        if out.kind == "budget":
            work.error = out
        else:
            # The work was done in time: an opinion that comes too late does not undo it.
            advisor.missed("The phase's time was over before the review; it goes on without.")
        return
    if review:
        work.opinions.append(float(review["opinion"]))
        work.outputs["review"] = review


def _status(error: PhaseError | None) -> PhaseStatus:
    if error is None:
        return PhaseStatus.COMPLETED
    # A spent budget is no failure of the work: the phase stays open, and the session is paused.
    return PhaseStatus.PENDING if error.kind == "budget" else PhaseStatus.FAILED


def _limited(attempt: Attempt) -> AbstractAsyncContextManager[asyncio.Timeout]:
    """The scope that ends once the phase's time is over or a budget of seconds is spent."""

    def look() -> float | None:
        left = [attempt.ledger.seconds_left(attempt.phase.name)]
        if attempt.phase.timeout_seconds is not None:
            left.append(attempt.phase.timeout_seconds - attempt.clock.seconds)
        return min((one for one in left if one is not None), default=None)

    return ended_by(look)


def _out_of_time(attempt: Attempt) -> PhaseError:
    spent, phase = attempt.ledger.overspent(attempt.phase.name), attempt.phase
    if spent is not None:
        return PhaseError(kind="budget", message=spent)
    return PhaseError(
        kind="timeout",
        message=f"Phase {phase.name!r} was stopped after its limit of {phase.timeout_seconds or 0:g} s.",
    )


def _too_late(attempt: Attempt) -> PhaseError | None:
    """The failure of work that went on past the phase's limit because it kept the loop from ending it."""
    phase, took = attempt.phase, attempt.clock.seconds
    if phase.timeout_seconds is None or took <= phase.timeout_seconds:
        return None
    return PhaseError(
        kind="timeout",
        message=f"Phase {phase.name!r} went on past its limit of {phase.timeout_seconds:g} s and could not be stopped; "
        f"its work ended after {took:.1f} s.",
    )


def _gate_sentence(phase: Phase, failures: Sequence[str], made: Sequence[str]) -> str:
    found = (
        f" Made instead: {', '.join(clean(path, 80) for path in made[:5])}." if made else " No file was made."
    )
    missing = any("is missing" in failure for failure in failures)
    return f"Phase {phase.name!r} missed its gate: {'; '.join(failures)}.{found if missing else ''}"
