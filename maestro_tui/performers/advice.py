"""What a model says about the team's own questions: classification, blueprint, contracts, review."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from maestro_tui.model.contract import Contract
from maestro_tui.model.phase import Mode

RequirementType = Literal[
    "feature_development",
    "bug_fix",
    "refactoring",
    "performance_optimization",
    "security_audit",
    "testing",
    "documentation",
    "deployment",
    "maintenance",
]
Complexity = Literal["simple", "moderate", "complex", "very_complex"]
Parallelizability = Literal["fully_parallel", "partially_parallel", "mostly_sequential", "fully_sequential"]


class _Advice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Classification(_Advice):
    """What kind of work a requirement asks for; the names are Maestro Hive's."""

    type: RequirementType
    complexity: Complexity
    parallelizability: Parallelizability
    effort_hours: float = Field(ge=0, description="Hours of work of one person, all in all.")
    confidence: float = Field(ge=0, le=1)
    rationale: str
    required_expertise: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


class BlueprintAdvice(_Advice):
    """Who works on a phase, and how."""

    personas: tuple[str, ...] = Field(min_length=1, description="Names of candidates, in working order.")
    mode: Mode
    rationale: str
    alternatives: tuple[str, ...] = Field(
        default=(), description="What else was weighed, in a few words each."
    )
    score: float = Field(ge=0, le=1, description="How well this team fits the phase.")


class ContractProposal(_Advice):
    """What a phase is to hand over, by whom and to whom."""

    contracts: tuple[Contract, ...]
    rationale: str


class Finding(_Advice):
    """One fault of what was delivered."""

    severity: Literal["high", "medium", "low"]
    place: str
    finding: str


class Review(_Advice):
    """A reviewer's opinion: never a measurement."""

    opinion: float = Field(ge=0, le=1)
    findings: tuple[Finding, ...] = ()
    summary: str
