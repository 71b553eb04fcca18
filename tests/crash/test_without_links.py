"""Where a disk has no hard links, or gives all files its own rights (exFAT, NTFS, shares), every promise holds as elsewhere."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from maestro_tui.model.errors import StoreError
from maestro_tui.store import durable
from maestro_tui.store.bundle import write_bundle
from maestro_tui.store.lease import hold_session
from maestro_tui.store.unbundle import unpack_bundle
from tests.crash.checks import (
    a_commit_is_never_overwritten,
    an_export_replaces_nothing,
    problems_of,
    the_first_answer_counts,
)
from tests.crash.checks import nothing_is_swept_while_a_commit_is_written as nothing_is_swept
from tests.crash.operations import OPERATIONS, record
from tests.crash.power_loss import examine, in_memory
from tests.crash.scene import PHASES, SESSION, Scene, Work, clock, put, without_links

EACH = 4


@pytest.mark.parametrize("name", ["create a session", "commit what was completed"])
def test_every_state_after_a_power_loss_is_recovered_without_links(name: str) -> None:
    operation = next(one for one in OPERATIONS if one.name == name)
    with in_memory() as folder, without_links():
        result = examine(record(operation, folder / "top"), each=EACH)
    assert result.recovered > 20
    assert not result.problems, result.sentence()


@pytest.mark.parametrize(
    "check",
    [a_commit_is_never_overwritten, the_first_answer_counts, an_export_replaces_nothing, nothing_is_swept],
    ids=lambda check: check.__name__,
)
def test_each_promise_is_kept_without_links(check: Any) -> None:
    with in_memory() as folder, without_links():
        assert problems_of(check, folder / "top") == []


def test_a_session_lives_its_whole_life_without_links(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.workspace.mkdir()
    with without_links():
        asyncio.run(scene.engine(Work(fails=("design",))).execute_batch("Build it", session_id=SESSION))
        context = asyncio.run(scene.engine().resume(SESSION))
        scene.engine().fork(SESSION, new_id="s2")
        write_bundle(scene.store, SESSION, tmp_path / "s1.bundle")
        unpack_bundle(scene.store, tmp_path / "s1.bundle", as_id="s3")
    assert {name for name, result in context.phase_results.items() if result.done} == set(PHASES)
    assert [scene.store.verify(name) for name in (SESSION, "s2", "s3")] == [[], [], []]
    assert (scene.folder() / "checkpoint_design.json").stat().st_nlink == 1
    assert not list(tmp_path.rglob(f"{durable.TEMP_PREFIX}*"))


def test_of_two_that_write_one_name_without_links_the_second_is_told(tmp_path: Path) -> None:
    path, real, second = tmp_path / "0003.json", os.rename, []

    def rename(source: Any, target: Any) -> None:
        # The other comes between the look at the name and its taking.
        with (
            mock.patch.object(os, "rename", real),
            pytest.raises(StoreError, match="being written by another"),
        ):
            durable.write_new(path, b"second")
        second.append(target)
        real(source, target)

    with without_links(), mock.patch.object(os, "rename", rename):
        durable.write_new(path, b"first")
    assert second == [path]
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["0003.json"]


def test_who_was_stopped_before_its_commit_had_a_name_overwrites_nothing_after_a_takeover(
    tmp_path: Path,
) -> None:
    path, real = tmp_path / "0003.json", os.rename

    def rename(source: Any, target: Any) -> None:
        with mock.patch.object(os, "rename", real):
            durable.sweep(tmp_path)
            durable.write_new(path, b"of the new runner")
        real(source, target)

    with without_links(), mock.patch.object(os, "rename", rename), pytest.raises(StoreError):
        durable.write_new(path, b"late")
    assert path.read_bytes() == b"of the new runner"
    assert os.listdir(tmp_path) == ["0003.json"]


def test_what_a_runner_left_that_died_at_its_commit_is_told_and_goes_with_the_next_run(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    scene.begun("requirements")
    claim = scene.folder() / "history" / f"{durable.TEMP_PREFIX}0002.json.claim"
    put(claim, b"")
    with without_links(), hold_session(scene.folder(), clock=clock) as hold:
        with pytest.raises(StoreError, match=r"0002\.json is being written .* The last commit is safe"):
            scene.commit(hold, "design")
        scene.store.repair_views(SESSION)
        scene.commit(hold, "design")
    assert not claim.exists()
    assert scene.store.verify(SESSION) == []


def test_a_mount_that_keeps_its_own_rights_keeps_nobody_from_working(tmp_path: Path) -> None:
    def chmod(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    scene = Scene(tmp_path)
    scene.workspace.mkdir()
    with mock.patch.object(os, "chmod", chmod), mock.patch.object(os, "fchmod", chmod):
        context = asyncio.run(scene.engine().execute_batch("Build it", session_id=SESSION))
    assert {name for name, result in context.phase_results.items() if result.done} == set(PHASES)
    assert scene.store.verify(SESSION) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES])
def test_rights_that_cannot_be_given_for_another_reason_are_told(tmp_path: Path, number: int) -> None:
    def chmod(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with mock.patch.object(os, "chmod", chmod), pytest.raises(StoreError, match="Cannot write"):
        durable.write_new(tmp_path / "new", b"x")
    assert os.listdir(tmp_path) == []
