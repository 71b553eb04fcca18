"""Says that a run goes on: renews its lease, also while its loop is blocked, and hears from it of a takeover."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection

from maestro_tui.engine.blocked_loop import Blocker, blocker_of
from maestro_tui.engine.loop_watch import LOOKS
from maestro_tui.model.errors import FencedError, StoreError
from maestro_tui.store.lease import Hold

HEARTBEAT_SECONDS = 2.0
NAMED_SECONDS = 0.1
"""A phase that runs so long is named in the lease: what is over before that costs it no rewriting."""
MISSED_LOOKS = 3
"""A loop that has renewed nothing for so many looks from outside is blocked."""
TOLD_LOOKS = 5
"""Who blocks a loop for so many looks is told of."""
WAIT_SECONDS = 0.5
"""How long a look from outside waits for a commit: the other runs of this process wait with it."""


class Heartbeat:
    """Renews the lease of one run, in its loop. `running` are the phases that it names there.

    `lost` hears in the loop that another runner took the session over; nothing is renewed after that. `failed`
    hears in the loop why the lease could not be renewed this time.

    While the loop is blocked a thread renews the lease: the process lives and holds its locks. `blocked` hears
    there, once for each time, who blocks it. Whoever holds the interpreter's own lock without a break, which only
    compiled code can, stops that thread too; and one whose process is stopped renews nothing.
    """

    def __init__(
        self,
        hold: Hold,
        running: Collection[str],
        lost: Callable[[FencedError], None],
        failed: Callable[[StoreError], None],
        blocked: Callable[[Blocker], None],
        session_id: str,
    ) -> None:
        self._hold, self._running, self._session_id = hold, running, session_id
        self._lost, self._failed, self._blocked = lost, failed, blocked
        self._next: asyncio.TimerHandle | None = None
        self._beats = 0
        """How often the loop has come to renew the lease."""
        self._looking = threading.Lock()
        self._over = self._taken = False
        # Of the thread that looks:
        self._seen, self._missed, self._told = 0, 0, False

    def start(self) -> None:
        """Renew it from now on, until `stop`. In the loop that is to go on."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._within(HEARTBEAT_SECONDS)
        LOOKS.add(self)

    def name_soon(self) -> None:
        """Something began: name it in the lease, unless it is over at once."""
        self._within(NAMED_SECONDS)

    def stop(self) -> None:
        """Renew it no more; on return no other thread is about to."""
        LOOKS.remove(self)
        with self._looking:
            self._over = True
        self._drop_next()

    def look(self) -> None:
        """Renew the lease where the loop cannot, and tell who keeps it from doing so. In the thread that looks.

        Looks are counted, not seconds: while a process is stopped there are none, and afterwards nobody is blamed.
        """
        with self._looking:
            if self._over or self._loop.is_closed():
                return
            if self._beats != self._seen:
                self._seen, self._missed, self._told = self._beats, 0, False
                return
            self._missed += 1
            if self._missed >= MISSED_LOOKS and (self._missed - MISSED_LOOKS) % 2 == 0:
                self._renew_from_outside()
            if self._missed >= TOLD_LOOKS and not self._told:
                found = blocker_of(self._loop, self._thread, self._session_id)
                if found is not None:
                    self._told = True
                    self._blocked(found)

    def _renew_from_outside(self) -> None:
        try:
            self._hold.beat(tuple(self._running), WAIT_SECONDS)
        except FencedError as error:
            self._over = True
            self._loop.call_soon_threadsafe(self._lose, error)
        except StoreError:
            pass  # the lease only grows old until the next look; the loop tells of it as soon as it can

    def _within(self, seconds: float) -> None:
        """Renew the lease in so many seconds, or when it was to be renewed anyway if that is sooner."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._next is None or self._next.when() > due:
            self._drop_next()
            self._next = loop.call_at(due, self._beat)

    def _drop_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _beat(self) -> None:
        self._next = None
        self._beats += 1
        try:
            self._hold.beat(tuple(self._running))
        except FencedError as error:
            self._lose(error)
            return
        except StoreError as error:
            # The lease only grows old, as it would if this process were stopped; the next commit decides.
            self._failed(error)
        self._within(HEARTBEAT_SECONDS)

    def _lose(self, error: FencedError) -> None:
        self._drop_next()
        if not self._taken:
            self._taken = True
            self._lost(error)
