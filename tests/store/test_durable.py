"""A file is there whole or not at all, its folders too; an error of the disk is a sentence; odd files are refused."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.store import durable


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)
    yield lambda mask: (os.umask(mask), None)[1]
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> list[tuple[Any, ...]]:
    """Make one system call fail with an errno; the calls that were made."""
    calls: list[tuple[Any, ...]] = []

    def fail(*arguments: Any, **_: Any) -> Any:
        calls.append(arguments)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)
    return calls


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the state-changing system calls, in order, a folder's fsync told from a file's."""
    calls: list[str] = []

    def record(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            word = name
            if name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode):
                word = "fsync folder"
            calls.append(word)
            return real(*arguments, **named)

        return call

    for name in ("write", "fsync", "link", "rename", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, record(name, getattr(os, name)))
    return calls


# ── Writing ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_file_is_whole_and_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "a", b"x" * 100_000)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").stat().st_nlink == 1


def test_a_file_that_is_there_is_never_overwritten_by_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_to_nowhere_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "a", b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_the_bytes_are_on_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = recorded(monkeypatch)
    durable.write_new(tmp_path / "a", b"x")
    assert calls == ["write", "fsync", "link", "unlink", "fsync folder"]
    calls.clear()
    durable.replace(tmp_path / "b", b"x")
    assert calls == ["write", "fsync", "rename", "fsync folder"]


def test_a_short_write_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    durable.write_new(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("mask", [0o077, 0o000, 0o022, 0o277, 0o777])
def test_files_and_folders_are_private_under_any_umask(
    tmp_path: Path, umask: Callable[[int], None], mask: int
) -> None:
    umask(mask)
    durable.make_dir(tmp_path / "one" / "two")
    durable.write_new(tmp_path / "one" / "two" / "a", b"x")
    durable.replace(tmp_path / "one" / "two" / "b", b"x")
    assert (mode(tmp_path / "one"), mode(tmp_path / "one" / "two")) == (0o700, 0o700)
    assert (mode(tmp_path / "one" / "two" / "a"), mode(tmp_path / "one" / "two" / "b")) == (0o600, 0o600)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "unlink"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_a_new_file_that_cannot_be_written_is_told_and_not_half_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with monkeypatch.context() as patch:
        failing(patch, call, number)
        with pytest.raises(StoreError) as caught:
            durable.write_new(tmp_path / "a", b"new")
    assert os.strerror(number) in str(caught.value) and str(tmp_path / "a") in str(caught.value)
    assert "the last commit is safe" in str(caught.value)
    if call != "unlink":
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with monkeypatch.context() as patch:
        failing(patch, call, errno.ENOSPC)
        with pytest.raises(StoreError, match="No space left on device"):
            durable.replace(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_after_a_failed_fsync_the_descriptor_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(StoreError, match="Input/output error"):
        durable.write_new(tmp_path / "a", b"new")
    assert len(calls) == 1


def test_a_folder_that_cannot_be_synced_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def only_files(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", only_files)
    with pytest.raises(StoreError, match="Input/output error"):
        durable.write_new(tmp_path / "a", b"new")


def test_a_file_system_that_has_no_sync_of_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def only_files(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    monkeypatch.setattr(os, "fsync", only_files)
    durable.write_new(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_link_whose_answer_was_lost_counts_when_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        raise InterruptedError(errno.EINTR, "Interrupted system call")

    monkeypatch.setattr(os, "link", link)
    durable.write_new(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_writing_into_a_folder_that_vanished_is_a_sentence(tmp_path: Path) -> None:
    for write in (durable.write_new, durable.replace):
        with pytest.raises(StoreError, match="No such file or directory"):
            write(tmp_path / "gone" / "a", b"x")


def test_every_parent_of_a_new_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch)
    durable.make_dir(tmp_path / "one" / "two")
    assert calls == ["mkdir", "fsync folder", "mkdir", "fsync folder"]
    calls.clear()
    durable.make_dir(tmp_path / "one" / "two")
    assert calls == []


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"")
    with pytest.raises(StoreError, match="it is not a folder"):
        durable.make_dir(tmp_path / "one")
    with pytest.raises(StoreError, match=r"Not a directory|it is not a folder"):
        durable.make_dir(tmp_path / "one" / "two")


# ── Views and temporary files ─────────────────────────────────────────────────────────────────────────────


def test_a_view_is_another_name_of_its_source_and_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    (tmp_path / "view").write_bytes(b"old")
    for _ in range(2):
        durable.link_view(tmp_path / "source", tmp_path / "view")
        assert durable.same_file(tmp_path / "source", tmp_path / "view")
        assert sorted(os.listdir(tmp_path)) == ["source", "view"]


def test_only_our_own_temporary_files_are_swept(tmp_path: Path) -> None:
    (tmp_path / f"{durable.TEMP_PREFIX}1").write_bytes(b"")
    (tmp_path / f"{durable.TEMP_PREFIX}folder").mkdir()
    (tmp_path / f"{durable.TEMP_PREFIX}link").symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs").write_bytes(b"")
    durable.sweep(tmp_path)
    kept = {f"{durable.TEMP_PREFIX}folder", f"{durable.TEMP_PREFIX}link", "theirs"}
    assert set(os.listdir(tmp_path)) == kept


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────


def make_odd(folder: Path, kind: str) -> Path:
    path = folder / "odd"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a symbolic link":
        (folder / "target").write_bytes(b"x")
        path.symlink_to(folder / "target")
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            # A socket's whole path must be short; the test's folder is the current one.
            listener.bind(path.name)
    else:
        path = Path("/dev/null")
    return path


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a symbolic link", "a socket", "a device"])
def test_only_regular_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_odd(tmp_path, kind)
    for read in (durable.read_regular, durable.read_start):
        with pytest.raises(DamagedFile, match=f"it is {kind}, not a regular file"):
            read(path, 100)


def test_what_became_a_pipe_between_looking_and_opening_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "a")
    (tmp_path / "regular").write_bytes(b"")
    looked = os.lstat(tmp_path / "regular")
    monkeypatch.setattr(os, "lstat", lambda _: looked)
    with pytest.raises(DamagedFile, match="it is a pipe"):
        durable.read_regular(tmp_path / "a", 100)


def test_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 101)
    with pytest.raises(DamagedFile, match="101 bytes, at most 100 are read"):
        durable.read_regular(tmp_path / "a", 100)
    assert durable.read_regular(tmp_path / "a", 101) == b"x" * 101
    assert durable.read_start(tmp_path / "a", 5) == b"xxxxx"
    assert durable.read_start(tmp_path / "a", 500) == b"x" * 101


def test_a_file_that_grows_while_it_is_read_is_still_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    real = os.read

    def read_and_grow(fd: int, count: int) -> bytes:
        with path.open("ab") as stream:
            stream.write(b"y" * 20)
        return real(fd, count)

    monkeypatch.setattr(os, "read", read_and_grow)
    with pytest.raises(DamagedFile, match="it grew beyond 50 bytes"):
        durable.read_regular(path, 50)


def test_a_missing_file_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        durable.read_regular(tmp_path / "a", 100)


def test_a_file_that_the_disk_cannot_give_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x")
    failing(monkeypatch, "read", errno.EIO)
    with pytest.raises(DamagedFile, match="Input/output error"):
        durable.read_regular(tmp_path / "a", 100)


def test_a_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile):
        durable.read_regular(Path(str(tmp_path) + "/a\0b"), 100)
