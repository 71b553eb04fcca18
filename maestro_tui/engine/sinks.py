"""Where a session's events and an attempt's output lines go: journal, log, and whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, Literal

from maestro_tui.engine.questions import Asking
from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.model.events import Event
from maestro_tui.model.text import clean
from maestro_tui.store.journal import Journal
from maestro_tui.store.logs import LINE_LIMIT, PhaseLog
from maestro_tui.store.redaction import LineRedactor, Redactor

Listener = Callable[[Event], None]
"""Hears events as they happen, in the engine's loop: it must return at once, and is no coroutine function. Of
`performer_blocks` it hears in another thread, since the loop is blocked; never of two events at once."""


def listeners_of(given: Listener | Sequence[Listener]) -> tuple[Listener, ...]:
    """One listener or several. Raises `InputError` for what cannot be called, or could only be awaited."""
    several = (given,) if callable(given) else tuple(given)
    for one in several:
        if not callable(one) or iscoroutinefunction(one) or iscoroutinefunction(type(one).__call__):
            raise InputError(
                f"on_event takes plain functions of one event, not {clean(repr(one), 120)}: nobody would await it. "
                "Nothing was run."
            )
    return several


class SessionJournal:
    """Writes a session's events and tells the listeners."""

    def __init__(self, journal: Journal, listeners: tuple[Listener, ...]) -> None:
        self._journal = journal
        self._listeners = listeners
        self._failed: list[Listener] = []
        self._telling = threading.RLock()
        """Listeners are told of one event at a time, in whatever thread."""

    def event(
        self,
        type: str,
        *,
        phase: str | None = None,
        attempt: int | None = None,
        persona: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event and tell it; it is on disk before this returns where its type asks for it."""
        self.tell(self.append(type, phase=phase, attempt=attempt, persona=persona, data=data))

    def append(
        self,
        type: str,
        *,
        phase: str | None = None,
        attempt: int | None = None,
        persona: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Append one event, of which those who listen are to be told by `tell`."""
        return self._journal.append(type, phase=phase, attempt=attempt, persona=persona, data=data or {})

    def tell_beside(self, event: Event) -> None:
        """`tell` from a thread beside the loop. Listeners that are just being told of another event, and may be what
        the loop waits for, do not hear of this one: the journal has it."""
        if self._telling.acquire(blocking=False):
            try:
                self.tell(event)
            finally:
                self._telling.release()

    def tell(self, event: Event) -> None:
        """Hand an event to the listeners only. What one of them raises is told once, in the journal."""
        with self._telling:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:
                # A progress bar that breaks must not cost the work that it shows.
                if listener not in self._failed:
                    self._failed.append(listener)
                    problem = clean(f"{type(error).__name__}: {error}", 400)
                    self._journal.append("listener_failed", data={"on": event.type, "problem": problem})

    def close(self) -> None:
        """Close the journal's file."""
        self._journal.close()


class AttemptSink:
    """One attempt's events, log lines and questions, redacted before they are written."""

    def __init__(
        self,
        journal: SessionJournal,
        log: PhaseLog,
        redactor: Redactor,
        session_id: str,
        phase: str,
        attempt: int,
        asking: Asking,
    ) -> None:
        self._journal, self._log, self._redactor = journal, log, redactor
        self._asking = asking
        self._session_id, self._phase, self._attempt = session_id, phase, attempt
        self._lines: dict[tuple[str, str], LineRedactor] = {}

    def event(self, type: str, *, persona: str | None = None, **data: Any) -> None:
        """A fact of this attempt for the journal."""
        self._journal.event(
            type, phase=self._phase, attempt=self._attempt, persona=persona, data=self._redactor.data(data)
        )

    def line(self, persona: str, stream: Literal["out", "err", "engine"], text: str) -> None:
        """A line for this attempt's log."""
        lines = self._lines.setdefault((persona, stream), LineRedactor(self._redactor, LINE_LIMIT))
        shown = lines.feed(text)
        if shown is not None:
            self._write(persona, stream, shown)

    async def ask(
        self, persona: str, question: str, options: Sequence[str], default: str, timeout: float | None
    ) -> str:
        """Put a question to a person and wait for the answer; `default` when `timeout` (seconds) is over."""

        def tell(type: str, data: Mapping[str, Any]) -> None:
            self.event(type, persona=persona, **data)

        return await self._asking.ask(
            self._phase, self._attempt, persona, question, options, default, timeout, tell
        )

    def close(self) -> str | None:
        """Write what was held back and close the log; what went wrong with it, which must not cost the outcome."""
        try:
            for (persona, stream), lines in self._lines.items():
                rest = lines.rest()
                if rest is not None:
                    self._write(persona, stream, rest)
            self._log.close()
        except StoreError as error:
            return clean(error, 400)
        return None

    def _write(self, persona: str, stream: str, text: str) -> None:
        at = self._log.write(persona, stream, text)
        data = {"stream": stream, "text": text}
        event = Event("persona_output", at, self._session_id, self._phase, self._attempt, persona, data)
        self._journal.tell(event)
