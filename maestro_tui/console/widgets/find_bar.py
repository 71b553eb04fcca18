"""The line in which one types what to search for; it is there only while it is used."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static


class FindBar(Horizontal):
    """A slash and a field; Enter keeps the search, Escape drops it."""

    DEFAULT_CSS = """
    FindBar {
        height: 1;
        display: none;
        &.-open { display: block; }
        Static { width: 2; }
        Input { width: 1fr; height: 1; border: none; padding: 0; background: transparent; }
        Input:focus { border: none; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "drop", "Drop", show=False)]

    class Typed(Message):
        """The text changed."""

        def __init__(self, query: str) -> None:
            super().__init__()
            self.query = query

    class Kept(Typed):
        """Enter: search for this."""

    class Dropped(Message):
        """Escape: no search."""

    def compose(self) -> ComposeResult:
        """The slash and the field."""
        yield Static("/ ", markup=False)
        yield Input(select_on_focus=True)

    def open(self) -> None:
        """Shows the field and puts the cursor there."""
        self.add_class("-open")
        self.screen.set_focus(self.query_one(Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tells what is typed so far."""
        event.stop()
        if self.has_class("-open"):
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keeps the search and goes away."""
        event.stop()
        self.remove_class("-open")
        self.post_message(self.Kept(event.value))

    def action_drop(self) -> None:
        """Goes away without a search."""
        self.remove_class("-open")
        self.post_message(self.Dropped())
