"""The right to commit a person's word while others run the session: no lock but the commit's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maestro_tui.store.lease import newest_epoch
from maestro_tui.store.runner_file import is_alive, read_lease


class Beside:
    """Stands where a `Hold` does for one commit about what nobody runs. It drives nothing.

    `in_the_way` is asked under the commit lock, and raises when a runner is. The commit takes the newest epoch, which fences nobody; runners plan anew from the newest commit after each
    outcome, and so meet the word. The lease stays as it is, also what it says of a runner that died.
    """

    def __init__(self, session_dir: Path, in_the_way: Callable[[], None] = lambda: None) -> None:
        self._dir, self._in_the_way = session_dir, in_the_way
        self.epoch = 0

    def check(self) -> None:
        """Read the newest epoch. Under `CommitLock`. Raises what `in_the_way` does."""
        self._in_the_way()
        self.epoch = newest_epoch(self._dir, read_lease(self._dir))


def named_by_a_runner(session_dir: Path, phase: str) -> bool:
    """True when a living runner says that it runs the phase, or did until a moment ago."""
    holders = read_lease(session_dir).holders
    return any(phase in one.phases and is_alive(one) is not False for one in holders)
