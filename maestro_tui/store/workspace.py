"""Records what is in a workspace before and after an attempt, and says which files an attempt changed.

Every file is read once and hashed, and the same reading goes into the session's own repository
(`workspace.git`). Trees come to the disk when an attempt has changed something: until then the workspace itself
is what they say.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.model.text import clean
from maestro_tui.store.git_objects import TreeFile
from maestro_tui.store.workspace_files import (
    OPEN_FILE,
    OPEN_FOLDER,
    Budget,
    FileState,
    Reading,
    TooMuch,
    is_below,
    shown_path,
)
from maestro_tui.store.workspace_git import REPOSITORY, TreeStore, ref_problem

SYNC_EACH_LIMIT = 200
QUICK_NAMES = 200
QUICK_BYTES = 1_000_000
"""How many names are looked at, and how much is read, in a snapshot that may not take long."""

_REMEMBERED_WORKSPACES = 8


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
    unseen: frozenset[str] = frozenset()
    """Folders and files that could not be looked at."""


Change = Literal["new", "changed", "deleted", "same"]
CHANGES: tuple[Change, ...] = get_args(Change)


@dataclass(frozen=True, slots=True)
class FileChange:
    """What became of a file between two trees. Size and hash of a deleted one are those that it had."""

    path: str
    change: Change
    size: int
    sha256: str


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

    A limit: a file counts as unchanged while its size and times are. What a program writes through a shared mapping
    (LMDB, numpy.memmap) into a page that was changed before and is not written back yet touches neither; it is not
    seen until something does. A performer that works so should touch the file when it has done.
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
            return self._snapshot(name, Budget(QUICK_NAMES, QUICK_BYTES))
        except TooMuch:
            return None
        finally:
            self._memory.lock.release()

    def _snapshot(self, name: str, budget: Budget | None) -> Tree:
        problem = ref_problem(name)
        if problem:
            raise InputError(f"{clean(name, 80)!r} is no name for a snapshot: {problem}.")
        memory = self._memory
        if not memory.trees.is_complete():
            memory.forget()
        reading = Reading(memory.known, self._excluded, memory.trees.blob, budget, memory.files)
        self._read(reading)
        reading.carry_over()
        memory.known = reading.learnt
        if memory.files != reading.files:
            memory.tree = memory.trees.tree(
                TreeFile(path, state.blob, state.link, state.executable)
                for path, state in reading.files.items()
                if state.blob
            )
            memory.files = reading.files
        return Tree(name, reading.files, memory.tree, tuple(reading.problems), frozenset(reading.unseen))

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
            given_up = memory.trees.given_up
        lost = [tree.name for tree in trees if tree not in there]
        if lost and given_up is not None:
            return f"no tree of the workspace was kept ({', '.join(lost)}): {given_up}"
        return f"{REPOSITORY} was changed from outside; not kept: {', '.join(lost)}" if lost else None

    def changes(self, before: Tree, after: Tree) -> list[FileChange]:
        """What is different in `after`, by path. What is new or changed is on disk (fsync) on return.

        What could not be looked at any more is not called deleted.
        """
        found: list[FileChange] = []
        for path in sorted(before.files.keys() | after.files.keys()):
            old, new = before.files.get(path), after.files.get(path)
            if new is None and old is not None:
                if is_below(path, after.unseen):
                    continue
                found.append(FileChange(shown_path(path), "deleted", old.size, old.sha256))
            elif new is not None and (old is None or not old.same_as(new)):
                kind: Change = "new" if old is None else "changed"
                found.append(FileChange(shown_path(path), kind, new.size, new.sha256))
        paths = [path for path, new in after.files.items() if _differs(before.files.get(path), new)]
        gone = [path for path in before.files if path not in after.files]
        self._sync(paths, _folders_changed(before.files, after.files, (*paths, *gone)))
        return found

    def unchanged(
        self, before: Tree, after: Tree, belongs: Callable[[str, FileState], bool]
    ) -> list[FileChange]:
        """The files that `belongs` and that both trees hold alike, by path.

        They are on disk (fsync) on return: the very same bytes may have been written again.
        """
        paths = [
            path
            for path, state in sorted(after.files.items())
            if not _differs(before.files.get(path), state) and belongs(shown_path(path), state)
        ]
        self._sync(paths, sorted({_above(path) for path in paths}))
        states = [(path, after.files[path]) for path in paths]
        return [FileChange(shown_path(path), "same", state.size, state.sha256) for path, state in states]

    def _read(self, reading: Reading) -> None:
        try:
            top = os.open(self.path, OPEN_FOLDER & ~os.O_NOFOLLOW)
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
        targets = [(path, OPEN_FILE) for path in paths] + [(path, OPEN_FOLDER) for path in folders]
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
        memory = _memories.get(key)
        if memory is None:
            memory = _memories[key] = _Memory(TreeStore(session_dir / REPOSITORY))
        _memories.move_to_end(key)
        while len(_memories) > _REMEMBERED_WORKSPACES:
            _memories.popitem(last=False)
    return memory
