"""Where a session's budgets stand: what each one allows, with what was added to it, and what is spent of it."""

from __future__ import annotations

from dataclasses import dataclass

from maestro_tui.model.context import TeamExecutionContext, Usage
from maestro_tui.model.policy import Budget, spent_of
from maestro_tui.model.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget of a session."""

    phase: str | None
    """None is the budget of the whole session."""
    allowed: Budget
    """With the raises so far."""
    spent: Usage
    over: str | None
    """Which limit is used up (`$5.02 of $5.00`); None when none is."""


def standings(workflow: Workflow, context: TeamExecutionContext) -> tuple[Standing, ...]:
    """The session's budget, then those of its phases in workflow order; empty when nothing is limited."""
    whole = (None, workflow.budget, context.usage)
    own = [(name, workflow.phase(name).budget, context.spent.get(name, Usage())) for name in workflow.order]
    found = []
    for phase, budget, spent in (whole, *own):
        allowed = context.budget_of(phase, budget)
        if allowed is not None and allowed != Budget():
            found.append(Standing(phase, allowed, spent, spent_of(allowed, spent)))
    return tuple(found)
