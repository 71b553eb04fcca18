"""Records what is in a workspace before and after an attempt, and says which files an attempt changed.

Every file is read once and hashed, and the same reading goes into the session's own repository
(`workspace.git`). Trees come to the disk when an attempt has changed something: until then the workspace itself
is what they say.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.model.text import clean
from maestro_tui.store.git_objects import TreeFile
from maestro_tui.store.workspace_git import REPOSITORY, TreeStore, ref_problem

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
SYNC_EACH_LIMIT = 200
QUICK_NAMES = 200
QUICK_BYTES = 1_000_000
"""How many names are looked at, and how much is read, in a snapshot that may not take long."""

_CHUNK = 1024 * 1024
_RACY_NS = 50_000_000
_REMEMBERED_WORKSPACES = 8

_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPEN_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


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


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of a workspace at one moment."""

    name: str
    files: Mapping[str, FileState] = field(repr=False)
    """Path relative to the workspace, as the operating system gave it → what was there."""
    id: str
    """Its id in git, in hex digits."""
    problems: tuple[str, ...] = ()
    """What could not be read, one line each."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A difference between two trees. Size and hash of a deleted file are those that it had."""

    path: str
    change: Literal["new", "changed", "deleted"]
    size: int
    sha256: str


class _TooMuch(Exception):
    """A snapshot would take longer than it may."""


@dataclass(slots=True)
class _Budget:
    """What a snapshot that may not take long has left."""

    names: int
    bytes: int

    def check(self) -> None:
        """Raise `_TooMuch` when nothing is left."""
        if self.names < 0 or self.bytes < 0:
            raise _TooMuch


@dataclass(slots=True)
class _Memory:
    """What earlier snapshots of a workspace learnt: file signature → state, so that it is read only once."""

    trees: TreeStore
    known: dict[str, tuple[tuple[int, ...], FileState]] = field(default_factory=dict)
    files: Mapping[str, FileState] | None = None
    tree: str = ""
    """The id of the tree of `files`."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Begin anew: what was said to be in the repository may not be there."""
        self.trees = TreeStore(self.trees.path)
        self.known, self.files = {}, None


_memories: OrderedDict[tuple[str, str], _Memory] = OrderedDict()
_memories_lock = threading.Lock()


