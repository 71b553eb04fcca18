"""Puts the team's own questions to the workflow's advisor; where it fails or there is none, rules answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.blueprints import Blueprint, blueprint_of, candidates_of
from maestro_tui.engine.classification import ABOUT, classify
from maestro_tui.engine.ledger import BudgetSpent
from maestro_tui.engine.persona_port import PersonaPort, PhaseSink
from maestro_tui.model.context import Artifact, Decision, TeamExecutionContext, Usage
from maestro_tui.model.contract import Contract
from maestro_tui.model.facts import digest
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import spent_of
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Question, Workflow
from maestro_tui.performers.port import PerformerFailed, Port, Task
from maestro_tui.store.receipts import Receipt, load_receipt, save_receipt

if TYPE_CHECKING:
    from maestro_tui.performers.advisor import Advice, Advisor

A = TypeVar("A", bound=BaseModel)
CLASSIFYING_LIMIT = 300.0
"""Seconds, where the advisor names no limit of its own."""
MakeAdvisor = Callable[[Persona], "Advisor"]


def advisor_of(persona: Persona) -> Advisor:
    """The advisor that a persona names. Raises `InputError` when its options, key or extra are missing."""
    from maestro_tui.performers.advisor import Advisor

    return Advisor(persona)


def asks(workflow: Workflow, question: Question) -> Persona | None:
    """Who is asked this question; None when rules answer it."""
    return workflow.advisor if question in workflow.advice else None


@dataclass(frozen=True, slots=True)
class Classified:
    """The classification to record, what asking for it took, and why it is the rules' where the advisor failed."""

    decision: Decision
    usage: Usage
    problem: str | None = None


async def classified(
    workflow: Workflow, context: TeamExecutionContext, make: MakeAdvisor
) -> Classified | None:
    """The model's classification of the requirement; None when it need not be asked, or may not cost any more.

    It is asked once per session: where it fails that is recorded, and the rules' classification stays.
    """
    persona = asks(workflow, "classification")
    known = [one for one in context.session_decisions if one.about == ABOUT]
    if persona is None or (known and (known[-1].decided_by != "rules" or "advisor" in known[-1].details)):
        return None
    if spent_of(context.budget_of(None, workflow.budget), context.usage) is not None:
        return None
    try:
        async with asyncio.timeout(persona.timeout_seconds or CLASSIFYING_LIMIT):
            advice = await make(persona).classify(context.requirement)
    except Exception as error:
        # Whatever a model or its library does wrong: the rules' word is there.
        said = "it took too long" if isinstance(error, TimeoutError) else clean(error, 400)
        problem = f"The advisor could not classify the requirement: {said} The rules' word stands."
        usage = error.usage if isinstance(error, PerformerFailed) else Usage()
        rules = known[-1] if known else classify(context.requirement, context.created_at)
        details = {**rules.details, "advisor": "failed"}
        return Classified(rules.model_copy(update={"rationale": problem, "details": details}), usage, problem)
    answer = advice.answer
    decision = Decision(
        about=ABOUT,
        choice=f"{answer.type}, {answer.complexity}, {answer.parallelizability}",
        rationale=answer.rationale,
        alternatives=tuple(one.choice for one in known),
        score=answer.confidence,
        decided_by=advice.decided_by,
        details=answer.model_dump(mode="json", exclude={"rationale"}),
    )
    return Classified(decision, advice.usage)


