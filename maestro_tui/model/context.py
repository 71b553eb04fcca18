"""The state of a session: results of phases, what they made and decided, and where it all came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from maestro_tui.model.facts import Deriving, UtcTime, digest
from maestro_tui.model.phase import Mode
from maestro_tui.model.policy import BreakerState, Budget, BudgetRaise, Limits
from maestro_tui.model.workflow import Workflow


class PhaseStatus(StrEnum):
    """What became of a phase's newest attempt."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    PROVIDED = "provided"


DONE = frozenset([PhaseStatus.COMPLETED, PhaseStatus.SKIPPED, PhaseStatus.PROVIDED])
"""Statuses that count as committed: resume does not run such a phase again."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Artifact(_Fact):
    """A file that a phase left in the workspace, measured after the attempt."""

    path: str
    """Relative to the workspace, with `/`; absolute only for a provided file outside it."""
    size: int
    """Bytes."""
    sha256: str
    change: Literal["new", "changed", "same", "deleted", "provided"] = "new"
    """Against the moment before the attempt; `same`: delivered, and just as it was then."""
    phase: str
    attempt: int = 1
    persona: str | None = None
    """Who wrote it, where personas worked in folders of their own or one after the other."""


class Decision(_Fact):
    """A choice with its reason and who made it: `rules`, a model's name, or a person's name."""

    phase: str | None = None
    about: str
    choice: str
    rationale: str = ""
    alternatives: tuple[str, ...] = ()
    score: float | None = None
    decided_by: str
    at: UtcTime | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    """The choice as data, where words are not enough (classification, blueprint)."""


class Usage(_Fact):
    """What was spent; None means not known, never nothing."""

    seconds: float | None = Field(default=None, ge=0)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cost_usd: float | None = Field(default=None, ge=0)

    def plus(self, other: Usage) -> Usage:
        """The sum, where a known number plus an unknown one stays the known one."""

        if other is NO_USAGE:
            return self

        def add(one: Any, two: Any) -> Any:
            return two if one is None else one if two is None else one + two

        return Usage(
            seconds=add(self.seconds, other.seconds),
            input_tokens=add(self.input_tokens, other.input_tokens),
            output_tokens=add(self.output_tokens, other.output_tokens),
            cost_usd=add(self.cost_usd, other.cost_usd),
        )

    def covering(self, later: Usage) -> Usage:
        """These figures with the known ones of `later` in their place."""
        return self.model_copy(update=later.model_dump(exclude_none=True))


NO_USAGE = Usage()
"""Nothing is known to be spent."""


class ContractCheck(_Fact):
    """What the phase had to deliver, held against the files that are really there."""

    deliverables: tuple[str, ...] = ()
    fulfilled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    """A sentence for each broken promise: whose, which file, what was found instead."""
    schemas: tuple[int, int] | None = None
    """How many files satisfied their schema, of how many; None when no schema was asked for."""


GateVerdict = Literal["passed", "failed", "waiting", "approved", "rejected", "pushed_back"]
PersonVerdict = Literal["approved", "rejected", "pushed_back"]
"""What a person may say about a phase that waits."""


class Gate(_Fact):
    """The judgement at the end of a phase: measured thresholds and, where asked for, a person's word."""

    verdict: GateVerdict
    score: float | None = None
    threshold: float | dict[str, float] | None = None
    failures: tuple[str, ...] = ()
    by: str | None = None
    at: UtcTime | None = None
    reason: str | None = None


class PhaseError(_Fact):
    """Why a phase failed: a sentence, its kind, and the last lines of output."""

    kind: Literal[
        "exit",
        "timeout",
        "result",
        "contract",
        "gate",
        "rejected",
        "performer",
        "budget",
        "store",
        "cancelled",
        "internal",
    ]
    message: str
    persona: str | None = None
    tail: tuple[str, ...] = ()
    log: str | None = None


