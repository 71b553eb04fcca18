"""What all facts of a session share: how moments are written, what is derived from a fact, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _utc_z(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[AwareDatetime, PlainSerializer(_utc_z, return_type=str)]
"""A moment; written as `2026-11-22T14:25:30.123Z`."""


class Deriving(BaseModel):
    """A frozen fact that keeps what its `cached_property`s derived; a copy derives it anew."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As in pydantic, without what was derived from the old values."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy


def digest(value: object) -> str:
    """SHA-256 (hex) over a value as JSON in one form."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()
