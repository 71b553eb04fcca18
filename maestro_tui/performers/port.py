"""The only seam for carrying out work: a task goes in, events come out on the way, a result at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from maestro_tui.model.context import Decision, Usage
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.workflow import Persona, Phase


@dataclass(frozen=True, slots=True)
class Task:
    """What one persona is to do in one attempt of one phase."""

    session_id: str
    phase: Phase
    attempt: int
    persona: Persona
    requirement: str
    workspace: Path
    scratch: Path
    """An existing empty folder of this persona and attempt alone, outside the workspace."""
    context: Mapping[str, Any]
    """What `$MAESTRO_CONTEXT` holds: session_id, phase, attempt, requirement, outputs {phase: {…}},
    decisions [], artifacts []; JSON values only."""


@dataclass(frozen=True, slots=True)
class PerformerResult:
    """What a performer claims. The engine measures for itself before it believes any of it."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    """JSON values; later phases receive them whole."""
    decisions: Sequence[Decision] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """None means not measured. `quality`, `contract`, `tests`, `coverage` are ratios from 0 to 1."""
    summary: str = ""
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None
    """A sentence when the work was done and its outcome is bad (a red test suite); outputs are kept."""


class Port(Protocol):
    """A performer's way back to the engine while it works. Safe to call from the engine's loop only."""

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        """One line of output for the phase's log."""

    def emit(self, type: str, **data: Any) -> None:
        """A fact for the journal."""

    async def ask(self, question: str, options: Sequence[str], default: str) -> str:
        """Ask the operator and wait for the answer; `default` when nobody can be asked."""


class PerformerFailed(MaestroError):
    """The work could not be done. `kind` is `exit`, `timeout`, `result` or `performer`."""

    def __init__(
        self,
        message: str,
        *,
        kind: Literal["exit", "timeout", "result", "performer"] = "performer",
        tail: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.tail = tuple(tail)


class Performer(Protocol):
    """Carries out one persona's task. Cancelling the coroutine must stop everything that it started."""

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Do the work. Raises `PerformerFailed` with a sentence, or `asyncio.CancelledError`."""
