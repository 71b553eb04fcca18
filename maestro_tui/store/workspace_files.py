"""Reads a workspace: each file once, by folder descriptors, so that no link can lead out of it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.text import clean

IGNORED_FOLDERS = frozenset(
    """.maestro __pycache__ .venv venv node_modules .tox .nox .mypy_cache .pytest_cache .ruff_cache
    .hypothesis""".split()
)
IGNORED_ENDINGS = (".pyc",)
ENVIRONMENT_MARKS = frozenset(["pyvenv.cfg", "conda-meta"])
"""A folder that holds one of these is a virtual environment, whatever its name is (`env`, `.venv311`)."""
DEPTH_LIMIT = 100
BLOB_LIMIT = 32 * 1024 * 1024
"""Larger files are hashed, but in the git tree a note with their size and hash stands for them."""
LARGE_FILE = re.compile(rb"maestro large file\nsize ([0-9]{1,19})\nsha256 ([0-9a-f]{64})\n")
"""That note."""
_CHUNK = 1024 * 1024
_ODD = re.compile(rb"\\x([89a-f][0-9a-f])")
_RACY_NS = 50_000_000
_RACY_SECONDS_NS = 2_100_000_000
"""The same on file systems that know times in whole seconds only (FAT: every other one)."""

OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
OPEN_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class FileState:
    """A file or symbolic link as it was found. `sha256` is empty when it could not be read."""

    size: int
    sha256: str
    link: bool
    executable: bool
    blob: bytes = b""
    """Its id in git; empty when it could not be read."""
    mark: int = 0
    """Time of change in nanoseconds, kept only where the content is unknown."""

    def same_as(self, other: FileState) -> bool:
        """True when the content is the same; permissions do not count."""
        mine = (self.size, self.sha256, self.link, self.mark)
        return mine == (other.size, other.sha256, other.link, other.mark)


class TooMuch(Exception):
    """A snapshot would take longer than it may."""


@dataclass(slots=True)
class Budget:
    """What a snapshot that may not take long has left."""

    names: int
    bytes: int

    def check(self) -> None:
        """Raise `TooMuch` when nothing is left."""
        if self.names < 0 or self.bytes < 0:
            raise TooMuch


class Reading:
    """One walk through a workspace. `keep` takes a content and says its id in git; `budget` limits the walk."""

    def __init__(
        self,
        known: Mapping[str, tuple[tuple[int, ...], FileState]],
        excluded: frozenset[tuple[int, int]],
        keep: Callable[[bytes], bytes],
        budget: Budget | None = None,
        earlier: Mapping[str, FileState] | None = None,
    ) -> None:
        self._budget = budget
        self._earlier = earlier or {}
        self._folders: frozenset[str] | None = None
        self.files: dict[str, FileState] = {}
        self.unseen: set[str] = set()
        """Folders and files that are there and could not be looked at: nothing is known of what is below them."""
        self.learnt: dict[str, tuple[tuple[int, ...], FileState]] = {}
        self.problems: list[str] = []
        self._known = known
        self._excluded = excluded
        self._keep = keep

    def folder(self, descriptor: int, prefix: str, depth: int) -> None:
        """Read one folder and those below it."""
        with os.scandir(descriptor) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        if self._budget is not None:
            self._budget.names -= 1 + len(entries)
            self._budget.check()
        environment = depth > 0 and any(entry.name in ENVIRONMENT_MARKS for entry in entries)
        # What was looked at before stays in sight when somebody makes an environment of its folder.
        if environment and not self._was_seen(prefix[:-1]):
            return
        for entry in entries:
            path = prefix + entry.name
            if entry.name.lower() == ".git":
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):
                    if not entry.name.endswith(IGNORED_ENDINGS):
                        self._file(descriptor, entry.name, path, facts)
                elif entry.name in IGNORED_FOLDERS or (facts.st_dev, facts.st_ino) in self._excluded:
                    continue
                elif stat.S_ISLNK(facts.st_mode):
                    self._link(descriptor, entry.name, path)
                elif stat.S_ISDIR(facts.st_mode) and (not environment or self._was_seen(path)):
                    self._below(descriptor, entry.name, path, depth)
            except FileNotFoundError:
                continue  # it was there a moment ago: the work goes on while we read
            except OSError as error:
                self.problems.append(f"{clean(shown_path(path), 200)} cannot be read: {error.strerror}")
                self.unseen.add(path)

    def carry_over(self) -> None:
        """Take what an earlier reading knew of what could not be looked at now: it is not deleted."""
        if self.unseen:
            self.files |= {
                path: state for path, state in self._earlier.items() if is_below(path, self.unseen)
            }

    def _was_seen(self, folder: str) -> bool:
        if self._folders is None:
            self._folders = frozenset(above for path in self._earlier for above in _all_above(path))
        return folder in self._folders

    def _below(self, descriptor: int, name: str, path: str, depth: int) -> None:
        if depth >= DEPTH_LIMIT:
            self.problems.append(f"{clean(shown_path(path), 200)} lies deeper than {DEPTH_LIMIT} folders")
            self.unseen.add(path)
            return
        below = os.open(name, OPEN_FOLDER, dir_fd=descriptor)
        try:
            self.folder(below, path + "/", depth + 1)
        finally:
            os.close(below)

    def _link(self, descriptor: int, name: str, path: str) -> None:
        target = os.fsencode(os.readlink(name, dir_fd=descriptor))
        self.files[path] = FileState(
            len(target),
            hashlib.sha256(target).hexdigest(),
            link=True,
            executable=False,
            blob=self._keep(target),
        )

    def _file(self, descriptor: int, name: str, path: str, facts: os.stat_result) -> None:
        signature = _signature(facts)
        known = self._known.get(path)
        if known is not None and known[0] == signature:
            self.files[path], self.learnt[path] = known[1], known
            return
        if self._budget is not None:
            self._budget.bytes -= facts.st_size
            self._budget.check()
        begun = time.time_ns()
        executable = bool(facts.st_mode & stat.S_IXUSR)
        try:
            size, sha256, content = _content(os.open(name, OPEN_FILE, dir_fd=descriptor))
        except PermissionError as error:
            self.problems.append(f"{clean(shown_path(path), 200)} cannot be read: {error.strerror}")
            self.files[path] = FileState(facts.st_size, "", False, executable, mark=facts.st_mtime_ns)
            return
        state = FileState(size, sha256, link=False, executable=executable, blob=self._keep(content))
        self.files[path] = state
        # A file touched within the clock's grain may change again without its times telling: read it anew then.
        touched = _touched(facts)
        racy = _RACY_NS if touched % 1_000_000_000 else _RACY_SECONDS_NS
        if size == facts.st_size and begun - touched > racy:
            self.learnt[path] = (signature, state)


def is_below(path: str, folders: Container[str]) -> bool:
    """True when a path is one of these folders (or files), or lies below one."""
    return path in folders or any(above in folders for above in _all_above(path))


def _all_above(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first; without the workspace itself."""
    while path := path.rpartition("/")[0]:
        yield path


