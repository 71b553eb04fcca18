"""Where the list's cursor and scroll go when the list changes: they belong to a session, not to a line. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from maestro_tui.console.fleet import FleetView


@dataclass(frozen=True, slots=True)
class Place:
    """Cursor and first visible line, as indices of rows."""

    cursor: int = 0
    top: int = 0
    chosen: str | None = None
    """The session on which the operator put the cursor; a filter may hide it for a while."""


def follow(place: Place, old: FleetView, new: FleetView, height: int, *, recall: bool = False) -> Place:
    """The place in another view: on the same session, at the same line of the screen where that is possible.

    A session that is gone or hidden leaves the cursor on the nearest row. With `recall` (the operator changed
    the filter) it goes back to the session that was chosen; otherwise nothing but keys moves it from where it is.
    """
    here = None
    # While the first reading goes on the cursor stays on the first line, until a key has moved it.
    if place.cursor < len(old.rows) and (not old.loading or place.chosen is not None):
        here = old.rows[place.cursor].session_id
    chosen = place.chosen if place.chosen is not None and place.chosen in new.known else here
    wanted = chosen if recall and chosen in new.positions else here
    cursor = new.positions.get(wanted) if wanted is not None else None
    if cursor is None:
        cursor = min(place.cursor, max(0, len(new.rows) - 1))
    top = place.top
    if cursor != place.cursor and top > 0:
        top += cursor - place.cursor
    return Place(cursor, in_sight(cursor, top, height, len(new.rows)), chosen)


def in_sight(cursor: int, top: int, height: int, total: int) -> int:
    """The first visible line nearest to `top` with which the cursor's line is on the screen."""
    if height <= 0:
        return max(0, top)
    top = max(cursor - height + 1, min(top, cursor))
    return max(0, min(top, total - height))
