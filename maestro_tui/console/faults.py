"""Tells the operator of a fault in a worker: else its widget would wait for ever, and nobody would know why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.worker import Worker, WorkerState

if TYPE_CHECKING:
    from textual.app import App

    from maestro_tui.console.telling import Telling


class TellsFaults:
    """Anything that starts workers with `exit_on_error=False`."""

    if TYPE_CHECKING:
        app: App[object]

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell of a worker that ended by an exception which nobody expected."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and error is not None:
            from maestro_tui.config import write_crash

            self.tell_fault(
                f"The console made a fault of its own ({type(error).__name__}) and did not finish this; "
                f"{write_crash(error)}. Sessions are safe on disk."
            )

    def tell_fault(self, sentence: str) -> None:
        """Show the sentence."""
        app: Telling = self.app  # type: ignore[assignment]
        app.say(sentence, severity="error")
