"""Lets the personas of one attempt work: one after the other, side by side, or as draft, comments and revision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.blueprints import Blueprint
from maestro_tui.engine.handover import handed_over
from maestro_tui.engine.ledger import BudgetSpent
from maestro_tui.engine.persona_port import PhaseSink
from maestro_tui.engine.receipts import Receipts
from maestro_tui.engine.tries import Role, StepFailed, Tries
from maestro_tui.model.context import Decision, PhaseError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.documents import DocumentRefused, make_folder
from maestro_tui.performers.port import Performer, PerformerResult
from maestro_tui.performers.toolbox.catalogue import OUT_FOLDER
from maestro_tui.store.workspace import FileChange, Tree

CLAIMING = frozenset(["agent_cli", "acp", "llm", "hive"])
"""Performers that judge themselves: of their metrics only an opinion is taken, the rest is a claim. What the
operator runs as a tool, a command or a performer of an own package measures."""

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
        self._gathered = gathered
        self._tries = Tries(attempt, sink, performers, retry_delay_seconds)
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
            why_again = self._receipts.why_again(persona, step)
            result = await self._tries.run(persona, role, step, context, folder, why_again)
        except BudgetSpent as error:
            self._fail(PhaseError(kind="budget", message=str(error), persona=persona.name))
            return None
        except StepFailed as failed:
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
