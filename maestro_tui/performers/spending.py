"""Says before the work begins what of a budget cannot be held while it goes on, for want of figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from maestro_tui.model.policy import Budget
from maestro_tui.model.text import format_dollars
from maestro_tui.performers.port import Port

Figure = Literal["tokens", "cost"]


def tell_when_checked(
    port: Port, budget: Budget | None, who: str, *, working: Iterable[Figure], ended: Iterable[Figure]
) -> None:
    """A line for each limit of `budget` that is not checked on the way. `working` are the figures that `who` tells
    while it works, `ended` those that it tells when it ends (a model: when it has answered)."""
    if budget is None:
        return
    limits: dict[Figure, str | None] = {
        "tokens": f"{budget.tokens:,} tokens" if budget.tokens is not None else None,
        "cost": format_dollars(budget.cost_usd) if budget.cost_usd is not None else None,
    }
    for figure, words in limits.items():
        if words is None or figure in working:
            continue
        if figure in ended:
            port.line(
                f"{who} tells its {figure} only at its end: the budget (here {words}) can only be checked after it"
            )
        else:
            port.line(f"{who} does not tell its {figure}: the budget (here {words}) cannot be checked")
