"""The list of all sessions by the line API: only visible rows are painted, and only those that changed.

The cursor belongs to a session, not to a line: it goes along when the order changes, waits while a filter
hides its session, and takes the nearest row when the session is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.strip import Strip

from maestro_tui.console.fleet import (
    EMPTY_VIEW,
    NO_USUAL,
    RICH,
    Column,
    FleetView,
    Usual,
    ago,
    columns_for,
    owner_short,
    time_words,
)
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import fit, fit_right, shorten_middle
from maestro_tui.console.place import Place, follow, in_sight
from maestro_tui.console.widgets.palette import palette
from maestro_tui.console.widgets.session_list import URGENT, SessionList


class FleetTable(SessionList):
    """All sessions, one a line."""

    def __init__(
        self, *, ascii_only: bool = False, own_pid: int | None = None, id: str | None = None
    ) -> None:
        super().__init__(ascii_only=ascii_only, id=id)
        self.own_pid = own_pid
        self.view: FleetView = EMPTY_VIEW
        self.usual: Usual = NO_USUAL
        self.chosen: str | None = None
        """The session on which the operator put the cursor; a filter may hide it for a while."""
        self._said: dict[str, tuple[str, str]] = {}

    # ── What is shown ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def rows(self) -> Sequence[FleetRow]:
        """The sessions as they stand."""
        return self.view.rows

    def set_view(self, view: FleetView, now: float, usual: Usual = NO_USUAL, *, recall: bool = False) -> None:
        """Show another view; the cursor and the scroll stay with their session.

        With `recall` the cursor goes back to the session that the operator chose, if it was hidden meanwhile.
        """
        old, before = self.view, self.current
        self.view, self.now = view, now
        if usual is not self.usual:
            self.usual = usual
            self._strips.clear()
        self._anchor(old, recall)
        if len(view.rows) != len(old.rows) or view.strip_width != old.strip_width or not view.rows:
            self._hold(len(view.rows))
            self.refresh()
        else:
            self._refresh_changed(old)
        after = self.current
        if (after.session_id if after else None) != (before.session_id if before else None):
            self.post_message(self.Highlighted())

    def tick(self, now: float) -> None:
        """Let time pass: only visible rows whose words changed are painted again."""
        self.now = now
        top = int(self.scroll_y)
        for index in range(top, min(top + self.size.height, len(self.view.rows))):
            row = self.view.rows[index]
            if self._said.get(row.session_id) != self._words(row):
                self.refresh_line(index)

    def set_marked(self, marked: frozenset[str]) -> None:
        """Show these marks."""
        changed = self.marked ^ marked
        self.marked = marked
        for session_id in changed:
            place = self.view.positions.get(session_id)
            if place is not None:
                self.refresh_line(place)

    def select(self, session_id: str) -> bool:
        """Put the cursor on a session; False when it is not shown."""
        place = self.view.positions.get(session_id)
        if place is None:
            return False
        self.move_to(place)
        return True

    def _anchor(self, old: FleetView, recall: bool) -> None:
        top = int(self.scroll_y)
        before = Place(self.cursor, top, self.chosen)
        after = follow(before, old, self.view, self.size.height, recall=recall)
        self.cursor, self.chosen = after.cursor, after.chosen
        if after.top != top:
            self._scroll_top(after.top, len(self.view.rows))

    def _refresh_changed(self, old: FleetView) -> None:
        top = int(self.scroll_y)
        for index in range(top, min(top + self.size.height, len(self.view.rows))):
            if self.view.rows[index] is not old.rows[index]:
                self.refresh_line(index)

    def choose_here(self) -> None:
        """The session under the cursor counts as chosen, as if a key had gone there."""
        if self.cursor < len(self.view.rows):
            self.chosen = self.view.rows[self.cursor].session_id

    # ── Cursor and scroll ─────────────────────────────────────────────────────────────────────────────────

    def move_to(self, place: int) -> None:
        """Put the cursor on a row, which then counts as chosen."""
        place = max(0, min(place, len(self.view.rows) - 1))
        row = self.view.rows[place] if self.view.rows else None
        self.chosen = row.session_id if row is not None else None
        if row is None:
            return
        before, self.cursor = self.cursor, place
        self._keep_visible(len(self.view.rows))
        self.refresh_line(before)
        self.refresh_line(place)
        if before != place:
            self.post_message(self.Highlighted())

    def _keep_visible(self, total: int) -> None:
        top = in_sight(self.cursor, int(self.scroll_y), self.size.height, total)
        if top != int(self.scroll_y):
            self._scroll_top(top, total)

    def _hold(self, total: int) -> None:
        self.hold(Size(self.size.width, total))

    def _scroll_top(self, top: int, total: int) -> None:
        self._hold(total)
        self.scroll_to(y=max(0, top), animate=False, force=True, immediate=True)

    def on_click(self, event: events.Click) -> None:
        """A click takes the cursor along; on the cursor's own row it opens."""
        place = event.y + int(self.scroll_y)
        if place < len(self.rows):
            self.click_on(place)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._hold(len(self.view.rows))
        self._keep_visible(len(self.view.rows))

    # ── Painting ──────────────────────────────────────────────────────────────────────────────────────────

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        index = y + int(self.scroll_y)
        rows = self.view.rows
        if index >= len(rows):
            return self.words_line(y) if not rows else Strip.blank(width, self.rich_style)
        row = rows[index]
        self.rows_painted += 1
        words = self._words(row)
        self._said[row.session_id] = words
        at_cursor, marked = index == self.cursor, row.session_id in self.marked
        look = (row, words, width, self.view.strip_width, at_cursor, marked, self.has_focus)
        known = self._strips.get(row.session_id)
        if known is not None and known[0] == look:
            return known[1]
        strip = self._row_line(row, words, width, at_cursor, marked)
        if len(self._strips) > 2_000:
            self._strips.clear()
            self._said.clear()
        self._strips[row.session_id] = (look, strip)
        return strip

    def _words(self, row: FleetRow) -> tuple[str, str]:
        """What passing time changes in a row: how long it is as it is, and since when nothing was written."""
        age = ago(self.now - row.summary.updated_at) if self.size.width >= RICH else ""
        return time_words(row, self.now, self.usual), age

    def _row_line(
        self, row: FleetRow, words: tuple[str, str], width: int, at_cursor: bool, marked: bool
    ) -> Strip:
        segments, base, title = self.begun_row(row, self.rich_style, at_cursor, marked)
        muted = base + palette(self).style("muted")
        for column in columns_for(width, self.view.strip_width):
            if column.name == "strip":
                segments.extend(self._strip(row, column.width, base))
            elif column.name == "time":
                urgent = row.status in URGENT or row.status == "running"
                segments.append(Segment(fit(words[0], column.width), base if urgent else muted))
            elif column.name == "age":
                segments.append(Segment(fit_right(words[1], column.width), muted))
            else:
                text = fit(self._cell(row, column), column.width)
                segments.append(Segment(text, title if column.name == "session" else muted))
            segments.append(Segment("  ", base))
        return Strip(segments).crop_extend(0, width, base)

    def _cell(self, row: FleetRow, column: Column) -> str:
        if column.name == "session":
            return shorten_middle(row.title, column.width)
        if column.name == "phase":
            return row.phase
        if column.name == "requirement":
            return row.summary.requirement
        if column.name == "owner":
            return owner_short(row.summary.owner, self.own_pid)
        return row.summary.error or row.summary.last_event

    def _strip(self, row: FleetRow, width: int, base: Style) -> list[Segment]:
        colours = palette(self)
        if len(row.strip) > width:
            done = sum(word in ("completed", "provided", "skipped", "stale") for word in row.strip)
            return [Segment(fit(f"{done}/{len(row.strip)}", width), base)]
        parts = [
            Segment(glyph(word, self.ascii_only), base + colours.style(COLOURS.get(word, "muted")))
            for word in row.strip
        ]
        return [*parts, Segment(" " * (width - len(parts)), base)]
