"""A performer's way back to the engine: its lines, events, spending and questions, for one try of one persona."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.work_clock import LOOK_SECONDS, WorkClock, end, ended_by
from maestro_tui.model.context import Usage
from maestro_tui.model.events import EVENT_TYPES, PERFORMER_TYPES
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed, Port

_FREE = frozenset(["toolbox", "command"])
"""Performers that spend nothing but time: a budget of money that others use up does not end their try."""


class PhaseSink(Protocol):
    """Where an attempt's events and output lines go: the journal, the log, and whoever listens."""

    def event(self, type: str, *, persona: str | None = None, **data: Any) -> None:
        """A fact of this attempt."""

    def line(self, persona: str, stream: Literal["out", "err", "engine"], text: str) -> None:
        """A line for this attempt's log."""

    async def ask(
        self, persona: str, question: str, options: Sequence[str], default: str, timeout: float | None
    ) -> str:
        """A question to the operator; the option that was chosen, or `default`."""


class PersonaPort(Port):
    """Made for each try of a persona (`step`, `number`), within which `clock` counts its work.

    What it spends is held against the budgets: the try ends at once when one is used up.
    """

    def __init__(
        self, attempt: Attempt, persona: Persona, sink: PhaseSink, clock: WorkClock, step: str, number: int
    ) -> None:
        self._attempt, self._persona, self._sink, self._clock = attempt, persona, sink, clock
        self._step, self._number = step, number
        self._task = asyncio.current_task()
        self._scope: asyncio.Timeout | None = None
        self.spent = Usage()
        self.over: str | None = None
        """Why the try was ended: the sentence about a budget."""

    @asynccontextmanager
    async def limited(self) -> AsyncIterator[asyncio.Timeout]:
        """The scope of the try: `TimeoutError` once the persona's time is over, or a budget is spent (`over`)."""
        async with ended_by(self._look) as self._scope:
            yield self._scope

    def _look(self) -> float | None:
        persona, ledger, phase = self._persona, self._attempt.ledger, self._attempt.phase.name
        left = []
        if persona.timeout_seconds is not None:
            left.append(persona.timeout_seconds - self._clock.seconds)
        seconds = ledger.seconds_left(phase, persona)
        costs = persona.performer not in _FREE and ledger.limits(phase, persona)
        if costs or (seconds is not None and seconds <= 0):
            # Somebody else may have spent the last of it.
            self.over = self.over or ledger.overspent(phase, persona)
            if self.over is not None:
                return 0.0
        if costs or seconds is not None:
            left.append(seconds if seconds is not None and seconds > 0 else LOOK_SECONDS)
        return min(left, default=None)

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        """One line of output for the phase's log."""
        self._sink.line(self._persona.name, stream, text)

    def emit(self, type: str, **data: Any) -> None:
        """A fact for the journal. Raises `PerformerFailed` for what would pass for a fact of the engine."""
        name = self._persona.name
        if not isinstance(type, str):
            raise PerformerFailed(f"{name!r} told an event whose type is no text.", retry=False)
        if type in EVENT_TYPES - PERFORMER_TYPES:
            raise PerformerFailed(
                f"{name!r} told the event {type!r}, which is the engine's own; a performer tells "
                f"{', '.join(sorted(PERFORMER_TYPES))} or types of its own.",
                retry=False,
            )
        if "persona" in data:
            raise PerformerFailed(
                f"{name!r} told the event {clean(type, 60)!r} with a persona: that is the engine's to say.",
                retry=False,
            )
        self._sink.event(type, persona=name, **data)

    def spend(self, usage: Usage) -> None:
        """Note what was spent; a budget that is used up ends the try at once."""
        over = self.note(usage)
        if over is not None and self.over is None:
            self.over = over
            if self._scope is not None and (self._task is None or not self._task.cancelling()):
                # A task that is being cancelled needs no second push.
                end(self._scope)

    def note(self, usage: Usage) -> str | None:
        """Note what was spent and let the try be: it is over. Returns why a budget is used up."""
        if usage == self.spent:
            return None
        self.spent = usage
        one_try = {"step": self._step, "attempt_try": self._number}
        told = {**one_try, **usage.model_dump(mode="json", exclude_none=True)}
        self._sink.event("usage_reported", persona=self._persona.name, **told)
        ledger, phase = self._attempt.ledger, self._attempt.phase.name
        ledger.note(phase, self._persona.name, (self._step, self._number), usage)
        return ledger.overspent(phase, self._persona)

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        """The operator's answer; the session shows as waiting meanwhile, and no limit comes nearer."""
        with self._clock.asking():
            return await self._sink.ask(self._persona.name, question, options, default, timeout)
