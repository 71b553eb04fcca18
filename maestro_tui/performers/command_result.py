"""Reads the JSON that a command leaves at `$MAESTRO_RESULT`, and says in a sentence what is wrong with it."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.port import PerformerResult

RESULT_LIMIT = 16_000_000
"""Bytes; larger things belong into files, which become artifacts."""
DEPTH_LIMIT = 100
_KEYS = ("outputs", "decisions", "metrics", "summary")
_DECISION_KEYS = ("about", "choice", "rationale", "alternatives", "score", "decided_by")


class BadResult(Exception):
    """The result cannot be taken; `str()` is the reason as the end of a sentence."""


def read_result(path: Path, persona: str) -> PerformerResult:
    """The command's result; an empty one when it left no file. Raises `BadResult`.

    `persona` stands in as `decided_by` where a decision does not name who made it.
    """
    raw = _read(path)
    if raw is None:
        return PerformerResult()
    data = _parse(raw)
    if not isinstance(data, dict):
        raise BadResult(f"it holds {_kind(data)}, where an object was expected")
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise BadResult(f"it has the unknown key {clean(unknown[0], 80)!r}; the keys are {', '.join(_KEYS)}")
    summary = data.get("summary")
    if summary is not None and not isinstance(summary, str):
        raise BadResult(f"'summary' is {_kind(summary)}, where text was expected")
    outputs = data.get("outputs")
    if outputs is not None and not isinstance(outputs, dict):
        raise BadResult(f"'outputs' is {_kind(outputs)}, where an object was expected")
    return PerformerResult(
        outputs=outputs or {},
        decisions=_decisions(data.get("decisions"), persona),
        metrics=_metrics(data.get("metrics")),
        summary=summary or "",
    )


def _read(path: Path) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadResult(f"it cannot be read ({error.strerror}); it must be a regular file") from error
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise BadResult("it is not a regular file")
        if found.st_size > RESULT_LIMIT:
            raise BadResult(
                f"it has {found.st_size:,} bytes, more than {RESULT_LIMIT:,}; leave large things as files"
            )
        return file.read(RESULT_LIMIT + 1)


def _parse(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadResult(f"it is not UTF-8 text (byte {error.start})") from error
    if not text.strip():
        raise BadResult("it is empty; write a JSON object or no file at all")
    try:
        return _checked(json.loads(text, parse_constant=_refuse_constant), 0)
    except RecursionError as error:
        raise BadResult("it is nested too deeply") from error
    except ValueError as error:
        raise BadResult(f"it is not valid JSON ({clean(error, 160)})") from error


def _refuse_constant(name: str) -> Any:
    raise BadResult(f"it holds {name}, which is no JSON number")


def _checked(value: Any, depth: int) -> Any:
    """The value with text made encodable. `1e999` becomes infinite without being called a constant."""
    if depth > DEPTH_LIMIT:
        raise BadResult(f"it is nested more than {DEPTH_LIMIT} levels deep")
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadResult("it holds a number that is too large")
    if isinstance(value, list):
        return [_checked(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {encodable(key): _checked(part, depth + 1) for key, part in value.items()}
    return value


def _metrics(data: Any) -> dict[str, float | None]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BadResult(f"'metrics' is {_kind(data)}, where an object of numbers was expected")
    out: dict[str, float | None] = {}
    for name, value in data.items():
        shown = clean(name, 80)
        if value is None:
            out[name] = None
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadResult(f"metric {shown!r} is {_kind(value)}, where a number or null was expected")
        try:
            number = float(value)
        except OverflowError as error:
            raise BadResult(f"metric {shown!r} is too large a number") from error
        out[name] = number
    return out


def _decisions(data: Any, persona: str) -> tuple[Decision, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise BadResult(f"'decisions' is {_kind(data)}, where a list was expected")
    return tuple(_decision(entry, number, persona) for number, entry in enumerate(data, 1))


def _decision(entry: Any, number: int, persona: str) -> Decision:
    if isinstance(entry, str):
        return Decision(about="decision", choice=entry, decided_by=persona)
    if not isinstance(entry, dict):
        raise BadResult(f"decision {number} is {_kind(entry)}, where text or an object was expected")
    unknown = [key for key in entry if key not in _DECISION_KEYS]
    if unknown:
        raise BadResult(
            f"decision {number} has the unknown key {clean(unknown[0], 80)!r}; "
            f"the keys are {', '.join(_DECISION_KEYS)}"
        )
    given = {key: value for key, value in entry.items() if value is not None}
    try:
        return Decision.model_validate({"decided_by": persona, **given}, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = clean(first["loc"][0] if first["loc"] else "", 80)
        raise BadResult(
            f"decision {number}: {key!r} is wrong ({clean(first['msg'], 120).lower()})"
        ) from error


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"
