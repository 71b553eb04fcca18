"""Paints the timeline of a session: a bar for every attempt, the line of now, what is still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from maestro_tui.console import timeline
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import about, column_width, fit, fit_right, short
from maestro_tui.console.timeline import Axis, Row, RowKey
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import AttemptSummary, SessionSummary

RIGHT = 12
"""Columns for the duration and the glyph at the right."""
MOST_ZOOM = 256.0

Cell = tuple[str, str]


class Timeline(ScrollView, can_focus=True):
    """Every attempt of every phase on one time axis."""

    DEFAULT_CSS = """
    Timeline {
        height: auto;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("enter", "choose", "Open log", show=False),
        Binding("plus,equals_sign", "zoom(2.0)", "Zoom in", show=False),
        Binding("minus", "zoom(0.5)", "Zoom out", show=False),
        Binding("0", "zoom(0.0)", "Fit", show=False),
        Binding("left,h", "shift(-1)", "Earlier", show=False),
        Binding("right,l", "shift(1)", "Later", show=False),
        Binding("o", "personas", "Personas", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)

    class Chosen(Message):
        """Enter or a click on the bar of an attempt."""

        def __init__(self, key: RowKey) -> None:
            super().__init__()
            self.key = key

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._summary: SessionSummary | None = None
        self._attempts: Sequence[AttemptSummary] = ()
        self._usual: Mapping[str, float] = {}
        self._now = 0.0
        self._rows: list[Row] = []
        self._personas = False
        self._zoom = 1.0
        self._from_right = 0
        """Columns between the right end of the axis and of the window: the newest work stays in sight."""
        self.shown: tuple[str, int] | None = None
        """The attempt whose log is open."""

    # -- content

    @property
    def rows(self) -> Sequence[Row]:
        """The bars as they are shown."""
        return self._rows

    @property
    def live(self) -> bool:
        """True while a bar grows."""
        return timeline.live(self._rows)

    def show(
        self,
        summary: SessionSummary,
        attempts: Sequence[AttemptSummary],
        usual: Mapping[str, float],
        now: float,
    ) -> None:
        """Shows this state of the session; the cursor stays on its bar."""
        other = self._summary is None or self._summary.session_id != summary.session_id
        self._summary, self._attempts, self._usual, self._now = summary, attempts, usual, now
        if other:
            self._zoom, self._from_right = 1.0, 0
        self._rebuild(home=other)

    def tick(self, now: float) -> None:
        """Moves the line of now."""
        if self._now != now:
            self._now = now
            self.refresh()

    def mark_shown(self, phase: str, attempt: int) -> None:
        """Marks the attempt whose log is open."""
        if self.shown != (phase, attempt):
            self.shown = (phase, attempt)
            self.refresh()

    def _rebuild(self, home: bool = False) -> None:
        if self._summary is None:
            return
        old = self._rows[self.cursor].key if self.cursor < len(self._rows) else None
        count = len(self._rows)
        self._rows = timeline.rows(self._summary, self._attempts, self._usual, self._personas)
        current = self._summary.current
        if home or old is None:
            # A finished session is entered at its last bar.
            old = (
                current.name if current is not None else self._rows[-1].key[0] if self._rows else "",
                0,
                "",
            )
        places = {row.key: index for index, row in enumerate(self._rows)}
        place = places.get(old)
        if place is None:
            # Its first attempt has begun, or its persona is hidden: the newest bar of the same phase.
            of_phase = [
                index for index, row in enumerate(self._rows) if row.key[0] == old[0] and not row.key[2]
            ]
            place = of_phase[-1] if of_phase else min(self.cursor, max(0, len(self._rows) - 1))
        self.set_reactive(Timeline.cursor, place)
        self.virtual_size = Size(self.size.width, len(self._rows) + 2)
        if home:
            self.call_after_refresh(self._show_cursor)
        self.refresh(layout=count != len(self._rows))

    # -- keys

    def action_move(self, step: int) -> None:
        """One bar up or down."""
        self.cursor += step

    def action_edge(self, step: int) -> None:
        """To the first or last bar."""
        self.cursor = 0 if step < 0 else len(self._rows) - 1

    def action_choose(self) -> None:
        """Opens the log of the attempt."""
        if self.cursor < len(self._rows):
            self.post_message(self.Chosen(self._rows[self.cursor].key))

    def action_zoom(self, factor: float) -> None:
        """Zooms in or out; 0 fits all into the window."""
        self._zoom = 1.0 if factor == 0 else max(1.0, min(MOST_ZOOM, self._zoom * factor))
        self._from_right = 0 if self._zoom == 1.0 else int(self._from_right * (factor or 1.0))
        self.refresh()

    def action_shift(self, step: int) -> None:
        """Earlier or later, when zoomed in."""
        self._from_right = max(0, self._from_right - step * max(1, self._bar_columns // 4))
        self.refresh()

    def action_personas(self) -> None:
        """Shows or hides the bars of the personas."""
        self._personas = not self._personas
        self._rebuild()

    def validate_cursor(self, cursor: int) -> int:
        """The cursor stays on a bar."""
        return max(0, min(cursor, len(self._rows) - 1))

    def watch_cursor(self) -> None:
        """Keeps the bar in sight."""
        self._show_cursor()
        self.refresh()

    def _show_cursor(self) -> None:
        visible = max(1, self.size.height - 2)
        top = int(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False, force=True, immediate=True)

    async def _on_click(self, event: events.Click) -> None:
        place = event.y - 1 + int(self.scroll_y)
        if 0 < event.y < self.size.height - 1 and 0 <= place < len(self._rows):
            self.cursor = place
            self.action_choose()

    def on_focus(self) -> None:
        """The line of exact times appears."""
        self.refresh()

    def on_blur(self) -> None:
        """The line of exact times goes."""
        self.refresh()

    # -- painting

    @property
    def _label_columns(self) -> int:
        most = max(8, min(26, self.size.width * 3 // 10))
        return column_width((row.label for row in self._rows), 8, most) + 1

    @property
    def _bar_columns(self) -> int:
        return max(8, self.size.width - self._label_columns - RIGHT - 1)

    def _future_columns(self) -> int:
        """Columns kept free at the right for what is still to come."""
        waiting = sum(1 for row in self._rows if row.status == "pending" and row.selected)
        if not waiting:
            return 0
        begun = any(row.start is not None for row in self._rows)
        return min(waiting * 8, self._bar_columns // (3 if begun else 1))

    def _axis(self) -> tuple[Axis | None, int]:
        """The axis and the column at which the window begins."""
        past = self._bar_columns - self._future_columns()
        scale = timeline.axis(self._rows, past, self._now, self._zoom)
        if scale is None:
            return None, 0
        hidden = max(0, scale.columns - past)
        self._from_right = min(self._from_right, hidden)
        return scale, hidden - self._from_right

    def render_line(self, y: int) -> Strip:
        """One row of the screen: the axis, a bar, or the line of exact times at the bottom."""
        base = self.rich_style
        width = self.size.width
        if not self._rows:
            return Strip.blank(width, base)
        return self._line(y, base)

    def _line(self, y: int, base: Style) -> Strip:
        width = self.size.width
        if y == 0:
            return self._axis_line(base)
        if y >= self.size.height - 1:
            return self._exact_line(base)
        place = y - 1 + int(self.scroll_y)
        if place >= len(self._rows):
            return Strip.blank(width, base)
        return self._bar_line(place, base)

    def _axis_line(self, base: Style) -> Strip:
        scale, left = self._axis()
        cells = [" "] * self._bar_columns
        if scale is not None:
            past = self._bar_columns - self._future_columns()
            for column, label in timeline.ticks(scale, (left, left + past)):
                cells[column - left : column - left + len(label)] = label
        text = " " * self._label_columns + "".join(cells)
        style = base + palette(self).style("muted")
        if self._zoom > 1:
            text = fit(f"×{self._zoom:g}", self._label_columns) + text[self._label_columns :]
        return Strip([Segment(text, style)]).crop_extend(0, self.size.width, base)

    def _exact_line(self, base: Style) -> Strip:
        if not self.has_focus or self.cursor >= len(self._rows):
            return Strip.blank(self.size.width, base)
        text = short(timeline.exact(self._rows[self.cursor], self._now), self.size.width)
        return Strip([Segment(text, base + palette(self).style("muted"))]).crop_extend(
            0, self.size.width, base
        )

    def _bar_line(self, place: int, base: Style) -> Strip:
        row = self._rows[place]
        colours = palette(self)
        if place == self.cursor and self.has_focus:
            base = base + colours.cursor(True)
        shown = self.shown is not None and row.key[:2] == self.shown and not row.key[2]
        quiet = row.status in ("pending", "skipped") or bool(row.key[2])
        label_style = "bold" if shown else "muted" if quiet else ""
        colour = COLOURS.get(row.status, "phase-pending")
        segments = [Segment(fit(row.label, self._label_columns), base + colours.style(label_style))]
        segments += _segments(self._bar_cells(row, colour), base, colours.style)
        if row.start is not None:
            segments.append(Segment(fit_right(timeline.lasted(row, self._now), RIGHT - 4), base))
        else:
            segments.append(Segment(" " * (RIGHT - 4), base))
        segments.append(Segment("  ", base))
        segments.append(Segment(glyph(row.status), base + colours.style(colour)))
        stale = glyph("stale") if row.stale else " "
        segments.append(Segment(stale, base + colours.style("phase-stale")))
        return Strip(segments).crop_extend(0, self.size.width, base)

    def _bar_cells(self, row: Row, colour: str) -> list[Cell]:
        columns = self._bar_columns
        cells: list[Cell] = [(" ", "")] * columns
        scale, left = self._axis()
        past = columns - self._future_columns()
        if scale is not None and self.live:
            now = min(int(scale.column(self._now)), scale.columns - 1) - left
            if 0 <= now < past:
                cells[now] = ("╎", "muted")
        if scale is not None and row.start is not None:
            end = row.end if row.end is not None else self._now
            first, text = timeline.bar(scale.column(row.start), scale.column(end), scale.columns)
            for index, char in enumerate(text, first - left):
                if 0 <= index < past:
                    cells[index] = (char, colour)
            usual = row.start + row.usual if row.usual is not None and row.end is None else None
            if usual is not None and usual > end and scale.end >= usual:
                mark = min(int(scale.column(usual)), scale.columns - 1) - left
                if 0 <= mark < past:
                    cells[mark] = ("▕", "muted")
        elif row.status == "pending" and row.selected:
            self._future_cells(row, cells, past)
        elif row.start is None:
            word = row.status if row.selected else "not asked for"
            _write(cells, 0, short(word, columns), "muted")
        return cells

    def _future_cells(self, row: Row, cells: list[Cell], past: int) -> None:
        ahead = [other.key for other in self._rows if other.status == "pending" and other.selected]
        place, count = ahead.index(row.key), len(ahead)
        room = len(cells) - past
        start = past + place * room // count
        end = max(start + 1, past + (place + 1) * room // count)
        _write(cells, start, "┄" * (end - start), "muted")
        if row.usual is not None:
            words = f"usual {about(row.usual)}"
            if end + 1 + len(words) <= len(cells):
                _write(cells, end + 1, words, "muted")
            elif start - 1 - len(words) >= 0:
                _write(cells, start - 1 - len(words), words, "muted")


def _write(cells: list[Cell], start: int, text: str, style: str) -> None:
    for index, char in enumerate(text, start):
        if 0 <= index < len(cells):
            cells[index] = (char, style)


def _segments(cells: Sequence[Cell], base: Style, style_of: Callable[[str], Style]) -> list[Segment]:
    segments: list[Segment] = []
    run, names = "", ""
    for char, name in cells:
        if name != names and run:
            segments.append(Segment(run, base + style_of(names)))
            run = ""
        names = name
        run += char
    if run:
        segments.append(Segment(run, base + style_of(names)))
    return segments
