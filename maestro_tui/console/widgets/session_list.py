"""What the list and the wall share: sessions under a cursor, each with its mark and the sign of its status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.widgets.long_view import LongView
from maestro_tui.console.widgets.palette import palette

URGENT = frozenset(["waiting", "failed", "silent", "interrupted"])
"""Status of sessions that a person should look at."""


class SessionList(LongView):
    """Sessions under a cursor; marks stand at the left."""

    DEFAULT_CSS = "SessionList { overflow-x: hidden; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next session", show=False),
        Binding("up,k", "move(-1)", "Previous session", show=False),
        Binding("pagedown,ctrl+f,ctrl+d", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("home,g", "edge(-1)", "First session", show=False),
        Binding("end,G", "edge(1)", "Last session", show=False),
    ]

    class Highlighted(Message):
        """The cursor stands on another session, or on none."""

    class Opened(Message):
        """A session was clicked while the cursor stood on it."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii_only = ascii_only
        self.now = 0.0
        self.cursor = 0
        self.marked: frozenset[str] = frozenset()
        self.empty_words: tuple[str, ...] = ()
        self.rows_painted = 0
        """Number of rows laid out anew so far; the tests hold updates and key presses against it."""
        self._strips: dict[str, tuple[object, Strip]] = {}

    @property
    def rows(self) -> Sequence[FleetRow]:
        """The sessions as they stand."""
        raise NotImplementedError

    @property
    def current(self) -> FleetRow | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def page(self) -> int:
        """Sessions that a page holds."""
        return self.size.height

    def move_to(self, place: int) -> None:
        """Put the cursor on a row, or on the nearest one that there is."""
        raise NotImplementedError

    def action_move(self, step: int) -> None:
        """Some sessions up or down."""
        self.move_to(self.cursor + step)

    def action_page(self, step: int) -> None:
        """One page up or down."""
        self.move_to(self.cursor + step * max(1, self.page - 1))

    def action_edge(self, step: int) -> None:
        """To the first or the last session."""
        self.move_to(0 if step < 0 else len(self.rows) - 1)

    def click_on(self, place: int) -> None:
        """A click takes the cursor along; on the cursor's own row it opens."""
        if place == self.cursor:
            self.post_message(self.Opened())
        self.move_to(place)

    def notify_style_update(self) -> None:
        """Another theme: nothing painted before is valid."""
        super().notify_style_update()
        self._strips.clear()

    def words_line(self, y: int) -> Strip:
        """One line of the screen while there is no session: what is said instead."""
        base, width = self.rich_style, self.size.width
        if not 1 <= y <= len(self.empty_words):
            return Strip.blank(width, base)
        style = base if y == 1 else base + palette(self).style("muted")
        return Strip([Segment("  " + self.empty_words[y - 1], style)]).crop_extend(0, width, base)

    def begun_row(
        self, row: FleetRow, base: Style, at_cursor: bool, marked: bool
    ) -> tuple[list[Segment], Style, Style]:
        """The first columns of a row (mark or cursor, status), its ground, and the style of its title."""
        colours = palette(self)
        if at_cursor:
            base = base + colours.cursor(self.has_focus)
        bar = ("|" if self.ascii_only else "▌") if at_cursor else " "
        tick = ("+" if self.ascii_only else "▪") if marked else bar
        colour = base + colours.style(COLOURS.get(row.status, "muted"))
        segments = [
            Segment(tick, base + colours.style("accent")),
            Segment(glyph(row.status, self.ascii_only) + " ", colour),
        ]
        return segments, base, base + Style(bold=True) if at_cursor or marked else base
