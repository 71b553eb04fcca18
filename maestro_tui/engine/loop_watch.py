"""One thread for all runs of this process, which looks from outside whether their loops go on."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

LOOK_SECONDS = 1.0


class Looked(Protocol):
    """What is looked at."""

    def look(self) -> None:
        """Called about every `LOOK_SECONDS`, in the thread that looks."""


class Looks:
    """Looks at all that were added, until they are removed.

    Its thread begins with the first, since a loop that is blocked can begin none; it serves all that come after,
    and ends once there has been nothing to look at for a while. A run of milliseconds wakes nobody.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: dict[int, Looked] = {}
        self._thread: threading.Thread | None = None

    def add(self, one: Looked) -> None:
        """Look at it from now on."""
        with self._lock:
            self._looked[id(one)] = one
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()

    def remove(self, one: Looked) -> None:
        """Look at it no more; a look that has begun may still end."""
        with self._lock:
            self._looked.pop(id(one), None)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                if not self._looked:
                    self._thread = None
                    return
                looked = list(self._looked.values())
            for one in looked:
                one.look()

    def forget(self) -> None:
        """In a forked child: the runs are its parent's, and so is the thread."""
        self._lock, self._looked, self._thread = threading.Lock(), {}, None


LOOKS = Looks()
os.register_at_fork(after_in_child=LOOKS.forget)
