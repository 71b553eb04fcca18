"""Lays out the wall: which sessions stand on it, the shared time axis, and a strip of cells for each. Pure.

A strip is a row of pieces; each piece is a run of columns in which the same phase had the say. Where several
phases fall into one column, the one that needs most attention is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from maestro_tui.console.fleet import NO_USUAL, Usual
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.glyphs import glyph
from maestro_tui.console.lines import about, fit
from maestro_tui.console.timeline import Axis, Stretch
from maestro_tui.model.summary import phase_word

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SPANS = tuple(
    unit * count
    for unit, counts in (
        (MINUTE, (5, 10, 15, 30, 45)),
        (HOUR, (1, 1.5, 2, 3, 4, 6, 8, 12)),
        (DAY, (1, 2, 4, 7, 14, 30, 90)),
    )
    for count in counts
)
"""The lengths of time that the wall can show."""
WIDEST_FIT = SPANS.index(4 * HOUR)
"""Index in `SPANS` of the longest time that is chosen without being asked for."""
RECENT = DAY
"""Seconds for which a failed or interrupted session is kept at the top, whatever time is shown."""

PINNED = frozenset(["waiting", "failed", "silent", "interrupted"])
_LIVE = frozenset(["running", "silent", "waiting"])
_SEVERITY = MappingProxyType(
    {
        word: rank
        for rank, word in enumerate(
            ["failed", "waiting", "interrupted", "silent", "running", "cancelled", "stale", "completed"]
        )
    }
)
_PLAIN = frozenset(["completed", "stale"])
"""Statuses whose piece carries only the phase's name; all others begin with their glyph."""
_ORDER = ("waiting", "failed", "silent", "interrupted", "running")


@dataclass(frozen=True, slots=True)
class Window:
    """What time the wall shows. `zoom` is an index in `SPANS`, None fits; `end` None follows the clock."""

    zoom: int | None = None
    end: float | None = None

    def zoomed(self, step: int, fitted: int) -> Window:
        """A shorter (positive) or a longer time, from the fitted one when none was chosen; 0 fits again."""
        if step == 0:
            return Window()
        here = self.zoom if self.zoom is not None else fitted
        return Window(max(0, min(len(SPANS) - 1, here - step)), self.end)

    def shifted(self, step: int, now: float, span: float) -> Window:
        """A quarter of the time earlier (negative) or later; never beyond now, where it follows again."""
        end = (self.end if self.end is not None else now) + step * span / 4
        return Window(self.zoom, None if end >= now else end)


@dataclass(frozen=True, slots=True)
class Wall:
    """The sessions of the wall: those that need attention, then what runs, then what ran."""

    rows: tuple[FleetRow, ...] = ()
    pinned: int = 0
    """How many of the first rows stay in sight."""
    positions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some columns of a strip. `status` is empty where nothing happened; `heat` is 1 to 3: how full it is."""

    text: str
    status: str = ""
    heat: int = 0
    edge: bool = False
    """True for the column that parts a phase from the one that it touches."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What strips are drawn with. `fill` is seen where the ground's colour alone does not show a phase."""

    fill: str = " "
    edge: str = "▏"
    more: str = "…"
    now: str = "╎"
    ahead: str = "┄"
    usual: str = "▕"
    ascii_only: bool = False


SIGNS = Signs()
COLOURLESS_SIGNS = Signs(fill="━")
"""For themes of the terminal's own colours, in which a ground cannot be tinted."""
ASCII_SIGNS = Signs("=", "|", "~", "|", "-", "|", True)


@dataclass(frozen=True, slots=True)
class _Span:
    start: float
    end: float
    status: str
    label: str


def fitted_zoom(rows: Iterable[FleetRow], now: float) -> int:
    """The shortest time of `SPANS` that holds what runs and what changed lately, within limits."""
    limit = SPANS[WIDEST_FIT]
    earliest = now
    for row in rows:
        summary = row.summary
        if row.status in _LIVE or now - summary.updated_at <= limit:
            earliest = min(earliest, max(summary.created_at, now - limit))
    return next((index for index, span in enumerate(SPANS) if span >= now - earliest), WIDEST_FIT)


