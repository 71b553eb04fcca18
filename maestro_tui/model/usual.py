"""What phases usually take together: time along the chain that takes longest, money in all. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maestro_tui.model.plan import Action, Estimate, Plan
from maestro_tui.model.text import format_dollars, format_duration

UNKNOWN = "How long it takes is not known yet: these phases never completed here."


@dataclass(frozen=True, slots=True)
class Together:
    """What some phases take from the first one's start to the last one's end."""

    phases: int
    seconds: float | None
    """None where none of them was ever measured."""
    cost_usd: float | None
    side_by_side: int
    """How many of them can run at one time."""
    unknown: int
    """How many of them were never measured: they count as nothing in `seconds`."""
    runs: int
    """Earlier runs that this is known from."""

    def words(self) -> str:
        """`about 14m (5 phases, 2 side by side), about $2.02 (from 11 earlier runs)`."""
        if self.seconds is None:
            return UNKNOWN
        shape = f" ({self.phases} phases, {self.side_by_side} side by side)" if self.side_by_side > 1 else ""
        parts = [f"about {_about(self.seconds)}{shape}"]
        if self.cost_usd is not None:
            parts.append(f"about {format_dollars(self.cost_usd)}")
        if self.unknown:
            parts.append(f"{self.unknown} of {self.phases} phases never measured")
        return ", ".join(parts) + f" (from {self.runs} earlier run{'s' if self.runs != 1 else ''})"

    def times(self, runs: int) -> Together:
        """The same, so many times one after the other."""
        return replace(
            self,
            seconds=self.seconds * runs if self.seconds is not None else None,
            cost_usd=self.cost_usd * runs if self.cost_usd is not None else None,
        )


def together(estimates: Mapping[str, Estimate], needs: Mapping[str, Collection[str]]) -> Together:
    """What these phases take; `estimates` in an order in which each comes after those that it needs."""
    ends: dict[str, float] = {}
    depths: dict[str, int] = {}
    for name, one in estimates.items():
        before = [need for need in needs.get(name, ()) if need in ends]
        ends[name] = max((ends[need] for need in before), default=0.0) + (one.seconds or 0.0)
        depths[name] = max((depths[need] + 1 for need in before), default=0)
    known = [one for one in estimates.values() if one.seconds is not None]
    return Together(
        phases=len(estimates),
        seconds=max(ends.values()) if known else None,
        cost_usd=_sum(one.cost_usd for one in estimates.values()),
        side_by_side=max(Counter(depths.values()).values(), default=0),
        unknown=len(estimates) - len(known),
        runs=max((one.runs for one in estimates.values()), default=0),
    )


def of_plan(plan: Plan) -> Together:
    """What the phases that a plan runs take."""
    running = [one for one in plan.phases if one.action == Action.RUN]
    return together({one.phase: one.estimate for one in running}, {one.phase: one.needs for one in running})


def of_sessions(sessions: Sequence[Together], places: int) -> Together:
    """What several sessions take that begin in this order, at most `places` of them at one time."""
    free = [0.0] * places
    for one in sessions:
        heapq.heapreplace(free, free[0] + (one.seconds or 0.0))
    return Together(
        phases=sum(one.phases for one in sessions),
        seconds=max(free) if any(one.seconds is not None for one in sessions) else None,
        cost_usd=_sum(one.cost_usd for one in sessions),
        side_by_side=sum(sorted((one.side_by_side for one in sessions), reverse=True)[:places]),
        unknown=sum(one.unknown for one in sessions),
        runs=max((one.runs for one in sessions), default=0),
    )


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [one for one in amounts if one is not None]
    return sum(known) if known else None


def _about(seconds: float) -> str:
    """A duration without its small part: seconds, minutes, or hours with minutes."""
    if seconds < 3600:
        return f"{int(seconds)}s" if seconds < 60 else f"{int(seconds // 60)}m"
    return format_duration(seconds)
