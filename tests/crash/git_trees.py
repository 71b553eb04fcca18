"""Breaks snapshots of the workspace off while git keeps them, and looks whether what was promised can be read."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.store import workspace as workspace_store
from maestro_tui.store.durable import make_dir
from maestro_tui.store.workspace import Workspace
from tests.crash.disk import TOP, CrashState, Disk, Enter, Leave, Op, Sync, Write, crash_states, replayed
from tests.crash.facts import Kept, promises_noted
from tests.crash.recording import Recording
from tests.crash.scene import put

EACH = 40
_SYNCED_BY_GIT = ("/objects/pack/", "/refs/")
"""What `git fast-import` syncs under core.fsync=all (seen with strace); `git init` syncs nothing."""
_OURS = ("fsync", "rename", "unlink", "rmdir", "mkdir", "link")


class RecordingWithGit(Recording):
    """Sees, before each call of our own, what git has done meanwhile. Names in folders git never makes safe."""

    def tell(self, fact: object) -> None:
        """Note a promise, after all that was done before it."""
        with self._lock:
            self._note_git()
            super().tell(fact)

    def _locked(
        self, watcher: Callable[..., Any], name: str, call: Callable[..., Any], *words: Any, **named: Any
    ) -> Any:
        with self._lock:
            if name in _OURS:
                self._note_git()
            return super()._locked(watcher, name, call, *words, **named)

    def _note_git(self) -> None:
        known = {path: number for path, (_, number) in replayed(self.base, self.ops).files().items()}
        contents = {path: data for path, (data, _) in replayed(self.base, self.ops).files().items()}
        there: set[str] = set()
        self._enter_new(self.top, TOP, "", known, contents, there)
        for path in sorted(known.keys() - there, key=len, reverse=True):
            parent, name = os.path.split(path.rstrip("/"))
            self.ops.append(Leave(known[f"{parent}/"] if parent else TOP, name))

    def _enter_new(
        self,
        folder: Path,
        number: int,
        prefix: str,
        known: dict[str, int],
        contents: dict[str, bytes],
        there: set[str],
    ) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                there.add(f"{path}/")
                node = known.get(f"{path}/")
                if node is None:
                    node = self._new_node(entry)
                    self.ops.append(Enter(number, entry.name, node, True))
                self._enter_new(Path(entry.path), node, f"{path}/", known, contents, there)
                continue
            there.add(path)
            data = Path(entry.path).read_bytes()
            if contents.get(path) != data:
                node = self._new_node(entry)
                if any(part in f"/{path}" for part in _SYNCED_BY_GIT):
                    # Synced under another name before it got this one.
                    self.ops += [Write(node, 0, data), Sync(node), Enter(number, entry.name, node)]
                else:
                    self.ops += [Enter(number, entry.name, node), Write(node, 0, data)]

    def _new_node(self, entry: os.DirEntry[str]) -> int:
        facts = entry.stat(follow_symlinks=False)
        number = self._known[facts.st_dev, facts.st_ino] = next(self._numbers)
        return number


@dataclass
class Snapshots:
    """Two snapshots as they were recorded."""

    base: Disk
    ops: tuple[Op, ...]


def record_snapshots(top: Path) -> Snapshots:
    """The first two snapshots of a session, the workspace changed in between."""
    session, files = top / "s1", top / "work"
    make_dir(session)
    files.mkdir()
    (files / "old.txt").write_text("old")
    workspace_store._memories.clear()
    recording = RecordingWithGit(top)
    with recording.running(), promises_noted(recording.tell):
        kept = Workspace(session, files)
        kept.snapshot("design/1/before")
        put(files / "made.txt", b"made")
        kept.snapshot("design/1/after")
    shutil.rmtree(top)
    return Snapshots(recording.base, tuple(recording.ops))


def states_of(recorded: Snapshots) -> Iterator[CrashState]:
    """The states that are examined."""
    yield from crash_states(recorded.base, recorded.ops, EACH)


def problems_after(state: CrashState, top: Path) -> list[str]:
    """Promised trees can be read, and the next snapshot is kept by git as well."""
    state.disk.write_to(top)
    workspace_store._memories.clear()
    try:
        return list(_problems(state, top))
    finally:
        shutil.rmtree(top)


def _problems(state: CrashState, top: Path) -> Iterator[str]:
    repository = top / "s1" / "workspace.git"
    for fact in state.facts:
        if isinstance(fact, Kept):
            ref = f"refs/maestro/{fact.name}"
            for words in (
                ["rev-parse", ref],
                ["ls-tree", "-r", fact.commit],
                ["cat-file", "-p", f"{ref}:old.txt"],
            ):
                done = _git(repository, *words)
                if done.returncode != 0:
                    yield f"{fact.name}: git {words[0]}: {done.stderr.strip()}"
                elif words[0] == "rev-parse" and done.stdout.strip() != fact.commit:
                    yield f"{fact.name}: it names another commit"
    tree = Workspace(top / "s1", top / "work").snapshot("design/2/before")
    if tree.commit is None or tree.problems:
        yield f"the next snapshot is not kept: {tree.problems}"
    elif _git(repository, "ls-tree", "-r", tree.commit).returncode != 0:
        yield "the next snapshot cannot be read"


def _git(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "--git-dir", str(repository), *words], capture_output=True, text=True, cwd="/", timeout=60
    )
