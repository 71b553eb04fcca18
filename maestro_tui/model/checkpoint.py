"""The form of a checkpoint file: an envelope with its own digest around the whole context of a session."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, ValidationError

from maestro_tui.model.context import TeamExecutionContext, UtcTime
from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow

FORMAT = "maestro-checkpoint/1"
SIZE_LIMIT = 512_000_000
"""Bytes; a larger file is refused."""

_ZEROS = b"0" * 64
_HEAD = re.compile(rb'\{\n  "sha256": "([0-9a-f]{64})"')


class Checkpoint(BaseModel):
    """One commit of a session. `sha256` is the digest of the file's bytes with these 64 characters zeroed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = ""
    format: str = FORMAT
    seq: int
    prev: str | None
    session_id: str
    phase: str
    attempt: int
    epoch: int
    created_at: UtcTime
    workflow: Workflow
    context: TeamExecutionContext


def encode(checkpoint: Checkpoint) -> tuple[bytes, str]:
    """The file's bytes and their digest. The workflow's definition stands once, in the envelope."""
    data = checkpoint.model_dump(mode="json")
    data["context"]["workflow"] = checkpoint.workflow.name
    data = {**data, "sha256": _ZEROS.decode()}
    raw = pydantic_core.to_json(data, indent=2) + b"\n"
    digest = hashlib.sha256(raw).hexdigest()
    start = raw.index(_ZEROS)
    return raw[:start] + digest.encode() + raw[start + 64 :], digest


def digest_problem(data: bytes) -> str | None:
    """Why these bytes are not what was written; None when their digest is right."""
    if not data:
        return "it is empty"
    head = _HEAD.match(data)
    if head is None:
        return "it does not begin as a checkpoint does"
    start, end = head.span(1)
    if hashlib.sha256(b"".join([data[:start], _ZEROS, data[end:]])).hexdigest().encode() != head[1]:
        return "its digest does not match its bytes (cut off or changed)"
    return None


def decode(data: bytes, source: str) -> Checkpoint:
    """The checkpoint in a file's bytes; `source` names it in errors. Raises `DamagedFile`, one line."""
    problem = digest_problem(data)
    if problem is not None:
        raise DamagedFile(f"{source}: {problem}")
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{source}: not readable as JSON ({type(error).__name__})") from error
    told = value.get("format") if isinstance(value, dict) else None
    if told != FORMAT:
        raise DamagedFile(
            f"{source}: its format is {clean(told, 60)!r}, and this version reads {FORMAT!r}; a newer maestro-tui may"
        )
    try:
        context = value["context"]
        context["workflow"] = value["workflow"]
        return Checkpoint.model_validate(value)
    except (ValidationError, KeyError, TypeError) as error:
        reason = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(str(part) for part in reason["loc"]) if reason else str(error)
        raise DamagedFile(f"{source}: its content is not a checkpoint's (at {clean(place, 120)})") from error
