"""The real source (the file watcher in one thread) and the real host (the engine), both made when needed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.model.context import PhaseResult


class WatchSource:
    """Watches a checkpoint directory in a daemon thread and posts what changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stop = threading.Event()

    def start(self, post: Callable[[FleetSnapshot], None]) -> None:
        """Begin watching; `post` is called from the watcher's thread."""
        threading.Thread(target=self._run, args=(post,), name="fleet-watch", daemon=True).start()

    def stop(self) -> None:
        """Tell the watcher to end; it holds nothing that must be waited for."""
        self._stop.set()

    def _run(self, post: Callable[[FleetSnapshot], None]) -> None:
        # Imported here: reading the store is not needed for the first paint.
        from maestro_tui.store.watch import watch

        last = FleetSnapshot(root=str(self.root))

        def forward(snapshot: FleetSnapshot) -> None:
            nonlocal last
            last = snapshot
            if not self._stop.is_set():
                post(snapshot)

        try:
            watch(self.root, forward, self._stop)
        except Exception as error:
            reason = clean(f"{type(error).__name__}: {error}", 200)
            forward(
                dataclasses.replace(
                    last,
                    loading=False,
                    problem=f"Watching ended ({reason}): what is shown is no longer live. "
                    "Quit and start again; nothing on disk was touched.",
                )
            )


def engine_host(root: Path) -> Host:
    """The engine's host for this directory; called in a thread, after the first paint."""
    from maestro_tui.console.host import ConsoleHost

    return ConsoleHost(root)


def phase_result(root: Path, session_id: str, phase: str) -> PhaseResult:
    """The newest committed result of a phase, as later phases are given it: with the edits of its outputs and
    files. Raises `MaestroError`; reads the disk."""
    from maestro_tui.store.checkpoints import CheckpointStore

    context = CheckpointStore(root).head(session_id).context
    result = context.phase_results.get(phase)
    if result is None:
        raise InputError(f"{phase} of {session_id} has no committed result.")
    checked = [edit.contract for edit in context.edits_of(phase) if edit.contract is not None]
    return result.model_copy(
        update={
            "outputs": context.outputs_of(phase),
            "artifacts": context.artifacts_of(phase),
            "contract": checked[-1] if checked else result.contract,
        }
    )
