"""Reads a session's details in a thread: one reading at a time, and one that was overtaken by a newer is dropped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message
from textual.widget import Widget

from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.store.detail import SessionDetail

DetailSource = Callable[[Path, float], "SessionDetail"]
"""(a session's folder, now) → its details."""


class DetailsRead(Message):
    """A thread has read a session's details, or has met a problem."""

    def __init__(self, ticket: int, detail: SessionDetail | None, problem: str | None) -> None:
        super().__init__()
        self.ticket = ticket
        self.detail = detail
        self.problem = problem


class DetailThread:
    """Reads for a widget, which gets `DetailsRead` and hands it to `take`."""

    def __init__(self, widget: Widget, source: DetailSource | None) -> None:
        self.source = source
        """None reads the store."""
        self.again = False
        """True when the session has changed while it was read: of all changes only the newest state is read."""
        self._widget = widget
        self._ticket = 0
        self._reading = False

    def drop(self) -> None:
        """Another session is shown: what is being read is of no use any more."""
        self._ticket += 1
        self._reading = False

    def read(self, session_dir: Path, now: float) -> None:
        """Begin a reading, unless one is under way."""
        if self._reading:
            self.again = True
            return
        self._reading, self.again = True, False
        self._ticket += 1
        work = partial(self._read_in_thread, self._ticket, session_dir, now)
        self._widget.run_worker(work, thread=True, group="detail", exit_on_error=False, name="read detail")

    def take(self, message: DetailsRead) -> bool:
        """End a reading; False for one that was dropped."""
        if message.ticket != self._ticket:
            return False
        self._reading = False
        return True

    def _read_in_thread(self, ticket: int, session_dir: Path, now: float) -> None:
        source = self.source
        if source is None:
            from maestro_tui.store.detail import read_detail

            source = read_detail
        try:
            message = DetailsRead(ticket, source(session_dir, now), None)
        except Exception as error:
            problem = clean(f"Its details cannot be read ({type(error).__name__}: {error}).", 300)
            message = DetailsRead(ticket, None, problem)
        self._widget.post_message(message)
