"""The lines over the key line in which the console tells something for a while; what is above moves up for it.

So it covers nothing: neither the keys nor the row under the cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.geometry import Size
from textual.widget import Widget

from maestro_tui.console.lines import wrap_words
from maestro_tui.console.notices import Notice
from maestro_tui.console.widgets.palette import palette

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

_COLOURS = {"information": "accent", "warning": "phase-waiting", "error": "phase-failed"}
_MOST = {"information": 2, "warning": 2, "error": 4}
"""Rows of one sentence; what is longer is cut."""


class NoticeBar(Widget):
    """Nothing while there is nothing to tell."""

    DEFAULT_CSS = "NoticeBar { height: auto; display: none; background: $panel; }"

    def __init__(self) -> None:
        super().__init__()
        self._notices: tuple[Notice, ...] = ()

    def on_mount(self) -> None:
        """A screen that comes shows what is told already."""
        self.show(cast("MaestroApp", self.app).notices)

    def show(self, notices: tuple[Notice, ...]) -> None:
        """Tell these."""
        if notices != self._notices:
            self._notices = notices
            self.display = bool(notices)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the sentences take."""
        return sum(len(self._rows(one, width)) for one in self._notices)

    def render(self) -> Text:
        """Each sentence behind a bar in the colour of its weight."""
        styles, text = palette(self), Text(no_wrap=True, overflow="crop")
        sign = "|" if cast("MaestroApp", self.app).ascii_only else "▌"
        for one in self._notices:
            for row in self._rows(one, self.size.width):
                text.append("\n" if text else "")
                text.append(f"{sign} ", styles.style(_COLOURS[one.level])).append(row)
        return text

    @staticmethod
    def _rows(notice: Notice, width: int) -> list[str]:
        return wrap_words(notice.words, max(20, width - 3), _MOST[notice.level])
