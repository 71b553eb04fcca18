"""Asks whether a workflow may start its commands: lists them, and remembers the exact content when approved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.model.text import clean


class TrustSheet(Sheet):
    """The commands of a workflow that nobody has approved on this computer yet."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "confirm", "Trust", show=False)]
    TITLE_WORDS = "This workflow starts commands on this computer"

    def __init__(self, commands: Sequence[str], content_hash: str, approved: Callable[[], None]) -> None:
        super().__init__()
        self._commands, self._hash, self._approved = commands, content_hash, approved

    def body(self) -> Iterable[Widget]:
        """Every command, and what approving means."""
        text = Text("\n".join("$ " + clean(command, 400) for command in self._commands))
        yield VerticalScroll(Block(text), classes="list", can_focus=False)
        yield Block(
            f"Nobody has approved them here yet. y approves exactly this content ({self._hash[:12]}); "
            "any change in the file asks again.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Trust and go on  y"

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Go on with what was asked for."""
        if self.is_current and not self.too_early:
            self.dismiss(None)
            self._approved()
