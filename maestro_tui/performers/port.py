"""The only seam for carrying out work: a task goes in, events come out on the way, a result at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from maestro_tui.model.context import Decision, Usage
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean
from maestro_tui.store import durable

RATIOS = frozenset(["quality", "contract", "tests", "coverage", "schema", "opinion"])
"""Metrics that lie between 0 and 1."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one persona is to do in one attempt of one phase."""

    session_id: str
    phase: Phase
    attempt: int
    persona: Persona
    requirement: str
    workspace: Path
    scratch_at: Path
    """Where `scratch` is; it is made for those who ask for it."""
    context: Mapping[str, Any]
    """What `$MAESTRO_CONTEXT` holds: session_id, phase, attempt, requirement, outputs {phase: {…}},
    decisions [], artifacts []; JSON values only. With `feedback` when the phase runs again (verdict, error or
    comments, earlier outputs and diff), with `draft` and `comments` where personas collaborate."""
    role: Literal["work", "comment", "revise"] = "work"
    """`work` does the task; in a collaboration `comment` reviews a colleague's draft and changes no file,
    `revise` takes the comments up."""
    own_folder: str | None = None
    """Folder of this persona, relative to the workspace, when personas work in parallel: it writes there only."""
    budget: Budget | None = None
    """Tokens and money that may be spent now, the least that the budgets of persona, phase and session leave; None
    when nothing limits them. The engine holds what is told by `Port.spend` against it."""

    @property
    def scratch(self) -> Path:
        """A folder of this persona and attempt alone, outside the workspace; empty when it is asked for first.

        Raises `StoreError`.
        """
        with durable.told("make the folder", self.scratch_at):
            durable.enter_dirs(self.scratch_at)
        return self.scratch_at


@dataclass(frozen=True, slots=True)
class PerformerResult:
    """What a performer claims. The engine measures for itself before it believes any of it."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    """JSON values; later phases receive them whole."""
    decisions: Sequence[Decision] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """None means not measured. `quality`, `contract`, `tests`, `coverage`, `schema` are ratios from 0 to 1,
    `lint_findings` is a count. A score that an agent or model gives is `opinion`, never any of these."""
    summary: str = ""
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None
    """A sentence when the work was done and its outcome is bad (a red test suite); outputs are kept."""


class Port(Protocol):
    """A performer's way back to the engine while it works. Safe to call from the engine's loop only."""

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        """One line of output for the phase's log."""

    def emit(self, type: str, **data: Any) -> None:
        """A fact for the journal: `tool_called`, `sub_step`, `context_trimmed`, `persona_output` or a type of its
        own. Raises `PerformerFailed` for a type that the engine writes itself."""

    def spend(self, usage: Usage) -> None:
        """What this persona has spent so far in this try, in all; the engine holds it against the budgets."""

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        """Ask the operator and wait: the one of `options` (1 to 50) that was chosen, or `default` when `timeout`
        (seconds; None waits for ever) is over. The session shows as waiting meanwhile."""


FailureKind = Literal["exit", "timeout", "result", "performer"]


class PerformerFailed(MaestroError):
    """The work could not be done. `kind` is `exit`, `timeout`, `result` or `performer`.

    `retry_after` is the wait in seconds that the other side asked for; `retry=False` says that another try
    cannot help (a wrong key, a missing program). `usage` is what the failed try has spent.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind = "performer",
        tail: Sequence[str] = (),
        retry: bool = True,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        wrong = _wrong_failure(kind, retry_after, usage)
        if wrong is not None:
            raise TypeError(f"a PerformerFailed has {wrong}; it was to say: {clean(message, 400)}")
        super().__init__(message)
        self.kind = kind
        self.tail = tuple(tail)
        self.retry = retry
        self.retry_after = retry_after
        self.usage = usage or Usage()


def _wrong_failure(kind: object, retry_after: object, usage: object) -> str | None:
    """What is wrong with the parts of a failure, which people write seldom and test even less."""
    if kind not in get_args(FailureKind):
        return f"the kind {', '.join(get_args(FailureKind))}, not {clean(repr(kind), 60)}"
    if retry_after is not None and not (isinstance(retry_after, int | float) and 0 <= retry_after < math.inf):
        return f"seconds or None as retry_after, not {clean(repr(retry_after), 60)}"
    if not isinstance(usage, Usage | None):
        return f"a Usage or None as usage, not {type(usage).__name__}"
    return None


class Performer(Protocol):
    """Carries out one persona's task. Cancelling the coroutine must stop everything that it started.

    It runs in the loop of the engine, with all other phases, limits and the lease: it must not block it. What
    blocks belongs into `asyncio.to_thread` or, where it must be stopped, into a process: a thread cannot be
    ended, and goes on after a cancellation. What does not let itself be cancelled has failed with its timeout
    once it ends.
    """

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Do the work. Raises `PerformerFailed` with a sentence, or `asyncio.CancelledError`."""
