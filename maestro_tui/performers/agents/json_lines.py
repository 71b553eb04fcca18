"""Reads an agent's lines of JSON without trusting them: odd numbers become None, odd shapes become empty."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from maestro_tui.model.text import clean, encodable

LINE_LIMIT = 64_000_000
"""Bytes of one line; agents put whole files into a line."""
DEPTH_LIMIT = 100
_DIGITS = 18
_COUNT_LIMIT = 10**15
_SUMMARY_KEYS = ("file_path", "filePath", "path", "command", "cmd", "pattern", "query", "url", "description")


def record_of(line: str) -> dict[str, Any] | None:
    """The object in this line; None when it holds none. NaN, infinite and endless numbers become None."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(line, parse_constant=_no_number, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def table(record: Any, key: str) -> Mapping[str, Any]:
    """The object at `key`, or an empty one."""
    value = record.get(key) if isinstance(record, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def listed(record: Any, key: str) -> list[Mapping[str, Any]]:
    """The objects of the list at `key`."""
    value = record.get(key) if isinstance(record, Mapping) else None
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text(record: Any, key: str) -> str:
    """The text at `key`, or an empty one."""
    value = record.get(key) if isinstance(record, Mapping) else None
    return encodable(value) if isinstance(value, str) else ""


def count(record: Any, *keys: str) -> int | None:
    """The sum of these counts; None when none of them is there."""
    found = [record.get(key) for key in keys] if isinstance(record, Mapping) else []
    known = [
        one
        for one in found
        if isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= _COUNT_LIMIT
    ]
    return sum(known) if known else None


def money(record: Any, key: str) -> float | None:
    """The amount at `key`; None when it is not there or makes no sense."""
    value = record.get(key) if isinstance(record, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _COUNT_LIMIT:
        return None
    return float(value)


def summary_of(arguments: Any) -> str:
    """What a tool is used on, in one clean line: the first telling argument."""
    if isinstance(arguments, str):
        return clean(arguments.strip(), 200)
    if not isinstance(arguments, Mapping):
        return ""
    for key in _SUMMARY_KEYS:
        value = arguments.get(key)
        if isinstance(value, list):
            value = " ".join(str(word) for word in value[:20])
        if isinstance(value, str) and value.strip():
            return clean(value.strip(), 200)
    return ""


def json_value(value: Any, depth: int = 0) -> Any:
    """A JSON value whose text can always be encoded. Raises `ValueError` when it is nested too deeply."""
    if depth > DEPTH_LIMIT:
        raise ValueError(f"it is nested more than {DEPTH_LIMIT} levels deep")
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [json_value(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {encodable(key): json_value(part, depth + 1) for key, part in value.items()}
    return value


def _no_number(name: str) -> None:
    return None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _DIGITS else None
