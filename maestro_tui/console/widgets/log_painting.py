"""Turns one line of a log into the segments of its rows: time, persona, the edge of stderr, text with matches."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style

from maestro_tui.console.lines import clock_time, fit, wrap_words
from maestro_tui.console.widgets.palette import Palette
from maestro_tui.console.widgets.rows_view import mark_matches
from maestro_tui.store.logs import LogLine


def wrapped(text: str, columns: int, height: int) -> list[str]:
    """The text in rows of some columns; never more rows than the screen has, so that one can get past it."""
    columns = max(8, columns)
    most = max(3, height - 1)
    texts = wrap_words(text, columns, most + 1)
    return texts if len(texts) <= most else [*texts[: most - 1], fit(texts[most - 1], columns - 2) + " …"]


def line_segments(
    parsed: LogLine,
    text: str,
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
    style = muted if parsed.stream == "engine" else base
    if query:
        segments += mark_matches(text, query, query != query.lower(), style, style + colours.style("match"))
    else:
        segments.append(Segment(text, style))
    return segments
