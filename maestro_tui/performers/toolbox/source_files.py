"""Walks the workspace for the project's own files: no links followed, nothing endless, our own output left out."""

from __future__ import annotations

import io
import os
import stat
import threading
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.performers.toolbox.catalogue import OUT_FOLDER

FILE_COUNT_LIMIT = 50_000
SOURCE_LIMIT = 2_000_000
"""Bytes; a larger source file is counted, but not read."""

NEVER = frozenset(
    """
    .git .hg .svn .maestro __pycache__ .venv node_modules .tox .nox .eggs .idea .vscode
    .mypy_cache .pytest_cache .ruff_cache .hypothesis
    """.split()
) | {OUT_FOLDER}
"""Folders that are no part of the project, wherever they lie."""

_GENERATED = frozenset(["build", "dist", "htmlcov", "_build"])
"""Folders at the top that hold what was built, unless they are packages."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A regular file of the project."""

    path: str
    """Relative to the workspace, with `/`."""
    size: int


@dataclass(frozen=True, slots=True)
class FileList:
    """The project's files in order of their paths, and what could not be looked at."""

    files: tuple[ProjectFile, ...]
    problems: tuple[str, ...] = ()

    def ending(self, *suffixes: str) -> list[ProjectFile]:
        """The files whose names end so."""
        return [file for file in self.files if file.path.endswith(suffixes)]


def checkpoint_root(scratch: Path, session_id: str) -> Path | None:
    """The checkpoint directory that a scratch folder lies in, so that it is left out when in the workspace."""
    return next((path.parent for path in scratch.parents if path.name == session_id), None)


def is_virtual_environment(folder: Path) -> bool:
    """True for a folder that Python itself would take for a virtual environment."""
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()


def left_out(entry: os.DirEntry[str], top: bool, outside: Path | None, *, generated: bool) -> bool:
    """True for a folder that is no part of the project."""
    if entry.name in NEVER:
        return True
    path = Path(entry.path)
    if outside is not None and path == outside:
        return True
    if generated and (entry.name.endswith(".egg-info") or (top and entry.name in _GENERATED)):
        return not (path / "__init__.py").is_file()
    return is_virtual_environment(path)


def list_files(
    workspace: Path,
    outside: Path | None = None,
    stop: threading.Event | None = None,
    *,
    generated: bool = True,
) -> FileList:
    """Every regular file of the project. `generated` leaves out what builds make (`build`, `dist`, egg-info).

    `outside` is a folder to leave out. Links are not followed, so a loop of links ends nowhere.
    """
    files: list[ProjectFile] = []
    problems: list[str] = []
    todo = [workspace]
    while todo and not (stop is not None and stop.is_set()):
        folder = todo.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            problems.append(f"{_inside(folder, workspace)} cannot be read ({error.strerror})")
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not left_out(entry, folder == workspace, outside, generated=generated):
                        todo.append(Path(entry.path))
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError as error:
                problems.append(f"{_inside(Path(entry.path), workspace)} cannot be read ({error.strerror})")
                continue
            if stat.S_ISREG(found.st_mode):
                files.append(ProjectFile(_inside(Path(entry.path), workspace), found.st_size))
        if len(files) >= FILE_COUNT_LIMIT:
            problems.append(f"only the first {FILE_COUNT_LIMIT:,} files were looked at")
            break
    return FileList(tuple(sorted(files, key=lambda file: file.path)), tuple(problems))


def _inside(path: Path, workspace: Path) -> str:
    return path.relative_to(workspace).as_posix()


def read_bytes(path: Path, limit: int = SOURCE_LIMIT) -> bytes | None:
    """The bytes of a regular file; None when it is larger, no regular file, or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        try:
            data = file.read(limit + 1)
        except OSError:
            return None
        return data if len(data) <= limit else None


def read_text(path: Path, limit: int = SOURCE_LIMIT) -> str | None:
    """The text of a file, with what is not UTF-8 replaced; None when it cannot be read."""
    data = read_bytes(path, limit)
    return None if data is None else data.decode("utf-8-sig", "replace")


def python_source(path: Path) -> tuple[str | None, str]:
    """A Python file's text by its own encoding line, or None and the reason why it cannot be read."""
    data = read_bytes(path)
    if data is None:
        return None, f"is larger than {SOURCE_LIMIT:,} bytes or cannot be read"
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding), ""
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None, "is not in the encoding that it declares (UTF-8 unless it says otherwise)"


def lines_of(
    workspace: Path, files: list[ProjectFile], stop: threading.Event
) -> Iterator[tuple[str, list[str]]]:
    """Path and lines of each text file that can be read; files with NUL bytes are no text."""
    for file in files:
        if stop.is_set():
            return
        data = read_bytes(workspace / file.path)
        if data is not None and b"\0" not in data[:8192]:
            yield file.path, data.decode("utf-8", "replace").splitlines()
