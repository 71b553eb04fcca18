"""A few lines that are made anew for every width: headers, verdicts, the line below a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from maestro_tui.console.lines import Line, Part
from maestro_tui.console.widgets.palette import palette

MakeLines = Callable[[int], Sequence[Line]]


class LineStack(Widget):
    """Shows the lines that a function makes for the widget's width."""

    DEFAULT_CSS = """
    LineStack {
        height: auto;
    }
    """

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._make: MakeLines = lambda _width: ()
        self._made: dict[int, Sequence[Line]] = {}
        self._count = 0

    @property
    def lines(self) -> Sequence[Line]:
        """The lines for the width that the widget has now."""
        return self._lines(self.size.width or 80)

    def show(self, make: MakeLines) -> None:
        """Shows other lines."""
        self._make = make
        self._made.clear()
        count = len(self._lines(self.size.width or 80))
        self.refresh(layout=count != self._count)
        self._count = count

    def _lines(self, width: int) -> Sequence[Line]:
        if width not in self._made:
            if len(self._made) > 4:
                self._made.clear()
            self._made[width] = self._make(width)
        return self._made[width]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        base = self.rich_style
        width = self.size.width
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, base)
        style = palette(self).style
        strip = Strip([Segment(text, base + style(names)) for text, names in lines[y].parts])
        return strip.crop_extend(0, width, base)


def spread(key: str, left: Sequence[Part], right: Sequence[Part], width: int) -> Line:
    """A line with parts at its left end and parts at its right end; the right ones give way first."""
    left_line, right_line = Line(key, tuple(left)), Line(key, tuple(right))
    gap = width - left_line.width - right_line.width
    if gap < 2:
        return left_line
    return Line(key, (*left, (" " * gap, ""), *right))
