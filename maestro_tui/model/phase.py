"""One node of a workflow: what it is for, what it needs, who works on it, what it must deliver, its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, StrictBool, field_validator, model_validator

from maestro_tui.model.contract import Contract, inside_the_workspace, plain_json
from maestro_tui.model.defined import Defined, check_name, did_you_mean, first_double
from maestro_tui.model.facts import digest
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import RETRY_DELAY_SECONDS, Breaker, Budget
from maestro_tui.model.text import clean

Mode = Literal["sequential", "parallel", "collaborative"]


class Phase(Defined):
    """A node of the workflow: objective, what it needs, who works on it, what it must deliver, its gate.

    `needs` left out means the phase before it; `()` means none.
    """

    name: str
    objective: str = ""
    needs: tuple[str, ...] = ()
    personas: tuple[Persona, ...] = ()
    mode: Mode | None = None
    """How its personas work; None lets the team decide."""
    rounds: int = Field(default=1, ge=1, le=5, strict=True)
    """In collaborative mode: how often the colleagues comment and the draft is revised."""
    deliverables: tuple[str, ...] = ()
    """Glob patterns, relative to the workspace; each must match a file that the attempt left there."""
    contracts: tuple[Contract, ...] = ()
    """Promises beyond that: with schema, provider, consumers and acceptance criteria."""
    outputs_schema: dict[str, Any] | None = None
    """A JSON schema that the phase's outputs must satisfy."""
    threshold: float | dict[str, float] | None = None
    """A number judges the phase's quality; a table judges one metric each, at least. Scores run from 0 to 1."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Metrics that may be at most so high: `lint_findings = 0`."""
    approval: StrictBool = False
    max_iterations: int | None = Field(default=None, ge=1, strict=True)
    """How often the phase may be pushed back; None does not limit it."""
    timeout_seconds: float | None = Field(default=None, gt=0)
    """For each attempt, all its tries and the advisor's words together; time in which all who work wait for a
    person's answer does not count."""
    retries: int = Field(default=0, ge=0, le=100, strict=True)
    retry_delay_seconds: float = Field(default=RETRY_DELAY_SECONDS, ge=0)
    """Before the second try; it doubles with each."""
    budget: Budget | None = None
    """For all attempts of the phase together."""
    breaker: Breaker | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            objective: str = "",
            needs: Sequence[str] = ...,
            personas: Sequence[Persona] = (),
            mode: Mode | None = None,
            rounds: int = 1,
            deliverables: Sequence[str] = (),
            contracts: Sequence[Contract] = (),
            outputs_schema: Mapping[str, Any] | None = None,
            threshold: float | Mapping[str, float] | None = None,
            limits: Mapping[str, float] = ...,
            approval: bool = False,
            max_iterations: int | None = None,
            timeout_seconds: float | None = None,
            retries: int = 0,
            retry_delay_seconds: float = RETRY_DELAY_SECONDS,
            budget: Budget | None = None,
            breaker: Breaker | None = None,
        ) -> None: ...

    @field_validator("deliverables")
    @classmethod
    def _inside_the_workspace(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(inside_the_workspace(pattern) for pattern in patterns)

    @field_validator("outputs_schema")
    @classmethod
    def _json(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return plain_json(value, "outputs_schema") if value is not None else None

    @field_validator("threshold")
    @classmethod
    def _from_zero_to_one(cls, value: float | dict[str, float] | None) -> float | dict[str, float] | None:
        numbers = value.values() if isinstance(value, dict) else [] if value is None else [value]
        if any(not 0 <= number <= 1 for number in numbers):
            raise ValueError("threshold must be between 0 and 1")
        return value

    @model_validator(mode="after")
    def _names(self) -> Self:
        check_name(self.name, "phase")
        if self.name == "init":
            raise ValueError('a phase cannot be called "init": that is the checkpoint before the first phase')
        double = first_double(persona.name for persona in self.personas)
        if double is not None:
            raise ValueError(f"two personas are called {double!r}")
        double = first_double(contract.name for contract in self.contracts)
        if double is not None:
            raise ValueError(f"two contracts are called {double!r}")
        names = [persona.name for persona in self.personas]
        for contract in self.contracts:
            if contract.provider is not None and names and contract.provider not in names:
                raise ValueError(
                    f"contract {clean(contract.name, 80)!r} is owed by {clean(contract.provider, 80)!r}, which is no "
                    f"persona of this phase{did_you_mean(contract.provider, names)}"
                )
        return self

    @property
    def globs(self) -> tuple[str, ...]:
        """All that it must deliver: its own deliverables and those of its contracts."""
        return tuple(
            dict.fromkeys(
                (*self.deliverables, *(glob for contract in self.contracts for glob in contract.deliverables))
            )
        )

    def definition_hash(self) -> str:
        """SHA-256 (hex) over what this phase is; a change makes its committed result stale."""
        return self._definition_hash

    @cached_property
    def _definition_hash(self) -> str:
        data = self.model_dump(mode="json", exclude_defaults=True)
        data["needs"] = sorted(self.needs)
        return digest(data)
