"""Lets the clock wait while keys come: what answers a key is painted before what time alone has changed."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.widget import Widget

from maestro_tui.console.key_line import OneKeyAtATime

JUST_TYPED = 0.25
"""Seconds after a key within which the next one may come."""
MOST = 4
"""Ticks in a row that are passed over at most."""


def between_keys(widget: Widget, tick: Callable[[], None]) -> Callable[[], None]:
    """`tick` as an interval of this widget may call it: passed over while keys come, a few times at most."""
    passed = 0

    def ticked() -> None:
        nonlocal passed
        app = widget.app
        typing = isinstance(app, OneKeyAtATime) and time.monotonic() - app.typed_at < JUST_TYPED
        passed = passed + 1 if typing and passed < MOST else 0
        if not passed:
            tick()

    return ticked
