"""The sessions of a checkpoint directory as text and JSON, for `list` and `show`; light to import."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import SILENT_AFTER, PhaseSummary, SessionBrief, SessionStatus, SessionSummary
from maestro_tui.model.text import clean, format_bytes, format_duration

SIGNS = {
    "waiting": "⚑",
    "failed": "✗",
    "running": "●",
    "silent": "◌",
    "interrupted": "⊘",
    "paused": "‖",
    "cancelled": "■",
    "new": "○",
    "completed": "✓",
    "pending": "○",
    "provided": "◇",
    "skipped": "↷",
    "stale": "~",
}
_MOST_DAMAGE = 20
_ORDER = (
    SessionStatus.WAITING,
    SessionStatus.FAILED,
    SessionStatus.INTERRUPTED,
    SessionStatus.RUNNING,
    SessionStatus.PAUSED,
    SessionStatus.CANCELLED,
    SessionStatus.NEW,
    SessionStatus.COMPLETED,
)
_RANK = {status: rank for rank, status in enumerate(_ORDER)}


def read_fleet(root: Path) -> list[SessionSummary]:
    """Every session, those that need a person first, then the newest. Raises `InputError` for a bad root."""
    from maestro_tui.store.index import read_all

    _require_folder(root)
    return sorted(read_all(root, time.time()), key=_attention)


def read_list(root: Path) -> list[SessionBrief]:
    """As `read_fleet`, but only what `list_lines` tells: an unchanged session is not made whole."""
    from maestro_tui.store.briefs import read_briefs

    _require_folder(root)
    return sorted(read_briefs(root, time.time()), key=_attention)


def _require_folder(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise InputError(f"{clean(str(root), 200)} is not a folder; name a checkpoint directory.")


def _attention(session: SessionSummary | SessionBrief) -> tuple[int, float, str]:
    status = SessionStatus.INTERRUPTED if session.over_budget else session.status
    return _RANK[status], -session.updated_at, session.session_id


def list_document(sessions: Iterable[SessionSummary]) -> list[dict[str, Any]]:
    """One short document for each session."""
    return [
        {
            "session_id": session.session_id,
            "status": str(session.status),
            "requirement": session.requirement,
            "workflow": session.workflow,
            "updated_at": _iso(session.updated_at),
            "error": session.error,
            "damage": list(session.damage),
            "foreign": session.foreign,
            "phases": [
                {
                    "phase": phase.name,
                    "status": "pending" if _dead(session, phase) else phase.status,
                    "attempt": phase.attempt,
                    "stale": phase.stale is not None,
                    "reason": _reason(session, phase),
                    "duration_seconds": _seconds(phase.started_at, phase.finished_at),
                    "error": phase.error,
                }
                for phase in session.phases
            ],
        }
        for session in sessions
    ]


def _dead(session: SessionSummary, phase: PhaseSummary) -> bool:
    """True for a phase whose attempt began and whose runner is gone."""
    return session.status == SessionStatus.INTERRUPTED and phase.status == "running"


def _reason(session: SessionSummary, phase: PhaseSummary) -> str | None:
    if _dead(session, phase):
        return f"attempt {phase.attempt} was interrupted"
    if phase.asking is not None:
        return f"question {phase.asking} waits for an answer"
    return phase.stale or ("waits for approval" if phase.waiting else None)


def list_lines(sessions: Sequence[SessionBrief], root: Path) -> Iterator[str]:
    """A line for each session, for people."""
    if not sessions:
        yield f'No sessions in {clean(str(root), 200)} yet. Begin one: maestro-tui run "what must be true"'
        return
    now = time.time()
    width = min(60, max(len(session.session_id) for session in sessions))
    for session in sessions:
        if session.foreign is not None and not session.phases and session.damage:
            yield f"{SIGNS[session.status]} {session.session_id:<{width}}  {session.foreign}, not readable: {session.damage[0]}"
            continue
        age = format_duration(now - session.updated_at)
        silent = session.status is SessionStatus.RUNNING and now - session.updated_at > SILENT_AFTER
        word = "silent" if silent else "over budget" if session.over_budget else session.status
        yield (
            f"{SIGNS['silent' if silent else session.status]} {session.session_id:<{width}}  {word:<11}  "
            f"{_strip(session.phases):<8} {session.current:<14} {age:>6}  "
            f"{f'{session.foreign} · ' if session.foreign else ''}{session.requirement}"
        )
        for line in (*session.damage, *session.notes):
            yield f"    {line}"


@cache
def _strip(phases: str) -> str:
    """A sign for each phase; thousands of sessions share a few of these."""
    return "".join([SIGNS.get(phase, "?") for phase in phases.split()])


def show_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """One session for people, from its JSON document."""
    status = document["status"]
    foreign = f"  {document['foreign']}, read only" if document.get("foreign") else ""
    yield f"{SIGNS.get(status, '?')} {document['session_id']}  {status}{foreign}"
    yield f"  {clean(document['requirement'], 300)}"
    yield f"  workflow {clean(document['workflow'])} · workspace {clean(document['workspace'] or '–', 200)}"
    for line in document["damage"][:_MOST_DAMAGE]:
        yield f"  damaged: {clean(line, 400)}"
    if len(document["damage"]) > _MOST_DAMAGE:
        yield f"  damaged: {len(document['damage']) - _MOST_DAMAGE:,} more; 'maestro-tui verify' names each"
    yield ""
    width = max(len(phase["phase"]) for phase in document["phases"])
    for phase in document["phases"]:
        took = _took(phase["duration_seconds"])
        attempt = f"#{phase['attempt']}" if phase["attempt"] else ""
        stale = " stale" if phase["stale"] else ""
        why = f"  {clean(phase['reason'], 200)}" if phase["reason"] else ""
        yield f"  {SIGNS.get(phase['status'], '?')} {phase['phase']:<{width}}  {phase['status']}{stale} {attempt:<3} {took:>7}{why}"
        measured = [
            f"{clean(name, 40)} {'not measured' if value is None else f'{value:g}'}"
            for name, value in phase["quality"].items()
        ]
        if measured:
            yield f"      {' · '.join(measured)}"
        for line in (phase["error"] or "").splitlines():
            yield f"      {clean(line, 300)}"
        for artifact in phase["artifacts"][:20]:
            yield f"      {artifact['change']:<8} {format_bytes(artifact['size']):>8}  {clean(artifact['path'], 200)}"
        if len(phase["artifacts"]) > 20:
            yield f"      … and {len(phase['artifacts']) - 20} more (--json lists all)"
    yield ""
    if document["questions"]:
        yield from question_lines(document["questions"])
        yield ""
    for decision in document["decisions"]:
        when = f", {decision['at'][:16].replace('T', ' ')} UTC" if decision["at"] else ""
        why = f": {clean(decision['rationale'], 200)}" if decision["rationale"] else ""
        yield (
            f"  {clean(decision['phase'] or 'session', 40)}: {clean(decision['about'], 60)} → "
            f"{clean(decision['choice'], 160)} (by {clean(decision['decided_by'], 40)}{when}){why}"
        )
    count = len(document["checkpoints"])
    kind = "file" if foreign else "commit"
    yield f"  {count} {kind}{'' if count == 1 else 's'}; the newest: {clean(document['checkpoints'][-1]['path'], 300)}"


def question_lines(questions: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Questions for people, from their JSON documents: who asks what, the options, what counts without an answer."""
    for one in questions:
        where = f"{one['phase']} #{one['attempt']}"
        if one["state"] == "void":
            yield f"  ⊘ question {one['question']} of {one['persona']} in {where} is void: its runner ended"
            continue
        yield f"  ⚑ question {one['question']} of {one['persona']} in {where}:"
        for line in one["text"].splitlines():
            yield f"      {line}"
        for number, option in enumerate(one["options"], 1):
            yield f"      {number}  {option}"
        until = f" until {one['expires_at']}" if one["expires_at"] else ""
        yield f"      without an answer{until}: {one['default']}"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f}s" if seconds < 60 else format_duration(seconds)


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _seconds(start: float | None, end: float | None) -> float | None:
    return round(max(0.0, end - start), 3) if start is not None and end is not None else None
