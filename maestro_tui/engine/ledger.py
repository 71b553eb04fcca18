"""What the running phases of a session have spent so far, held against budgets while they work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from maestro_tui.engine.work_clock import LOOK_SECONDS, Stopwatch, WorkClock
from maestro_tui.model.context import NO_USAGE, TeamExecutionContext, Usage
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import Budget, spent_of
from maestro_tui.model.workflow import Workflow

Try = tuple[str, int]
"""Persona's step and the number of its try."""


class BudgetSpent(MaestroError):
    """A budget is used up; the sentence says which, and how to go on."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What runners of other phases of the session have done, as the disk tells now."""

    context: TeamExecutionContext
    """The newest committed one."""
    usage: Usage = NO_USAGE
    """What their open attempts have spent, with their seconds of work so far."""
    working: int = 0
    """How many of these are at work this moment."""


@dataclass(slots=True)
class _Open:
    """An attempt of this run."""

    clock: WorkClock
    tries: dict[str, dict[Try, Usage]] = field(default_factory=lambda: defaultdict(dict))
    clocks: dict[str, list[WorkClock]] = field(default_factory=lambda: defaultdict(list))
    timed: set[str] = field(default_factory=set)
    """Personas whose seconds a budget counts."""

    def of(self, persona: str, *, timed: bool) -> Usage:
        total = NO_USAGE
        for usage in self.tries[persona].values():
            total = total.plus(usage)
        if timed and self.clocks[persona]:
            seconds = sum(clock.seconds for clock in self.clocks[persona])
            total = total.plus(Usage(seconds=round(seconds, 3)))
        return total

    @property
    def usage(self) -> Usage:
        total = Usage(seconds=round(self.clock.seconds, 3))
        for persona in list(self.tries):
            total = total.plus(self.of(persona, timed=False))
        return total


