"""What is to be done: a workflow is a directed acyclic graph of phases; this file defines and checks it."""

from __future__ import annotations

import difflib
import hashlib
import heapq
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from maestro_tui.model.errors import WorkflowError
from maestro_tui.model.text import clean, name_problem

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
FILE_LIMIT = 1_000_000

_WITHOUT_ARGV = frozenset(["toolbox", "llm", "hive"])


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Budget(_Noun):
    """What may be spent at most; a limit that is left out does not limit."""

    seconds: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0, strict=True)
    """Input and output tokens together."""
    cost_usd: float | None = Field(default=None, gt=0)


class Persona(_Noun):
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
    budget: Budget | None = None

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
        if self.options and self.performer in ("toolbox", "command"):
            raise ValueError(f'performer = "{self.performer}" has no options')
        return self

    @property
    def starts(self) -> str | None:
        """What carrying this persona out would start or call, in one clean line; None for the toolbox."""
        if self.performer == "toolbox":
            return None
        if self.performer == "command":
            return clean(self.shell if self.shell is not None else json.dumps(list(self.argv)), 400)
        named = [f"{key}={json.dumps(value)}" for key, value in sorted(self.options.items())]
        words = [self.performer, *([json.dumps(list(self.argv))] if self.argv else []), *named]
        return clean(" ".join(words), 400)


