"""A performer's way back to the engine: its lines, events, spending and questions, for one try of one persona."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

from maestro_tui.model.context import Usage
from maestro_tui.model.events import EVENT_TYPES, PERFORMER_TYPES
from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed, Port


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
    """Made for each try. `on_spend` holds the usage against the budgets and returns why they are used up."""

    def __init__(
        self,
        persona: str,
        sink: PhaseSink,
        on_spend: Callable[[Usage], str | None],
        scope: asyncio.Timeout,
        one_try: Mapping[str, Any],
    ) -> None:
        self._persona, self._sink, self._on_spend, self._scope = persona, sink, on_spend, scope
        self._one_try = one_try
        self._task = asyncio.current_task()
        self.spent = Usage()
        self.over: str | None = None
        """Why the try was ended: the sentence about a budget."""

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        """One line of output for the phase's log."""
        self._sink.line(self._persona, stream, text)

    def emit(self, type: str, **data: Any) -> None:
        """A fact for the journal. Raises `PerformerFailed` for what would pass for a fact of the engine."""
        name = self._persona
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
            if self._task is None or not self._task.cancelling():
                # A scope that is ending already, or a task that is being cancelled, needs no second push.
                with suppress(RuntimeError):
                    self._scope.reschedule(asyncio.get_running_loop().time())

    def note(self, usage: Usage) -> str | None:
        """Note what was spent and let the try be: it is over. Returns why a budget is used up."""
        if usage == self.spent:
            return None
        self.spent = usage
        told = {**self._one_try, **usage.model_dump(mode="json", exclude_none=True)}
        self._sink.event("usage_reported", persona=self._persona, **told)
        return self._on_spend(usage)

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        """The operator's answer; the session shows as waiting meanwhile."""
        return await self._sink.ask(self._persona, question, options, default, timeout)
