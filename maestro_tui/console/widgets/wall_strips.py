"""Paints the wall by the line API: the time axis, pinned sessions that stay in sight, and the others below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region, Size
from textual.strip import Strip

from maestro_tui.console import wall
from maestro_tui.console.fleet import NO_USUAL, FleetView, Usual, time_words
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.glyphs import COLOURS
from maestro_tui.console.lines import column_width, fit, shorten_middle
from maestro_tui.console.timeline import Axis, ticks
from maestro_tui.console.wall import ASCII_SIGNS, COLOURLESS_SIGNS, SIGNS, SPANS, Piece, Wall, Window
from maestro_tui.console.widgets.palette import Palette, palette
from maestro_tui.console.widgets.session_list import URGENT, SessionList

CHOOSE_EVERY = 10.0
"""Seconds after which time alone changes which sessions are shown."""
_LOUD = frozenset(["waiting", "failed"])
ALIVE, QUIET = 0.42, 0.36
"""How strongly a strip is tinted when its column is full: what is open, what is done. What needs a person has its own colour."""
_ALIVE = frozenset(["running", "silent", "interrupted"])


class WallStrips(SessionList):
    """A strip for each session on one time axis, under a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(1)", "Shorter time", show=False),
        Binding("minus", "zoom(-1)", "Longer time", show=False),
        Binding("0", "zoom(0)", "Fit, and follow the clock", show=False),
        Binding("left,h", "shift(-1)", "Earlier", show=False),
        Binding("right,l", "shift(1)", "Later", show=False),
    ]

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self.time = Window()
        self.wall = Wall()
        self._all: tuple[FleetRow, ...] = ()
        self._usual: Usual = NO_USUAL
        self._fitted = 0
        self._pin_top = 0
        self._chosen_at = float("-inf")
        """When the rows of the wall were chosen last."""
        self._axis: Axis | None = None
        self._title_columns = 10

    # ── What is shown ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def rows(self) -> Sequence[FleetRow]:
        """The sessions as they stand, the pinned ones first."""
        return self.wall.rows

    @property
    def page(self) -> int:
        """Sessions that a page holds: the pinned ones stay."""
        return self._parts().others

    @property
    def span(self) -> float:
        """Seconds that the axis shows."""
        return SPANS[self.time.zoom if self.time.zoom is not None else self._fitted]

    def set_view(self, view: FleetView, now: float, usual: Usual = NO_USUAL) -> None:
        """Show another state; the cursor stays with its session."""
        if usual is not self._usual:
            self._strips.clear()
        self._all, self._usual, self.now = view.rows, usual, now
        self._select()

    def tick(self, now: float) -> None:
        """Let time pass; which sessions stand on the wall is asked a few times a minute."""
        self.now = now
        if now - self._chosen_at >= CHOOSE_EVERY:
            self._select()
        else:
            self._axis = None
            self.refresh()

    def select(self, session_id: str) -> bool:
        """Put the cursor on a session; False when it is not on the wall."""
        place = self.wall.positions.get(session_id)
        if place is None:
            return False
        self.move_to(place)
        return True

    def _select(self) -> None:
        before, old = self.current, self.wall
        self._chosen_at, self._axis = self.now, None
        if self.time.zoom is None:
            self._fitted = wall.fitted_zoom(self._all, self.now)
        end = self.time.end if self.time.end is not None else self.now
        self.wall = wall.select(self._all, end - self.span, end, self.now)
        self._title_columns = column_width((row.title for row in self.wall.rows[:200]), 10, 24)
        place = self.wall.positions.get(before.session_id) if before is not None else None
        self.cursor = place if place is not None else min(self.cursor, max(0, len(self.wall.rows) - 1))
        if len(self.wall.rows) != len(old.rows) or self.wall.pinned != old.pinned:
            self._fit_scroll()
        self._keep_visible()
        self.refresh()
        if self.current is not before:
            self.post_message(self.Highlighted())

    # ── Cursor, scroll and time ───────────────────────────────────────────────────────────────────────────

    def _parts(self) -> wall.Places:
        return wall.places(
            self.wall.pinned, len(self.wall.rows) - self.wall.pinned, max(1, self.size.height - 1)
        )

    def _fit_scroll(self) -> None:
        # The scrollbar is that of the rows below the pinned ones.
        hidden = len(self.wall.rows) - self.wall.pinned - self._parts().others
        self.virtual_size = Size(self.size.width, self.size.height + max(0, hidden))

    def _keep_visible(self) -> None:
        if self.size.height <= 1:
            return
        parts, pinned = self._parts(), self.wall.pinned
        if self.cursor < pinned:
            self._pin_top = wall.top_for(self.cursor, self._pin_top, parts.pinned, pinned)
            return
        self._pin_top = max(0, min(self._pin_top, pinned - parts.pinned))
        others = len(self.wall.rows) - pinned
        top = wall.top_for(self.cursor - pinned, int(self.scroll_y), parts.others, others)
        if top != int(self.scroll_y):
            self._fit_scroll()
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def move_to(self, place: int) -> None:
        """Put the cursor on a row, or on the nearest one that there is."""
        if not self.wall.rows:
            return
        place = max(0, min(place, len(self.wall.rows) - 1))
        before, self.cursor = self.cursor, place
        tops = self._pin_top, int(self.scroll_y)
        self._keep_visible()
        if tops != (self._pin_top, int(self.scroll_y)):
            self.refresh()
        else:
            for y in range(self.size.height):
                if self._place_at(y) in (before, place):
                    self.refresh(Region(0, y, self.size.width, 1))
        if before != place:
            self.post_message(self.Highlighted())

    def action_zoom(self, step: int) -> None:
        """A shorter or a longer time; 0 fits and follows the clock."""
        self.time = self.time.zoomed(step, self._fitted)
        self._select()

    def action_shift(self, step: int) -> None:
        """Earlier or later."""
        self.time = self.time.shifted(step, self.now, self.span)
        self._select()

    def on_click(self, event: events.Click) -> None:
        """A click takes the cursor along; on the cursor's own row it opens."""
        place = self._place_at(event.y)
        if place is not None:
            self.click_on(place)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._axis = None
        self._fit_scroll()
        self._keep_visible()

    def on_focus(self) -> None:
        """The cursor is shown stronger."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor is shown weaker."""
        self.refresh()

    def _place_at(self, y: int) -> int | None:
        """Index of the row on a line of the screen."""
        parts = self._parts()
        line = y - 1
        if 0 <= line < parts.pinned:
            return line + self._pin_top
        line -= parts.pinned + parts.gap
        place = line + int(self.scroll_y) + self.wall.pinned
        return place if 0 <= line < parts.others and place < len(self.wall.rows) else None

    # ── Painting ──────────────────────────────────────────────────────────────────────────────────────────

    def _columns(self) -> tuple[int, int, int]:
        """Widths of the session's name, the strip and the words at the right."""
        wide = self.size.width >= 100
        title, words = min(self._title_columns, 24 if wide else 16), 18 if wide else 14
        return title, max(8, self.size.width - 3 - title - 2 - 2 - words), words

    def axis(self) -> Axis:
        """The time axis as it is shown now."""
        if self._axis is None:
            self._axis = wall.axis(self.span, self.time.end, self.now, self._columns()[1])
        return self._axis

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        if not self.rows:
            return self.words_line(y)
        base = self.rich_style
        if y == 0:
            return self._axis_line(base)
        place = self._place_at(y)
        return Strip.blank(self.size.width, base) if place is None else self._row_line(place, base)

    def _axis_line(self, base: Style) -> Strip:
        title, columns, _ = self._columns()
        muted = base + palette(self).style("muted")
        scale, cells = self.axis(), [" "] * columns
        for column, label in ticks(scale, (0, columns)):
            cells[column : column + len(label)] = label
        words = fit("   " + wall.span_words(self.span, self.time.end, self.now), 3 + title + 2)
        return Strip([Segment(words, base), Segment("".join(cells), muted)]).crop_extend(
            0, self.size.width, base
        )

    def _row_line(self, place: int, base: Style) -> Strip:
        row, scale = self.wall.rows[place], self.axis()
        title, _, room = self._columns()
        words = time_words(row, self.now, self._usual if room >= 18 else NO_USUAL)
        at_cursor, marked = place == self.cursor, row.session_id in self.marked
        # Within a third of a column the moment makes no difference.
        moment = int(self.now / scale.per_column * 3)
        look = (row, scale, moment, words, at_cursor, marked, self.has_focus, self.size.width, title)
        known = self._strips.get(row.session_id)
        if known is not None and known[0] == look:
            return known[1]
        self.rows_painted += 1
        said = fit(words, room)
        strip = self._laid_out(row, scale, title, said, base, at_cursor=at_cursor, marked=marked)
        if len(self._strips) > 500:
            self._strips.clear()
        self._strips[row.session_id] = (look, strip)
        return strip

    def _laid_out(
        self,
        row: FleetRow,
        scale: Axis,
        title: int,
        words: str,
        base: Style,
        *,
        at_cursor: bool,
        marked: bool,
    ) -> Strip:
        colours = palette(self)
        segments, ground, name = self.begun_row(row, base, at_cursor, marked)
        segments += [Segment(fit(shorten_middle(row.title, title), title), name), Segment("  ", ground)]
        signs = ASCII_SIGNS if self.ascii_only else COLOURLESS_SIGNS if colours.ansi else SIGNS
        pieces = wall.strip(row, scale, self.now, self._usual, signs)
        segments += [Segment(piece.text, self._style(piece, ground, colours)) for piece in pieces]
        quiet = row.status not in URGENT and row.status != "running"
        said = ground + colours.style("muted") if quiet else ground
        segments.append(Segment("  " + words, said))
        return Strip(segments).crop_extend(0, self.size.width, ground)

    def _style(self, piece: Piece, ground: Style, colours: Palette) -> Style:
        if not piece.status:
            return ground
        if piece.status == "line":
            return ground + colours.style("muted")
        return ground + strip_style(colours, piece)


def strip_style(colours: Palette, piece: Piece) -> Style:
    """Colours of a piece: loud where it needs a person, a tint where all is well, fainter where it is short."""
    own_style = colours.style(COLOURS.get(piece.status, "muted"))
    if colours.ansi:
        # No tints here: what is not simply done stands in reverse.
        return own_style + Style(reverse=piece.status not in ("completed", "stale"))
    own = Color.from_rich_color(own_style.color) if own_style.color is not None else colours.foreground
    background, text = colours.background, colours.foreground
    if piece.status in _LOUD:
        ground, text = own, background
    else:
        full = ALIVE if piece.status in _ALIVE else QUIET
        ground = background.blend(own, full * (0.4 + 0.2 * piece.heat))
    return Style(color=(background if piece.edge else text).rich_color, bgcolor=ground.rich_color)
