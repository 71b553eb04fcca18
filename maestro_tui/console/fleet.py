"""Turns a snapshot of all sessions into what the list shows: rows, order, counts and words. Pure.

Nothing here knows the screen library. A row is a fixed value: as long as its session stays the same object,
`project` hands back the same row, so that a view compares by identity and repaints only changes; and it works
only on what changed since the view before: one session among ten thousand costs a millisecond, not twenty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from types import MappingProxyType

from maestro_tui.console.filter import EVERYTHING, STATUS_WORDS, Query
from maestro_tui.console.fleet_order import Positions, Sort, arrange, rearrange
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.model.summary import SILENT_AFTER, FleetSnapshot, Owner, SessionStatus, SessionSummary
from maestro_tui.model.text import format_duration

_USUAL_SAMPLE = 500

Usual = Mapping[tuple[str, str], float]
"""(workflow, phase) → median seconds of the completed runs."""

NO_USUAL: Usual = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class FleetView:
    """What the list shows at one moment."""

    rows: tuple[FleetRow, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)
    """Session id → index in `rows`."""
    known: Mapping[str, FleetRow] = field(default_factory=dict)
    """Every session's row, shown or hidden by the filter."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Status word → number of sessions, over all sessions whatever the filter hides."""
    strip_width: int = 5
    loading: bool = False
    problem: str | None = None
    next_silence: float | None = None
    """The earliest moment at which a running session may count as silent, if nothing is written."""
    sessions: Mapping[str, SessionSummary] = field(default_factory=dict)
    """The snapshot's sessions; with the three below what the next projection starts from."""
    ordered: tuple[FleetRow, ...] = ()
    """All rows in the order, shown or hidden."""
    sort: Sort = field(default_factory=Sort)
    at: float = 0.0

    @property
    def total(self) -> int:
        """Number of sessions, shown or not."""
        return len(self.known)


EMPTY_VIEW = FleetView(loading=True)


def shown_status(summary: SessionSummary, now: float) -> str:
    """The session's status, or `silent` when it runs and has written nothing for `SILENT_AFTER` seconds."""
    if summary.status is SessionStatus.RUNNING and now - summary.updated_at > SILENT_AFTER:
        return "silent"
    return summary.status.value


def project(
    snapshot: FleetSnapshot,
    query: Query = EVERYTHING,
    sort: Sort | None = None,
    now: float = 0.0,
    previous: FleetView | None = None,
) -> FleetView:
    """The view of a snapshot. `previous` only saves work: rows of unchanged sessions are taken over."""
    before, sort = previous or EMPTY_VIEW, sort or Sort()
    gone, fresh = _differences(before, snapshot.sessions, now)
    known = _known(before.known, gone, fresh)
    ordered = (
        rearrange(before.ordered, sort, gone, fresh) if sort == before.sort else arrange(known.values(), sort)
    )
    rows = query.select(ordered, now)
    return FleetView(
        rows=rows,
        positions=Positions(rows, known, sort),
        known=known,
        counts=_counts(before.counts, gone, fresh),
        strip_width=min(12, max(5, max([row.strip_width for row in rows], default=0))),
        loading=snapshot.loading,
        problem=snapshot.problem,
        next_silence=_next_silence(before, known, fresh, now),
        sessions=snapshot.sessions,
        ordered=ordered,
        sort=sort,
        at=now,
    )


def _differences(
    before: FleetView, sessions: Mapping[str, SessionSummary], now: float
) -> tuple[list[FleetRow], list[FleetRow]]:
    """The rows that are no longer right, and the new ones."""
    known, old = before.known, before.sessions
    changed: list[str] = []
    gone: list[FleetRow] = []
    if sessions is not old:
        # Unchanged sessions are the same objects: of ten thousand only these few are looked at further.
        changed = [name for name, summary in sessions.items() if old.get(name) is not summary]
        if len(sessions) != len(old) + sum(name not in old for name in changed):
            gone = [row for name, row in known.items() if name not in sessions]
    if _silence_may_differ(before, now):
        seen = set(changed)
        changed += [
            name
            for name, row in known.items()
            if row.status in ("running", "silent")
            and name not in seen
            and (summary := sessions.get(name)) is not None
            and shown_status(summary, now) != row.status
        ]
    fresh = [FleetRow(sessions[name], shown_status(sessions[name], now)) for name in changed]
    return [*gone, *(known[name] for name in changed if name in known)], fresh


def _silence_may_differ(before: FleetView, now: float) -> bool:
    return now < before.at or (before.next_silence is not None and now > before.next_silence)


def _known(
    before: Mapping[str, FleetRow], gone: list[FleetRow], fresh: list[FleetRow]
) -> Mapping[str, FleetRow]:
    if not gone and not fresh:
        return before
    known = dict(before)
    for row in gone:
        del known[row.session_id]
    for row in fresh:
        known[row.session_id] = row
    return known


def _counts(before: Mapping[str, int], gone: list[FleetRow], fresh: list[FleetRow]) -> Mapping[str, int]:
    counts = dict(before)
    for row in gone:
        counts[row.status] -= 1
    for row in fresh:
        counts[row.status] = counts.get(row.status, 0) + 1
    return {status: count for status, count in counts.items() if count}


