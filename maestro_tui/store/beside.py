"""The right to commit a person's word on a phase while others run the session: no lock but the commit's own."""

from __future__ import annotations

from pathlib import Path

from maestro_tui.store.lease import newest_epoch
from maestro_tui.store.runner_file import is_alive, read_lease


class Beside:
    """Stands where a `Hold` does for one commit about a phase that nobody runs. It drives nothing.

    The commit takes the newest epoch, which fences nobody; runners plan anew from the newest commit after each
    outcome, and so meet the word. The lease stays as it is, also what it says of a runner that died.
    """

    def __init__(self, session_dir: Path) -> None:
        self._dir = session_dir
        self.epoch = 0

    def check(self) -> None:
        """Read the newest epoch. Under `CommitLock`."""
        self.epoch = newest_epoch(self._dir, read_lease(self._dir))


def named_by_a_runner(session_dir: Path, phase: str) -> bool:
    """True when a living runner says that it runs the phase, or did until a moment ago."""
    holders = read_lease(session_dir).holders
    return any(phase in one.phases and is_alive(one) is not False for one in holders)