def hash_regular(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a regular file. Raises `OSError`; links are not followed."""
    size, sha256, _ = _content(os.open(path, OPEN_FILE))
    return size, sha256


def shown_path(path: str) -> str:
    """A path from the operating system as text that can always be written: odd bytes become `\\xff`."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def found_path(folder: Path, shown: str) -> Path:
    """The file in `folder` that is shown so: of that very name, or else with the odd bytes that it stands for."""
    path = folder / shown
    if "\\x" not in shown or os.path.lexists(path):
        return path
    raw = _ODD.sub(lambda found: bytes([int(found[1], 16)]), shown.encode("utf-8", "replace"))
    odd = folder / os.fsdecode(raw)
    return odd if os.path.lexists(odd) else path


def _content(descriptor: int) -> tuple[int, str, bytes]:
    """Size, SHA-256 and what git keeps of an open file, which is closed here."""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "it is no regular file any more")
        digest, size, parts = hashlib.sha256(), 0, []
        if facts.st_size > BLOB_LIMIT and facts.st_blocks * 512 < facts.st_size:
            size = _hash_sparse(stream.fileno(), facts.st_size, digest.update)
            stream.seek(size)
        while chunk := stream.read(min(_CHUNK, facts.st_size + 1) if size == 0 else _CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size <= BLOB_LIMIT:
                parts.append(chunk)
            else:
                parts.clear()
    sha256 = digest.hexdigest()
    if size > BLOB_LIMIT:
        return size, sha256, f"maestro large file\nsize {size}\nsha256 {sha256}\n".encode()
    return size, sha256, parts[0] if len(parts) == 1 else b"".join(parts)


def _hash_sparse(descriptor: int, size: int, update: Callable[[bytes], None]) -> int:
    """Hash `size` bytes of a file with holes, which are not read: they would fill the memory with zeros.

    Where it ended: before `size` when the file has become shorter.
    """
    zeros, place = bytes(_CHUNK), 0
    while place < size:
        try:
            begins = min(os.lseek(descriptor, place, os.SEEK_DATA), size)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            begins = min(size, os.fstat(descriptor).st_size)  # no more data up to the end
        while place < begins:
            update(zeros[: begins - place])
            place += min(_CHUNK, begins - place)
        if place == size or not (part := os.pread(descriptor, min(_CHUNK, size - place), place)):
            break
        update(part)
        place += len(part)
    return place


def _touched(facts: os.stat_result) -> int:
    return max(facts.st_mtime_ns, facts.st_ctime_ns)


def _signature(facts: os.stat_result) -> tuple[int, ...]:
    return (
        facts.st_dev, facts.st_ino, facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns,
    )  # fmt: skip
