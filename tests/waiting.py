"""Waits for other processes and threads: on a condition, with a deadline that only a fault reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Look until `condition` holds; fails naming `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        Event().wait(0.02)