def select(rows: Iterable[FleetRow], start: float, end: float, now: float) -> Wall:
    """The sessions that need attention, those that run, and those that worked between `start` and `end`."""
    pinned, others = [], []
    for row in rows:
        summary, status = row.summary, row.status
        shown = summary.updated_at >= start and summary.created_at <= end
        if status in ("waiting", "silent") or (
            status in PINNED and (shown or now - summary.updated_at <= RECENT)
        ):
            pinned.append(row)
        elif status == "running" or shown:
            others.append(row)
    pinned.sort(key=_place)
    others.sort(key=_place)
    found = (*pinned, *others)
    return Wall(found, len(pinned), {row.session_id: index for index, row in enumerate(found)})


def _place(row: FleetRow) -> tuple[int, float, str]:
    rank = _ORDER.index(row.status) if row.status in _ORDER else len(_ORDER)
    # What is being written keeps its place: ordered by birth; the others by their last change.
    moving = row.status in ("running", "silent")
    return rank, -(row.summary.created_at if moving else row.summary.updated_at), row.session_id


def axis(span: float, end: float | None, now: float, columns: int) -> Axis:
    """The time axis over `columns`. While it follows the clock, a little of what is to come stands at its end.

    Its end lies on a whole column, so that the strips move by columns and do not shimmer.
    """
    columns = max(8, columns)
    ahead = 0 if end is not None else max(2, columns // 12)
    per_column = span / max(1, columns - ahead)
    last = (math.floor((end if end is not None else now) / per_column) + 1 + ahead) * per_column
    first = last - columns * per_column
    return Axis((Stretch(first, last, 0.0, float(columns)),), columns, per_column)


def strip(
    row: FleetRow, scale: Axis, now: float, usual: Usual = NO_USUAL, signs: Signs = SIGNS
) -> tuple[Piece, ...]:
    """The strip of a session: pieces that together take exactly the columns of the axis."""
    columns = scale.columns
    spans = _spans(row, now)
    owners: list[int | None] = [None] * columns
    cover = [0.0] * columns
    for index, span in enumerate(spans):
        _lay(index, span, spans, scale, owners, cover)
    cells = _cells(columns, scale, row, now, usual, signs)
    pieces: list[Piece] = []
    column = 0
    while column < columns:
        owner = owners[column]
        end = column + 1
        while end < columns and owners[end] == owner:
            end += 1
        if owner is None:
            pieces.extend(_joined(cells[column:end]))
        else:
            touching = column > 0 and owners[column - 1] is not None
            pieces.extend(_pieces(spans[owner], cover[column:end], touching, signs))
        column = end
    return tuple(pieces)


def _spans(row: FleetRow, now: float) -> list[_Span]:
    summary, out = row.summary, []
    for phase in summary.phases:
        start = phase.started_at
        if start is None:
            continue
        word = phase_word(phase, row.status)
        end = phase.finished_at
        if phase.waiting and end is not None:
            out.append(_Span(start, max(start, end), "completed", phase.name))
            out.append(_Span(max(start, end), max(end, now), "waiting", "waits"))
        elif end is not None:
            out.append(_Span(start, max(start, end), word, phase.name))
        elif word == "silent":
            heard = max(start, min(now, summary.updated_at))
            out.append(_Span(start, heard, "running", phase.name))
            out.append(_Span(heard, max(heard, now), "silent", "silent"))
        else:
            until = now if row.status in _LIVE else summary.updated_at
            out.append(_Span(start, max(start, until), word, phase.name))
    return out


def _lay(
    index: int,
    span: _Span,
    spans: Sequence[_Span],
    scale: Axis,
    owners: list[int | None],
    cover: list[float],
) -> None:
    left = (span.start - scale.start) / scale.per_column
    right = (span.end - scale.start) / scale.per_column
    if right < 0 or left >= scale.columns:
        return
    first = max(0, math.floor(left))
    last = min(scale.columns - 1, max(first, math.ceil(right) - 1))
    for column in range(first, last + 1):
        share = max(0.0, min(right, column + 1) - max(left, column))
        owner = owners[column]
        if owner is None or _stronger(span, share, spans[owner], cover[column]):
            owners[column] = index
        cover[column] = min(1.0, cover[column] + share)


def _stronger(one: _Span, share: float, other: _Span, covered: float) -> bool:
    mine, theirs = (_SEVERITY.get(span.status, len(_SEVERITY)) for span in (one, other))
    return mine < theirs if mine != theirs else share > covered


def _pieces(span: _Span, cover: Sequence[float], touching: bool, signs: Signs) -> list[Piece]:
    """The run of columns of one span: an edge towards the one before it, its glyph, its name if there is room."""
    width = len(cover)
    sign = "" if span.status in _PLAIN else glyph(span.status, signs.ascii_only)
    edge = signs.edge if touching and width > 1 else ""
    lead = " " if width - len(edge) > 2 and (sign or not edge) else ""
    text = lead + sign
    room = width - len(edge) - len(text) - (1 if sign else 0)
    if room >= min(len(span.label), 6):
        text += (" " if sign else "") + fit(span.label, room, signs.more)
    text += (signs.fill if not text.strip() else " ") * width
    text = edge + text[: width - len(edge)]
    out: list[Piece] = []
    column = 0
    while column < width:
        heat = _heat(cover[column])
        end = column + 1
        if not (edge and column == 0):
            while end < width and _heat(cover[end]) == heat:
                end += 1
        out.append(Piece(text[column:end], span.status, heat, bool(edge) and column == 0))
        column = end
    return out


def _heat(share: float) -> int:
    return 3 if share > 0.66 else 2 if share > 0.33 else 1


def _cells(columns: int, scale: Axis, row: FleetRow, now: float, usual: Usual, signs: Signs) -> list[Piece]:
    """What stands where no phase worked: nothing, the line of now, and the way to the usual end."""
    cells = [Piece(" ")] * columns
    here = int((now - scale.start) / scale.per_column)
    if not 0 <= here < columns:
        return cells
    cells[here] = Piece(signs.now, "line")
    phase = row.summary.current
    median = usual.get((row.summary.workflow, row.phase))
    if row.status == "running" and phase is not None and phase.started_at is not None and median:
        end = int((phase.started_at + median - scale.start) / scale.per_column)
        for column in range(here + 1, min(end, columns)):
            cells[column] = Piece(signs.ahead, "line")
        if here < end < columns:
            cells[end] = Piece(signs.usual, "line")
    return cells


def _joined(cells: Sequence[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for cell in cells:
        if out and out[-1].status == cell.status:
            out[-1] = Piece(out[-1].text + cell.text, cell.status)
        else:
            out.append(cell)
    return out


def span_words(span: float, end: float | None, now: float) -> str:
    """What time the wall shows: `last 2h`, `2h until 3h ago`."""
    length = about(span) if span < DAY else f"{span / DAY:.0f}d"
    if end is None:
        return f"last {length}"
    before = now - end
    return f"{length} until {about(before) if before < DAY else f'{before / DAY:.0f}d'} ago"


@dataclass(frozen=True, slots=True)
class Places:
    """How the lines under the axis are shared between pinned rows and the others."""

    pinned: int
    gap: int
    others: int


def places(pinned: int, others: int, height: int) -> Places:
    """Pinned rows take at most half of the height while there are others; one empty line lies between."""
    height = max(1, height)
    if not others:
        return Places(min(pinned, height), 0, 0)
    if not pinned:
        return Places(0, 0, min(others, height))
    gap = 1 if height >= 6 else 0
    fixed = min(pinned, max(1, (height - gap) // 2, height - gap - others))
    return Places(fixed, gap, max(0, height - gap - fixed))


def top_for(cursor: int, top: int, height: int, count: int) -> int:
    """The first row of a part that is `height` lines high, so that the cursor is in sight."""
    if cursor < top:
        top = cursor
    elif cursor >= top + height:
        top = cursor - height + 1
    return max(0, min(top, count - height))
