"""Says what is spent of each budget of a session. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from maestro_tui.console.lines import Line, column_width, fit, fit_right, line
from maestro_tui.model.text import clean, format_dollars, format_duration

if TYPE_CHECKING:
    from maestro_tui.model.budgets import Standing
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.policy import Budget


def standing_lines(standings: Sequence[Standing], chosen: int, ascii_only: bool = False) -> list[Line]:
    """One line for each limit of each budget; the mark stands before the chosen budget."""
    names = column_width((_whose(one) for one in standings), 8, 32)
    rows = [_limits(one) for one in standings]
    first = column_width((spent for limits in rows for spent, _, _ in limits), 4, 20)
    second = column_width((allowed for limits in rows for _, allowed, _ in limits), 4, 24)
    out = []
    for place, (one, limits) in enumerate(zip(standings, rows, strict=True)):
        for index, (spent, allowed, used_up) in enumerate(limits):
            mark = (">" if ascii_only else "▌") if place == chosen else " "
            out.append(
                line(
                    (place, index),
                    (mark, "accent-text"),
                    (fit(_whose(one) if index == 0 else "", names) + "  ", "bold" if place == chosen else ""),
                    fit_right(spent, first),
                    (" of ", "muted"),
                    fit(allowed, second),
                    ("  spent" if used_up else "", "phase-failed"),
                )
            )
    return out


def _whose(one: Standing) -> str:
    return "the session" if one.phase is None else clean(one.phase, 64)


def _limits(one: Standing) -> list[tuple[str, str, bool]]:
    """For each limit that is set: what is spent, what is allowed, whether it is used up. Not known stays `–`."""
    spent, allowed = one.spent, one.allowed
    rows = []
    if allowed.cost_usd is not None:
        cost = "–" if spent.cost_usd is None else format_dollars(spent.cost_usd)
        rows.append((cost, format_dollars(allowed.cost_usd), (spent.cost_usd or 0) >= allowed.cost_usd))
    if allowed.tokens is not None:
        known = [count for count in (spent.input_tokens, spent.output_tokens) if count is not None]
        tokens = f"{sum(known):,}" if known else "–"
        rows.append((tokens, f"{allowed.tokens:,} tokens", sum(known) >= allowed.tokens))
    if allowed.seconds is not None:
        used_up = (spent.seconds or 0) >= allowed.seconds
        rows.append((format_duration(spent.seconds), format_duration(allowed.seconds), used_up))
    return rows


def suggestion(budget: Budget) -> str:
    """An example of what can be added to this budget: half as much again of what it limits."""
    parts = []
    if budget.cost_usd is not None:
        parts.append(f"${max(0.01, budget.cost_usd / 2):.2f}")
    if budget.tokens is not None:
        parts.append(f"{max(1, budget.tokens // 2):,} tokens")
    if budget.seconds is not None:
        parts.append(f"{max(1, round(budget.seconds / 120))}m")
    return " ".join(parts)


def raise_words(plan: Plan, key: str) -> str:
    """Which key allows more, where a budget keeps phases from running; empty where none does."""
    over = [one for one in plan.phases if one.action.value == "blocked" and "budget is spent" in one.reason]
    return f"{key} raises the budget that is spent" if over else ""
