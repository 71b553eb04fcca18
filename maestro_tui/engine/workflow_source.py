"""Which workflow and workspace count for a launch or a session, and who approved what they would start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maestro_tui.config import find_workflow, named_from_here
from maestro_tui.engine.launch import Launch
from maestro_tui.engine.teams import with_team
from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.workflow import Workflow

Approve = Callable[[Workflow, str], None]
"""Called with a workflow and its source before anything of it runs; raises to refuse."""


class WorkflowSource:
    """An engine's own workflow and workspace, where it has them, before those of launches and sessions."""

    def __init__(
        self,
        workflow: Workflow | str | Path | None,
        workspace: str | Path | None,
        approve: Approve | None,
        remember: Approve | None,
    ) -> None:
        self._workflow = named_from_here(workflow)
        self._workspace = Path(workspace).expanduser().absolute() if workspace is not None else None
        self._approve, self._remember = approve, remember

    def workspace_for(self, launch: Launch) -> Path:
        """The folder that a new session is to work in."""
        return self._workspace or Path(launch.workspace).expanduser().absolute()

    def workspace_of(self, context: TeamExecutionContext) -> Path:
        """The folder that a session works in; it may be gone."""
        return self._workspace or (Path(context.workspace) if context.workspace else Path.cwd())

    def find(self, named: str | None, workspace: Path) -> tuple[Workflow, Path | None]:
        """A new session's workflow, as it is written, and its file. Raises `WorkflowError`."""
        if isinstance(self._workflow, Workflow):
            return self._workflow, None
        return find_workflow(self._workflow or named, workspace)

    def now(self, context: TeamExecutionContext) -> Workflow:
        """A session's workflow as it is now: the engine's own, else the session's file, else as it was committed."""
        if isinstance(self._workflow, Workflow):
            bare = self._workflow
        elif self._workflow is not None:
            bare = find_workflow(self._workflow, Path(context.workspace or "."))[0]
        elif context.workflow_path and Path(context.workflow_path).is_file():
            bare = Workflow.load(context.workflow_path)
        else:
            return context.workflow
        return with_team(bare, context.team).within(context.limits)

    def allow(self, workflow: Workflow, source: str) -> None:
        """Ask for approval of a workflow. Raises to refuse."""
        if self._approve is not None:
            self._approve(workflow, source)

    def remember(self, workflow: Workflow, source: str) -> None:
        """Tell of a workflow that a launch approves by itself."""
        if self._remember is not None:
            self._remember(workflow, source)
