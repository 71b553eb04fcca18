"""What may be spent and how often may be failed: budgets and circuit breakers, as pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from maestro_tui.model.facts import UtcTime
from maestro_tui.model.text import format_dollars, format_duration

if TYPE_CHECKING:
    from maestro_tui.model.context import Usage

RETRY_DELAY_SECONDS = 1.0
RETRY_DELAY_LIMIT = 60.0
RETRY_AFTER_LIMIT = 900.0
"""Seconds; a longer wait that the other side asks for ends the attempt: resume is the operator's affair."""


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Budget(_Noun):
    """What may be spent at most; a limit that is left out does not limit."""

    seconds: float | None = Field(default=None, gt=0)
    """Of work, summed over all attempts: two phases side by side use up a minute in half of one. Time in which all
    who work wait for a person's answer is none."""
    tokens: int | None = Field(default=None, gt=0, strict=True)
    """Input and output tokens together."""
    cost_usd: float | None = Field(default=None, gt=0)

    def plus(self, raises: Iterable[Budget]) -> Budget:
        """This budget with what was added to its limits; a limit that is not set stays unset."""
        total = self
        for more in raises:
            update = {
                name: getattr(total, name) + (getattr(more, name) or 0)
                for name in Budget.model_fields
                if getattr(total, name) is not None
            }
            total = total.model_copy(update=update)
        return total


class Limits(_Noun):
    """What a launch allows at most, whatever its workflow says."""

    phase_seconds: float | None = Field(default=None, gt=0)
    """For each attempt of a phase."""
    session: Budget | None = None

    def words(self) -> str:
        """`30m a phase · $5.00 in all`; empty when nothing is limited."""
        parts = [f"{format_duration(self.phase_seconds)} a phase"] if self.phase_seconds else []
        budget = self.session or Budget()
        parts += [f"{format_duration(budget.seconds)} in all"] if budget.seconds else []
        parts += [f"{budget.tokens:,} tokens in all"] if budget.tokens else []
        parts += [f"{format_dollars(budget.cost_usd)} in all"] if budget.cost_usd else []
        return " · ".join(parts)


class BudgetRaise(_Noun):
    """A person's word that more may be spent, on the whole session or one phase."""

    phase: str | None = None
    """None means the session."""
    persona: str | None = None
    """Whose budget within the phase; None means the phase's own."""
    more: Budget
    by: str
    at: UtcTime
    reason: str = ""


class Breaker(_Noun):
    """Opens the boundary into a phase after `failures` failed attempts in a row, for `reset_seconds`; then one trial
    is allowed, which closes it or opens it anew.

    There is one for each phase, not for each pair of phases: an attempt takes all that its phase needs at once, so
    the boundaries that lead into it fail, open and close together. What a phase owes to later ones is checked at
    its own end: a broken contract is a failed attempt of it, counted once, and the boundary out of it stays shut.
    """

    failures: int = Field(default=3, ge=1, strict=True)
    reset_seconds: float = Field(default=300, gt=0)


class BreakerState(_Noun):
    """How many attempts have failed in a row, and when the breaker opened; kept in the checkpoint."""

    failures: int = 0
    opened_at: UtcTime | None = None

    def after(self, breaker: Breaker, failed: bool, now: datetime) -> BreakerState:
        """The state after one more attempt: a success closes it, a failure counts, and from the limit on each
        opens it anew (a failed trial in the half-open state too)."""
        if not failed:
            return BreakerState()
        failures = self.failures + 1
        return BreakerState(failures=failures, opened_at=now if failures >= breaker.failures else None)

    def blocks(self, breaker: Breaker, now: datetime) -> str | None:
        """Why no attempt may begin now, as a sentence's end; None when closed or half-open."""
        if self.opened_at is None:
            return None
        again = self.opened_at + timedelta(seconds=breaker.reset_seconds)
        if now >= again:
            return None
        return (
            f"its circuit breaker is open after {self.failures} failures in a row; "
            f"one trial is allowed from {again.astimezone().strftime('%H:%M:%S')} on"
        )


def spent_of(budget: Budget | None, spent: Usage) -> str | None:
    """Which limit is used up, as a sentence's end (`$5.02 of $5.00`); None when none is, or it is not known."""
    if budget is None:
        return None
    if budget.cost_usd is not None and (spent.cost_usd or 0) >= budget.cost_usd:
        return f"{format_dollars(spent.cost_usd or 0)} of {format_dollars(budget.cost_usd)}"
    tokens = (spent.input_tokens or 0) + (spent.output_tokens or 0)
    if budget.tokens is not None and tokens >= budget.tokens:
        return f"{tokens:,} of {budget.tokens:,} tokens"
    if budget.seconds is not None and (spent.seconds or 0) >= budget.seconds:
        return f"{spent.seconds:.0f} of {budget.seconds:.0f} seconds"
    return None


def retry_delay(failed_tries: int, base: float, asked: float | None) -> float | None:
    """Seconds before the next try: doubling from `base`, at least what the other side asked for.

    None when it asked for longer than is waited here (`RETRY_AFTER_LIMIT`).
    """
    delay = min(base * 2.0 ** (failed_tries - 1), RETRY_DELAY_LIMIT)
    if asked is not None and asked > RETRY_AFTER_LIMIT:
        return None
    return max(delay, asked or 0.0)
