"""What a review of the store found by scripts, held for ever: each was a promise that broke."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from maestro_tui import TeamExecutionEngineV2SplitMode
from maestro_tui.engine import doctor
from maestro_tui.model.errors import FencedError, StoreError
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import read_detail
from maestro_tui.store.history_files import is_begun
from maestro_tui.store.holder_life import holder_lines
from maestro_tui.store.lease import Hold, hold_phase, hold_session
from maestro_tui.store.prune import prune_sessions
from tests.sessions import Project, line
from tests.store.small_sessions import commit, context, session


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "root")


def spoil(path: Path, at: int = 300) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"#")


def copied(folder: Path) -> Path:
    """The session as `cp -r` leaves it: its views are files of their own."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    shutil.rmtree(folder)
    aside.rename(folder)
    return folder


# ── Every act mends first ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("act", ["skip", "edit"])
def test_an_act_on_a_damaged_session_loses_no_commit_that_a_view_still_has(
    store: CheckpointStore, act: str
) -> None:
    folder = copied(session(store, "requirements", "design"))
    spoil(folder / "history" / "0002.json")
    engine = TeamExecutionEngineV2SplitMode(store.root, workspace=store.root)
    if act == "skip":
        engine.skip("s1", "testing", reason="not needed")
    else:
        engine.edit("s1", {"requirements": {"said": "more"}}, reason="more is known")
    assert store.head("s1").context.phase_results["design"].status == "completed"
    assert store.head("s1").seq == 3


