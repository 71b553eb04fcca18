"""A sheet with one list to choose from: the cursor of the list moves wherever the focus is."""

from __future__ import annotations

from textual.widgets import OptionList

from maestro_tui.console.screens.sheet import Sheet


class ListSheet(Sheet):
    """Has one `OptionList`."""

    def action_move(self, step: int) -> None:
        """Up or down."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