def _next_silence(
    before: FleetView, known: Mapping[str, FleetRow], fresh: list[FleetRow], now: float
) -> float | None:
    if _silence_may_differ(before, now):
        moments = [_silence(row) for row in known.values() if row.status == "running"]
    else:
        # That of a session which wrote since may be kept: then one look too many is taken, at that moment.
        moments = [_silence(row) for row in fresh if row.status == "running"]
        if before.next_silence is not None:
            moments.append(before.next_silence)
    return min(moments, default=None)


def _silence(row: FleetRow) -> float:
    return row.summary.updated_at + SILENT_AFTER


def usual_durations(sessions: Iterable[SessionSummary]) -> Usual:
    """Median seconds of completed phases, by workflow and phase, over the newest sessions."""
    import statistics  # not needed for the first paint

    spans: dict[tuple[str, str], list[float]] = {}
    newest = nlargest(_USUAL_SAMPLE, sessions, key=lambda summary: summary.created_at)
    for summary in newest:
        for phase in summary.phases:
            if phase.status == "completed" and phase.started_at is not None and phase.finished_at is not None:
                spans.setdefault((summary.workflow, phase.name), []).append(
                    max(0.0, phase.finished_at - phase.started_at)
                )
    return {key: statistics.median(values) for key, values in spans.items()}


def ago(seconds: float) -> str:
    """A coarse age: `9s`, `12m`, `3h`, `2d`, `5w`."""
    whole = max(0, int(seconds))
    for limit, unit, size in ((60, "s", 1), (3600, "m", 60), (86_400, "h", 3600), (1_209_600, "d", 86_400)):
        if whole < limit:
            return f"{whole // size}{unit}"
    return f"{whole // 604_800}w"


def time_words(row: FleetRow, now: float, usual: Usual = NO_USUAL) -> str:
    """What the time column says: `waiting 12m`, `over budget 3m`, `4m12s · usual 6m`, `completed 3h`."""
    if row.status != "running":
        return f"{'over budget' if row.summary.over_budget else row.status} {ago(now - row.since)}"
    spent = format_duration(now - row.since)
    median = usual.get((row.summary.workflow, row.phase))
    return f"{spent} · usual {ago(median)}" if median is not None and median >= 1 else spent


RICH = 94
"""Cells from which on age, requirement and owner have a column each."""


def owner_short(owner: Owner | None, own_pid: int | None = None) -> str:
    """Who runs a session, for a column: `here`, `pid 4121`, `4121@build-7`, `dead 4121`, or nothing."""
    if owner is None:
        return ""
    if owner.alive is False:
        return f"dead {owner.pid}"
    if not owner.here:
        return f"{owner.pid}@{owner.host}"
    return "here" if owner.pid == own_pid else f"pid {owner.pid}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list and its width in cells."""

    name: str
    width: int


def columns_for(width: int, strip_width: int) -> tuple[Column, ...]:
    """The columns that fit into `width` cells, with two spaces between; the glyph stands before them.

    Session, phases, phase and time stand from 53 cells on; age, requirement and owner from `RICH` on.
    """
    room = max(24, width - 3)
    if width >= RICH:
        return _rich_columns(room, strip_width)
    time = 20 if room >= 58 else 16 if room >= 48 else 15
    phase = 14 if room >= 58 else 10
    # Long workflows give way first: a strip without room shows how many phases are done.
    strip_width = max(5, min(strip_width, room - 22 - 2 - phase - 2 - time - 2))
    title = room - (strip_width + 2 + phase + 2 + time + 2)
    if title < 12:
        # A very narrow terminal: the strip already tells where it stands.
        return (Column("session", max(8, room - time - 2)), Column("time", time))
    columns = (Column("strip", strip_width), Column("phase", phase), Column("time", time))
    return (Column("session", min(title, 40)), *columns)


def _rich_columns(room: int, strip_width: int) -> tuple[Column, ...]:
    phase = 10 if room < 103 else 14
    session, time, age, requirement, owner = 18, 16, 4, 16, 10
    fixed = session + phase + time + age + requirement + owner + 6 * 2
    strip_width = max(5, min(strip_width, room - fixed))
    spare = room - fixed - strip_width
    # What is left is shared: first the id, then the owner, then the words.
    session += min(spare, 8)
    spare -= session - 18
    owner += min(spare, 7)
    spare -= owner - 10
    event = min(48, (spare - 12) // 2) if spare >= 40 else 0
    requirement += min(44, spare - (event + 2 if event else 0))
    columns = [
        Column("session", session),
        Column("strip", strip_width),
        Column("phase", phase),
        Column("time", time),
        Column("age", age),
        Column("requirement", requirement),
        Column("owner", owner),
    ]
    return (*columns, Column("event", event)) if event else tuple(columns)


def header_words(view: FleetView) -> tuple[tuple[str, int, str], ...]:
    """The counts at the top, attention first: (status word, number, what to say after the number)."""
    out = []
    for status in STATUS_WORDS[:6]:
        count = view.counts.get(status, 0)
        if count:
            word = ("needs you" if count == 1 else "need you") if status == "waiting" else status
            out.append((status, count, word))
    return tuple(out)
