"""Decisions, events, artifacts and commits of a session as lines for their lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maestro_tui.console.lines import (
    Line,
    clock_time,
    column_width,
    date_time,
    fit,
    fit_right,
    line,
    short,
    shorten_middle,
    wrap_words,
)
from maestro_tui.console.structural_diff import brief
from maestro_tui.model.context import Artifact, Decision
from maestro_tui.model.events import Event
from maestro_tui.model.text import clean, clean_lines, format_bytes
from maestro_tui.store.event_words import team_words

_CHANGE_STYLES = {"new": "added", "changed": "accent-text", "deleted": "removed", "missing": "removed"}
MOST_RATIONALE_ROWS = 6
NAMED_FROM = 52
"""Columns from which a list of files has room for their authors."""


def decision_lines(decisions: Sequence[Decision], width: int) -> list[Line]:
    """Each decision: what about, what was chosen, by whom with which score, why, instead of what."""
    width = max(width, 30)
    lines: list[Line] = []
    for index, decision in enumerate(decisions):
        if index:
            lines.append(line((index, "gap"), " "))
        by = clean(decision.decided_by, 60)
        score = f"  score {decision.score:.3g}" if decision.score is not None else ""
        where = clean(decision.phase or "session", 64)
        when = f"  {clock_time(decision.at.timestamp())}" if decision.at is not None else ""
        about = f"{where} · {clean(decision.about, 200)}"
        facts = f"{by}{score}{when}"
        room = max(12, width - len(facts) - 2)
        lines.append(line((index, "about"), (fit(about, room), "bold"), "  ", (short(facts, width), "muted")))
        for part, text in enumerate(wrap_words(clean(decision.choice), width - 4, 4)):
            lines.append(
                line((index, "choice", part), ("  → " if part == 0 else "    ", "accent-text"), text)
            )
        rationale = clean_lines(decision.rationale, lines=20)
        if rationale:
            for part, text in enumerate(wrap_words(rationale, width - 4, MOST_RATIONALE_ROWS)):
                lines.append(line((index, "why", part), "    ", (text, "muted")))
        if decision.alternatives:
            others = "instead of " + ", ".join(clean(other, 120) for other in decision.alternatives[:8])
            for part, text in enumerate(wrap_words(others, width - 4, 3)):
                lines.append(line((index, "others", part), "    ", (text, "muted")))
    return lines


def event_lines(events: Sequence[Event]) -> list[Line]:
    """One line for each event, oldest first: time, type, phase and attempt, persona, data."""
    type_width = column_width((event.type for event in events), 12, 20)
    place_width = column_width((_place(event) for event in events), 8, 24)
    lines = []
    for event in events:
        lines.append(
            line(
                (event.writer, event.seq, event.at, event.type),
                (f"{clock_time(event.at)}  ", "muted"),
                f"{fit(clean(event.type, 40), type_width)}  ",
                (f"{fit(_place(event), place_width)}  ", "muted"),
                event_words(event),
            )
        )
    return lines


def _place(event: Event) -> str:
    if not event.phase:
        return "session"
    number = f" #{event.attempt}" if event.attempt else ""
    return clean(event.phase, 64) + number


def event_words(event: Event) -> str:
    """An event in one clean line: a sentence where team work has one, else persona and data."""
    who, where = event.persona or _place(event), _place(event)
    sentence = team_words(event.type, who, where, event.data)
    if sentence is not None:
        said = sentence.removeprefix(f"{where}: ")  # it stands in its own column
        return short(clean(" ".join(said.split()), 2_000), 2_000)
    words = [clean(event.persona, 64)] if event.persona else []
    for key, value in list(event.data.items())[:12]:
        if key in ("sha256", "prev") and isinstance(value, str):
            value = value[:12]
        shown = clean(value, 300) if isinstance(value, str) else brief(value, 120)
        words.append(f"{clean(key, 40)}={shown}")
    return short("  ".join(words), 2_000)


def artifact_lines(
    artifacts: Sequence[Artifact],
    missing: Mapping[str, Sequence[str]],
    width: int,
) -> list[Line]:
    """The files of each phase with who wrote them where that is known, and what its contract missed."""
    lines: list[Line] = []
    known = [clean(artifact.persona, 64) for artifact in artifacts if artifact.persona]
    # Who wrote a file stands beside it where there is room for both.
    authors = column_width(known, 4, 18) if known and width >= NAMED_FROM else 0
    phases = list(dict.fromkeys([*(artifact.phase for artifact in artifacts), *missing]))
    for phase in phases:
        own = sorted(
            (artifact for artifact in artifacts if artifact.phase == phase), key=lambda item: item.path
        )
        total = format_bytes(sum(artifact.size for artifact in own))
        attempt = f" #{own[0].attempt}" if own and own[0].attempt > 1 else ""
        count = f"{len(own)} file{'' if len(own) == 1 else 's'}, {total}" if own else "nothing delivered"
        lines.append(line((phase, ""), (f"{clean(phase, 64)}{attempt}", "bold"), (f"  {count}", "muted")))
        for artifact in own:
            size = format_bytes(artifact.size)
            by = clean(artifact.persona or "", 64)
            lines.append(
                _artifact_line(phase, artifact.path, artifact.change, size, width, by=by, authors=authors)
            )
        for pattern in missing.get(phase, ()):
            lines.append(_artifact_line(phase, pattern, "missing", "–", width, key="missing"))
    return lines


def _artifact_line(
    phase: str,
    path: str,
    change: str,
    size: str,
    width: int,
    key: str = "file",
    by: str = "",
    authors: int = 0,
) -> Line:
    room = max(10, width - 22 - (authors + 2 if authors else 0))
    return line(
        (phase, key, path),
        "  ",
        fit(shorten_middle(clean(path, 1_000), room), room),
        fit_right(size, 9),
        "  ",
        (fit(clean(change, 8), 8) if authors else clean(change, 8), _CHANGE_STYLES.get(change, "muted")),
        ("  " + fit(by, authors), "muted") if authors else ("", ""),
    )


def history_lines(history: Sequence[Any]) -> list[Line]:
    """The commits of a session, newest first: number, phase and attempt, status, time, digest; then damage."""
    lines = []
    for commit in reversed(history):
        phase = clean(commit.phase or "", 64)
        number = f" #{commit.attempt}" if commit.attempt else ""
        problem = (f"  {clean(commit.problem, 300)}", "phase-failed") if commit.problem else ("", "")
        lines.append(
            line(
                commit.seq,
                fit_right(str(commit.seq), 4),
                "  ",
                fit(f"{phase}{number}", 20),
                "  ",
                fit(clean(commit.status or "", 20), 10),
                (f"  {_moment(commit.created_at):<19}  {clean(commit.sha256 or '', 64)[:12]}", "muted"),
                problem,
            )
        )
    return lines


def _moment(at: Any) -> str:
    if at is None:
        return ""
    return date_time(at if isinstance(at, int | float) else at.timestamp())
