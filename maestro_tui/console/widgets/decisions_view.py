"""The Decisions tab: what was chosen, why, instead of what, with which score and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from maestro_tui.console.judged_lines import Measured, judged_lines
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.context import Decision


class DecisionsView(SearchView):
    """The decisions of the session and of its phases."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(empty="No decision is recorded yet.", with_cursor=False, id=id)
        self._decisions: Sequence[Decision] = ()
        self._measured: Measured = {}

    def show(self, decisions: Sequence[Decision], measured: Measured) -> None:
        """Shows these decisions, below each gate what was measured; the place stays."""
        self._decisions, self._measured = decisions, measured
        self.refresh_lines()

    def refresh_lines(self) -> None:
        """Makes the lines for the width."""
        self.rows.set_lines(judged_lines(self._decisions, self._measured, self.text_width))
