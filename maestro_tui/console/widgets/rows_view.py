"""Shows lines by the line API: only what is visible is painted; cursor and scroll stay with their line.

With a cursor it is a list, without one it is a text to scroll through.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from maestro_tui.console.lines import Line
from maestro_tui.console.widgets.long_view import LongView
from maestro_tui.console.widgets.palette import palette


class RowsView(LongView):
    """Lines under a cursor, or a plain text, with search."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "edge(-1)", "Top", show=False),
        Binding("end,G", "edge(1)", "Bottom", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("enter", "choose", "Open", show=False),
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, view: RowsView, key: Hashable) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> RowsView:
            """The view whose cursor moved."""
            return self.view

    class Chosen(Moved):
        """Enter or a click on the line under the cursor."""

    def __init__(
        self, *, with_cursor: bool = True, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.with_cursor = with_cursor
        self.empty = empty
        self._lines: tuple[Line, ...] = ()
        self._places: dict[Hashable, int] = {}
        self._query = ""
        self._matches: list[int] = []
        self._at_match = -1

    # -- content

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    @property
    def cursor_key(self) -> Hashable | None:
        """What the line under the cursor stands for."""
        return self._lines[self.cursor].key if 0 <= self.cursor < len(self._lines) else None

    def set_lines(self, lines: Sequence[Line], *, home: bool = False) -> None:
        """Shows other lines; the cursor stays on its key and the key on its screen row, unless `home`."""
        new = tuple(lines)
        if new == self._lines and not home:
            return
        old_key, old_cursor = self.cursor_key, self.cursor
        self._lines = new
        self._places = {item.key: index for index, item in enumerate(new)}
        self.hold(Size(max((item.width for item in new), default=0), len(new)))
        self._refresh_matches()
        if home:
            self.set_reactive(RowsView.cursor, 0)
            self.scroll_to(0, 0, animate=False, force=True)
        else:
            place = self._places.get(old_key, min(old_cursor, max(0, len(new) - 1)))
            moved = place - old_cursor
            self.set_reactive(RowsView.cursor, place)
            if self.with_cursor and moved and old_key in self._places:
                self.scroll_to(y=self.scroll_y + moved, animate=False, force=True, immediate=True)
        self.refresh()

    def move_to(self, key: Hashable, *, center: bool = False) -> bool:
        """Puts the cursor on the line of a key; False when there is none."""
        place = self._places.get(key)
        if place is None:
            return False
        self.cursor = place
        self._show(place, center=center)
        return True

    # -- search

    @property
    def match_count(self) -> int:
        """Number of lines that hold what was searched for."""
        return len(self._matches)

    @property
    def match_place(self) -> int:
        """Which match is shown, from 1; 0 when none."""
        return self._at_match + 1

    def search(self, query: str) -> int:
        """Marks what matches (capitals count only when typed) and goes to the first from here; the count."""
        self._query = query
        self._refresh_matches()
        here = self.cursor if self.with_cursor else int(self.scroll_y)
        self._at_match = next((i for i, place in enumerate(self._matches) if place >= here), 0) - 1
        if self._matches:
            self.action_next_match(1)
        self.refresh()
        return len(self._matches)

    def _refresh_matches(self) -> None:
        self._at_match = -1
        self._matches = []
        if self._query:
            exact = self._query != self._query.lower()
            for index, item in enumerate(self._lines):
                if self._query in (item.text if exact else item.text.lower()):
                    self._matches.append(index)

    # -- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`n` belongs to the search only while there is one; `enter` needs a cursor."""
        if action == "next_match":
            return bool(self._matches)
        if action == "choose":
            return self.with_cursor and bool(self._lines)
        return True

    def action_next_match(self, step: int) -> None:
        """Goes to the next or previous match, around the ends."""
        if not self._matches:
            return
        self._at_match = (self._at_match + step) % len(self._matches)
        place = self._matches[self._at_match]
        if self.with_cursor:
            self.cursor = place
        self._show(place, center=True)
        self.refresh()

    def action_move(self, step: int) -> None:
        """One line up or down."""
        if not self.with_cursor:
            self.scroll_to(y=self.scroll_y + step, animate=False)
            return
        self.cursor = self.cursor + step

    def action_page(self, step: int) -> None:
        """One page up or down."""
        self.action_move(step * max(1, self.size.height - 1))

    def action_edge(self, step: int) -> None:
        """To the top or the bottom."""
        if self.with_cursor:
            self.cursor = 0 if step < 0 else len(self._lines) - 1
        else:
            self.scroll_to(y=0 if step < 0 else self.max_scroll_y, animate=False)

    def action_sideways(self, step: int) -> None:
        """Some columns left or right."""
        self.scroll_to(x=self.scroll_x + step, animate=False)

    def action_choose(self) -> None:
        """Opens the line under the cursor."""
        if self.cursor_key is not None:
            self.post_message(self.Chosen(self, self.cursor_key))

    def validate_cursor(self, cursor: int) -> int:
        """The cursor stays on a line."""
        return max(0, min(cursor, len(self._lines) - 1))

    def watch_cursor(self, _old: int, new: int) -> None:
        """Shows the line under the cursor and tells who listens."""
        self._show(new)
        self.refresh()
        if self.cursor_key is not None:
            self.post_message(self.Moved(self, self.cursor_key))

    def _show(self, place: int, *, center: bool = False) -> None:
        height = max(1, self.scrollable_content_region.height)
        top = int(self.scroll_y)
        if center and not top <= place < top + height:
            self.scroll_to(y=place - height // 2, animate=False, force=True, immediate=True)
        elif place < top:
            self.scroll_to(y=place, animate=False, force=True, immediate=True)
        elif place >= top + height:
            self.scroll_to(y=place - height + 1, animate=False, force=True, immediate=True)

    async def _on_click(self, event: events.Click) -> None:
        place = event.y + int(self.scroll_y)
        if self.with_cursor and 0 <= place < len(self._lines):
            again = place == self.cursor
            self.cursor = place
            if again or event.chain > 1:
                self.action_choose()

    # -- painting

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.scrollable_content_region.width
        base = self.rich_style
        place = y + int(self.scroll_y)
        colours = palette(self)
        if not self._lines:
            parts = [Segment(self.empty, base + colours.style("muted"))] if y == 0 and self.empty else []
            return Strip(parts).crop_extend(0, width, base)
        if place >= len(self._lines):
            return Strip.blank(width, base)
        item = self._lines[place]
        if self.with_cursor and place == self.cursor:
            base = base + colours.cursor(self.has_focus)
        matched = self._query if place in self._match_set() else ""
        segments = _segments(item, base, colours.style, matched, colours.style("match"))
        sign = base + colours.style("muted")
        return in_sight(segments, int(self.scroll_x), width, base, sign)

    def _match_set(self) -> Sequence[int]:
        # The matches are few on screen; a sorted list is searched from where the screen begins.
        if not self._matches:
            return ()
        top = int(self.scroll_y)
        return [place for place in self._matches if top <= place < top + self.size.height + 1]


def _segments(
    item: Line, base: Style, style_of: Callable[[str], Style], query: str, match_style: Style
) -> list[Segment]:
    segments: list[Segment] = []
    exact = query != query.lower()
    for text, names in item.parts:
        style = base + style_of(names) if names else base
        if not query:
            segments.append(Segment(text, style))
            continue
        segments.extend(mark_matches(text, query, exact, style, style + match_style))
    return segments


def in_sight(segments: list[Segment], left: int, width: int, base: Style, sign: Style) -> Strip:
    """The columns of a row that are seen from `left` on, with an ellipsis where its text goes on to a side."""
    whole = Strip(segments)
    length = cell_len("".join(text for text, *_ in segments).rstrip())
    before, after = int(left > 0), int(length > left + width)
    middle = whole.crop_extend(left + before, left + width - after, base)
    edge = Strip([Segment("…", sign)])
    return Strip.join([*[edge] * before, middle, *[edge] * after])


def mark_matches(text: str, query: str, exact: bool, style: Style, match_style: Style) -> list[Segment]:
    """The text as segments, with what was searched for in the style of matches."""
    segments: list[Segment] = []
    start = 0
    for found, end in matches_in(text, query, exact):
        if found > start:
            segments.append(Segment(text[start:found], style))
        segments.append(Segment(text[found:end], match_style))
        start = end
    if start < len(text):
        segments.append(Segment(text[start:], style))
    return segments


def matches_in(text: str, query: str, exact: bool | None = None) -> list[tuple[int, int]]:
    """Where the query stands in the text; capitals count only when it has some, or as `exact` says."""
    exact = query != query.lower() if exact is None else exact
    haystack = text if exact else text.lower()
    if len(haystack) != len(text):  # a few capitals have longer lower-case forms
        haystack = text
    found: list[tuple[int, int]] = []
    start = 0
    while (place := haystack.find(query, start)) >= 0:
        start = place + len(query)
        found.append((place, start))
    return found
