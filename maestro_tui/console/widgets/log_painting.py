"""Turns one line of a log into the segments of its rows: time, persona, the edge of stderr, text with matches."""

from __future__ import annotations

from itertools import pairwise

from rich.segment import Segment
from rich.style import Style

from maestro_tui.console.lines import clock_time, fit, short, wrap_words
from maestro_tui.console.widgets.palette import Palette
from maestro_tui.console.widgets.rows_view import matches_in
from maestro_tui.store.logs import LogLine

Row = tuple[int, str]
"""Where a row's text begins in the line's text, and the text."""


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
