"""Finds a session's newest intact commit and reads it as plain JSON: quick, and without the models."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean
from maestro_tui.store.durable import read_regular

T = TypeVar("T")

SIZE_LIMIT = 512_000_000
FORMAT = "maestro-checkpoint/1"
HISTORY = "history"

_NUMBER = re.compile(r"(\d{4,9})\.json\Z")
_HEAD = re.compile(rb'\{\n  "sha256": "([0-9a-f]{64})"')
_ZEROS = b"0" * 64
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Head:
    """A commit whose digest is right. `data` is the whole file as JSON values, as they came."""

    seq: int
    sha256: str
    data: dict[str, Any]


def commit_numbers(session_dir: Path) -> list[int]:
    """The numbers of all commit files, rising. Raises `OSError` when the history cannot be listed."""
    try:
        with os.scandir(session_dir / HISTORY) as entries:
            return sorted(int(match[1]) for entry in entries if (match := _NUMBER.match(entry.name)))
    except FileNotFoundError:
        return []


def newest_intact(
    session_dir: Path, understand: Callable[[Head], T]
) -> tuple[T | None, tuple[str, ...], int]:
    """What `understand` makes of the newest intact commit; a line for each damaged thing; the highest number.

    A commit that `understand` raises `ValueError`, `TypeError` or `LookupError` for counts as damaged.
    """
    damage: list[str] = []
    try:
        numbers = commit_numbers(session_dir)
    except OSError as error:
        return None, (f"{HISTORY}: it cannot be listed: {error.strerror}",), 0
    if not numbers:
        return None, (f"{HISTORY}: it holds no commit",), 0
    missing = numbers[-1] + 1 - len(numbers)
    if missing:
        first = next(number for number, seq in enumerate([*numbers, -1]) if seq != number)
        damage.append(
            f"{HISTORY}/{first:04d}.json: it is missing{f' and {missing - 1} more' if missing > 1 else ''}"
        )
    found = None
    for seq in reversed(numbers):
        try:
            found = understand(read_head(session_dir, seq))
            break
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = f"its content is not a checkpoint's ({clean(error, 80)})"
            damage.append(f"{HISTORY}/{seq:04d}.json: {reason}")
        except DamagedFile as error:
            damage.append(str(error))
        except FileNotFoundError:
            damage.append(f"{HISTORY}/{seq:04d}.json: it vanished while it was read")
    if len(damage) > _MOST_TOLD:
        damage[_MOST_TOLD:] = [f"{HISTORY}: {len(damage) - _MOST_TOLD} more files are damaged"]
    return found, tuple(damage), numbers[-1]


def read_head(session_dir: Path, seq: int) -> Head:
    """One commit. Raises `DamagedFile` with name and reason in one line, `FileNotFoundError`."""
    name = f"{HISTORY}/{seq:04d}.json"
    raw = read_regular(session_dir / name, SIZE_LIMIT)
    if not raw:
        raise DamagedFile(f"{name}: it is empty")
    start = _HEAD.match(raw)
    if start is None:
        raise DamagedFile(f"{name}: it does not begin as a checkpoint does")
    digest = hashlib.sha256(raw[: start.start(1)])
    digest.update(_ZEROS)
    digest.update(memoryview(raw)[start.end(1) :])
    if digest.hexdigest().encode() != start[1]:
        raise DamagedFile(f"{name}: its digest does not match its bytes (cut off or changed)")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{name}: it is not readable as JSON ({type(error).__name__})") from error
    if data.get("format") != FORMAT:
        told = clean(data.get("format"), 60)
        raise DamagedFile(
            f"{name}: its format is {told!r}, and this version reads {FORMAT!r}; a newer one may"
        )
    if data.get("session_id") != session_dir.name or data.get("seq") != seq:
        raise DamagedFile(
            f"{name}: it is commit {clean(data.get('seq'), 20)} of {clean(data.get('session_id'), 130)}, misplaced"
        )
    if not isinstance(data.get("workflow"), dict) or not isinstance(data.get("context"), dict):
        raise DamagedFile(f"{name}: its content is not a checkpoint's")
    return Head(seq, start[1].decode(), data)


def seconds_of(text: object) -> float | None:
    """A moment as a checkpoint writes it, in seconds since the epoch; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
