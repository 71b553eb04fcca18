"""Asks before quitting while sessions run here: lists them; they are stopped cleanly and stay resumable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette


class QuitSheet(Sheet):
    """What runs here, and whether to stop it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "confirm", "Quit", show=False)]

    def __init__(self, own: tuple[str, ...]) -> None:
        super().__init__()
        self.own = own
        self.no_words = "Stay"

    def title_words(self) -> str:
        """How many run here."""
        count = len(self.own)
        return f"Quit? {count} session{'s run' if count != 1 else ' runs'} in this console"

    def body(self) -> Iterable[Widget]:
        """Each with the phase it is at."""
        styles, text = palette(self), Text(no_wrap=True, overflow="ellipsis")
        width = column_width([short_id(one) for one in self.own], 8, 40)
        for index, session_id in enumerate(self.own):
            summary = self.console.snapshot.sessions.get(session_id)
            current = summary.current if summary is not None else None
            status = summary.status.value if summary is not None else "new"
            text.append("\n" if index else "")
            text.append_text(self.row(status, short_id(session_id), width))
            text.append(f"{status} {current.name}" if current is not None else status, styles.style("muted"))
        yield VerticalScroll(Block(text), classes="list", can_focus=False)
        they = (
            "It is stopped at once and stays" if len(self.own) == 1 else "They are stopped at once and stay"
        )
        yield Block(
            f"{they} resumable: what is committed stays, the phase under way runs again on resume.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", f"Stop {'it' if len(self.own) == 1 else 'them'} and quit  y"

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Stop what runs, then quit."""
        if not self.busy and not self.too_early:
            self.busy = True
            self.tell("Stopping …", "muted")
            self.run_worker(self._stop(), exit_on_error=False)

    async def _stop(self) -> None:
        await asyncio.to_thread(self.console.stop_sessions)
        self.console.exit(0)