class AttemptAdvisor:
    """The advisor within one attempt: what it spends counts for the phase, and a spent budget ends the attempt."""

    def __init__(self, attempt: Attempt, sink: PhaseSink, make: MakeAdvisor) -> None:
        self._attempt, self._sink, self._make = attempt, sink, make

    async def blueprint(self, by_rules: Blueprint) -> Blueprint:
        """The model's choice of a team, or the rules' where the workflow or the operator chose, or it fails."""
        attempt, phase = self._attempt, self._attempt.phase
        persona = asks(attempt.workflow, "blueprint")
        if persona is None or by_rules.decision.decided_by != "rules":
            return by_rules
        candidates = candidates_of(phase, attempt.workflow.personas)
        advice = await self._once(
            persona,
            "choose a blueprint",
            lambda advisor, port: advisor.choose_blueprint(
                phase, candidates, attempt.context.requirement, port
            ),
            candidates,
        )
        if advice is None:
            return by_rules
        answer, named = advice.answer, {one.name: one for one in candidates}
        return blueprint_of(
            phase,
            [named[name] for name in answer.personas],
            phase.mode or answer.mode,
            rationale=answer.rationale,
            decided_by=advice.decided_by,
            alternatives=(by_rules.decision.choice, *answer.alternatives),
            score=answer.score,
        )

    async def contracts(self) -> tuple[tuple[Contract, ...], Decision | None]:
        """What the model says the phase must deliver, where the workflow says nothing of it, and the decision."""
        phase = self._attempt.phase
        persona = asks(self._attempt.workflow, "contracts")
        if persona is None or phase.globs:
            return (), None
        advice = await self._once(
            persona,
            "propose a contract",
            lambda advisor, port: advisor.propose_contract(phase, self._attempt.context.requirement, port),
        )
        if advice is None or not advice.answer.contracts:
            return (), None
        contracts = tuple(advice.answer.contracts)
        decision = Decision(
            phase=phase.name,
            about="contract",
            choice="; ".join(f"{one.name}: {', '.join(one.deliverables)}" for one in contracts),
            rationale=advice.answer.rationale,
            decided_by=advice.decided_by,
        )
        return contracts, decision

    async def review(
        self, task: Task, outputs: dict[str, Any], artifacts: tuple[Artifact, ...]
    ) -> dict[str, Any]:
        """`{opinion, findings, summary, by}` of what the phase left; empty when nobody is asked or it fails."""
        persona = asks(self._attempt.workflow, "review")
        if persona is None:
            return {}
        advice = await self._ask(
            persona, "review the work", lambda advisor, port: advisor.review(task, outputs, artifacts, port)
        )
        if advice is None:
            return {}
        return {**advice.answer.model_dump(mode="json"), "by": advice.decided_by}

    async def _once(
        self,
        persona: Persona,
        what: str,
        question: Callable[[Advisor, Port], Awaitable[Advice[A]]],
        asked_about: Sequence[Persona] = (),
    ) -> Advice[A] | None:
        """Like `_ask`; after an attempt that was broken off the same question is not asked again, so that its
        finished work still stands."""
        from maestro_tui.performers import advice as answers
        from maestro_tui.performers.advisor import Advice as Given

        attempt, phase = self._attempt, self._attempt.phase
        kind: Mapping[str, type[BaseModel]] = {
            "choose a blueprint": answers.BlueprintAdvice,
            "propose a contract": answers.ContractProposal,
        }
        step = what.replace(" ", "-")
        # All that the question tells. A word about people who were others then is no word about these.
        people = [{"name": one.name, "does": one.description or one.instructions} for one in asked_about]
        given = digest({"phase": phase.definition_hash(), "candidates": people})
        if attempt.reusable is not None:
            kept = await asyncio.to_thread(
                load_receipt, attempt.session_dir, phase.name, attempt.reusable, persona.name, step
            )
            if kept is not None and kept.given == given:
                try:
                    answer = kind[what].model_validate(kept.result["answer"])
                except (ValueError, LookupError, TypeError):
                    answer = None
                if answer is not None:
                    await asyncio.to_thread(
                        save_receipt, attempt.session_dir, replace(kept, attempt=attempt.number)
                    )
                    return cast("Advice[A]", Given(answer, Usage(), str(kept.result.get("decided_by"))))
        advice = await self._ask(persona, what, question)
        if advice is not None:
            receipt = Receipt(
                phase=phase.name,
                attempt=attempt.number,
                persona=persona.name,
                step=step,
                given=given,
                result=attempt.redactor.data(
                    {"answer": advice.answer.model_dump(mode="json"), "decided_by": advice.decided_by}
                ),
            )
            await asyncio.to_thread(save_receipt, attempt.session_dir, receipt)
        return advice

    async def _ask(
        self,
        persona: Persona,
        what: str,
        question: Callable[[Advisor, Port], Awaitable[Advice[A]]],
    ) -> Advice[A] | None:
        attempt = self._attempt
        with attempt.ledger.at_work(attempt.phase.name, persona) as clock:
            port = PersonaPort(attempt, persona, self._sink, clock, what, 1)
            try:
                async with port.limited():
                    advice = await question(self._make(persona), port)
                port.note(port.spent.covering(advice.usage))
            except TimeoutError as error:
                if port.over is not None:
                    raise BudgetSpent(port.over) from error
                self._failed(persona, f"The advisor had no time left to {what}; it goes on without.")
                return None
            except Exception as error:
                if isinstance(error, PerformerFailed):
                    port.note(port.spent.covering(error.usage))
                self._failed(
                    persona, f"The advisor could not {what}: {clean(error, 400)} It goes on without."
                )
                return None
        return advice

    def missed(self, sentence: str) -> None:
        """Tell that the advisor's word was waited for no longer."""
        persona = self._attempt.workflow.advisor
        if persona is not None:
            self._failed(persona, sentence)

    def _failed(self, persona: Persona, sentence: str) -> None:
        self._sink.event("advice_failed", persona=persona.name, reason=sentence)
        self._sink.line(persona.name, "engine", sentence)
