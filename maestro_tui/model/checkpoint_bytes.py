"""The bytes of a checkpoint file: limits, digest, strict JSON; light to import, for those who read thousands."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from typing import Any

from maestro_tui.model.text import clean

FORMAT = "maestro-checkpoint/1"
SIZE_LIMIT = 512_000_000
"""Bytes; a larger checkpoint is neither written nor read."""
ZEROS = b"0" * 64
HEAD = re.compile(rb'\{\n  "sha256": "([0-9a-f]{64})"')
"""How every checkpoint begins."""
NO_BEGINNING = "it does not begin as a checkpoint does"

# One pattern for each letter: a pattern that begins with a fixed byte is searched ten times as fast.
_HUGE_EXPONENTS = (re.compile(rb"e\+?[0-9]{3,}[\s,\]}]"), re.compile(rb"E\+?[0-9]{3,}[\s,\]}]"))


def digest_of(data: bytes) -> str | None:
    """The digest that a checkpoint's bytes name for themselves; None when they do not begin as one does."""
    head = HEAD.match(data)
    return head[1].decode() if head is not None else None


def digest_problem(data: bytes) -> str | None:
    """Why these bytes are not what was written; None when their digest is right."""
    if not data:
        return "it is empty"
    head = HEAD.match(data)
    if head is None:
        return NO_BEGINNING
    digest = hashlib.sha256(data[: head.start(1)])
    digest.update(ZEROS)
    digest.update(memoryview(data)[head.end(1) :])
    if digest.hexdigest().encode() != head[1]:
        return "its digest does not match its bytes (cut off or changed)"
    return None


def parse(data: bytes) -> Any:
    """The JSON value in a file's bytes, where no two readers could understand different things.

    Raises `ValueError` with the reason for what is not strict JSON in UTF-8: a key twice, NaN and numbers
    beyond all bounds, lone surrogates, nesting without end.
    """
    try:
        value = _STRICT.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if any(exponent.search(data) for exponent in _HUGE_EXPONENTS) and _has_infinity(value):
        raise ValueError("it holds a number beyond all bounds")
    if b"\\ud" in data or b"\\uD" in data:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def parse_own(data: bytes) -> Any:
    """The JSON value in bytes that `encode` made a moment ago, where only a key twice is left to be looked for.

    Raises `ValueError`.
    """
    return _STRICT.decode(data.decode("utf-8"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {clean(twice, 60)!r} stands twice in one object")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def _has_infinity(value: Any) -> bool:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return True
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return False
