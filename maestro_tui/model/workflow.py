"""What is to be done: a workflow is a directed acyclic graph of phases; this file defines and checks it."""

from __future__ import annotations

import difflib
import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr, StrictBool, ValidationError, field_validator, model_validator

from maestro_tui.model.contract import Contract, inside_the_workspace, plain_json
from maestro_tui.model.errors import WorkflowError
from maestro_tui.model.facts import Deriving, digest
from maestro_tui.model.policy import RETRY_DELAY_SECONDS, Breaker, Budget, Limits
from maestro_tui.model.text import clean, name_problem

Mode = Literal["sequential", "parallel", "collaborative"]
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

STARTS_LIMIT = 4_000
"""Characters of a command that are shown where it is approved."""
_WITHOUT_ARGV = frozenset(["toolbox", "llm", "hive"])


class Defined(Deriving):
    """A part of a workflow; made in Python, what is wrong with it raises `WorkflowError`, as in a file."""

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            from maestro_tui.model.workflow_file import wrong_part

            raise wrong_part(type(self), error, data) from error

    # What is read from files and checkpoints is checked as a whole and does not come through here.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Persona(Defined):
    """Who is needed in a phase, and the performer that carries the work out.

    `performer` is `toolbox` (built-in tools, no AI), `command` (with `argv`, or `shell` for a shell line),
    `agent_cli`, `acp`, `llm`, `hive`, or the name of an entry point in the group `maestro_tui.performers`.
    """

    name: str
    description: str = ""
    performer: str = "toolbox"
    instructions: str = ""
    """What an agent or model is told beyond the phase's objective."""
    argv: tuple[str, ...] = ()
    shell: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """The performer's own settings (`agent`, `model`, `base_url`, …); each performer checks its own."""
    env: tuple[str, ...] = ()
    """Names of environment variables that the command may see beyond the standard few."""
    timeout_seconds: float | None = Field(default=None, gt=0)
    """For each try; time in which a person is asked does not count."""
    budget: Budget | None = None
    """Within one phase, for all its attempts together."""

    if TYPE_CHECKING:  # for checkers: lists are taken as well

        def __init__(
            self,
            *,
            name: str,
            description: str = "",
            performer: str = "toolbox",
            instructions: str = "",
            argv: Sequence[str] = (),
            shell: str | None = None,
            options: Mapping[str, Any] = ...,
            env: Sequence[str] = (),
            timeout_seconds: float | None = None,
            budget: Budget | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _command_by_its_words(cls, data: Any) -> Any:
        if isinstance(data, dict) and "performer" not in data and ("argv" in data or "shell" in data):
            return {**data, "performer": "command"}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _check_name(self.name, "persona")
        if self.performer == "command":
            if bool(self.argv) == (self.shell is not None):
                raise ValueError(
                    'a command needs either argv = ["program", …] or shell = "…", one of the two'
                )
            if any("\0" in word for word in (*self.argv, self.shell or "")):
                raise ValueError("a command must not contain NUL characters")
            if self.argv and not self.argv[0].strip():
                raise ValueError("the first word of argv is empty; it must name a program")
        elif self.shell is not None or (self.argv and self.performer in _WITHOUT_ARGV):
            raise ValueError(
                f'argv and shell belong to performer = "command", not to "{clean(self.performer)}"'
            )
        plain_json(self.options, "options")
        if self.options and self.performer in ("toolbox", "command"):
            raise ValueError(f'performer = "{self.performer}" has no options')
        return self

    @property
    def starts(self) -> str | None:
        """What carrying this persona out would start or call, and the variables that it is given, in one clean line.

        Whole, for it is what an operator approves; of one that is too long to be read it says so at its beginning.
        None for the toolbox where it is given no variable.
        """
        given = f"with {', '.join(self.env)} of your environment: " if self.env else ""
        if self.performer == "command":
            words = self.shell if self.shell is not None else json.dumps(list(self.argv))
        elif self.performer != "toolbox":
            named = [f"{key}={json.dumps(value)}" for key, value in sorted(self.options.items())]
            words = " ".join([self.performer, *([json.dumps(list(self.argv))] if self.argv else []), *named])
        elif given:
            words = self.performer
        else:
            return None
        if len(words) > STARTS_LIMIT:
            words = f"({len(words):,} characters, the file has all of them) {words}"
        return clean(f"{given}{words}", STARTS_LIMIT + 200)


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
        _check_name(self.name, "phase")
        if self.name == "init":
            raise ValueError('a phase cannot be called "init": that is the checkpoint before the first phase')
        double = _first_double(persona.name for persona in self.personas)
        if double is not None:
            raise ValueError(f"two personas are called {double!r}")
        double = _first_double(contract.name for contract in self.contracts)
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
        _check_name(self.name, "workflow")
        if not self.phases:
            raise ValueError("it has no phases; add at least one [[phases]] table with a name")
        if self.advisor is not None and self.advisor.performer != "llm":
            raise ValueError('the advisor must have performer = "llm"')
        double = _first_double(persona.name for persona in self.personas)
        if double is not None:
            raise ValueError(f"two personas are called {double!r}")
        double = _first_double(phase.name for phase in self.phases)
        if double is not None:
            raise ValueError(f"two phases are called {double!r}; names must be unique")
        lowered = _first_double(phase.name.lower() for phase in self.phases)
        if lowered is not None:
            raise ValueError(f"two phases differ only by upper and lower case ({lowered!r})")
        names = [phase.name for phase in self.phases]
        linked: list[Phase] = []
        for index, phase in enumerate(self.phases):
            if "needs" not in phase.model_fields_set:
                needs: tuple[str, ...] = (names[index - 1],) if index else ()
            else:
                needs = tuple(self._known(need, names, phase.name) for need in phase.needs)
            double = _first_double(needs)
            if double is not None:
                raise ValueError(f"phase {phase.name!r} names {double!r} twice in needs")
            linked.append(phase.model_copy(update={"needs": needs}))
        object.__setattr__(self, "phases", tuple(linked))
        cycle = _find_cycle({phase.name: phase.needs for phase in linked})
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
        names = self.names
        position = {name: index for index, name in enumerate(names)}
        waiting = {phase.name: len(phase.needs) for phase in self.phases}
        heap = [position[name] for name, count in waiting.items() if count == 0]
        heapq.heapify(heap)
        out: list[str] = []
        while heap:
            name = names[heapq.heappop(heap)]
            out.append(name)
            for phase in self.phases:
                if name in phase.needs:
                    waiting[phase.name] -= 1
                    if waiting[phase.name] == 0:
                        heapq.heappush(heap, position[phase.name])
        return tuple(out)

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
        out: set[str] = set()
        todo = list(self.phase(name).needs)
        while todo:
            need = todo.pop()
            if need not in out:
                out.add(need)
                todo.extend(self.phase(need).needs)
        return frozenset(out)

    def dependents_of(self, name: str) -> frozenset[str]:
        """Every phase that depends on `name`, near and far."""
        own = self.resolve(name)
        found = {own}
        # In this order whoever needs something comes after it.
        for other in self.order:
            if not found.isdisjoint(self.phase(other).needs):
                found.add(other)
        return frozenset(found - {own})

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


def _check_name(name: str, kind: str) -> None:
    problem = name_problem(name)
    if problem:
        raise ValueError(f"{clean(name, 80)!r} is no name for a {kind}: {problem}")


def _first_double(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _find_cycle(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    state: dict[str, int] = {}
    for start in needs:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                state[name] = 2
                path.pop()
                continue
            if state.get(name) == 2:
                continue
            if state.get(name) == 1:
                return [*path[path.index(name) :], name]
            state[name] = 1
            path.append(name)
            stack.append((name, False))
            stack.extend((need, True) for need in needs[name])
    return []


def did_you_mean(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {close[0]!r}?" if close else "."
