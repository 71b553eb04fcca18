"""Ends this process's children when it dies in a way that it cannot handle itself.

After `kill -9` of a runner its children would go on writing into the workspace beside the resumed attempt.
A tiny companion process (`orphans.py`) holds the reading end of a pipe; when the pipe closes, it ends the groups
that are listed and, on Linux, whatever carries this runner's mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from maestro_tui.performers import orphans


class GroupGuard:
    """Keeps one companion per process, started at the first use. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._companion: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._live: set[int] = set()

    def stand_by(self) -> None:
        """Have the companion there before a child is born: from its first moment its mark is enough to find it."""
        with self._lock:
            self._tell("")

    def watch(self, group: int) -> None:
        """End this group should this process die without releasing it."""
        with self._lock:
            self._own()
            self._live.add(group)
            self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """The group has ended; it is never signalled again."""
        with self._lock:
            if self._owner == os.getpid() and group in self._live:
                self._live.discard(group)
                self._tell(f"-{group}\n")

    def _own(self) -> None:
        if self._owner != os.getpid():
            # After a fork the companion belongs to the parent.
            self._companion, self._owner, self._live = None, os.getpid(), set()

    def _tell(self, message: str) -> None:
        self._own()
        if self._companion is not None and self._companion.poll() is None:
            try:
                _write(self._companion, message)
                return
            except OSError:
                self._companion = None
        self._companion = self._start()
        if self._companion is not None:
            try:
                _write(self._companion, "".join(f"+{group}\n" for group in self._live))
            except OSError:
                # The guard is a second line of defence; work goes on without it and tries again next time.
                self._companion = None

    @staticmethod
    def _start() -> subprocess.Popen[bytes] | None:
        try:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", orphans.__file__, orphans.runner_mark()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        except OSError:
            return None


def _write(companion: subprocess.Popen[bytes], message: str) -> None:
    stdin = companion.stdin
    if stdin is None:
        raise BrokenPipeError
    os.write(stdin.fileno(), message.encode("ascii"))


GUARD = GroupGuard()
