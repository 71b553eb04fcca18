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

    def __init__(self, *, over: bool = False) -> None:
        """`over` says that the bar belongs to a sheet: what was told before still stands below it."""
        super().__init__()
        self._over = over
        self._before: tuple[Notice, ...] = ()
        self._notices: tuple[Notice, ...] = ()

    def on_mount(self) -> None:
        """A screen that comes shows what is told already."""
        told = cast("MaestroApp", self.app).notices
        if self._over:
            self._before = told
        self.show(told)

    def show(self, notices: tuple[Notice, ...]) -> None:
        """Tell these; under a sheet nothing new is told until it is closed."""
        if self.app.screen is self.screen:
            notices = tuple(one for one in notices if one not in self._before)
        else:
            notices = tuple(one for one in self._notices if one in notices)
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