class Ledger:
    """Belongs to one run of a session; shared by the phases that run at once.

    A budget holds over everything: what is committed, what the attempts of this run have spent until now, and
    what attempts in other processes have (`elsewhere`, asked anew before each answer; None where there can be no
    others). What a person raises meanwhile is in its context. Seconds are seconds of work, summed over attempts: two phases side by side use up a minute in half
    of one, and time in which a person is asked counts for nobody.
    """

    def __init__(
        self,
        workflow: Workflow,
        context: TeamExecutionContext,
        elsewhere: Callable[[Collection[str]], Elsewhere] | None = None,
        stopwatch: Stopwatch = time.monotonic,
    ) -> None:
        self._workflow, self._context = workflow, context
        self._read_elsewhere, self._stopwatch = elsewhere, stopwatch
        self._others, self._others_working = NO_USAGE, 0
        people = (*workflow.personas, *(one for phase in workflow.phases for one in phase.personas))
        budgets = (
            workflow.budget,
            *(phase.budget for phase in workflow.phases),
            *(one.budget for one in people),
        )
        self._limited = any(budget is not None for budget in budgets)
        self._open: dict[str, _Open] = {}

    def begin(self, phase: str) -> WorkClock:
        """An attempt of a phase begins; the clock of its work."""
        clock = WorkClock(self._stopwatch)
        self._open[phase] = _Open(clock)
        return clock

    @contextmanager
    def at_work(self, phase: str, persona: Persona) -> Iterator[WorkClock]:
        """A persona works on a phase within this time; its clock."""
        opened = self._open[phase]
        with opened.clock.part() as clock:
            opened.clocks[persona.name].append(clock)
            if persona.budget is not None and persona.budget.seconds is not None:
                opened.timed.add(persona.name)
            yield clock

    def note(self, phase: str, persona: str, one: Try, usage: Usage) -> None:
        """What a persona has spent in one try so far, in all."""
        self._open[phase].tries[persona][one] = usage

    def of_attempt(self, phase: str) -> Usage:
        """What this run has spent on a phase, with its seconds of work."""
        return self._open[phase].usage if phase in self._open else NO_USAGE

    def by_persona(self, phase: str) -> dict[str, Usage]:
        """What this run has spent on a phase, for each persona that has spent anything; seconds where a budget
        counts them."""
        opened = self._open.get(phase)
        if opened is None:
            return {}
        names = dict.fromkeys((*opened.tries, *opened.clocks))
        spent = {name: opened.of(name, timed=name in opened.timed) for name in names}
        return {name: usage for name, usage in spent.items() if usage != NO_USAGE}

    def close(self, phase: str, context: TeamExecutionContext) -> None:
        """An attempt's outcome is committed: its usage is in the context."""
        self._open.pop(phase, None)
        self._context = context

    # ── Held against budgets ──────────────────────────────────────────────────────────────────────────────

    def overspent(self, phase: str, persona: Persona | None = None) -> str | None:
        """The sentence about the first budget that is used up (persona, phase, session); None when none is."""
        self._look_elsewhere()
        session = self._context.session_id
        for whose, budget, spent in self._budgets(phase, persona):
            words = spent_of(budget, spent)
            if words is not None and whose == "persona" and persona is not None:
                return persona_sentence(session, phase, persona.name, words)
            if words is not None:
                return budget_sentence(session, phase if whose == "phase" else None, words)
        return None

    def left(self, phase: str, persona: Persona) -> Budget | None:
        """Tokens and money that a persona may still spend on a phase by the last `overspent`, the least that any
        budget leaves; None when nothing limits them."""
        tokens, money = [], []
        for _, budget, spent in self._budgets(phase, persona):
            if budget is not None and budget.tokens is not None:
                tokens.append(budget.tokens - (spent.input_tokens or 0) - (spent.output_tokens or 0))
            if budget is not None and budget.cost_usd is not None:
                money.append(budget.cost_usd - (spent.cost_usd or 0.0))
        if not tokens and not money:
            return None
        return Budget(tokens=min(tokens, default=None), cost_usd=min(money, default=None))

    def seconds_left(self, phase: str, persona: Persona | None = None) -> float | None:
        """Seconds until a budget of seconds may be used up at the soonest; None when none limits this phase, or
        this persona of it. Never more than until it is to be asked again."""
        self._look_elsewhere()
        left = []
        for whose, budget, spent in self._budgets(phase, persona):
            if budget is not None and budget.seconds is not None:
                rate = self._working if whose == "session" else 1
                left.append((budget.seconds - (spent.seconds or 0.0)) / max(1, rate))
        return min((*left, LOOK_SECONDS)) if left else None

    def limits(self, phase: str, persona: Persona) -> bool:
        """True when a budget limits what this persona may spend on this phase."""
        return any(budget is not None for _, budget, _ in self._budgets(phase, persona))

    @property
    def _working(self) -> int:
        return self._others_working + sum(not opened.clock.still for opened in self._open.values())

    def _budgets(self, phase: str, persona: Persona | None) -> Iterator[tuple[str, Budget | None, Usage]]:
        """(whose, the budget with its raises, what is spent of it), the narrowest first."""
        context, opened = self._context, self._open.get(phase)
        if persona is not None:
            before = context.spent_by.get(phase, {}).get(persona.name, NO_USAGE)
            now = opened.of(persona.name, timed=True) if opened is not None else NO_USAGE
            yield "persona", context.budget_of(phase, persona.budget, persona.name), before.plus(now)
        own = context.budget_of(phase, self._workflow.phase(phase).budget)
        yield "phase", own, context.spent.get(phase, NO_USAGE).plus(self.of_attempt(phase))
        whole = context.usage.plus(self._others)
        for one in self._open.values():
            whole = whole.plus(one.usage)
        yield "session", context.budget_of(None, self._workflow.budget), whole

    def _look_elsewhere(self) -> None:
        if self._read_elsewhere is not None and self._limited:
            found = self._read_elsewhere(tuple(self._open))
            self._context, self._others = found.context, found.usage
            self._others_working = found.working


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
