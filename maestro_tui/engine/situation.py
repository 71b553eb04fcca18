"""Where a session stands on disk, and who speaks for its operator."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.errors import PlanError, WaitingError
from maestro_tui.model.plan import Plan, PlannedPhase, Request, plan
from maestro_tui.model.workflow import Workflow


def operator_name() -> str:
    """The name under which this person's decisions are recorded."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def cannot_run(planned: PlannedPhase, session_id: str) -> PlanError:
    """The refusal to run one phase of a session that is asked for."""
    kind = WaitingError if planned.waits else PlanError
    return kind(
        f"Phase {planned.phase!r} of session {session_id} cannot run: {planned.reason}. Nothing was run."
    )


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a session stands on disk, and the workflow and workspace to go on with."""

    head: Checkpoint
    workflow: Workflow
    workspace: Path
    open_attempts: Mapping[str, int]
    highest_attempts: Mapping[str, int]
    now: datetime

    def plan(self, request: Request) -> Plan:
        """The plan for a request from here."""
        return plan(
            self.workflow,
            self.head.context,
            request,
            basis=self.head.sha256,
            interrupted=self.open_attempts,
            attempts=self.highest_attempts,
            now=self.now,
        )
