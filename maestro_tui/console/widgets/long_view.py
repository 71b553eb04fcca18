"""Gives a view of many lines its length without laying out the whole screen: only its scrollbars depend on that."""

from __future__ import annotations

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


def hold(view: ScrollView, size: Size) -> None:
    """Let the view hold lines of that size. Its own height must not depend on them.

    The screen is laid out anew only when a scrollbar comes or goes; not at all for a view that is not displayed.
    """
    if size == view.virtual_size:
        return
    if not _displayed(view):
        view.set_reactive(Widget.virtual_size, size)
        return
    room, styles = view.container_size, view.styles
    upright, level = view.show_vertical_scrollbar, view.show_horizontal_scrollbar
    stays = _stays(upright, size.height, room.height, styles.scrollbar_size_horizontal) and (
        styles.overflow_x == "hidden" or _stays(level, size.width, room.width, styles.scrollbar_size_vertical)
    )
    if not (room and stays):
        view.virtual_size = size
        return
    view.set_reactive(Widget.virtual_size, size)
    if upright:
        view.vertical_scrollbar.window_virtual_size = size.height
    if level:
        view.horizontal_scrollbar.window_virtual_size = size.width
    view.scroll_x = view.validate_scroll_x(view.scroll_x)
    view.scroll_y = view.validate_scroll_y(view.scroll_y)


def _displayed(view: Widget) -> bool:
    return all(node.display for node in view.ancestors_with_self if isinstance(node, Widget))


def _stays(shown: bool, length: int, room: int, other: int) -> bool:
    """True when a scrollbar remains as it is, whether the `other` one takes its cells or not."""
    return (length > room) == shown == (length > room - other)