class Phase(_Noun):
    """A node of the workflow: objective, what it needs, who works on it, what it must deliver, its gate."""

    name: str
    objective: str = ""
    needs: tuple[str, ...] = ()
    personas: tuple[Persona, ...] = ()
    mode: Literal["sequential", "parallel"] | None = None
    """How its personas work; None lets the team decide."""
    deliverables: tuple[str, ...] = ()
    """Glob patterns, relative to the workspace; each must match a file that the attempt left there."""
    threshold: float | dict[str, float] | None = None
    """A number judges the phase's quality; a table judges one metric each. Scores run from 0 to 1."""
    approval: StrictBool = False
    timeout_seconds: float | None = Field(default=None, gt=0)
    retries: int = Field(default=0, ge=0, le=100, strict=True)

    @field_validator("deliverables")
    @classmethod
    def _inside_the_workspace(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            path = PurePosixPath(pattern)
            if not pattern or path.is_absolute() or ".." in path.parts or "\0" in pattern:
                raise ValueError(
                    f"deliverable {clean(pattern)!r} must be a pattern relative to the workspace, without '..'"
                )
        return patterns

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
        return self

    def definition_hash(self) -> str:
        """SHA-256 (hex) over what this phase is; a change makes its committed result stale."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        data["needs"] = sorted(self.needs)
        return _digest(data)


class Workflow(_Noun):
    """A named, checked, acyclic graph of phases. Raises `WorkflowError` (by `load`, `parse`) on bad input."""

    name: str
    description: str = ""
    phases: tuple[Phase, ...]

    @model_validator(mode="after")
    def _graph(self) -> Self:
        _check_name(self.name, "workflow")
        if not self.phases:
            raise ValueError("it has no phases; add at least one [[phases]] table with a name")
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
        return self

    @staticmethod
    def _known(need: str, names: list[str], phase: str) -> str:
        resolved = need if need in names else ALIASES.get(need, need)
        if resolved not in names:
            raise ValueError(
                f"phase {phase!r} needs {clean(need)!r}, which is not a phase of this workflow"
                f"{_did_you_mean(need, names)}"
            )
        if resolved == phase:
            raise ValueError(f"phase {phase!r} needs itself")
        return resolved

    @property
    def names(self) -> tuple[str, ...]:
        """The phases' names in the order in which they are defined."""
        return tuple(phase.name for phase in self.phases)

    @property
    def order(self) -> tuple[str, ...]:
        """The phases' names, each after everything it needs; ties keep the order of definition."""
        position = {name: index for index, name in enumerate(self.names)}
        waiting = {phase.name: len(phase.needs) for phase in self.phases}
        heap = [position[name] for name, count in waiting.items() if count == 0]
        heapq.heapify(heap)
        out: list[str] = []
        while heap:
            name = self.names[heapq.heappop(heap)]
            out.append(name)
            for phase in self.phases:
                if name in phase.needs:
                    waiting[phase.name] -= 1
                    if waiting[phase.name] == 0:
                        heapq.heappush(heap, position[phase.name])
        return tuple(out)

    def resolve(self, name: str) -> str:
        """The phase's own name for a name or a known alias. Raises `WorkflowError` when there is none."""
        if name in self.names:
            return name
        alias = ALIASES.get(name.lower().replace("-", "_"), name.lower())
        if alias in self.names:
            return alias
        raise WorkflowError(
            f"Workflow {self.name!r} has no phase {clean(name, 80)!r}"
            f"{_did_you_mean(name, self.names)} Its phases are: {', '.join(self.names)}."
        )

    def phase(self, name: str) -> Phase:
        """The phase of that name or alias. Raises `WorkflowError`."""
        resolved = self.resolve(name)
        return next(phase for phase in self.phases if phase.name == resolved)

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
        return frozenset(other for other in self.names if own in self.needs_of(other))

    @property
    def commands(self) -> tuple[str, ...]:
        """What this workflow would start (commands, agents, models), one readable line each; empty when nothing."""
        return tuple(
            f"{phase.name}/{persona.name}: {persona.starts}"
            for phase in self.phases
            for persona in phase.personas
            if persona.starts is not None
        )

    def content_hash(self) -> str:
        """SHA-256 (hex) over the whole definition: what an operator trusts."""
        return _digest(
            {
                "name": self.name,
                "phases": [
                    {**phase.model_dump(mode="json", exclude_defaults=True), "needs": list(phase.needs)}
                    for phase in self.phases
                ],
            }
        )

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Read a workflow from a TOML file. Raises `WorkflowError` with file, place and reason."""
        file = Path(path)
        shown = clean(str(file), 300)
        try:
            if not file.is_file():
                raise WorkflowError(f"There is no workflow file {shown}; nothing was run.")
            with file.open("rb") as stream:
                raw = stream.read(FILE_LIMIT + 1)
        except OSError as error:
            raise WorkflowError(f"Cannot read the workflow file {shown}: {error.strerror}.") from error
        if len(raw) > FILE_LIMIT:
            raise WorkflowError(f"{shown} is larger than {FILE_LIMIT:,} bytes; that is no workflow file.")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise WorkflowError(f"{shown} is not UTF-8 text (byte {error.start}).") from error
        return cls.parse(text, shown)

    @classmethod
    def parse(cls, text: str, source: str = "workflow") -> Workflow:
        """A workflow from TOML text; `source` names it in errors. Raises `WorkflowError`."""
        try:
            data = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise WorkflowError(f"{source} is not valid TOML: {clean(str(error), 200)}.") from error
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            place, reason = _first_problem(error, data)
            line = _line_of(text, error, data)
            where = f"{source}:{line}" if line else source
            raise WorkflowError(f"{where}: {place}{reason}. Nothing was run.") from error


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


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {close[0]!r}?" if close else "."


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


_REASONS = {
    "extra_forbidden": "is not a known key",
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a number or a table of numbers",
}


def _first_problem(error: ValidationError, data: Mapping[str, Any]) -> tuple[str, str]:
    problem = error.errors(include_url=False)[0]
    place = _place(problem["loc"], data)
    # The location of a union ends in the kind that was tried, which is no key of the file.
    known_keys = {*Workflow.model_fields, *Phase.model_fields, *Persona.model_fields}
    names = [part for part in problem["loc"] if isinstance(part, str)]
    key = next((name for name in reversed(names) if name in known_keys), names[-1] if names else "")
    if problem["type"] == "extra_forbidden":
        key = names[-1]
    if problem["type"] == "value_error":
        return place, clean(str(problem["ctx"]["error"]), 400).rstrip(".")
    reason = _REASONS.get(problem["type"], clean(problem["msg"], 200).lower().rstrip("."))
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"])
        return (
            place,
            f"{clean(key, 80)!r} {reason}{_did_you_mean(key, known).rstrip('.')} (known: {', '.join(known)})",
        )
    return place, f"{clean(key, 80)!r} {reason}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = (
        Persona if "personas" in loc[:-1] else Phase if "phases" in loc[:-1] else Workflow
    )
    return list(model.model_fields)


def _place(loc: tuple[int | str, ...], data: Mapping[str, Any]) -> str:
    parts: list[str] = []
    node: Any = data
    for index, part in enumerate(loc):
        node = node[part] if _has(node, part) else None
        if isinstance(part, int) and index and loc[index - 1] in ("phases", "personas"):
            kind = str(loc[index - 1])[:-1]
            name = node.get("name") if isinstance(node, dict) else None
            parts.append(f"{kind} {part + 1}" + (f" ({clean(name, 80)!r})" if isinstance(name, str) else ""))
    return ", ".join(parts) + ": " if parts else ""


def _has(node: Any, part: int | str) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _line_of(text: str, error: ValidationError, data: Mapping[str, Any]) -> int | None:
    """The line of the table that holds the first problem: tables of one kind appear in the file in order."""
    loc = error.errors(include_url=False)[0]["loc"]
    if len(loc) < 2 or loc[0] != "phases" or not isinstance(loc[1], int):
        return None
    seen = -1
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().replace(" ", "").startswith("[[phases]]"):
            seen += 1
            if seen == loc[1]:
                key = str(loc[-1])
                for offset, later in enumerate(text.splitlines()[number:], number + 1):
                    if later.strip().replace(" ", "").startswith("[[phases]]"):
                        break
                    if later.strip().split("=", 1)[0].strip() == key:
                        return offset
                return number
    return None
