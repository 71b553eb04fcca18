"""What the running phases of a session have spent so far, held against budgets while they work."""

from __future__ import annotations

from collections import defaultdict

from maestro_tui.model.context import NO_USAGE, TeamExecutionContext, Usage
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.policy import spent_of
from maestro_tui.model.workflow import Persona, Workflow

Try = tuple[str, int]
"""Persona's step and the number of its try."""


class BudgetSpent(MaestroError):
    """A budget is used up; the sentence says which, and how to go on."""


class Ledger:
    """Belongs to one run of a session; shared by the phases that run at once."""

    def __init__(self, context: TeamExecutionContext) -> None:
        self._session = context.usage
        self._phases = dict(context.spent)
        self._personas = {phase: dict(by) for phase, by in context.spent_by.items()}
        self._now: dict[str, dict[str, dict[Try, Usage]]] = defaultdict(lambda: defaultdict(dict))

    def note(self, phase: str, persona: str, one: Try, usage: Usage) -> None:
        """What a persona has spent in one try so far, in all."""
        self._now[phase][persona][one] = usage

    def of_attempt(self, phase: str) -> Usage:
        """What this run has spent on a phase."""
        total = NO_USAGE
        for persona in self._now[phase]:
            total = total.plus(self._of_persona(phase, persona))
        return total

    def by_persona(self, phase: str) -> dict[str, Usage]:
        """What this run has spent on a phase, for each persona that has spent anything."""
        spent = {persona: self._of_persona(phase, persona) for persona in self._now[phase]}
        return {persona: usage for persona, usage in spent.items() if usage != NO_USAGE}

    def close(self, phase: str, usage: Usage) -> None:
        """An attempt's outcome is committed: its usage belongs to what was spent before."""
        before = self._personas.setdefault(phase, {})
        for persona, one in self.by_persona(phase).items():
            before[persona] = before.get(persona, NO_USAGE).plus(one)
        self._now.pop(phase, None)
        self._session = self._session.plus(usage)
        self._phases[phase] = self._phases.get(phase, NO_USAGE).plus(usage)

    def _of_persona(self, phase: str, persona: str) -> Usage:
        total = NO_USAGE
        for usage in self._now[phase][persona].values():
            total = total.plus(usage)
        return total

    def left_seconds(self, workflow: Workflow, context: TeamExecutionContext, phase: str) -> float | None:
        """Seconds that the budgets leave an attempt of this phase; None when they do not limit it."""
        left = []
        own = context.budget_of(phase, workflow.phase(phase).budget)
        whole = context.budget_of(None, workflow.budget)
        for budget, spent in ((own, self._phases.get(phase, NO_USAGE)), (whole, self._session)):
            if budget is not None and budget.seconds is not None:
                left.append(max(0.0, budget.seconds - (spent.seconds or 0.0)))
        return min(left, default=None)

    def overspent(
        self, workflow: Workflow, context: TeamExecutionContext, phase: str, persona: Persona
    ) -> str | None:
        """The sentence about the first budget that is used up (persona, phase, session); None when none is."""
        before = self._personas.get(phase, {}).get(persona.name, NO_USAGE)
        own = spent_of(
            context.budget_of(phase, persona.budget, persona.name),
            before.plus(self._of_persona(phase, persona.name)),
        )
        if own is not None:
            return persona_sentence(context.session_id, phase, persona.name, own)
        budget = context.budget_of(phase, workflow.phase(phase).budget)
        words = spent_of(budget, self._phases.get(phase, NO_USAGE).plus(self.of_attempt(phase)))
        if words is not None:
            return budget_sentence(context.session_id, phase, words)
        total = self._session
        for name in list(self._now):
            total = total.plus(self.of_attempt(name))
        words = spent_of(context.budget_of(None, workflow.budget), total)
        return budget_sentence(context.session_id, None, words) if words is not None else None


def budget_sentence(session_id: str, phase: str | None, words: str) -> str:
    """Which budget is spent, and the commands that allow more and go on."""
    whose = f"The budget of phase {phase!r}" if phase is not None else "The session's budget"
    named = f" {phase}" if phase is not None else ""
    return (
        f"{whose} is spent ({words}). What finished is kept; allow more with "
        f"'maestro-tui raise {session_id}{named}', then resume."
    )


def persona_sentence(session_id: str, phase: str, persona: str, words: str) -> str:
    """That a persona's budget is spent, and the commands that allow more and go on."""
    return (
        f"Persona {persona!r} has used up its budget ({words}). What finished is kept; allow more with "
        f"'maestro-tui raise {session_id} {phase} --persona {persona}', then resume."
    )
