"""Says who blocks an event loop: whose work it is, and where in the code it stands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.port import Task

_OWN = ("maestro_tui.engine.", "maestro_tui.store.", "maestro_tui.model.")
_at_work: dict[asyncio.Task[Any], Task] = {}


@dataclass(frozen=True, slots=True)
class Blocker:
    """Who blocks a loop. `task` is None when one of several does and nothing tells which."""

    task: Task | None
    where: str
    """The function, with its file and line: clean."""


@contextmanager
def at_work(task: Task) -> Iterator[None]:
    """Within it the asyncio task that runs is a performer's work on `task`."""
    running = asyncio.current_task()
    assert running is not None
    _at_work[running] = task
    try:
        yield
    finally:
        del _at_work[running]


def blocker_of(loop: asyncio.AbstractEventLoop, thread: int, session_id: str) -> Blocker | None:
    """Who of a session keeps the loop of a thread from going on at this moment; asked from another thread.

    None when nobody does, when it is another session's work in the same loop, and while the engine itself works or
    waits for its disk.
    """
    where = _where(thread)
    if where is None:
        return None
    running = asyncio.current_task(loop)
    doing = {one: task for one, task in list(_at_work.items()) if one.get_loop() is loop}
    if running in doing:
        task = doing[running]
        return Blocker(task, where) if task.session_id == session_id else None
    # A task that a performer made, or a callback: it tells of itself when there is nobody else.
    own = [task for task in doing.values() if task.session_id == session_id]
    if not own:
        return None
    return Blocker(own[0] if len(doing) == 1 else None, where)


def _where(thread: int) -> str | None:
    """The innermost function that is no part of Python; None when it is the engine's, or the loop only waits."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if top == "asyncio" or module.startswith(_OWN):
            return None
        if top not in sys.stdlib_module_names:
            code = frame.f_code
            return clean(f"{code.co_name} ({PurePath(code.co_filename).name}:{frame.f_lineno})", 120)
        frame = frame.f_back
    return None
