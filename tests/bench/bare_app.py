"""The measure of the console: a bare Textual application with Header, DataTable and Footer, and a filter.

python tests/bench/bare_app.py [ROWS] [filter]
"""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Footer, Header, Input, Static

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
FILTERED = "filter" in sys.argv


class Bare(App[None]):
    """A table of COUNT rows; with a filter, an input line above it narrows the table."""

    BINDINGS = [("q", "quit", "Quit")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        """Header, table, footer."""
        yield Header()
        if FILTERED:
            yield Input()
            yield Static("all", id="shown")
        yield DataTable(cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        table.add_columns("session", "status", "phase", "time")
        self.fill("")
        (self.query_one(Input) if FILTERED else table).focus()

    def fill(self, text: str) -> int:
        """Show the rows that hold the text."""
        table = self.query_one(DataTable)
        table.clear()
        rows = [(f"row-{n:05d}", "running", "design", f"{n}s") for n in range(COUNT)]
        shown = [row for row in rows if text in row[0]]
        table.add_rows(shown)
        return len(shown)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the table."""
        self.query_one("#shown", Static).update(f"{self.fill(event.value)} of {COUNT}")


if __name__ == "__main__":
    Bare().run()
