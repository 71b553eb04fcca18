"""A view of many lines: painted one by one, and its length costs no layout of the whole screen."""

from __future__ import annotations

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


class LongView(ScrollView, can_focus=True):
    """Lines in a window that is as high as there is room, whatever their number."""

    DEFAULT_CSS = """
    LongView {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
    }
    """

    def hold(self, size: Size) -> None:
        """Let the view hold lines of that size.

        The screen is laid out anew only when a scrollbar comes or goes: only they depend on the size. Not at all
        for a view that is not displayed.
        """
        if size == self.virtual_size:
            return
        if not _displayed(self):
            self.set_reactive(Widget.virtual_size, size)
            return
        room, styles = self.container_size, self.styles
        upright, level = self.show_vertical_scrollbar, self.show_horizontal_scrollbar
        stays = _stays(upright, size.height, room.height, styles.scrollbar_size_horizontal) and (
            styles.overflow_x == "hidden"
            or _stays(level, size.width, room.width, styles.scrollbar_size_vertical)
        )
        if not (room and stays):
            self.virtual_size = size
            return
        self.set_reactive(Widget.virtual_size, size)
        if upright:
            self.vertical_scrollbar.window_virtual_size = size.height
        if level:
            self.horizontal_scrollbar.window_virtual_size = size.width
        self.scroll_x = self.validate_scroll_x(self.scroll_x)
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar that appears late stands where one is already."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y


def _displayed(view: Widget) -> bool:
    return all(node.display for node in view.ancestors_with_self if isinstance(node, Widget))


def _stays(shown: bool, length: int, room: int, other: int) -> bool:
    """True when a scrollbar remains as it is, whether the `other` one takes its cells or not."""
    return (length > room) == shown == (length > room - other)
