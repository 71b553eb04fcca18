"""Pruning goes on beside another prune and past what cannot be deleted, and says where the rest lies."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.locks import FileLock
from maestro_tui.store.prune import Pruned, finish_pruning, prune_sessions
from tests.store.small_sessions import PHASES, context, outcome


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """Three sessions that are over."""
    store = CheckpointStore(tmp_path / "root")
    for name in ("s1", "s2", "s3"):
        store.create(context(name))
        with hold_session(store.session_dir(name)) as hold:
            for phase in PHASES:
                store.commit(name, phase, 1, outcome(phase), hold)
        journal = Journal(store.session_dir(name) / "journal.jsonl", name)
        journal.append("session_completed", data={"phases": 3})
        journal.close()
        (store.session_dir(name) / "logs" / "a.1.log").write_text("x")
    return store


def test_what_cannot_be_deleted_keeps_no_other_session_and_the_rest_is_told_until_it_is_gone(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.session_dir("s2") / "logs" / "stays.log").write_text("x")
    real = os.unlink

    def unlink(path: Any, **words: Any) -> None:
        if os.path.basename(path) == "stays.log":
            raise PermissionError(13, "Permission denied")
        real(path, **words)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        done = prune_sessions(store, ["s1", "s2", "s3"])
        [rest] = store.root.iterdir()
        assert done.removed == ("s1", "s2", "s3")
        [problem] = done.problems
        assert (
            problem.startswith("session s2 cannot be deleted whole: Permission denied")
            and str(rest) in problem
        )
        assert [path.name for path in rest.rglob("*") if path.is_file()] == ["stays.log"]
        assert len(prune_sessions(store, []).problems) == 1
    assert finish_pruning(store.root) == [] and list(store.root.iterdir()) == []


def test_two_prunes_at_once_take_each_session_once_and_none_fails(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, others = shutil.rmtree, []

    def rmtree(path: Path, **words: Any) -> None:
        monkeypatch.setattr(shutil, "rmtree", real)
        others.append(
            prune_sessions(store, ["s1", "s2"])
        )  # it deletes what the first is about to delete, too
        real(path, **words)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    assert prune_sessions(store, ["s1", "s2", "s3"]) == Pruned(("s1", "s3"))
    assert others == [Pruned(("s2",))] and list(store.root.iterdir()) == []


def test_a_session_that_another_prune_takes_this_moment_is_no_problem(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FileLock.take

    def take(self: FileLock, *, shared: bool = False) -> bool:
        if "s1" in self.path.parts and self.path.name == "session":
            shutil.rmtree(store.session_dir("s1"), ignore_errors=True)
        return real(self, shared=shared)

    monkeypatch.setattr(FileLock, "take", take)
    assert prune_sessions(store, ["s1", "s2"]) == Pruned(("s2",))


def test_a_session_in_a_lower_layer_of_an_overlay_is_left_whole_and_it_is_told_what_to_do(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name == "s1":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    done = prune_sessions(store, ["s1", "s2"])
    assert done.removed == ("s2",)
    [line] = done.problems
    assert line.startswith("Session s1 cannot be removed in one step: it lies in a lower layer of an overlay")
    assert line.endswith(f"It is left whole; to be rid of it, delete {store.session_dir('s1')}.")
    assert store.verify("s1") == []
