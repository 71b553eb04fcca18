"""Writes files so that they are there, whole, after a crash; reads only regular files, bounded."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.text import clean

TEMP_PREFIX = ".maestro-tmp-"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence about `path`; FileExistsError and FileNotFoundError pass."""
    try:
        yield
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"Cannot {what} {clean(str(path), 300)}: {reason}; the last commit is safe."
        ) from error


def make_dir(path: Path) -> None:
    """Make a folder (0700) and its parents, durably: each parent that gained an entry is synced."""
    if path.is_dir():
        return
    missing = [path]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    with told("make the folder", path):
        for folder in reversed(missing):
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                if not folder.is_dir():
                    raise StoreError(
                        f"{clean(str(folder), 300)} is in the way: it is not a folder."
                    ) from None
            sync_dir(folder.parent)


def sync_dir(folder: Path) -> None:
    """Make a folder's entries durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def _write_temp(folder: Path, data: bytes, sync: bool = True) -> Path:
    temp = folder / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    fd = os.open(temp, _CREATE, 0o600)
    try:
        try:
            os.fchmod(fd, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def write_new(path: Path, data: bytes) -> None:
    """Create `path` with all of `data`, or nothing. Raises `FileExistsError`, `StoreError`."""
    with told("write", path):
        temp = _write_temp(path.parent, data)
        try:
            os.link(temp, path)
        finally:
            temp.unlink(missing_ok=True)
        sync_dir(path.parent)


def replace(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put `data` in the place of `path` at once; without `sync` a power cut may bring the old file back.

    Raises `StoreError`.
    """
    with told("write", path):
        temp = _write_temp(path.parent, data, sync)
        try:
            os.rename(temp, path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        if sync:
            sync_dir(path.parent)


def link_view(source: Path, target: Path) -> None:
    """Make `target` another name of the file `source`, replacing what was called so. Raises `StoreError`."""
    with told("write", target):
        temp = target.parent / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
        os.link(source, temp)
        try:
            os.rename(temp, target)
        finally:
            # rename() of two names of one file does nothing and leaves the temporary name.
            temp.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove temporary files that a dead process left; only under the commit lock."""
    for name in os.listdir(folder):  # noqa: PTH208
        if name.startswith(TEMP_PREFIX):
            (folder / name).unlink(missing_ok=True)


def read_regular(path: Path, limit: int) -> bytes:
    """The whole of a regular file of at most `limit` bytes; links, pipes and devices are refused unopened.

    Raises `FileNotFoundError`, `DamagedFile` with the reason in one line.
    """
    shown = clean(str(path), 300)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise DamagedFile(f"{shown} cannot be read: {reason}") from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
            raise DamagedFile(f"{shown} cannot be read: it is {kind}")
        if facts.st_size > limit:
            raise DamagedFile(f"{shown} cannot be read: {facts.st_size:,} bytes, at most {limit:,} are read")
        parts, left = [], limit + 1
        while left > 0:
            try:
                part = os.read(fd, min(left, 1 << 20))
            except OSError as error:
                raise DamagedFile(f"{shown} cannot be read: {error.strerror}") from error
            if not part:
                break
            parts.append(part)
            left -= len(part)
        if left <= 0:
            raise DamagedFile(f"{shown} cannot be read: it grew beyond {limit:,} bytes")
        return b"".join(parts)
    finally:
        os.close(fd)
