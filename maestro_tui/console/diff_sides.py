"""What can be compared: the commits of a session, or the versions of one of its files; read in a thread."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from maestro_tui.console import json_tree
from maestro_tui.console.json_file import read_json
from maestro_tui.console.lines import Line, line
from maestro_tui.console.preview import is_binary, open_inside
from maestro_tui.console.structural_diff import Change, json_changes, text_diff_lines, work_first
from maestro_tui.model.errors import StoreError
from maestro_tui.model.text import clean, format_bytes
from maestro_tui.store.checkpoints import CommitInfo
from maestro_tui.store.file_versions import FileVersion, file_versions, version_content

# These differ between any two commits and say nothing about the work.
ALWAYS_DIFFERENT = frozenset(["sha256", "prev", "seq", "created_at", "epoch"])
MOST_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class Content:
    """What one side holds: a JSON value with its text, a text alone, or bytes that are no text."""

    text: str | None = None
    value: Any = None
    structured: bool = False
    commit: bool = False
    facts: str = ""
    """Size and digest, for what is no text."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things that can be compared."""

    key: int
    """The number of the commit, or of the version."""
    name: str
    """Clean, as its short form."""
    short: str
    read: Callable[[], Content]
    """For a thread. Raises `StoreError`, `OSError`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs: by structure where both sides are JSON, and as lines of text."""

    changes: tuple[Change, ...] | None
    unified: tuple[Line, ...]
    problem: str | None = None


def commit_sides(history: Sequence[CommitInfo]) -> tuple[Side, ...]:
    """The commits that can be read, the oldest first."""
    sides = []
    for item in history:
        if item.problem is None:
            attempt = f" #{item.attempt}" if item.attempt else ""
            name = f"{item.seq} {clean(item.phase or '', 40)}{attempt} {clean(item.status or '', 16)}"
            short = f"commit {item.seq}"
            sides.append(Side(item.seq, name.strip(), short, partial(_read_commit, Path(item.path))))
    return tuple(sides)


def file_sides(
    session_dir: Path, workspace: str | None, path: str, attempts: Sequence[tuple[str, int]]
) -> tuple[Side, ...]:
    """The versions of a file that the session keeps, then what is in the workspace now. Raises `StoreError`."""
    sides = []
    for number, version in enumerate(file_versions(session_dir, path, attempts)):
        name = f"{clean(version.phase, 40)} #{version.attempt}"
        found = f"before {name}" if version.moment == "before" else name
        if not version.blob:
            found += " (not there)"
        sides.append(Side(number, found, found, partial(_read_version, session_dir, version, path)))
    if workspace is not None and not Path(path).is_absolute():
        sides.append(Side(len(sides), "now", "now", partial(_read_now, Path(workspace), path)))
    return tuple(sides)


def compare(old: Side, new: Side) -> Comparison:
    """What differs between two sides; a side that cannot be read is told. For a thread."""
    try:
        one, two = old.read(), new.read()
    except StoreError as error:
        return Comparison(None, (), clean(error, 300))
    except OSError as error:
        return Comparison(None, (), f"It cannot be read: {clean(error.strerror or error, 200)}.")
    if one.text is None or two.text is None:
        words = [("- ", one.facts or "text", "removed"), ("+ ", two.facts or "text", "added")]
        if one.facts == two.facts:
            return Comparison(None, ())
        lines = [line((sign, "facts"), (sign, style), text) for sign, text, style in words]
        return Comparison(None, (line("binary", ("No text on both sides.", "muted")), *lines))
    unified = tuple(text_diff_lines(one.text, two.text, old.short, new.short))
    changes = None
    if one.structured and two.structured:
        if one.commit and two.commit:
            before, after = _opened(one.value, two.value), _opened(two.value, one.value)
            changes = tuple(work_first(json_changes(before, after, ALWAYS_DIFFERENT)))
        else:
            changes = tuple(json_changes(one.value, two.value, ALWAYS_DIFFERENT))
    return Comparison(changes, unified)


def _opened(commit: Any, other: Any) -> Any:
    """A commit with an empty result for each phase that only the other has: what it left shows piece by piece."""
    try:
        own, foreign = commit["context"]["phase_results"], other["context"]["phase_results"]
        added = {name: _nothing_of(result) for name, result in foreign.items() if name not in own}
        return {**commit, "context": {**commit["context"], "phase_results": {**own, **added}}}
    except (LookupError, TypeError, AttributeError):
        return commit  # a commit of another form: its differences are told as they are


def _nothing_of(result: dict[str, Any]) -> dict[str, Any]:
    opened = {
        name: type(value)() for name, value in result.items() if name in ("outputs", "artifacts", "error")
    }
    return {**{name: value for name, value in result.items() if value in (None, "", [], {})}, **opened}


def _read_commit(path: Path) -> Content:
    value, problem = read_json(path)
    if problem is not None:
        raise StoreError(problem)
    return Content(json_tree.pretty(value, limit=2_000_000), value, structured=True, commit=True)


def _read_version(session_dir: Path, version: FileVersion, path: str) -> Content:
    return _content(version_content(session_dir, version, MOST_BYTES), path)


def _read_now(workspace: Path, path: str) -> Content:
    try:
        descriptor = open_inside(workspace, path)
    except FileNotFoundError:
        return Content("")
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise StoreError("It is no regular file now; it is not opened.")
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise StoreError(f"It has more than {format_bytes(MOST_BYTES)} now: too many to show.")
    return _content(data, path)


def _content(data: bytes, path: str) -> Content:
    if is_binary(data):
        return Content(facts=f"{format_bytes(len(data))}, sha256 {hashlib.sha256(data).hexdigest()[:16]}…")
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    if path.lower().endswith(".json"):
        try:
            return Content(text, json.loads(text), structured=True)
        except (ValueError, RecursionError):
            return Content(text)
    return Content(text)
