"""Hands keys on one at a time: the next one waits until all that the one before it began is done.

The screen library sends each key at once to whatever has the focus at that moment. Of keys that arrive
together (a slow line, a paste without brackets) the second would still go where the first one was, although
the first one opens a field or a sheet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from maestro_tui.model.text import typable

ROUNDS = 3
"""Times that a marker follows a key: what a key began may itself have sent a message, and that another one."""
LOOK_AFTER = 0.05
"""Seconds after which a waiting key looks whether the marker went down with a sheet that was closed."""

Typed = events.Key | events.Paste


class KeyPassed(Message, bubble=True):
    """A marker behind a key: it goes the same way from widget to widget, and arrives after it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class KeyLine:
    """The keys that wait, and the one that is under way."""

    def __init__(self, app: App[Any], deliver: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._deliver = app, deliver
        self._waiting: deque[Typed] = deque()
        self._target: Widget | None = None
        """What got the key that is under way; None when none is."""
        self._number = self._rounds = 0
        self._looking = False
        self.typed_at = 0.0
        """When the newest key or click that was handed on was read from the terminal (monotonic seconds)."""

    @property
    def rests(self) -> bool:
        """True when no key waits and none is under way."""
        return self._target is None and not self._waiting

    async def take(self, event: Typed) -> None:
        """Hand a key on, now or when its turn comes."""
        self._waiting.append(event)
        await self._next()

    async def passed(self, message: KeyPassed) -> None:
        """The marker has arrived at the app."""
        if message.number != self._number or self._target is None:
            return
        self._rounds -= 1
        if self._rounds and self._send(self._target):
            return
        await self._settle()

    async def _next(self) -> None:
        if self._target is not None and self._lost():
            await self._settle()
        while self._waiting and self._target is None:
            event = self._waiting.popleft()
            self.typed_at = event.time
            self._number += 1
            self._rounds = ROUNDS
            before = self._app.screen
            self._target = self._app.focused or before
            await self._deliver(event)
            if self._app.screen is not before or not self._send(self._target):
                await self._settle()
        if self._waiting and not self._looking:
            self._looking = True
            self._app.set_timer(LOOK_AFTER, self._look)

    def _send(self, target: Widget) -> bool:
        return target.post_message(KeyPassed(self._number))

    def _lost(self) -> bool:
        target = self._target
        return target is None or not target.is_attached or target.screen not in self._app.screen_stack

    async def _look(self) -> None:
        self._looking = False
        await self._next()

    async def _settle(self) -> None:
        # A screen that has just come composes its widgets and takes the focus before it paints.
        screen, target = self._app.screen, self._target
        if target is not None and target.is_attached and target.screen is screen:
            self._target = None
            await self._next()
        else:
            self._target = screen
            screen.call_after_refresh(self._painted, self._number, screen)

    async def _painted(self, number: int, screen: Screen[Any]) -> None:
        if number == self._number and self._target is screen:
            self._target = None
            await self._next()


class OneKeyAtATime(App[int]):
    """An app whose keys go where they were meant, however many come at once."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = KeyLine(self, super().on_event)

    @property
    def typed_at(self) -> float:
        """When the key or click that is being handled was read from the terminal (monotonic seconds)."""
        return self._keys.typed_at

    @property
    def keys_rest(self) -> bool:
        """True when all that was typed has been carried out."""
        return self._keys.rests

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes queue up; everything else goes its way."""
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded:
            if isinstance(event, events.Paste):
                # A field paints what it holds as it is: escape sequences that were copied along would act.
                event.text = typable(event.text)
            await self._keys.take(event)
            return
        if isinstance(event, events.MouseUp) and not event.is_forwarded:
            self._keys.typed_at = event.time
        await super().on_event(event)

    async def on_key_passed(self, message: KeyPassed) -> None:
        """What the last key began is done."""
        await self._keys.passed(message)
