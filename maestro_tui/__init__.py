"""maestro-tui: an engine and an operator console for long work done in phases.

The public API. Everything is imported on first use, so that `import maestro_tui` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
    from maestro_tui.engine.team import TeamExecutionEngineV2
    from maestro_tui.model.context import PhaseResult, PhaseStatus, TeamExecutionContext
    from maestro_tui.model.errors import (
        DamagedFile,
        FencedError,
        HeldError,
        InputError,
        MaestroError,
        PlanError,
        StoreError,
        WaitingError,
        WorkflowError,
    )
    from maestro_tui.model.events import Event
    from maestro_tui.model.persona import Persona
    from maestro_tui.model.phase import Phase
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.workflow import Workflow
    from maestro_tui.performers.port import Performer, PerformerFailed, PerformerResult, Port, Task
    from maestro_tui.store.checkpoints import CheckpointStore

__version__ = "0.1.0"

_HOMES = {
    "TeamExecutionEngineV2SplitMode": "maestro_tui.engine.split_mode",
    "TeamExecutionEngineV2": "maestro_tui.engine.team",
    "TeamExecutionContext": "maestro_tui.model.context",
    "PhaseResult": "maestro_tui.model.context",
    "PhaseStatus": "maestro_tui.model.context",
    "Workflow": "maestro_tui.model.workflow",
    "Phase": "maestro_tui.model.phase",
    "Persona": "maestro_tui.model.persona",
    "Plan": "maestro_tui.model.plan",
    "Event": "maestro_tui.model.events",
    "Performer": "maestro_tui.performers.port",
    "PerformerFailed": "maestro_tui.performers.port",
    "PerformerResult": "maestro_tui.performers.port",
    "Port": "maestro_tui.performers.port",
    "Task": "maestro_tui.performers.port",
    "CheckpointStore": "maestro_tui.store.checkpoints",
    "MaestroError": "maestro_tui.model.errors",
    "InputError": "maestro_tui.model.errors",
    "WorkflowError": "maestro_tui.model.errors",
    "PlanError": "maestro_tui.model.errors",
    "WaitingError": "maestro_tui.model.errors",
    "StoreError": "maestro_tui.model.errors",
    "DamagedFile": "maestro_tui.model.errors",
    "HeldError": "maestro_tui.model.errors",
    "FencedError": "maestro_tui.model.errors",
}

__all__ = [
    "CheckpointStore",
    "DamagedFile",
    "Event",
    "FencedError",
    "HeldError",
    "InputError",
    "MaestroError",
    "Performer",
    "PerformerFailed",
    "PerformerResult",
    "Persona",
    "Phase",
    "PhaseResult",
    "PhaseStatus",
    "Plan",
    "PlanError",
    "Port",
    "StoreError",
    "Task",
    "TeamExecutionContext",
    "TeamExecutionEngineV2",
    "TeamExecutionEngineV2SplitMode",
    "WaitingError",
    "Workflow",
    "WorkflowError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
