"""Reads a workflow from a TOML file, and says of a broken one in a sentence where it is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from maestro_tui.model.contract import Contract
from maestro_tui.model.defined import did_you_mean
from maestro_tui.model.errors import WorkflowError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.policy import Breaker, Budget
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow

FILE_LIMIT = 1_000_000


def load(path: str | Path) -> Workflow:
    """A workflow from a TOML file. Raises `WorkflowError` with file, place and reason."""
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
    return parse(text, shown)


def parse(text: str, source: str = "workflow") -> Workflow:
    """A workflow from TOML text; `source` names it in errors. Raises `WorkflowError`."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WorkflowError(f"{source} is not valid TOML: {clean(str(error), 200)}.") from error
    try:
        return Workflow.model_validate(data)
    except ValidationError as error:
        place, reason = _first_problem(error, data)
        line = _line_of(text, error, data)
        where = f"{source}:{line}" if line else source
        raise WorkflowError(f"{where}: {place}{reason}. Nothing was run.") from error


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


def wrong_part(kind: type[BaseModel], error: ValidationError, data: Mapping[str, Any]) -> WorkflowError:
    """The error about a part of a workflow that was made in Python."""
    place, reason = _first_problem(error, data, kind)
    name = data.get("name")
    which = f"{kind.__name__} {clean(name, 80)!r}" if isinstance(name, str) else f"A {kind.__name__}"
    return WorkflowError(f"{which}: {place}{reason}. Nothing was run.")


def _first_problem(
    error: ValidationError, data: Mapping[str, Any], kind: type[BaseModel] = Workflow
) -> tuple[str, str]:
    problem = error.errors(include_url=False)[0]
    place = _place(problem["loc"], data)
    # The location of a union ends in the kind that was tried, which is no key of the file.
    known_keys = {key for model in _MODELS.values() for key in _keys(model)} | {*Workflow.model_fields}
    names = [part for part in problem["loc"] if isinstance(part, str)]
    key = next((name for name in reversed(names) if name in known_keys), names[-1] if names else "")
    if problem["type"] == "extra_forbidden":
        key = names[-1]
    if problem["type"] == "value_error":
        return place, clean(str(problem["ctx"]["error"]), 400).rstrip(".")
    reason = _REASONS.get(problem["type"], clean(problem["msg"], 200).lower().rstrip("."))
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"], kind)
        return (
            place,
            f"{clean(key, 80)!r} {reason}{did_you_mean(key, known).rstrip('.')} (known: {', '.join(known)})",
        )
    return place, f"{clean(key, 80)!r} {reason}"


_MODELS: Mapping[str, type[BaseModel]] = {
    "budget": Budget,
    "breaker": Breaker,
    "contracts": Contract,
    "advisor": Persona,
    "personas": Persona,
    "phases": Phase,
}
"""Key of a table → what it holds; in a path the innermost one counts."""


def _keys(model: type[BaseModel]) -> list[str]:
    return ["schema" if key == "json_schema" else key for key in model.model_fields]


def _known_keys(loc: tuple[int | str, ...], kind: type[BaseModel]) -> list[str]:
    tables = [part for part in loc[:-1] if isinstance(part, str) and part in _MODELS]
    return _keys(_MODELS[tables[-1]] if tables else kind)


def _place(loc: tuple[int | str, ...], data: Mapping[str, Any]) -> str:
    parts: list[str] = []
    node: Any = data
    for index, part in enumerate(loc):
        node = node[part] if _has(node, part) else None
        if isinstance(part, int) and index and loc[index - 1] in ("phases", "personas", "contracts"):
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
