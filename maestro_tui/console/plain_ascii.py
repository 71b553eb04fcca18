"""Draws a whole screen with ASCII alone: our signs, the screen library's, and what others wrote.

It is done where every line passes before it reaches the terminal, so that no widget can forget it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

from maestro_tui.console.glyphs import PLAIN_SIGNS

UNKNOWN = "?"
"""For what has no likeness in ASCII, once for each column that it takes."""
_LIKE = {
    **dict.fromkeys("─┄┈╌╴╶╼╾┅┉╍▔▀—―", "-"),
    **dict.fromkeys("━═╸╺", "="),
    **dict.fromkeys("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|"),
    **dict.fromkeys("▂▃▅▆▇", " "),  # an end of a scrollbar, which its colours show
    **dict.fromkeys("▁▄", "_"),
    **dict.fromkeys("▓▒░▖▗▘▙▚▛▜▝▞▟", "#"),
    **dict.fromkeys("▲▴↑⇧", "^"),
    **dict.fromkeys("▼↓", "v"),
    **dict.fromkeys("▶►▷⏵", ">"),
    **dict.fromkeys("◀◄◁←", "<"),
    **dict.fromkeys("⭘◉◎", "o"),
    **dict.fromkeys("‘’", "'"),
    "▪": "+",
    "╱": "/",
    "╲": "\\",
}
_BOXES = range(0x2500, 0x2580)


@lru_cache(maxsize=4_096)
def _like(character: str) -> str:
    width = cell_len(character)
    if width == 0:
        return ""
    known = PLAIN_SIGNS.get(ord(character)) or _LIKE.get(character)
    if known is not None:
        return known
    if ord(character) in _BOXES:
        return "+"
    base = unicodedata.normalize("NFKD", character)[0]
    return base if width == 1 and base.isascii() and base.isprintable() else UNKNOWN * width


def plain(text: str) -> str:
    """The text in printable ASCII, as many columns wide as it was."""
    if text.isascii():
        return text
    width = cell_len(text)
    # Several characters may be one sign that is narrower than they are one by one.
    return "".join(one if one.isascii() else _like(one) for one in text)[:width].ljust(width)


class PlainAscii(LineFilter):
    """Makes a line plain."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same line in ASCII."""
        return [
            one if one.control or one.text.isascii() else Segment(plain(one.text), one.style)
            for one in segments
        ]


_PLAIN = PlainAscii()


class AsciiApp(App[int]):
    """An app that draws with ASCII alone where `ascii_only` is set."""

    ascii_only: bool = False

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The library's own, then ours."""
        filters = super().get_line_filters()
        return [*filters, _PLAIN] if self.ascii_only else filters
