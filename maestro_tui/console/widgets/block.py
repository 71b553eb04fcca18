"""Some lines of text on a sheet, with the moment at which one could first read them."""

from __future__ import annotations

import time

from rich.text import Text
from textual.widget import Widget


class Block(Widget):
    """Some lines of text, as high as they need, never read as markup."""

    DEFAULT_CSS = "Block { height: auto; width: 1fr; }"

    def __init__(self, text: Text | str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._text = text if isinstance(text, Text) else Text(text)
        self.painted_at: float | None = None
        """When what it says now was first painted (monotonic seconds); None before that."""

    @property
    def words(self) -> str:
        """What it says."""
        return self._text.plain

    def show(self, text: Text | str) -> None:
        """Say something else."""
        new = text if isinstance(text, Text) else Text(text)
        if new != self._text or new.style != self._text.style:
            self._text, self.painted_at = new, None
            self.refresh(layout=True)

    def render(self) -> Text:
        """The text."""
        if self.painted_at is None:
            self.painted_at = time.monotonic()
        return self._text
