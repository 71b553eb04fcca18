"""All that one attempt of a phase needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from maestro_tui.engine.ledger import Ledger
from maestro_tui.engine.work_clock import WorkClock
from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.redaction import Redactor
from maestro_tui.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one phase of a session, made by who drives it."""

    context: TeamExecutionContext
    workflow: Workflow
    phase: Phase
    number: int
    workspace: Workspace
    session_dir: Path
    scratch: Path
    """The folder of this attempt alone; made when something is put there."""
    ledger: Ledger
    clock: WorkClock
    """How long it has worked; time in which a person is asked is no work."""
    now: Callable[[], datetime]
    log_name: str = ""
    feedback: Mapping[str, Any] | None = None
    """Why there is a new attempt: the earlier error, or the reviewer's comments."""
    reusable: int | None = None
    """The earlier attempt whose finished personas need not work again; None when all must."""
    foreign_globs: frozenset[str] = field(default=frozenset())
    """Deliverables of phases that may run at the same time in the same workspace."""
    redactor: Redactor = field(default_factory=Redactor)
    """Takes the secrets of the environment out of what is written about it."""