class PhaseResult(Deriving):
    """One attempt of one phase and its outcome; a later attempt replaces it in the context, not in history."""

    status: PhaseStatus
    attempt: int = Field(default=1, strict=True)
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    """Component of the inputs (`requirement`, `definition`, `edits`, `needs:<phase>`) → its hash."""
    inputs_fingerprint: str | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    summary: str = ""
    artifacts: tuple[Artifact, ...] = ()
    decisions: tuple[Decision, ...] = ()
    contract: ContractCheck | None = None
    quality: dict[str, float | None] = Field(default_factory=dict)
    gate: Gate | None = None
    usage: Usage = NO_USAGE
    usage_by: dict[str, Usage] = Field(default_factory=dict)
    """Persona → what it has spent, where that is known."""
    error: PhaseError | None = None
    personas: tuple[str, ...] = ()
    source: str | None = None
    """Where a provided result came from; why a skipped one was skipped."""

    @property
    def done(self) -> bool:
        """True when resume takes this result as it is: committed and not waiting, rejected or pushed back."""
        return self.status in DONE and (self.gate is None or self.gate.verdict in ("passed", "approved"))

    @cached_property
    def input_hash(self) -> str:
        """SHA-256 (hex) over what later phases receive of this result."""
        return self.input_hash_with(self.outputs, self.artifacts)

    def input_hash_with(self, outputs: Mapping[str, Any], artifacts: Iterable[Artifact]) -> str:
        """The same with outputs and artifacts as they are after edits."""
        return digest(
            {
                "attempt": self.attempt,
                "status": self.status,
                "outputs": outputs,
                "artifacts": sorted([one.path, one.sha256] for one in artifacts),
            }
        )

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from start to end of this attempt, never less than 0; None when it was not run."""
        if self.started_at is None or self.finished_at is None:
            return None
        # A computer's clock may be set back meanwhile.
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


class Edit(_Fact):
    """A person's change of a phase's outputs or artifacts between phases; later phases become stale."""

    phase: str
    attempt: int | None = None
    """The attempt whose result was edited: what a later one leaves is not changed by it. None: any attempt."""
    outputs: dict[str, Any] = Field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    """Files as they are after the edit."""
    contract: ContractCheck | None = None
    """The phase's contract, checked again after the edit."""
    by: str
    at: UtcTime
    reason: str = ""


class Lineage(_Fact):
    """Where a forked or imported session came from."""

    session_id: str
    seq: int
    sha256: str
    how: Literal["fork", "import"] = "fork"


class BlueprintChoice(_Fact):
    """A person's word on who works on a phase and how; None leaves that part to the team."""

    personas: tuple[str, ...] | None = None
    mode: Mode | None = None
    by: str
    at: UtcTime
    reason: str = ""


