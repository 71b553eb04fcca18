"""What is to be done: a workflow is a named, checked, acyclic graph of phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import PrivateAttr, model_validator

from maestro_tui.model.defined import Defined, check_name, did_you_mean, first_double
from maestro_tui.model.errors import WorkflowError
from maestro_tui.model.facts import digest
from maestro_tui.model.graph import Needs, circle, reached, sorted_by_needs, turned
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.policy import Budget, Limits
from maestro_tui.model.text import clean

Question = Literal["classification", "blueprint", "contracts", "review"]
"""What a team may ask its advisor."""

ALIASES: Mapping[str, str] = {
    "requirement_analysis": "requirements",
    "analysis": "requirements",
    "specification": "requirements",
    "architecture": "design",
    "backend_development": "implementation",
    "frontend_development": "implementation",
    "coding": "implementation",
    "development": "implementation",
    "review": "testing",
    "qa": "testing",
    "verification": "testing",
    "deploy": "deployment",
    "release": "deployment",
}
"""Maestro Hive's other names of the five standard phases (shared formats: REQUIREMENTS, ticket 3158)."""

WORKFLOW_FILE = "maestro.toml"


class Workflow(Defined):
    """A named, checked, acyclic graph of phases. Raises `WorkflowError` (by `load`, `parse`) on bad input."""

    name: str
    description: str = ""
    phases: tuple[Phase, ...]
    personas: tuple[Persona, ...] = ()
    """Who may be chosen for phases that name no persona of their own."""
    advisor: Persona | None = None
    """The model (performer `llm`) that answers the team's own questions; None leaves them to rules."""
    advice: tuple[Question, ...] = ("classification", "blueprint")
    """What the advisor is asked. Contracts that it proposes bind; its review is an opinion."""
    budget: Budget | None = None
    """For the whole session."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            description: str = "",
            phases: Sequence[Phase],
            personas: Sequence[Persona] = (),
            advisor: Persona | None = None,
            advice: Sequence[Question] = ("classification", "blueprint"),
            budget: Budget | None = None,
        ) -> None: ...

    _linked: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _graph(self) -> Self:
        if self._linked:
            # A workflow within a context or a checkpoint was checked when it was made.
            return self
        check_name(self.name, "workflow")
        if not self.phases:
            raise ValueError("it has no phases; add at least one [[phases]] table with a name")
        if self.advisor is not None and self.advisor.performer != "llm":
            raise ValueError('the advisor must have performer = "llm"')
        double = first_double(persona.name for persona in self.personas)
        if double is not None:
            raise ValueError(f"two personas are called {double!r}")
        double = first_double(phase.name for phase in self.phases)
        if double is not None:
            raise ValueError(f"two phases are called {double!r}; names must be unique")
        lowered = first_double(phase.name.lower() for phase in self.phases)
        if lowered is not None:
            raise ValueError(f"two phases differ only by upper and lower case ({lowered!r})")
        names = [phase.name for phase in self.phases]
        linked: list[Phase] = []
        for index, phase in enumerate(self.phases):
            if "needs" not in phase.model_fields_set:
                needs: tuple[str, ...] = (names[index - 1],) if index else ()
            else:
                needs = tuple(self._known(need, names, phase.name) for need in phase.needs)
            double = first_double(needs)
            if double is not None:
                raise ValueError(f"phase {phase.name!r} names {double!r} twice in needs")
            linked.append(phase.model_copy(update={"needs": needs}))
        object.__setattr__(self, "phases", tuple(linked))
        cycle = circle({phase.name: phase.needs for phase in linked})
        if cycle:
            raise ValueError(f"the phases need each other in a circle: {' → '.join(cycle)}")
        self._linked = True
        return self

    @staticmethod
    def _known(need: str, names: list[str], phase: str) -> str:
        resolved = need if need in names else ALIASES.get(need, need)
        if resolved not in names:
            raise ValueError(
                f"phase {phase!r} needs {clean(need)!r}, which is not a phase of this workflow"
                f"{did_you_mean(need, names)}"
            )
        if resolved == phase:
            raise ValueError(f"phase {phase!r} needs itself")
        return resolved

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The phases' names in the order in which they are defined."""
        return tuple(phase.name for phase in self.phases)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The phases' names, each after everything it needs; ties keep the order of definition."""
        return sorted_by_needs(self._needs)

    @cached_property
    def _needs(self) -> Needs:
        return {phase.name: phase.needs for phase in self.phases}

    def resolve(self, name: str) -> str:
        """The phase's own name for a name or a known alias. Raises `WorkflowError` when there is none."""
        if any(phase.name == name for phase in self.phases):
            return name
        if not isinstance(name, str):
            raise WorkflowError(f"A phase is named by text, not by {clean(repr(name), 40)}. Nothing was run.")
        alias = ALIASES.get(name.lower().replace("-", "_"), name.lower())
        if alias in self.names:
            return alias
        raise WorkflowError(
            f"Workflow {self.name!r} has no phase {clean(name, 80)!r}"
            f"{did_you_mean(name, self.names)} Its phases are: {', '.join(self.names)}."
        )

    def phase(self, name: str) -> Phase:
        """The phase of that name or alias. Raises `WorkflowError`."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        resolved = self.resolve(name)
        return next(phase for phase in self.phases if phase.name == resolved)

    def within(self, limits: Limits | None) -> Workflow:
        """The workflow with a launch's limits: the smaller one counts, of a phase's time and of the budget."""
        if limits is None:
            return self
        seconds = limits.phase_seconds
        phases = tuple(
            phase.model_copy(
                update={"timeout_seconds": min(seconds, phase.timeout_seconds or seconds)} if seconds else {}
            )
            for phase in self.phases
        )
        own, asked = self.budget or Budget(), limits.session or Budget()
        least = {
            key: min(known)
            for key in Budget.model_fields
            if (known := [one for one in (getattr(own, key), getattr(asked, key)) if one is not None])
        }
        budget = Budget(**least) if least else None
        return self.model_copy(update={"phases": phases, "budget": budget})

    def needs_of(self, name: str) -> frozenset[str]:
        """Every phase that `name` depends on, near and far."""
        return reached(self._needs, self.resolve(name))

    def dependents_of(self, name: str) -> frozenset[str]:
        """Every phase that depends on `name`, near and far."""
        return reached(turned(self._needs), self.resolve(name))

    @property
    def people(self) -> tuple[tuple[str, Persona], ...]:
        """Every persona with its place: a phase's name, `any phase` or `advisor`."""
        named = [(phase.name, one) for phase in self.phases for one in phase.personas]
        named += [("any phase", one) for one in self.personas]
        named += [("advisor", self.advisor)] if self.advisor is not None else []
        return tuple(named)

    @property
    def commands(self) -> tuple[str, ...]:
        """What this workflow would start (commands, agents, models), one readable line each; empty when nothing."""
        return tuple(
            f"{place}/{one.name}: {one.starts}" for place, one in self.people if one.starts is not None
        )

    def content_hash(self) -> str:
        """SHA-256 (hex) over the whole definition: what an operator trusts."""
        return self._content_hash

    @cached_property
    def _content_hash(self) -> str:
        others = self.model_dump(mode="json", exclude_defaults=True, exclude={"description", "phases"})
        return digest(
            {
                **others,
                "phases": [
                    {**phase.model_dump(mode="json", exclude_defaults=True), "needs": list(phase.needs)}
                    for phase in self.phases
                ],
            }
        )

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Read a workflow from a TOML file. Raises `WorkflowError` with file, place and reason."""
        from maestro_tui.model.workflow_file import load

        return load(path)

    @classmethod
    def parse(cls, text: str, source: str = "workflow") -> Workflow:
        """A workflow from TOML text; `source` names it in errors. Raises `WorkflowError`."""
        from maestro_tui.model.workflow_file import parse

        return parse(text, source)
