"""Counts the seconds that somebody works, and ends work that has none left; waiting for a person is not work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

Stopwatch = Callable[[], float]
"""Seconds from some moment on, never back: a computer that sleeps or is set right must not use up a limit."""

LOOK_SECONDS = 1.0
"""How often a limit is looked at that may come nearer meanwhile, by what others spend or do."""
SOONEST = 0.02


class WorkClock:
    """Stands still while all who work by it wait for a person's answer. Not for use by two threads.

    That of an attempt has a part for each try of a persona. Before and between them it runs: the engine itself
    is at work.
    """

    def __init__(self, stopwatch: Stopwatch = time.monotonic, whole: WorkClock | None = None) -> None:
        self._stopwatch, self._whole = stopwatch, whole
        self._working, self._waiting, self._questions = 0, 0, 0
        self._before, self._since = 0.0, stopwatch()
        self._over = False

    @property
    def still(self) -> bool:
        """True while nobody works because a person is asked, and when it is over."""
        return self._over or 0 < self._working == self._waiting

    @property
    def seconds(self) -> float:
        """How long work has gone on so far."""
        return self._before + (0.0 if self.still else self._stopwatch() - self._since)

    @contextmanager
    def part(self) -> Iterator[WorkClock]:
        """The clock of one who works within this time."""
        one = WorkClock(self._stopwatch, self)
        one._working = 1
        self._count(working=1)
        try:
            yield one
        finally:
            one._count(over=True)
            self._count(working=-1)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within it a person is asked by the one whose part this is."""
        self._ask(1)
        try:
            yield
        finally:
            self._ask(-1)

    def _ask(self, more: int) -> None:
        before = self._questions > 0
        self._questions += more
        change = (self._questions > 0) - before
        if change:
            self._count(waiting=change)
            if self._whole is not None:
                self._whole._count(waiting=change)

    def _count(self, *, working: int = 0, waiting: int = 0, over: bool = False) -> None:
        self._before, self._since = self.seconds, self._stopwatch()
        self._working += working
        self._waiting += waiting
        self._over = self._over or over


@asynccontextmanager
async def ended_by(look: Callable[[], float | None]) -> AsyncIterator[asyncio.Timeout]:
    """A scope that ends with `TimeoutError` once `look` says 0 or less.

    `look` says in how many seconds it is to be asked again; None: never. What it raises ends the scope, too.
    """
    faults: list[Exception] = []

    async def watch() -> None:
        try:
            while True:
                more = look()
                if more is None:
                    return
                if more <= 0:
                    break
                await asyncio.sleep(max(SOONEST, more))
        except Exception as error:
            faults.append(error)
        end(scope)

    async with asyncio.timeout(None) as scope:
        watching = asyncio.create_task(watch())
        try:
            yield scope
        finally:
            # Not waited for: work that has just finished is not to be cancelled while we wait.
            watching.cancel()
            if faults:
                raise faults[0]


def end(scope: asyncio.Timeout) -> None:
    """End a scope now; one that is ending already needs no second push."""
    with suppress(RuntimeError):
        scope.reschedule(asyncio.get_running_loop().time())
