"""Finds the sessions of a checkpoint directory, and reads where each of them stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from maestro_tui.engine.attempts import AttemptReader
from maestro_tui.engine.situation import Situation
from maestro_tui.engine.workflow_source import WorkflowSource
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.hive_folder import why_not_run

MOST_FOLLOWED = 64
"""Sessions whose journals are followed at one time."""


class Sessions:
    """What is there to go on with. Journals are followed: what was read once is not read again."""

    def __init__(self, store: CheckpointStore, source: WorkflowSource, now: Callable[[], datetime]) -> None:
        self._store, self._source, self._now = store, source, now
        self._attempts: dict[str, AttemptReader] = {}

    def require(self, session_id: str) -> None:
        """Raise `InputError` when there is no such session to be run."""
        if not self._store.exists(session_id):
            raise InputError(
                why_not_run(self._store.root, session_id)
                or f"There is no session {clean(session_id, 80)!r} in {self._store.root}{self._meant(session_id)}"
            )

    def _meant(self, name: str) -> str:
        """The end of a sentence about a session that is not there: the console shows ids without their date."""
        ends = [one for one in self._store.session_ids() if name and one.endswith(f"-{name}")]
        if ends:
            return f"; did you mean {' or '.join(clean(one, 128) for one in ends[:3])}?"
        return "; 'maestro-tui list' shows those that are there."

    def situation(
        self, session_id: str, need_workspace: bool, head: Checkpoint | None, workflow: Workflow | None
    ) -> Situation:
        """Where a session stands. Raises `InputError` when it does not exist or its workspace is gone."""
        if head is None:
            self.require(session_id)
            head = self._store.head(session_id)
        context = head.context
        workspace = self._source.workspace_of(context)
        if need_workspace and not durable.leads_to_folder(workspace):
            raise InputError(
                f"The workspace {clean(str(workspace), 200)} of session {session_id} is gone; bring it back or "
                "name another with --workspace. All commits are safe."
            )
        begun = self._attempts_of(session_id).read()
        # A commit may be newer than the journal: its outcome closes the attempt.
        unfinished = {
            name: number
            for name, number in begun.open.items()
            if name not in context.phase_results or context.phase_results[name].attempt < number
        }
        return Situation(
            head=head,
            workflow=workflow or self._source.now(context),
            workspace=workspace,
            open_attempts=unfinished,
            highest_attempts=begun.highest,
            now=self._now(),
        )

    def _attempts_of(self, session_id: str) -> AttemptReader:
        if session_id not in self._attempts:
            while len(self._attempts) >= MOST_FOLLOWED:
                self._attempts.pop(next(iter(self._attempts)), None)
            self._attempts[session_id] = AttemptReader(self._store.session_dir(session_id))
        return self._attempts[session_id]