class Workspace:
    """The folder that a session works in. Safe to use from several threads and for parallel phases.

    `.gitignore` hides nothing here: what a project keeps out of its repository (`dist/`) is often exactly
    what a phase has to deliver. Symbolic links are recorded as links and never followed.
    """

    def __init__(self, session_dir: Path, path: Path, exclude: Iterable[Path] = ()) -> None:
        self.path = path
        self._memory = _memory_of(session_dir, path)
        self._excluded = frozenset(
            identity for folder in (session_dir, *exclude) if (identity := _identity(folder)) is not None
        )

    def snapshot(self, name: str) -> Tree:
        """The workspace now; `keep` makes it last under `refs/maestro/<name>`.

        Raises `StoreError` when the workspace is no folder that can be read, `InputError` on a bad name.
        """
        with self._memory.lock:
            return self._snapshot(name, None)

    def quick_snapshot(self, name: str) -> Tree | None:
        """The same where it takes a few milliseconds, so that no thread is worth while; None where it takes longer.

        Raises as `snapshot`.
        """
        if not self._memory.lock.acquire(blocking=False):
            return None
        try:
            return self._snapshot(name, _Budget(QUICK_NAMES, QUICK_BYTES))
        except _TooMuch:
            return None
        finally:
            self._memory.lock.release()

    def _snapshot(self, name: str, budget: _Budget | None) -> Tree:
        problem = ref_problem(name)
        if problem:
            raise InputError(f"{clean(name, 80)!r} is no name for a snapshot: {problem}.")
        memory = self._memory
        if not memory.trees.is_complete():
            memory.forget()
        reading = _Reading(memory.known, self._excluded, memory.trees.blob, budget)
        self._read(reading)
        memory.known = reading.learnt
        if memory.files != reading.files:
            memory.tree = memory.trees.tree(
                TreeFile(path, state.blob, state.link, state.executable)
                for path, state in reading.files.items()
                if state.blob
            )
            memory.files = reading.files
        return Tree(name, reading.files, memory.tree, tuple(reading.problems))

    def keep(self, *trees: Tree) -> str | None:
        """Bring trees to the disk, each under its name in `workspace.git`; None, or in one line why not.

        The work goes on without them: they are for looking back, and the files' hashes are recorded all the same.
        """
        memory = self._memory
        with memory.lock:
            there = [tree for tree in trees if memory.trees.has(tree.id)]
            try:
                memory.trees.keep((tree.name, tree.id) for tree in there)
            except StoreError as error:
                return f"no tree of the workspace was kept: {error}"
        lost = [tree.name for tree in trees if tree not in there]
        return f"{REPOSITORY} was changed from outside; not kept: {', '.join(lost)}" if lost else None

    def changes(self, before: Tree, after: Tree) -> list[FileChange]:
        """What is different in `after`, by path. What is new or changed is on disk (fsync) on return."""
        found: list[FileChange] = []
        for path in sorted(before.files.keys() | after.files.keys()):
            old, new = before.files.get(path), after.files.get(path)
            if new is None and old is not None:
                found.append(FileChange(shown_path(path), "deleted", old.size, old.sha256))
            elif new is not None and (old is None or not old.same_as(new)):
                kind: Literal["new", "changed"] = "new" if old is None else "changed"
                found.append(FileChange(shown_path(path), kind, new.size, new.sha256))
        paths = [path for path, new in after.files.items() if _differs(before.files.get(path), new)]
        gone = [path for path in before.files if path not in after.files]
        self._sync(paths, _folders_changed(before.files, after.files, (*paths, *gone)))
        return found

    def _read(self, reading: _Reading) -> None:
        try:
            top = os.open(self.path, _OPEN_FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise StoreError(
                f"Cannot read the workspace {clean(str(self.path), 200)}: {error.strerror}. "
                "The last commit is safe."
            ) from error
        try:
            reading.folder(top, "", 0)
        finally:
            os.close(top)

    def _sync(self, paths: Sequence[str], folders: Iterable[str]) -> None:
        """Bring changed files, and the folders whose names changed, to the disk before a commit speaks of them."""
        if len(paths) > SYNC_EACH_LIMIT:
            os.sync()
            return
        targets = [(path, _OPEN_FILE) for path in paths] + [(path, _OPEN_FOLDER) for path in folders]
        for path, flags in targets:
            try:
                descriptor = os.open(self.path / path, flags)
            except OSError:
                continue  # gone again, a link, or unreadable: there is nothing of ours to bring to the disk
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise StoreError(
                    f"Cannot bring {clean(shown_path(path), 200)} in the workspace to the disk: {error.strerror}. "
                    "The last commit is safe."
                ) from error
            finally:
                os.close(descriptor)


class _Reading:
    """One walk through a workspace, by folder descriptors, so that no link can lead out of it."""

    def __init__(
        self,
        known: Mapping[str, tuple[tuple[int, ...], FileState]],
        excluded: frozenset[tuple[int, int]],
        keep: Callable[[bytes], bytes],
        budget: _Budget | None = None,
    ) -> None:
        self._budget = budget
        self.files: dict[str, FileState] = {}
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
        if depth and any(entry.name in ENVIRONMENT_MARKS for entry in entries):
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
                elif stat.S_ISDIR(facts.st_mode):
                    self._below(descriptor, entry.name, path, depth)
            except FileNotFoundError:
                continue  # it was there a moment ago: the work goes on while we read
            except OSError as error:
                self.problems.append(f"{clean(shown_path(path), 200)} cannot be read: {error.strerror}")

    def _below(self, descriptor: int, name: str, path: str, depth: int) -> None:
        if depth >= DEPTH_LIMIT:
            self.problems.append(f"{clean(shown_path(path), 200)} lies deeper than {DEPTH_LIMIT} folders")
            return
        below = os.open(name, _OPEN_FOLDER, dir_fd=descriptor)
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
            size, sha256, content = _content(os.open(name, _OPEN_FILE, dir_fd=descriptor))
        except PermissionError as error:
            self.problems.append(f"{clean(shown_path(path), 200)} cannot be read: {error.strerror}")
            self.files[path] = FileState(facts.st_size, "", False, executable, mark=facts.st_mtime_ns)
            return
        state = FileState(size, sha256, link=False, executable=executable, blob=self._keep(content))
        self.files[path] = state
        # A file touched within the clock's grain may change again without its times telling: read it anew then.
        if size == facts.st_size and begun - max(facts.st_mtime_ns, facts.st_ctime_ns) > _RACY_NS:
            self.learnt[path] = (signature, state)


def hash_regular(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a regular file. Raises `OSError`; links are not followed."""
    size, sha256, _ = _content(os.open(path, _OPEN_FILE))
    return size, sha256


def shown_path(path: str) -> str:
    """A path from the operating system as text that can always be written: odd bytes become `\\xff`."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def _content(descriptor: int) -> tuple[int, str, bytes]:
    """Size, SHA-256 and what git keeps of an open file, which is closed here."""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "it is no regular file any more")
        digest, size, parts = hashlib.sha256(), 0, []
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


def _signature(facts: os.stat_result) -> tuple[int, ...]:
    return (
        facts.st_dev, facts.st_ino, facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns,
    )  # fmt: skip


def _folders_changed(
    before: Mapping[str, FileState], after: Mapping[str, FileState], paths: Sequence[str]
) -> list[str]:
    """The folders in which a name came or went: those of the files, and above them where a folder is new or gone."""
    out: set[str] = set()
    if not paths:
        return []
    old, new = _folders_of(before), _folders_of(after)
    for path in paths:
        folder = _above(path)
        out.add(folder)
        while folder != "." and (folder not in old or folder not in new):
            folder = _above(folder)
            out.add(folder)
    return sorted(out)


def _folders_of(files: Iterable[str]) -> set[str]:
    out: set[str] = {"."}
    for path in files:
        folder = _above(path)
        while folder not in out:
            out.add(folder)
            folder = _above(folder)
    return out


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _differs(old: FileState | None, new: FileState) -> bool:
    return old is None or not old.same_as(new)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None  # what does not exist need not be left out
    return facts.st_dev, facts.st_ino


def _memory_of(session_dir: Path, path: Path) -> _Memory:
    key = (str(session_dir.absolute()), str(path.absolute()))
    with _memories_lock:
        memory = _memories.setdefault(key, _Memory(TreeStore(session_dir / REPOSITORY)))
        _memories.move_to_end(key)
        while len(_memories) > _REMEMBERED_WORKSPACES:
            _memories.popitem(last=False)
    return memory
