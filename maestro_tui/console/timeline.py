"""Lays out every attempt of every phase on one shared time axis: pure arithmetic, no screen.

Long idle stretches (a session that waited overnight for its resume) are folded to a few columns,
so that the work on both sides of them stays readable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from maestro_tui.console.lines import about, clock_time, date_time
from maestro_tui.model.summary import AttemptSummary, PhaseSummary, SessionSummary
from maestro_tui.model.text import format_duration

EIGHTHS = " ▏▎▍▌▋▊▉█"
FOLD_COLUMNS = 3
STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
)

RowKey = tuple[str, int, str]
"""Phase, attempt (0: none yet), persona (empty: the whole attempt)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: an attempt of a phase, a persona within it, or a phase that has not run."""

    key: RowKey
    label: str
    status: str
    start: float | None
    end: float | None
    """None while it runs."""
    usual: float | None = None
    """Median seconds of earlier runs of this phase."""
    error: str | None = None
    seq: int | None = None
    stale: str | None = None
    selected: bool = True
    """False when the session was asked to leave this phase out."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the axis: real time on screen columns, or an idle time folded to a few."""

    start: float
    end: float
    left: float
    right: float
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps time to columns."""

    stretches: tuple[Stretch, ...]
    columns: int
    """Columns of the whole axis; more than the window when zoomed in."""
    per_column: float
    """Seconds that one column stands for."""

    @property
    def start(self) -> float:
        """The first moment on the axis."""
        return self.stretches[0].start

    @property
    def end(self) -> float:
        """The last moment on the axis."""
        return self.stretches[-1].end

    def column(self, at: float) -> float:
        """Where a moment stands, in columns and parts of them."""
        for stretch in self.stretches:
            if at <= stretch.end:
                break
        span = stretch.end - stretch.start
        part = (at - stretch.start) / span if span > 0 else 0.0
        return stretch.left + (stretch.right - stretch.left) * max(0.0, min(1.0, part))


def rows(
    summary: SessionSummary,
    attempts: Sequence[AttemptSummary],
    usual: Mapping[str, float],
    personas: bool = False,
) -> list[Row]:
    """The bars in workflow order: each attempt of each phase, and one row for a phase that has none."""
    by_phase: dict[str, list[AttemptSummary]] = {}
    for attempt in attempts:
        by_phase.setdefault(attempt.phase, []).append(attempt)
    known = {phase.name for phase in summary.phases}
    phases = [*summary.phases, *(PhaseSummary(name, "unknown") for name in by_phase if name not in known)]
    found: list[Row] = []
    for phase in phases:
        tries = sorted(by_phase.get(phase.name, []), key=lambda attempt: attempt.attempt)
        if not tries:
            found.append(_row_of_phase(phase, usual))
            continue
        newest = tries[-1]
        for attempt in tries:
            numbered = len(tries) > 1 or attempt.attempt > 1
            label = f"{phase.name} #{attempt.attempt}" if numbered else phase.name
            found.append(_row_of_attempt(label, phase, attempt, attempt is newest, summary, usual))
            if personas:
                found.extend(_rows_of_personas(attempt, summary))
        if newest.status != phase.status and phase.status in ("pending", "skipped", "provided"):
            # What is still to come has no times: those of the phase are its earlier attempt's.
            ahead = _row_of_phase(replace(phase, started_at=None, finished_at=None), usual)
            again = phase.status == "pending"
            found.append(replace(ahead, label=f"{phase.name} #{newest.attempt + 1}") if again else ahead)
    return found


def _row_of_phase(phase: PhaseSummary, usual: Mapping[str, float]) -> Row:
    status = "waiting" if phase.waiting else phase.status
    return Row(
        (phase.name, 0, ""),
        phase.name,
        status,
        phase.started_at,
        phase.finished_at,
        usual.get(phase.name),
        phase.error,
        stale=phase.stale,
        selected=phase.selected,
    )


def _row_of_attempt(
    label: str,
    phase: PhaseSummary,
    attempt: AttemptSummary,
    newest: bool,
    summary: SessionSummary,
    usual: Mapping[str, float],
) -> Row:
    status, end = attempt.status, attempt.finished_at
    if end is None and status == "running" and not _runs(summary, phase.name if newest else ""):
        # Its runner is dead: the bar ends with the last sign of life.
        status, end = "interrupted", max(attempt.started_at, summary.updated_at)
    if newest and phase.waiting:
        status = "waiting"
    return Row(
        (attempt.phase, attempt.attempt, ""),
        label,
        status,
        attempt.started_at,
        end,
        usual.get(attempt.phase),
        attempt.error,
        attempt.seq,
        phase.stale if newest else None,
    )


def _runs(summary: SessionSummary, phase: str) -> bool:
    return bool(phase) and summary.owner is not None and summary.owner.alive is not False


def _rows_of_personas(attempt: AttemptSummary, summary: SessionSummary) -> list[Row]:
    found = []
    for span in attempt.personas:
        status, end = span.status, span.finished_at
        if end is None and (attempt.finished_at is not None or not _runs(summary, attempt.phase)):
            status = "interrupted" if status == "running" else status
            end = attempt.finished_at or max(span.started_at, summary.updated_at)
        key = (attempt.phase, attempt.attempt, span.persona)
        found.append(Row(key, f"  {span.persona}", status, span.started_at, end))
    return found


def live(found: Sequence[Row]) -> bool:
    """True while any bar still grows."""
    return any(row.start is not None and row.end is None and row.status == "running" for row in found)


def axis(found: Sequence[Row], columns: int, now: float, zoom: float = 1.0) -> Axis | None:
    """The axis for these bars over `columns` columns (times `zoom`); None when nothing has run yet."""
    columns = max(8, columns)
    spans = sorted(
        (row.start, row.end if row.end is not None else now) for row in found if row.start is not None
    )
    spans = [(start, max(start, end)) for start, end in spans]
    if not spans:
        return None
    usual_ends = [
        row.start + row.usual
        for row in found
        if row.start is not None and row.end is None and row.usual and row.status == "running"
    ]
    # Room for the usual end of what runs, but what has run already never shrinks below half of the axis.
    if usual_ends:
        done = max(now - spans[0][0], 1.0)
        spans.append((now, min(max(usual_ends), now + done)))
    busy = _merged(spans)
    total = sum(end - start for start, end in busy)
    longest_gap = max(0.18 * total, 5.0)
    stretches: list[tuple[float, float, bool]] = []
    for start, end in busy:
        if stretches:
            last = stretches[-1]
            if start - last[1] > longest_gap:
                stretches += [(last[1], start, True), (start, end, False)]
                continue
            stretches[-1] = (last[0], end, False)
            continue
        stretches.append((start, end, False))
    folds = sum(1 for *_, folded in stretches if folded)
    room = columns - folds * FOLD_COLUMNS
    if room < columns // 2:  # too many idle times to fold: one plain axis
        stretches = [(busy[0][0], busy[-1][1], False)]
        room = columns
    seconds = max(sum(end - start for start, end, folded in stretches if not folded), 1.0)
    wanted = room * max(1.0, zoom)
    per_column = seconds / wanted
    placed: list[Stretch] = []
    left = 0.0
    for start, end, folded in stretches:
        right = left + (FOLD_COLUMNS if folded else (end - start) / per_column)
        placed.append(Stretch(start, end, left, right, folded))
        left = right
    return Axis(tuple(placed), max(columns, math.ceil(left)), per_column)


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def bar(left: float, right: float, columns: int) -> tuple[int, str]:
    """First column and the characters of a bar between two places; never empty, at most to `columns`."""
    left = max(0.0, min(left, columns - 1 / 8))
    right = max(left, min(right, float(columns)))
    first = int(left)
    if right - left < 1 / 8:
        return first, "▏" if left - first < 0.75 else "▕"
    lead = left - first
    last = int(right)
    tail = round((right - last) * 8)
    if tail == 8:
        last, tail = last + 1, 0
    if last == first:
        # Inside one column only its left edge can be drawn in eighths.
        return first, "▐" if lead >= 0.4 and right - first > 0.75 else EIGHTHS[
            max(1, round((right - left) * 8))
        ]
    head = "█" if lead < 0.25 else "▐" if lead < 0.75 else " "
    body = head + "█" * (last - first - 1) + (EIGHTHS[tail] if tail else "")
    if not body.strip():
        return first, "▕"
    return (first, body) if head != " " else (first + 1, body[1:])


def ticks(scale: Axis, window: tuple[int, int]) -> list[tuple[int, str]]:
    """Column and label of the clock times that fit above the columns of a window, far enough apart."""
    left, right = window
    step = next((step for step in STEPS if step / scale.per_column >= 12), STEPS[-1])
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%b %d"
    folds = [int(stretch.left) for stretch in scale.stretches if stretch.folded]
    found = [
        (column, "┄" * FOLD_COLUMNS) for column in folds if left <= column and column + FOLD_COLUMNS <= right
    ]
    free_from = left
    for stretch in scale.stretches:
        if stretch.folded:
            free_from = max(free_from, int(stretch.left) + FOLD_COLUMNS + 1)
            continue
        next_fold = next((column for column in folds if column >= int(stretch.left)), right + 1)
        shift = _local_offset(stretch.start)
        first = stretch.start + max(0.0, left - stretch.left) * scale.per_column
        at: float = math.ceil((first + shift) / step) * step - shift
        if at > stretch.end:
            at = stretch.start
        guard = 0
        while at <= stretch.end and guard < 1_000:
            guard += 1
            label = time.strftime(pattern, time.localtime(at))
            column = int(scale.column(at))
            if column >= free_from and column + len(label) <= min(right, next_fold - 1):
                found.append((column, label))
                free_from = column + len(label) + 2
            at += step
    return sorted(found)


def _local_offset(at: float) -> int:
    return time.localtime(at).tm_gmtoff


def lasted(row: Row, now: float) -> str:
    """How long a bar that has begun took: `14s`, and `14s+` when its end is not known."""
    seconds = (row.end if row.end is not None else now) - (row.start or 0.0)
    return format_duration(seconds) + ("+" if row.status == "interrupted" else "")


def exact(row: Row, now: float) -> str:
    """A row in full, for the line that tells about the row in focus: times, duration, error."""
    name = f"{row.key[0]} #{row.key[1]}" if row.key[1] else row.key[0]
    if row.key[2]:
        name += f" {row.key[2]}"
    words = [name]
    if row.start is not None:
        end = row.end
        same_day = date_time(row.start)[:10] == date_time(end if end is not None else now)[:10]
        until = "now" if end is None else clock_time(end) if same_day else date_time(end)
        # When a dead runner's work ended nobody knows, only when it was last seen to go on.
        until += " (last sign of life)" if row.status == "interrupted" else ""
        words.append(f"{date_time(row.start)} → {until}")
        words.append(lasted(row, now))
    words.append(row.status if row.selected else f"{row.status}, not asked for")
    if row.usual is not None:
        words.append(f"usual {about(row.usual)}")
    if row.seq is not None:
        words.append(f"commit {row.seq}")
    if row.stale:
        words.append(f"stale: {row.stale}")
    if row.error:
        words.append(row.error)
    return " · ".join(words)
