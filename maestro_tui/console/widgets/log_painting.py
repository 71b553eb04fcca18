"""Lays the lines of a log out in rows: time, persona, the edge of stderr, text with matches, wrapped or cut."""

from __future__ import annotations

from itertools import pairwise

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from maestro_tui.console.lines import clock_time, fit, short, wrap_words
from maestro_tui.console.log_window import LogWindow
from maestro_tui.console.widgets.palette import Palette
from maestro_tui.console.widgets.rows_view import in_sight, matches_in
from maestro_tui.store.logs import LogLine

WIDEST_PERSONA = 18

Row = tuple[int, str]
"""Where a row's text begins in the line's text, and the text."""


class LogPainter:
    """The rows of a log's lines. Its columns only grow, so that nothing jumps while one reads."""

    def __init__(self) -> None:
        self.wrap = True
        self.stamps = True
        self.begin()

    def begin(self) -> None:
        """For another log."""
        self._persona_columns = 8
        self.widest = 0
        """Columns of the longest line that was seen, unwrapped."""

    def paint(
        self,
        window: LogWindow,
        top: int,
        left: int,
        room: Size,
        query: str,
        marked: int | None,
        cursor: Style,
        base: Style,
        colours: Palette,
    ) -> list[Strip]:
        """What stands in the room from the line `top` and the column `left` on. The line that begins at the offset
        `marked` is shown as under a cursor."""
        strips: list[Strip] = []
        rows = range(top, min(window.row_count, top + room.height))
        self._learn([window.line(index) for index in rows])
        columns = (self._stamp_columns, self._persona_columns)
        for index in rows:
            parsed = window.line(index)
            ground = base if marked is None or window.offset_of(index) != marked else base + cursor
            sign = ground + colours.style("muted")
            for part, text in enumerate(self.wrapped(parsed, room) if self.wrap else [(0, parsed.text)]):
                segments = line_segments(parsed, text, part == 0, columns, query, ground, colours)
                strips.append(in_sight(segments, left, room.width, ground, sign))
            if len(strips) >= room.height:
                break
        return strips[: room.height]

    def _learn(self, lines: list[LogLine]) -> None:
        for parsed in lines:
            columns = min(WIDEST_PERSONA, cell_len(parsed.persona))
            self._persona_columns = max(self._persona_columns, columns)
        for parsed in lines:
            self.widest = max(self.widest, self._prefix_columns + cell_len(parsed.text))

    @property
    def _stamp_columns(self) -> int:
        return 10 if self.stamps else 0

    @property
    def _prefix_columns(self) -> int:
        return self._stamp_columns + self._persona_columns + 2

    def wrapped(self, parsed: LogLine, room: Size) -> list[Row]:
        """The rows that a line takes when it is wrapped."""
        return wrapped(parsed.text, room.width - self._prefix_columns, room.height)

    def rows_that_fit(self, window: LogWindow, room: Size) -> int:
        """How many of the last lines fill the room when wrapped; all of it when there are too few."""
        used = 0
        for count, row in enumerate(range(window.row_count - 1, -1, -1)):
            used += len(self.wrapped(window.line(row), room))
            if used > room.height:
                return max(1, count)
        return room.height

    def row_above(self, window: LogWindow, row: int, height: int, room: Size) -> int:
        """The line from which on what stands above a line fills at most some rows of the screen."""
        if not self.wrap:
            return row - height
        above = row
        while above > 0 and (height := height - len(self.wrapped(window.line(above - 1), room))) >= 0:
            above -= 1
        return above


def wrapped(text: str, columns: int, height: int) -> list[Row]:
    """The text in rows of some columns; never more than half of the screen, so that one can get past it."""
    columns = max(8, columns)
    most = max(3, height // 2)
    rows: list[Row] = []
    at = 0
    for row in wrap_words(text, columns, most + 1):
        at = max(at, text.find(row, at))
        rows.append((at, row))
        at += len(row)
    if len(rows) > most:
        start, row = rows[most - 1]
        rows[most - 1 :] = [(start, short(row + " …", columns))]
    return rows


def line_segments(
    parsed: LogLine,
    row: Row,
    first: bool,
    columns: tuple[int, int],
    query: str,
    base: Style,
    colours: Palette,
) -> list[Segment]:
    """The segments of one row. `columns` are those of the time (0 hides it) and of the persona."""
    muted = base + colours.style("muted")
    segments = []
    if columns[0]:
        segments.append(Segment(fit(clock_time(parsed.at) if first else "", columns[0]), muted))
    segments.append(Segment(fit(parsed.persona if first else "", columns[1]), muted))
    edge = "▏" if parsed.stream == "err" else " "
    segments.append(Segment(" " + edge, base + colours.style("phase-failed")))
    start, text = row
    style = muted if parsed.stream == "engine" else base
    runs = [(one - start, end - start, colours.style(names)) for one, end, names in parsed.runs]
    marked = colours.style("match")
    marks = [(one, end, marked) for one, end in matches_in(text, query)] if query else []
    return segments + _in_styles(text, style, runs, marks)


Span = tuple[int, int, Style]


def _in_styles(text: str, style: Style, *layers: list[Span]) -> list[Segment]:
    """The text in segments. The spans of each layer follow each other; a later layer lies over an earlier one."""
    layers = tuple([span for span in spans if span[1] > 0 and span[0] < len(text)] for spans in layers)
    ends = {min(max(0, place), len(text)) for spans in layers for span in spans for place in span[:2]}
    segments = []
    waiting = [iter(spans) for spans in layers]
    present = [next(spans, None) for spans in waiting]
    for one, end in pairwise(sorted({0, len(text), *ends})):
        here = style
        for place, spans in enumerate(waiting):
            while (span := present[place]) is not None and span[1] <= one:
                present[place] = next(spans, None)
            if span is not None and span[0] <= one:
                here += span[2]
        segments.append(Segment(text[one:end], here))
    return segments
