"""Lets one persona do one step, as often as the phase allows: a failed try is told, waited after and done again."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Literal

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.ledger import BudgetSpent
from maestro_tui.engine.performer_contract import check_result, perform
from maestro_tui.engine.persona_port import PersonaPort, PhaseSink
from maestro_tui.model.context import PhaseError
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import RETRY_AFTER_LIMIT, retry_delay
from maestro_tui.model.text import clean
from maestro_tui.performers.port import Performer, PerformerFailed, PerformerResult, Task

Role = Literal["work", "comment", "revise"]


class StepFailed(Exception):
    """A persona's work failed for good."""

    def __init__(self, problem: PhaseError) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Tries:
    """The tries of an attempt's steps. `retry_delay_seconds` stands for the phase's own where it is given."""

    def __init__(
        self,
        attempt: Attempt,
        sink: PhaseSink,
        performers: Callable[[Persona], Performer],
        retry_delay_seconds: float | None,
    ) -> None:
        self._attempt, self._sink = attempt, sink
        self._performers, self._retry_delay = performers, retry_delay_seconds

    async def run(
        self,
        persona: Persona,
        role: Role,
        step: str,
        context: Mapping[str, Any],
        folder: str | None,
        why_again: Mapping[str, Any],
    ) -> PerformerResult:
        """Its result. Raises `StepFailed` when it failed for good, `BudgetSpent` when no more may be spent.

        `why_again` is what the first event tells of a step that an earlier attempt had done.
        """
        attempt, sink = self._attempt, self._sink
        tries = attempt.phase.retries + 1
        for number in range(1, tries + 1):
            sink.event(
                "persona_started",
                persona=persona.name,
                performer=persona.performer,
                attempt_try=number,
                **why_again,
                **({"step": step} if step != "work" else {}),
            )
            retry, asked = True, None
            try:
                result = await self._try(persona, role, step, number, context, folder)
                check_result(persona.name, result)
            except BudgetSpent as error:
                sink.event("persona_finished", persona=persona.name, ok=False, summary=clean(str(error), 400))
                sink.line(persona.name, "engine", str(error))
                raise
            except PerformerFailed as error:
                problem = PhaseError(
                    kind=error.kind,
                    message=clean(str(error), 2000),
                    persona=persona.name,
                    tail=tuple(clean(line, 500) for line in list(error.tail)[-20:]),
                )
                retry, asked = error.retry, error.retry_after
            except MaestroError as error:
                problem = PhaseError(kind="performer", message=clean(str(error), 2000), persona=persona.name)
            except (Exception, SystemExit) as error:
                # Whatever a performer does wrong is its persona's failure, never the session's.
                problem = PhaseError(
                    kind="internal",
                    message=f"The performer of {persona.name!r} broke: {type(error).__name__}: {clean(error, 500)}",
                    persona=persona.name,
                )
                retry = False
                for line in traceback.format_exc().splitlines():
                    sink.line(persona.name, "engine", line)
            else:
                sink.event(
                    "persona_finished",
                    persona=persona.name,
                    ok=result.failure is None,
                    summary=clean(result.summary, 400),
                )
                return result
            sink.event(
                "persona_finished", persona=persona.name, ok=False, summary=clean(problem.message, 400)
            )
            sink.line(persona.name, "engine", problem.message)
            base = attempt.phase.retry_delay_seconds if self._retry_delay is None else self._retry_delay
            delay = retry_delay(number, base, asked)
            if number == tries or not retry or delay is None:
                more = f" ({number} tries)" if number > 1 else ""
                if delay is None and number < tries:
                    more += f" It asks for a wait of {asked:.0f} s, longer than {RETRY_AFTER_LIMIT:.0f} s: resume later."
                raise StepFailed(
                    problem.model_copy(
                        update={"message": problem.message + more, "log": attempt.log_name or None}
                    )
                )
            sink.event(
                "phase_retried",
                persona=persona.name,
                failed_try=number,
                tries=tries,
                delay_seconds=round(delay, 3),
                **({"asked_seconds": asked} if asked is not None else {}),
            )
            await asyncio.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _try(
        self,
        persona: Persona,
        role: Role,
        step: str,
        number: int,
        context: Mapping[str, Any],
        folder: str | None,
    ) -> PerformerResult:
        attempt = self._attempt
        phase = attempt.phase.name
        over = attempt.ledger.overspent(phase, persona)
        if over is not None:
            raise BudgetSpent(over)
        task = Task(
            session_id=attempt.context.session_id,
            phase=attempt.phase,
            attempt=attempt.number,
            persona=persona,
            requirement=attempt.context.requirement,
            workspace=attempt.workspace.path,
            scratch_at=attempt.scratch / f"{persona.name}.{step}.{number}",
            context=context,
            role=role,
            own_folder=folder,
            budget=attempt.ledger.left(phase, persona),
        )
        performer = self._performers(persona)
        with attempt.ledger.at_work(phase, persona) as clock:
            port = PersonaPort(attempt, persona, self._sink, clock, step, number)
            try:
                async with port.limited() as scope:
                    result = await perform(performer, task, port)
            except TimeoutError as error:
                if port.over is not None:
                    raise BudgetSpent(port.over) from error
                if not scope.expired():
                    raise
                raise PerformerFailed(
                    f"{persona.name!r} was stopped after its limit of {persona.timeout_seconds:g} s.",
                    kind="timeout",
                ) from error
            except PerformerFailed as error:
                over = port.note(port.spent.covering(error.usage)) or port.over
                if over is not None:
                    # The agent may have stopped at the same limit, and calls it a failure of its own.
                    raise BudgetSpent(over) from error
                raise
            took = clock.seconds
            port.note(port.spent.covering(result.usage))
            if persona.timeout_seconds is not None and took > persona.timeout_seconds:
                raise PerformerFailed(
                    f"{persona.name!r} went on past its limit of {persona.timeout_seconds:g} s and could not be "
                    f"stopped; it ended after {took:.1f} s.",
                    kind="timeout",
                )
            return result
