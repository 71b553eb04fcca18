"""What a phase promises its neighbours: files, their schema, who provides and who needs them."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from maestro_tui.model.text import clean


def inside_the_workspace(pattern: str) -> str:
    """The pattern itself. Raises `ValueError` when it could lead out of the workspace."""
    path = PurePosixPath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts or "\0" in pattern:
        raise ValueError(
            f"deliverable {clean(pattern)!r} must be a pattern relative to the workspace, without '..'"
        )
    return pattern


def plain_json(value: Any, what: str) -> Any:
    """The value itself. Raises `ValueError` when JSON cannot hold it (TOML has dates, nan and inf)."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{what} holds what JSON has no word for ({clean(error, 120)})") from error
    return value


class Contract(BaseModel):
    """One promise at the end of a phase, checked against the files that are really there."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    deliverables: tuple[str, ...] = Field(min_length=1)
    """Glob patterns, relative to the workspace; each must match a non-empty file."""
    json_schema: dict[str, Any] | str | None = Field(
        default=None, validation_alias=AliasChoices("schema", "json_schema")
    )
    """A JSON schema, or the path of one in the workspace, that every matching file must satisfy."""
    provider: str | None = None
    """The persona of this phase that owes it."""
    consumers: tuple[str, ...] = ()
    """Personas or phases that rely on it; they are told of it."""
    criteria: tuple[str, ...] = ()
    """Acceptance criteria in words; reviewers judge them, which is an opinion and no measurement."""

    @field_validator("deliverables")
    @classmethod
    def _relative(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(inside_the_workspace(pattern) for pattern in patterns)

    @field_validator("json_schema")
    @classmethod
    def _schema_path(cls, value: dict[str, Any] | str | None) -> dict[str, Any] | str | None:
        return inside_the_workspace(value) if isinstance(value, str) else plain_json(value, "schema")
