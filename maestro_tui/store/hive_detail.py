"""Shows Maestro Hive's files of one workflow the way a session of ours is shown: phases, artifacts, files, JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.summary import AttemptSummary, SessionSummary
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoints import CommitInfo
from maestro_tui.store.hive_context import own_workflow, state_from, whole_head
from maestro_tui.store.hive_folder import HiveGroup, summary_of
from maestro_tui.store.hive_format import HiveFile


@dataclass(frozen=True, slots=True)
class HiveHistory:
    """A workflow's files as history: nothing of it runs here."""

    summary: SessionSummary
    context: TeamExecutionContext | None
    """Its state under its own phase names; None when no file of it can be read."""
    attempts: tuple[AttemptSummary, ...]
    commits: tuple[CommitInfo, ...]
    """Its files, the oldest first."""
    head: HiveFile | None


def history_of(group: HiveGroup) -> HiveHistory:
    """The group in full. Raises `InputError` when its newest file has changed since it was listed."""
    summary = summary_of(group)
    commits = tuple(_commit(number, file, group) for number, file in enumerate(group.files))
    if group.head is None:
        return HiveHistory(summary, None, (), (), None)
    head = whole_head(group)
    now = datetime.fromtimestamp(head.written_at, UTC)
    taken = state_from(group, head, own_workflow(head), session_id=group.session_id, now=now)
    return HiveHistory(summary, taken.context, tuple(_attempts(summary)), commits, head)


def _commit(number: int, file: HiveFile, group: HiveGroup) -> CommitInfo:
    phase = next((one for one in file.phases if one.name == file.completed), None)
    return CommitInfo(
        seq=number,
        phase=clean(file.completed or file.kind, 64),
        attempt=1 if phase is not None else 0,
        status=group.status_of(phase) if phase is not None else "",
        sha256=file.sha256,
        created_at=datetime.fromtimestamp(file.written_at, UTC),
        path=Path(file.path),
    )


def _attempts(summary: SessionSummary) -> list[AttemptSummary]:
    return [
        AttemptSummary(
            phase.name,
            phase.attempt,
            phase.status,
            phase.started_at,
            phase.finished_at or phase.started_at,
            error=phase.error,
        )
        for phase in summary.phases
        if phase.attempt and phase.started_at is not None
    ]
