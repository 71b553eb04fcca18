"""The names of the list's columns, shown while the list is sorted by one of them: its own name has the arrow."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from maestro_tui.console.fleet import columns_for
from maestro_tui.console.fleet_order import Sort, arrow
from maestro_tui.console.lines import fit
from maestro_tui.console.widgets.fleet_table import FleetTable
from maestro_tui.console.widgets.palette import palette

_NAMES = {"strip": "done", "time": "status"}
_SHOWN_IN = {"session": ("session",), "phase": ("phase",), "updated": ("age", "time"), "owner": ("owner",)}
"""Order → the columns in which one sees it, the best first; the filter line names the others."""


class ColumnBar(Widget):
    """One line over the list; none while what needs attention stands first."""

    DEFAULT_CSS = "ColumnBar { height: 1; display: none; }"

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.ascii_only = ascii_only
        self._sort = Sort()

    def show(self, sort: Sort) -> None:
        """Show that the list is in this order."""
        self._sort = sort
        if self.display or sort != Sort():
            self.display = sort != Sort()
            self.refresh()

    def render(self) -> Text:
        """The names, over their columns."""
        table, styles = self.screen.query_one(FleetTable), palette(self)
        columns = columns_for(table.size.width, table.view.strip_width)
        names = [column.name for column in columns]
        sorted_by = next((one for one in _SHOWN_IN.get(self._sort.column, ()) if one in names), None)
        text = Text("   ", no_wrap=True, overflow="crop")
        for column in columns:
            if column.name == sorted_by:
                words = f"{self._sort.column} {arrow(self._sort, self.ascii_only)}"
                text.append(fit(words, column.width), styles.style("bold accent"))
            else:
                text.append(fit(_NAMES.get(column.name, column.name), column.width), styles.style("muted"))
            text.append("  ")
        return text
