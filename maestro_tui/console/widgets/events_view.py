"""The Events tab: what happened, in the order in which it happened; stays at the end until one moves up."""

from __future__ import annotations

from collections.abc import Sequence

from maestro_tui.console.record_lines import event_lines
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.events import Event


class EventsView(SearchView):
    """The newest events of the journal."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(empty="No event is recorded yet.", with_cursor=True, id=id)
        self._events: Sequence[Event] = ()

    def show(self, events: Sequence[Event]) -> None:
        """Shows these events; the cursor stays on its event, or on the last one if it stood there."""
        at_end = self.rows.cursor >= len(self.rows.lines) - 1
        self._events = events
        self.refresh_lines()
        if at_end:
            self.rows.action_edge(1)

    def refresh_lines(self) -> None:
        """Makes the lines."""
        self.rows.set_lines(event_lines(self._events))
