"""Lines with a search field below them: what most tabs are made of."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from maestro_tui.console.lines import Line
from maestro_tui.console.widgets.find_bar import FindBar
from maestro_tui.console.widgets.line_stack import LineStack, spread
from maestro_tui.console.widgets.rows_view import RowsView
from maestro_tui.model.text import clean


class SearchView(Vertical):
    """`/` searches, `n` and `N` go on, Escape ends it; a foot tells the place."""

    DEFAULT_CSS = """
    SearchView {
        height: 1fr;
        .foot { height: 1; display: none; }
        .foot.-used { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Search", show=False),
        Binding("escape", "drop_search", "End search", show=False),
    ]

    def __init__(self, *, empty: str = "", with_cursor: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows = RowsView(with_cursor=with_cursor, empty=empty)
        self.query_text = ""

    def compose(self) -> ComposeResult:
        """Lines, search field, foot."""
        yield self.rows
        yield FindBar()
        yield LineStack(classes="foot")

    @property
    def text_width(self) -> int:
        """Columns for the lines."""
        return max(20, (self.rows.size.width or self.size.width or 80) - 1)

    def refresh_lines(self) -> None:
        """Makes the lines for the width; what shows something says how."""

    def on_resize(self, event: events.Resize) -> None:
        """Another width needs other lines."""
        self.refresh_lines()

    # -- search

    def find(self, query: str) -> int:
        """Looks for a text; the number of lines that hold it."""
        return self.rows.search(query)

    def action_find(self) -> None:
        """Opens the search field."""
        self.query_one(FindBar).open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape ends a search, when there is one; else it belongs to the screen."""
        return bool(self.query_text) if action == "drop_search" else True

    def action_drop_search(self) -> None:
        """Ends the search; the place stays."""
        self._search("")

    def on_find_bar_typed(self, message: FindBar.Typed) -> None:
        """Searches while one types."""
        message.stop()
        self._search(message.query)

    def on_find_bar_kept(self, message: FindBar.Kept) -> None:
        """Back to the lines; the search stays."""
        message.stop()
        self._search(message.query)
        self.screen.set_focus(self.rows)

    def on_find_bar_dropped(self, message: FindBar.Dropped) -> None:
        """Back to the lines without a search."""
        message.stop()
        self._search("")
        self.screen.set_focus(self.rows)

    def _search(self, query: str) -> None:
        if query != self.query_text:
            self.query_text = query
            self.find(query)
        self.refresh_foot()

    def on_rows_view_moved(self, message: RowsView.Moved) -> None:
        """The foot tells the new place."""
        self.refresh_foot()

    def foot_line(self, width: int) -> list[Line]:
        """What the foot says."""
        if not self.query_text:
            return []
        query = f"“{clean(self.query_text, 40)}”"
        count = self.rows.match_count
        words = f"{query} {self.rows.match_place} of {count}" if count else f"{query} not found"
        return [spread("foot", [(words, "accent-text")], [("n next  N previous  esc ends", "muted")], width)]

    def refresh_foot(self) -> None:
        """Shows the foot while it has something to say."""
        foot = self.query_one(".foot", LineStack)
        foot.set_class(bool(self.foot_line(80)), "-used")
        foot.show(self.foot_line)
