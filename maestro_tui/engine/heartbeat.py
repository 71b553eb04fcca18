"""Says that a run goes on: renews its lease, and hears from it when another runner took the session over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from maestro_tui.model.errors import FencedError, StoreError
from maestro_tui.store.lease import Hold

HEARTBEAT_SECONDS = 2.0
NAMED_SECONDS = 0.1
"""A phase that runs so long is named in the lease: what is over before that costs it no rewriting."""


class Heartbeat:
    """Renews the lease of one run, in its loop. `running` are the phases that it names there.

    `lost` hears that another runner took the session over; nothing is renewed after that. `failed` hears why the
    lease could not be renewed this time.
    """

    def __init__(
        self,
        hold: Hold,
        running: Collection[str],
        lost: Callable[[FencedError], None],
        failed: Callable[[StoreError], None],
    ) -> None:
        self._hold, self._running, self._lost, self._failed = hold, running, lost, failed
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Renew it from now on, until `stop`. In the loop that is to go on."""
        self._within(HEARTBEAT_SECONDS)

    def name_soon(self) -> None:
        """Something began: name it in the lease, unless it is over at once."""
        self._within(NAMED_SECONDS)

    def _within(self, seconds: float) -> None:
        """Renew the lease in so many seconds, or when it was to be renewed anyway if that is sooner."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._next is None or self._next.when() > due:
            self.stop()
            self._next = loop.call_at(due, self._beat)

    def stop(self) -> None:
        """Renew it no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _beat(self) -> None:
        self._next = None
        try:
            self._hold.beat(tuple(self._running))
        except FencedError as error:
            self._lost(error)
            return
        except StoreError as error:
            # The lease only grows old, as it would if this process were stopped; the next commit decides.
            self._failed(error)
        self._within(HEARTBEAT_SECONDS)
