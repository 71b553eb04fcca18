"""A field of a form: its label, and the widget behind it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

from maestro_tui.console.widgets.block import Block


class Field(Horizontal):
    """A label and the widget behind it."""

    DEFAULT_CSS = """
    Field { height: auto; }
    Field > Block { width: 14; color: $muted; }
    """

    def __init__(self, label: str, widget: Widget) -> None:
        super().__init__()
        self._label, self._widget = label, widget

    def compose(self) -> ComposeResult:
        """Both."""
        yield Block(self._label)
        yield self._widget