def test_one_phase_alone_does_not_run_again_what_a_view_still_has(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a", "b"))
    project.json("run", "x", "--session-id", "s1", "--trust", "--phases", "a", code=0)
    folder = copied(project.root / "s1")
    (folder / "history" / "0001.json").unlink()
    project.json("phase", "s1", "b", "--trust", code=0)
    assert (project.runs("a"), project.runs("b")) == (1, 1)


def test_a_restored_older_history_that_went_on_is_not_mixed_with_what_was_lost(
    store: CheckpointStore, tmp_path: Path
) -> None:
    folder = copied(session(store, "requirements"))
    for name in ("history", "runner.json"):
        target = tmp_path / f"old-{name}"
        shutil.copytree(folder / name, target) if (folder / name).is_dir() else shutil.copy(
            folder / name, target
        )
    with hold_session(folder) as hold:
        store.commit("s1", "init", 0, lambda head: (head.context, None), hold)
        commit(store, hold, "design")
        commit(store, hold, "testing")
    copied(folder)
    shutil.rmtree(folder / "history")
    (tmp_path / "old-history").rename(folder / "history")
    shutil.copy(tmp_path / "old-runner.json", folder / "runner.json")
    told = "\n".join(store.verify("s1"))
    assert "checkpoint_design.json: it is commit 3, and the history ends with 1" in told
    # Somebody whose program does not mend first went on from the older history.
    with hold_session(folder) as hold:
        store.commit("s1", "init", 0, lambda head: (head.context, None), hold)
    store.repair_views("s1")
    assert [info.seq for info in store.history("s1")] == [0, 1, 2], "what was lost belongs to another course"


def test_a_restored_older_history_gets_back_what_the_views_have(
    store: CheckpointStore, tmp_path: Path
) -> None:
    folder = copied(session(store, "requirements", "design", "testing"))
    for number in (2, 3):
        (folder / "history" / f"{number:04d}.json").unlink()
    store.repair_views("s1")
    assert [info.seq for info in store.history("s1")] == [0, 1, 2, 3]
    assert store.verify("s1") == []


def test_a_view_that_is_no_checkpoint_is_told(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    (folder / "checkpoint_zzz.json").write_text("rubbish")
    [told] = store.verify("s1")
    assert told.startswith("checkpoint_zzz.json: it is no checkpoint")


@pytest.mark.parametrize("how", ["first byte", "unreadable"])
def test_damage_in_a_large_newest_commit_does_not_stop_the_session(
    store: CheckpointStore, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(store, "requirements")
    with hold_session(folder) as hold:
        commit(store, hold, "design", said="x" * 1_500_000)
    newest = folder / "history" / "0002.json"
    if how == "first byte":
        spoil(newest, at=0)
    else:
        sector = newest.stat().st_ino
        real = os.read

        def read(fd: int, count: int) -> bytes:
            if os.fstat(fd).st_ino == sector:
                raise OSError(errno.EIO, "Input/output error")
            return real(fd, count)

        monkeypatch.setattr(durable.os, "read", read)
    store.repair_views("s1")
    with hold_session(folder) as hold:
        assert commit(store, hold, "design", attempt=2).seq == 3


# ── Who holds it ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_runner_in_another_container_of_this_computer_stays_beside_another_phases(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(store)
    with monkeypatch.context() as inside:
        inside.setattr("maestro_tui.store.lease.pid_namespace", lambda: "pid:[1]")
        inside.setattr("maestro_tui.store.lease.own_start_ticks", lambda: 77)
        other = hold_phase(folder, "requirements")
    with hold_phase(folder, "design") as own:
        assert any("in another container of this computer" in one for one in holder_lines(folder, 0.0))
        other.check()
        commit(store, other, "requirements")
        commit(store, own, "design")
    other.release()


def test_a_runner_that_was_stopped_within_its_commit_finds_its_number_taken(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maestro_tui.store.lease.STOPPED_SECONDS", 0.05)
    folder = session(store, "requirements")
    engine = TeamExecutionEngineV2SplitMode(store.root, workspace=store.root)
    old = hold_session(folder)
    real = durable.write_new

    def stopped_here(path: Path, data: bytes) -> None:
        monkeypatch.setattr(durable, "write_new", real)
        doctor.take_over(engine, "s1", by="Ann", reason="it hangs")
        real(path, data)

    monkeypatch.setattr(durable, "write_new", stopped_here)
    with pytest.raises(FencedError, match="was written by another runner"):
        commit(store, old, "design")
    assert list(CheckpointStore(store.root).head("s1").context.phase_results) == ["requirements"]


def test_the_epoch_is_that_of_the_newest_commit_that_can_be_read(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    old = (folder / "runner.json").read_bytes()
    for phase in ("design", "testing"):
        with hold_session(folder) as hold:
            commit(store, hold, phase)
    newest = folder / "history" / "0003.json"
    newest.unlink()
    newest.touch()
    (folder / "runner.json").write_bytes(old)
    with hold_session(folder) as hold:
        assert hold.epoch > store.head("s1").epoch
        assert commit(store, hold, "testing").seq == 4


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.ESTALE])
def test_an_error_in_reading_the_lease_says_nothing_of_another_runner(
    store: CheckpointStore, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(store)
    real = os.open

    def refused(path: str, *words: int, **named: int) -> int:
        if str(path).endswith("runner.json"):
            raise OSError(code, os.strerror(code))
        return real(path, *words, **named)

    def late(hold: Hold) -> None:
        commit(store, hold, "design")

    with hold_session(folder) as hold:
        with monkeypatch.context() as broken:
            broken.setattr(durable.os, "open", refused)
            with pytest.raises(StoreError, match="nobody can say whether") as told:
                late(hold)
        assert not isinstance(told.value, FencedError)
        late(hold)
    assert store.head("s1").seq == 1


# ── What is there ─────────────────────────────────────────────────────────────────────────────────────────


def test_verify_of_all_looks_at_every_session_that_the_list_shows(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a"))
    for name in ("s0", "s1"):
        project.json("run", "x", "--session-id", name, "--trust", code=0)
    folder = project.root / "s1"
    (folder / "history").rename(tmp_path / "elsewhere")
    (folder / "history").symlink_to(tmp_path / "elsewhere")
    (folder / "checkpoint_init.json").unlink()
    (folder / "checkpoint_a.json").unlink()
    listed = {one["session_id"] for one in project.json("list", code=0)}
    assert listed == {"s0", "s1"}
    assert set(CheckpointStore(project.root).session_ids()) == listed
    assert project.call("verify").returncode == 1


def test_a_session_that_goes_while_somebody_looks_was_none(tmp_path: Path) -> None:
    assert not is_begun(tmp_path / "pruned")


def test_a_session_that_was_damaged_meanwhile_is_not_pruned(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design", "testing")
    store.create(context("s2"))
    spoil(folder / "history" / "0003.json")
    spoil(folder / "history" / "0002.json")
    assert prune_sessions(store, ["s1"]).removed == ()
    assert folder.is_dir()


def test_a_failed_attempt_stays_one_when_its_phase_is_skipped(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a", "b"))
    project.order("a", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    folder = project.root / "s1"
    [before] = read_detail(folder, time.time()).attempts
    project.json("skip", "s1", "a", "--reason", "not needed", code=0)
    assert read_detail(folder, time.time()).attempts == (before,)
    assert before.status == "failed"
