"""Finds a session's newest intact commit and reads it as plain JSON: quick, and without the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from maestro_tui.model.checkpoint_bytes import FORMAT, digest_of, digest_problem, parse
from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoint_shape import check_shape
from maestro_tui.store.history_files import (
    HISTORY,
    commit_numbers,
    commit_path,
    misnamed,
    place_of,
    read_commit,
)

T = TypeVar("T")

_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Head:
    """A commit whose digest is right. `data` is the whole file as JSON values, as they came."""

    seq: int
    sha256: str
    data: dict[str, Any]


def newest_intact(
    session_dir: Path, understand: Callable[[Head], T]
) -> tuple[T | None, tuple[str, ...], int]:
    """What `understand` makes of the newest intact commit; a line for each damaged thing; the highest number.

    A commit that `understand` raises `ValueError`, `TypeError` or `LookupError` for counts as damaged.
    """
    damage: list[str] = []
    try:
        numbers = commit_numbers(session_dir)
    except StoreError as error:
        return None, (str(error),), 0
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
    other = misnamed(session_dir) if found is None else None
    if other is not None:
        return None, (f"{HISTORY}: {other}",), numbers[-1]
    if len(damage) > _MOST_TOLD:
        damage[_MOST_TOLD:] = [f"{HISTORY}: {len(damage) - _MOST_TOLD} more files are damaged"]
    return found, tuple(damage), numbers[-1]


def read_head(session_dir: Path, seq: int) -> Head:
    """One commit. Raises `DamagedFile` with name and reason in one line, `FileNotFoundError`, and `ValueError`
    with the reason when its content is not a checkpoint's."""
    name = place_of(seq)
    raw = read_commit(commit_path(session_dir, seq))
    problem = digest_problem(raw)
    if problem is not None:
        raise DamagedFile(f"{name}: {problem}")
    try:
        data = parse(raw)
    except ValueError as error:
        raise DamagedFile(f"{name}: it is not readable as JSON ({clean(error, 120)})") from error
    told = data.get("format")
    if told != FORMAT:
        raise DamagedFile(
            f"{name}: its format is {clean(told, 60)!r}, and this version reads {FORMAT!r}; a newer one may"
        )
    if data.get("session_id") != session_dir.name or data.get("seq") != seq:
        raise DamagedFile(
            f"{name}: it is commit {clean(data.get('seq'), 20)} of {clean(data.get('session_id'), 130)}, misplaced"
        )
    check_shape(data)
    return Head(seq, digest_of(raw) or "", data)


def seconds_of(text: object) -> float | None:
    """A moment as a checkpoint writes it, in seconds since the epoch; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
