"""Turns a snapshot of all sessions into what the list shows: rows, order, counts and words. Pure.

Nothing here knows the screen library. A row is a frozen value: as long as its session stays the same
object, `project` hands back the same row, so that a view compares by identity and repaints only changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from maestro_tui.console.filter import EVERYTHING, STATUS_WORDS, Facts, Query
from maestro_tui.model.summary import FleetSnapshot, Owner, PhaseSummary, SessionStatus, SessionSummary
from maestro_tui.model.text import format_duration

SILENT_AFTER = 300.0
"""Seconds without any write after which a running session counts as silent."""

_RANK = {word: rank for rank, word in enumerate(STATUS_WORDS)}
_GENERATED_ID = re.compile(r"\d{8}-\d{6}-(?=.)")
_USUAL_SAMPLE = 2_000

Usual = Mapping[tuple[str, str], float]
"""(workflow, phase) → median seconds of the completed runs."""

NO_USUAL: Usual = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of the list: a name of `SORT_COLUMNS`, and whether it is turned round."""

    column: str = "attention"
    reverse: bool = False


SORT_COLUMNS = ("attention", "session", "phase", "updated", "created", "workflow", "owner")


@dataclass(frozen=True, slots=True, eq=False)
class FleetRow:
    """One session as the list shows it; compared by identity."""

    facts: Facts
    title: str
    """The id without the date that a generated id begins with."""
    strip: tuple[str, ...]
    """A status word for each phase, in workflow order."""
    phase: str
    since: float | None
    """The moment that the row's time counts from."""

    @property
    def summary(self) -> SessionSummary:
        """The session behind the row."""
        return self.facts.summary

    @property
    def session_id(self) -> str:
        """The whole id."""
        return self.facts.summary.session_id

    @property
    def status(self) -> str:
        """The status word that is shown: the session's own, or `silent`."""
        return self.facts.status


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
    root: str = ""
    loading: bool = False
    problem: str | None = None
    next_silence: float | None = None
    """The moment at which the next running session will count as silent, if nothing is written."""

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
    before = previous.known if previous is not None else {}
    known: dict[str, FleetRow] = {}
    counts: dict[str, int] = {}
    rows: list[FleetRow] = []
    next_silence: float | None = None
    widest = 0
    everything = not query.tests
    for session_id, summary in snapshot.sessions.items():
        status = summary.status.value
        if status == "running":
            silence = summary.updated_at + SILENT_AFTER
            if now > silence:
                status = "silent"
            elif next_silence is None or silence < next_silence:
                next_silence = silence
        row = before.get(session_id)
        if row is None or row.facts.summary is not summary or row.facts.status != status:
            row = make_row(summary, status)
        known[session_id] = row
        counts[status] = counts.get(status, 0) + 1
        if everything or query.matches(row.facts, now):
            rows.append(row)
            widest = max(widest, len(row.strip))
    rows = _ordered(rows, sort or Sort())
    return FleetView(
        rows=tuple(rows),
        positions={row.session_id: index for index, row in enumerate(rows)},
        known=known,
        counts=counts,
        strip_width=min(12, max(5, widest)),
        root=snapshot.root,
        loading=snapshot.loading,
        problem=snapshot.problem,
        next_silence=next_silence,
    )


def make_row(summary: SessionSummary, status: str) -> FleetRow:
    """The row of one session that shows `status`."""
    phase = summary.current
    words = (summary.session_id, summary.requirement, summary.workflow, summary.error, summary.last_event)
    return FleetRow(
        facts=Facts(summary, status, "\n".join(word for word in words if word).lower()),
        title=short_id(summary.session_id),
        strip=tuple(phase_word(one, status) for one in summary.phases),
        phase=phase.name if phase is not None else "",
        since=_since(summary, status, phase),
    )


def short_id(session_id: str) -> str:
    """The id without the leading date and time of a generated one."""
    return _GENERATED_ID.sub("", session_id, count=1)


def phase_word(phase: PhaseSummary, session_status: str) -> str:
    """The status word that a phase shows within a session of that status."""
    if phase.waiting or phase.asking is not None:
        return "waiting"
    if phase.status == "running":
        return session_status if session_status in ("silent", "interrupted") else "running"
    if phase.stale is not None and phase.status == "completed":
        return "stale"
    if phase.status == "pending" and not phase.selected:
        return "skipped"
    return phase.status


def _since(summary: SessionSummary, status: str, phase: PhaseSummary | None) -> float | None:
    if status == "running":
        return phase.started_at if phase is not None and phase.started_at is not None else summary.created_at
    if status == "waiting" and phase is not None and phase.finished_at is not None:
        return phase.finished_at
    if status == "failed" and phase is not None and phase.finished_at is not None:
        return phase.finished_at
    return summary.updated_at


def _ordered(rows: list[FleetRow], sort: Sort) -> list[FleetRow]:
    column = sort.column
    # Two stable passes: ties are always in the order of attention.
    out = sorted(rows, key=_attention)
    if column == "session":
        out.sort(key=lambda row: row.title.lower())
    elif column == "phase":
        out.sort(key=lambda row: row.phase.lower() or "~")
    elif column == "updated":
        out.sort(key=lambda row: -row.summary.updated_at)
    elif column == "created":
        out.sort(key=lambda row: -row.summary.created_at)
    elif column == "workflow":
        out.sort(key=lambda row: row.summary.workflow.lower())
    elif column == "owner":
        out.sort(key=lambda row: owner_words(row.summary.owner) or "~")
    if sort.reverse:
        out.reverse()
    return out


def _attention(row: FleetRow) -> tuple[int, float, str]:
    summary = row.facts.summary
    # Rows that are being written keep their place: they are ordered by birth, the others by last change.
    moving = row.facts.status in ("running", "silent")
    return (
        _RANK[row.facts.status],
        -(summary.created_at if moving else summary.updated_at),
        summary.session_id,
    )


def usual_durations(sessions: Iterable[SessionSummary]) -> Usual:
    """Median seconds of completed phases, by workflow and phase, over the newest sessions."""
    import statistics  # not needed for the first paint

    spans: dict[tuple[str, str], list[float]] = {}
    newest = sorted(sessions, key=lambda summary: -summary.created_at)[:_USUAL_SAMPLE]
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
    """What the time column says: `waiting 12m`, `failed 3m`, `4m12s · usual 6m`, `completed 3h`."""
    if row.since is None:
        return row.status
    if row.status != "running":
        return f"{row.status} {ago(now - row.since)}"
    spent = format_duration(now - row.since)
    median = usual.get((row.summary.workflow, row.phase))
    return f"{spent} · usual {ago(median)}" if median is not None and median >= 1 else spent


def owner_words(owner: Owner | None, own_pid: int | None = None) -> str:
    """Who runs a session: `this console`, `pid 4121 here`, `pid 4121 on build-7`, `pid 4121 ended`, or nothing."""
    if owner is None:
        return ""
    if owner.alive is False:
        return f"pid {owner.pid} ended" if owner.here else f"{owner.words()} ended"
    if owner.here and owner.pid == own_pid:
        return "this console"
    return owner.words()


RICH = 94
"""Cells from which on age, requirement and owner have a column each."""


def owner_short(owner: Owner | None, own_pid: int | None = None) -> str:
    """The same for a column: `here`, `pid 4121`, `4121@build-7`, `dead 4121`, or nothing."""
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
    for status in STATUS_WORDS[:5]:
        count = view.counts.get(status, 0)
        if count:
            word = ("needs you" if count == 1 else "need you") if status == "waiting" else status
            out.append((status, count, word))
    return tuple(out)
