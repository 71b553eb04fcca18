"""Runs a drilled copy of a session in a process of its own, which kills itself at an event, or comes to the end.

python -m maestro_tui.engine.drill_child ROOT SESSION WORKSPACE [PHASE EVENT…]
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.events import Event

TOLD = 3
"""Exit code when the run ended with a sentence, which is on standard error."""
STOPPED = 130


def main(words: Sequence[str]) -> int:
    """Resume until nothing is left to do; what waits for a person is approved in the drill's name."""
    root, session, workspace, *kill_at = words
    phase, kinds = (kill_at[0], kill_at[1:]) if kill_at else (None, [])

    def on_event(event: Event) -> None:
        if event.type in kinds and event.phase == phase:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    engine = TeamExecutionEngineV2SplitMode(root, workspace=workspace, on_event=on_event)
    try:
        while True:
            context = asyncio.run(_until_stopped(engine.resume(session)))
            waiting = [
                name
                for name, result in context.phase_results.items()
                if result.gate is not None and result.gate.verdict == "waiting"
            ]
            if not waiting:
                return 0
            for name in waiting:
                engine.decide(session, name, "approved", by="drill", reason="approved in the copy")
    except asyncio.CancelledError:
        return STOPPED
    except MaestroError as error:
        sys.stderr.write(f"{error}\n")
        return TOLD


async def _until_stopped(work: Coroutine[Any, Any, TeamExecutionContext]) -> TeamExecutionContext:
    """The work, cancelled by a signal, so that nothing that it started is left."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
