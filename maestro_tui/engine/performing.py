"""Lets the personas of one attempt work: one after the other, side by side, or as draft, comments and revision."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.blueprints import Blueprint
from maestro_tui.engine.handover import handed_over
from maestro_tui.engine.ledger import BudgetSpent
from maestro_tui.engine.performer_contract import check_result, perform
from maestro_tui.engine.persona_port import PersonaPort, PhaseSink
from maestro_tui.engine.receipts import Receipts
from maestro_tui.model.context import Decision, PhaseError
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import RETRY_AFTER_LIMIT, retry_delay
from maestro_tui.model.text import clean
from maestro_tui.performers.documents import DocumentRefused, make_folder
from maestro_tui.performers.port import Performer, PerformerFailed, PerformerResult, Task
from maestro_tui.performers.toolbox.catalogue import OUT_FOLDER
from maestro_tui.store.workspace import FileChange, Tree

CLAIMING = frozenset(["agent_cli", "acp", "llm", "hive"])
"""Performers that judge themselves: of their metrics only an opinion is taken, the rest is a claim. What the
operator runs as a tool, a command or a performer of an own package measures."""

Role = Literal["work", "comment", "revise"]
_SAID_AS = {"work": "", "comment": ", comment", "revise": ", revision"}


@dataclass(slots=True)
class Gathered:
    """What the personas of an attempt have left so far."""

    outputs: dict[str, Any] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=dict)
    opinions: list[float] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    authors: dict[str, str] = field(default_factory=dict)
    """Path → persona that left it."""
    reused: dict[str, FileChange] = field(default_factory=dict)
    """Path → what a reused step had left there, before this attempt began."""
    error: PhaseError | None = None
    bad_outcome: bool = False
    """True when the error is the measured outcome of work that was done, such as a red test suite."""


class Performing:
    """The work of one attempt. `run` returns what was gathered; failures are in it, not raised."""

    def __init__(
        self,
        attempt: Attempt,
        blueprint: Blueprint,
        sink: PhaseSink,
        performers: Callable[[Persona], Performer],
        gathered: Gathered,
        before: Tree,
        retry_delay_seconds: float | None = None,
    ) -> None:
        self._attempt, self._blueprint, self._sink = attempt, blueprint, sink
        self._performers, self._gathered = performers, gathered
        self._retry_delay = retry_delay_seconds
        self._receipts = Receipts(attempt, blueprint, before, sink)

    async def run(self) -> None:
        """Let them work as the blueprint says. Raises `asyncio.CancelledError` when all has ended."""
        personas = self._blueprint.personas
        if len(personas) > 1 and self._blueprint.mode == "parallel":
            await self._side_by_side(personas)
        elif len(personas) > 1 and self._blueprint.mode == "collaborative":
            await self._together(personas[0], personas[1:])
        else:
            for persona in personas:
                # A red suite stops nobody who only measures: what tools find beside it is wanted all the more.
                if self._gathered.error is not None and not (
                    self._gathered.bad_outcome and persona.performer == "toolbox"
                ):
                    return
                result = await self._step(persona, "work")
                if result is not None:
                    self._take(persona, result)

    async def _side_by_side(self, personas: Sequence[Persona]) -> None:
        tasks = {one.name: asyncio.create_task(self._step(one, "work", own_folder=True)) for one in personas}
        try:
            await asyncio.wait(tasks.values())
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        # In the order of the blueprint, whoever was ready first: the same work gives the same result.
        for persona in personas:
            result = tasks[persona.name].result()
            if result is not None:
                self._take(persona, result)

    async def _together(self, author: Persona, colleagues: Sequence[Persona]) -> None:
        draft = await self._step(author, "work")
        if draft is None:
            return
        self._take(author, draft)
        if self._gathered.error is not None:
            return
        comments: dict[str, Any] = {}
        for number in range(1, self._attempt.phase.rounds + 1):
            given = {"draft": {"outputs": dict(draft.outputs), "summary": draft.summary, "by": author.name}}
            said: dict[str, Any] = {}
            for colleague in colleagues:
                result = await self._step(colleague, "comment", number, extra=given)
                if result is None:
                    return
                self._take(colleague, result, "comment")
                if result.outputs or result.summary:
                    said[colleague.name] = dict(result.outputs) or result.summary
            comments[f"round {number}"] = said
            self._gathered.outputs["comments"] = comments
            if not said:
                break
            revised = await self._step(author, "revise", number, extra={**given, "comments": said})
            if revised is None:
                return
            self._take(author, revised, "revise")
            draft = revised

    # ── One step of one persona ───────────────────────────────────────────────────────────────────────────

    async def _step(
        self,
        persona: Persona,
        role: Role,
        number: int = 0,
        *,
        extra: Mapping[str, Any] | None = None,
        own_folder: bool = False,
    ) -> PerformerResult | None:
        """Its result, from a receipt or by doing it with the phase's tries; None when it failed for good."""
        step = role if not number else f"{role}-{number}"
        attempt = self._attempt
        folder = f"{OUT_FOLDER}/{attempt.phase.name}/{persona.name}" if own_folder else None
        if folder is not None and persona.performer != "toolbox":
            try:
                make_folder(attempt.workspace.path, folder)
            except DocumentRefused as error:
                self._fail(PhaseError(kind="performer", message=str(error), persona=persona.name))
                return None
        context = {**handed_over(attempt, self._gathered.outputs), **(extra or {}), "role": role}
        try:
            found = None
            if self._receipts.kept(persona):
                found = await asyncio.to_thread(self._receipts.find, persona, step, context)
            if found is not None:
                self._gathered.reused.update({one.path: one for one in found.left})
                self._own(persona, [one.path for one in found.left])
                return found.result
            result = await self._tries(persona, role, step, context, folder)
        except BudgetSpent as error:
            self._fail(PhaseError(kind="budget", message=str(error), persona=persona.name))
            return None
        except _Failed as failed:
            self._fail(failed.problem)
            return None
        if self._receipts.kept(persona):
            left = await asyncio.to_thread(self._receipts.write, persona, step, context, result, folder)
            self._own(persona, left)
            if role == "comment" and left:
                named = ", ".join(clean(path, 80) for path in left[:5])
                self._fail(
                    PhaseError(
                        kind="result",
                        message=f"{persona.name!r} was asked for comments and changed files: {named}. They stay as it "
                        "left them; look at them before you resume.",
                        persona=persona.name,
                    )
                )
                return None
        return result

    async def _tries(
        self, persona: Persona, role: Role, step: str, context: Mapping[str, Any], folder: str | None
    ) -> PerformerResult:
        attempt, sink = self._attempt, self._sink
        tries = attempt.phase.retries + 1
        for number in range(1, tries + 1):
            sink.event(
                "persona_started",
                persona=persona.name,
                performer=persona.performer,
                attempt_try=number,
                **self._receipts.why_again(persona, step),
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
                raise _Failed(
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

    # ── What it left ──────────────────────────────────────────────────────────────────────────────────────

    def _take(self, persona: Persona, result: PerformerResult, role: Role = "work") -> None:
        """Add a persona's result to what the phase has so far; comments on a draft are kept apart."""
        gathered = self._gathered
        for key, value in {} if role == "comment" else dict(result.outputs).items():
            other = gathered.outputs.get(key)
            if self._blueprint.mode == "parallel" and key in gathered.outputs and other != value:
                # Two authors, one name: neither may overwrite the other.
                gathered.outputs[f"{persona.name}.{key}"] = value
            else:
                gathered.outputs[key] = value
        now = self._attempt.now()
        gathered.decisions.extend(
            decision.model_copy(update={"phase": self._attempt.phase.name, "at": decision.at or now})
            for decision in result.decisions
        )
        self._take_metrics(persona, result.metrics)
        if result.summary:
            alone = len(self._blueprint.personas) == 1
            who = "" if alone else f"{persona.name}{_SAID_AS[role]}: "
            gathered.summaries.append(who + clean(result.summary, 2000))
        if result.failure is not None:
            gathered.bad_outcome = True
            self._fail(
                PhaseError(kind="gate", message=clean(result.failure, 2000), persona=persona.name, log=None)
            )

    def _take_metrics(self, persona: Persona, metrics: Mapping[str, float | None]) -> None:
        for name, value in metrics.items():
            if name == "opinion":
                if value is not None:
                    self._gathered.opinions.append(float(value))
            elif persona.performer not in CLAIMING:
                self._gathered.metrics[name] = value
            else:
                self._sink.line(
                    persona.name,
                    "engine",
                    f"its {clean(name, 60)} = {clean(value, 60)} is a claim, not a measurement: left out",
                )

    def _own(self, persona: Persona, left: Sequence[str]) -> None:
        self._gathered.authors.update({path: persona.name for path in left})

    def _fail(self, problem: PhaseError) -> None:
        # The first one counts: what fails beside it afterwards is often its consequence.
        if self._gathered.error is None:
            self._gathered.error = problem


class _Failed(Exception):
    """A persona's work failed for good."""

    def __init__(self, problem: PhaseError) -> None:
        super().__init__(problem.message)
        self.problem = problem