class TeamExecutionContext(_Fact):
    """The whole state of a session; one checkpoint's context is enough to go on from, here or elsewhere."""

    session_id: str
    requirement: str
    workflow: Workflow
    workflow_path: str | None = None
    workspace: str | None = None
    created_at: UtcTime
    scope: tuple[str, ...] | None = None
    """The phases that were asked for; None means all."""
    pause_after: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    """Committed phases that were asked to run again and have not been committed anew yet."""
    current_phase: str | None = None
    phase_results: dict[str, PhaseResult] = Field(default_factory=dict)
    session_decisions: tuple[Decision, ...] = ()
    edits: tuple[Edit, ...] = ()
    lineage: Lineage | None = None
    team: str | None = None
    """The team that was asked for (`claude`, `llm:MODEL`, …); it works where the workflow names no persona."""
    limits: Limits | None = None
    """What the launch allows at most."""
    blueprints: dict[str, BlueprintChoice] = Field(default_factory=dict)
    usage: Usage = NO_USAGE
    spent: dict[str, Usage] = Field(default_factory=dict)
    """Phase → what all its attempts have spent, for budgets."""
    spent_by: dict[str, dict[str, Usage]] = Field(default_factory=dict)
    """Phase → persona → the same."""
    recovered: dict[str, int] = Field(default_factory=dict)
    """Phase → newest interrupted attempt whose spending was read from the journal and added."""
    raises: tuple[BudgetRaise, ...] = ()
    breakers: dict[str, BreakerState] = Field(default_factory=dict)
    pushed_back: dict[str, int] = Field(default_factory=dict)
    """Phase → how often it was pushed back."""

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """Short: a whole context may be megabytes, and asyncio asks for it at each run's end."""
        yield "session_id", self.session_id
        yield "phase_results", {name: str(result.status) for name, result in self.phase_results.items()}

    @property
    def done(self) -> bool:
        """True when every phase that was asked for has a result that stands: nothing failed, waits or is open."""
        asked = self.workflow.names if self.scope is None else self.scope
        return not self.rerun and all(
            name in self.phase_results and self.phase_results[name].done for name in asked
        )

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact of every phase's newest attempt, in workflow order."""
        return tuple(artifact for _, result in self.results() for artifact in result.artifacts)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The session's own decisions, then those of each phase in workflow order."""
        of_phases = tuple(decision for _, result in self.results() for decision in result.decisions)
        return self.session_decisions + of_phases

    def results(self) -> Iterable[tuple[str, PhaseResult]]:
        """The results that exist, in workflow order."""
        known = [name for name in self.workflow.order if name in self.phase_results]
        known += [name for name in self.phase_results if name not in known]
        return [(name, self.phase_results[name]) for name in known]

    def edits_of(self, name: str) -> tuple[Edit, ...]:
        """The edits of a phase's present result, in the order in which they were made."""
        result = self.phase_results.get(name)
        attempts = (None, result.attempt if result else None)
        return tuple(edit for edit in self.edits if edit.phase == name and edit.attempt in attempts)

    def outputs_of(self, name: str) -> dict[str, Any]:
        """A phase's outputs with the operator's edits applied, in the order in which they were made."""
        result = self.phase_results.get(name)
        outputs = dict(result.outputs) if result else {}
        for edit in self.edits_of(name):
            outputs.update(edit.outputs)
        return outputs

    def artifacts_of(self, name: str) -> tuple[Artifact, ...]:
        """A phase's artifacts with the operator's edits applied."""
        result = self.phase_results.get(name)
        artifacts = {artifact.path: artifact for artifact in (result.artifacts if result else ())}
        for edit in self.edits_of(name):
            artifacts.update({artifact.path: artifact for artifact in edit.artifacts})
        return tuple(artifacts.values())

    def budget_of(
        self, phase: str | None, budget: Budget | None, persona: str | None = None
    ) -> Budget | None:
        """A phase's budget (None: the session's), or that of a persona in it, with what recorded raises added."""
        if budget is None:
            return None
        return budget.plus(one.more for one in self.raises if one.phase == phase and one.persona == persona)

    def with_spent(
        self, name: str, usage: Usage, by: Mapping[str, Usage] | None = None
    ) -> TeamExecutionContext:
        """The context with usage added to the phase's, to its personas' (`by`) and to the total."""
        update: dict[str, Any] = {
            "usage": self.usage.plus(usage),
            "spent": {**self.spent, name: self.spent.get(name, NO_USAGE).plus(usage)},
        }
        if by:
            personas = dict(self.spent_by.get(name, {}))
            for persona, one in by.items():
                personas[persona] = personas.get(persona, NO_USAGE).plus(one)
            update["spent_by"] = {**self.spent_by, name: personas}
        return self.model_copy(update=update)

    def with_result(self, name: str, result: PhaseResult) -> TeamExecutionContext:
        """The context with one phase's result put in its place, and its usage added to the total."""
        return self.with_spent(name, result.usage, result.usage_by).model_copy(
            update={
                "phase_results": {**self.phase_results, name: result},
                "current_phase": name,
                "rerun": tuple(other for other in self.rerun if other != name),
            }
        )
