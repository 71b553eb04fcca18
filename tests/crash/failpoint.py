"""Stands before each state-changing call of `os` in a process and lets it die, or fail, at the n-th."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = (
    "open", "write", "fsync", "fdatasync", "link", "rename", "replace", "unlink", "remove", "mkdir", "rmdir",
    "ftruncate", "chmod", "fchmod",
)  # fmt: skip
"""What changes something on disk or makes it safe."""

_open, _write, _close = os.open, os.write, os.close


def changes_something(name: str, words: tuple[Any, ...]) -> bool:
    """False for an `open` that only reads."""
    return name != "open" or bool(words[1] & (os.O_CREAT | os.O_TRUNC))


class Failpoint:
    """Kills this process at its n-th state-changing call: before it, or (`torn`) in the midst of the n-th write."""

    def __init__(self, number: int, *, torn: bool = False) -> None:
        self.number, self.torn = number, torn
        self.place_into: Path | None = None
        """Where to write which call it was."""
        self._lock = threading.Lock()

    def install(self) -> None:
        """From now on this process counts its calls; there is no way back."""
        for name in CALLS:
            setattr(os, name, self._counting(name, getattr(os, name)))

    def _counting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            if changes_something(name, words) and (name == "write" or not self.torn):
                with self._lock:
                    self.number -= 1
                    if self.number == 0:
                        self._die(name, words)
            return real(*words, **named)

        return call

    def _die(self, name: str, words: tuple[Any, ...]) -> None:
        if self.place_into is not None:
            fd = _open(self.place_into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            _write(fd, f"{'in the midst of' if self.torn else 'before'} {name}".encode())
            _close(fd)
        if self.torn:
            _write(words[0], bytes(words[1])[: len(words[1]) // 2])
        kill_me()


def kill_me() -> None:
    """SIGKILL to this very process; it does not return."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
