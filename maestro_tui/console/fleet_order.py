"""The orders that the list of sessions can have, and places found in them. Pure.

Every order is strict: no two sessions are equal in it. So a row is found, taken out and put in by halving, and
a change of one session among ten thousand moves one row instead of sorting all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maestro_tui.console.filter import STATUS_WORDS
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.model.summary import Owner

_RANK = {word: rank for rank, word in enumerate(STATUS_WORDS)}
_FEW = 8
"""When more than one row in so many changed, sorting anew is quicker than moving them one by one."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of the list: a name of `SORT_COLUMNS`, and whether it is turned round."""

    column: str = "attention"
    reverse: bool = False


def arrow(sort: Sort, ascii_only: bool = False) -> str:
    """The direction as a sign: what is small, early in the alphabet or young stands at the top, or at the bottom."""
    return ("v" if sort.reverse else "^") if ascii_only else "▼" if sort.reverse else "▲"


SORT_COLUMNS = ("attention", "session", "phase", "updated", "created", "workflow", "owner")

Key = Callable[[FleetRow], Any]


def arrange(rows: Iterable[FleetRow], sort: Sort) -> tuple[FleetRow, ...]:
    """The rows in that order."""
    out = sorted(rows, key=_KEYS[sort.column])
    if sort.reverse:
        out.reverse()
    return tuple(out)


def rearrange(
    rows: Sequence[FleetRow], sort: Sort, gone: Collection[FleetRow], fresh: Collection[FleetRow]
) -> tuple[FleetRow, ...]:
    """Rows that stand in that order, without those that are gone and with the fresh ones."""
    if (len(gone) + len(fresh)) * _FEW > len(rows):
        away = set(gone)
        return arrange([*(row for row in rows if row not in away), *fresh], sort)
    out, key = list(rows), _key(sort)
    for row in gone:
        del out[bisect_left(out, key(row), key=key)]
    for row in fresh:
        insort(out, row, key=key)
    return tuple(out)


class Positions(Mapping[str, int]):
    """Session id → index among rows that stand in an order; found when asked for, so that nothing is kept."""

    __slots__ = ("_key", "_known", "_rows")

    def __init__(self, rows: Sequence[FleetRow], known: Mapping[str, FleetRow], sort: Sort) -> None:
        self._rows, self._known, self._key = rows, known, _key(sort)

    def __getitem__(self, session_id: str) -> int:
        row = self._known[session_id]
        place = bisect_left(self._rows, self._key(row), key=self._key)
        if place < len(self._rows) and self._rows[place] is row:
            return place
        raise KeyError(session_id)

    def __iter__(self) -> Iterator[str]:
        return (row.session_id for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Down:
    """A key turned round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Down) -> bool:
        return bool(other.key < self.key)


def _key(sort: Sort) -> Key:
    key = _KEYS[sort.column]
    return (lambda row: _Down(key(row))) if sort.reverse else key


def _attention(row: FleetRow) -> tuple[int, float, str]:
    summary = row.summary
    # Rows that are being written keep their place: they are ordered by birth, the others by last change.
    moving = row.status in ("running", "silent")
    return (
        _RANK["interrupted" if row.summary.over_budget else row.status],
        -(summary.created_at if moving else summary.updated_at),
        summary.session_id,
    )


# Ties are always in the order of attention.
_KEYS: Mapping[str, Key] = {
    "attention": _attention,
    "session": lambda row: (row.title.lower(), _attention(row)),
    "phase": lambda row: (row.phase.lower() or "~", _attention(row)),
    "updated": lambda row: (-row.summary.updated_at, _attention(row)),
    "created": lambda row: (-row.summary.created_at, _attention(row)),
    "workflow": lambda row: (row.summary.workflow.lower(), _attention(row)),
    "owner": lambda row: (_runner(row.summary.owner), _attention(row)),
}


def _runner(owner: Owner | None) -> str:
    if owner is None:
        return "~"
    return f"{owner.words()} ended" if owner.alive is False else owner.words()
