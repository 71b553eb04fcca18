"""Writes files so that they are there, whole, after a crash; reads only regular files, bounded."""

# System calls stand here under their own names, so that a test can record each and make each fail.
# ruff: noqa: PTH101, PTH102, PTH104, PTH208

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.text import clean

TEMP_PREFIX = ".maestro-tmp-"
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | NO_FOLLOW
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | NO_FOLLOW
_CLAIM = ".claim"
_CHUNK = 1 << 20
_BEGINNING = 1_000
_NO_LINKS = frozenset(
    [errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV]
)
"""How file systems that have no hard links (exFAT, FAT, many shares and phones) answer when one is asked for."""
# On macOS fsync leaves the data in the drive's own cache.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


def shown(path: Path) -> str:
    """A path for a sentence."""
    return clean(str(path), 300)


@contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence about `path`. `FileExistsError` passes: it is an answer."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreError(
            f"Cannot {what} {shown(path)}: {error.strerror or error}; the last commit is safe."
        ) from error


# ── Writing ───────────────────────────────────────────────────────────────────────────────────────────────


def sync(fd: int) -> None:
    """Make an open file's bytes durable. After an error the descriptor is spent: never sync it again."""
    if _FULL_SYNC is None:
        os.fsync(fd)
    else:
        fcntl.fcntl(fd, _FULL_SYNC)


def keep_private(what: int | Path, mode: int) -> None:
    """Give what was just made the rights `mode`, whatever the umask. Raises `OSError`.

    Where all files have the rights that the mount gives them (exFAT, NTFS, many shares), they stay as they are.
    """
    try:
        os.chmod(what, mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def sync_dir(folder: Path) -> None:
    """Make a folder's entries durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems have no such call and make entries durable by themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def make_dir(path: Path) -> None:
    """Make a folder (0700) and its parents, durably: each parent that gained an entry is synced."""
    with told("make the folder", path):
        if path.is_dir():
            return
        missing = [path]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        for folder in reversed(missing):
            enter_dir(folder)
            # Also when another process made it this moment: it may not have come to its sync.
            sync_dir(folder.parent)


def enter_dir(folder: Path) -> None:
    """Make one folder (0700 under any umask) if it is not there; its parent is not synced yet."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise StoreError(f"{shown(folder)} is in the way: it is not a folder.") from None
        return
    keep_private(folder, 0o700)


def enter_dirs(folder: Path) -> None:
    """Make a folder and those above it that are not there, each as `enter_dir` does."""
    if not folder.parent.is_dir():
        enter_dirs(folder.parent)
    enter_dir(folder)


def enter_file(path: Path) -> None:
    """Make an empty file (0600 under any umask) if nothing is there; its folder is not synced yet."""
    try:
        fd = os.open(path, _CREATE, 0o600)
    except FileExistsError:
        return
    try:
        keep_private(fd, 0o600)
    finally:
        os.close(fd)


def _write_temp(folder: Path, data: bytes | Iterable[bytes], synced: bool) -> Path:
    temp = folder / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    fd = os.open(temp, _CREATE, 0o600)
    try:
        try:
            keep_private(fd, 0o600)
            for part in (data,) if isinstance(data, bytes) else data:
                view = memoryview(part)
                while view:
                    view = view[os.write(fd, view) :]
            if synced:
                sync(fd)
        finally:
            # Network file systems tell of a full disk only here.
            os.close(fd)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def write_new(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Create `path` with all of `data` (its pieces), or nothing; durable on return. Raises `FileExistsError`, `StoreError`."""
    with told("write", path):
        temp = _write_temp(path.parent, data, synced=True)
        try:
            try:
                os.link(temp, path)
            except OSError as error:
                # A network file system may have made the link and lost its answer.
                if same_file(temp, path):
                    pass
                elif error.errno in _NO_LINKS:
                    _rename_new(temp, path)
                else:
                    raise
        finally:
            temp.unlink(missing_ok=True)
        sync_dir(path.parent)


def _rename_new(temp: Path, path: Path) -> None:
    """Give a temporary file a name that nothing has, without a link. Raises `FileExistsError`, `StoreError`, `OSError`.

    rename() replaces what is there, and few of these file systems can be told not to. So the right to make `path`
    is a file of its own, which only one can make. Who comes late, after `sweep`, has nothing left to rename.
    """
    claim = path.with_name(f"{TEMP_PREFIX}{path.name}{_CLAIM}")
    try:
        os.close(os.open(claim, _CREATE, 0o600))
    except FileExistsError:
        if os.path.lexists(path):
            raise
        raise StoreError(
            f"{shown(path)} is being written by another process, or one died at it: then 'maestro-tui resume' takes "
            f"{claim.name} beside it away. The last commit is safe."
        ) from None
    try:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.rename(temp, path)
    except FileNotFoundError:
        raise  # swept, and the claim with it: what has its name now is another's
    except BaseException:
        claim.unlink(missing_ok=True)
        raise
    claim.unlink(missing_ok=True)


def replace(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Put `data` in the place of `path` at once. Raises `StoreError`.

    Readers see the old bytes or the new ones. Without `synced` a power loss may leave either, or an empty
    file: only for what can be made again.
    """
    with told("write", path):
        temp = _write_temp(path.parent, data, synced)
        try:
            os.rename(temp, path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        if synced:
            sync_dir(path.parent)


def link_view(source: Path, target: Path) -> None:
    """Make `target` another name of the file `source`, replacing what was called so. Raises `StoreError`.

    Its name is not synced: a view that a power loss takes away is made again from its source. Without hard links
    it is a copy.
    """
    with told("write", target):
        temp = target.parent / f"{TEMP_PREFIX}{secrets.token_hex(8)}"
        try:
            os.link(source, temp)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            temp = _write_temp(target.parent, source.read_bytes(), synced=True)
        try:
            os.rename(temp, target)
        finally:
            # rename() of two names of one file does nothing and leaves the temporary name.
            temp.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove temporary files that a dead process left; only under the commit lock. Raises `StoreError`.

    Claims go last, and only those that were there before: nobody then holds a file for what they gave a right to.
    """
    with told("tidy", folder):
        found = _temporary(folder)
        claims = [path for path in found if path.endswith(_CLAIM)]
        others = [path for path in (_temporary(folder) if claims else found) if not path.endswith(_CLAIM)]
        for path in (*others, *claims):
            Path(path).unlink(missing_ok=True)


def _temporary(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [
            entry.path
            for entry in entries
            if entry.name.startswith(TEMP_PREFIX) and entry.is_file(follow_symlinks=False)
        ]


def free_bytes(folder: Path) -> int | None:
    """How much room a folder's disk has for this user; None when it does not say. Raises `OSError`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize if facts.f_blocks else None


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────


def names_in(folder: Path) -> list[str]:
    """The names in a folder, unsorted. Raises `OSError`."""
    return os.listdir(folder)


def is_folder(path: str) -> bool:
    """True for a folder; the path is text, since this is asked of ten thousand."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def is_empty(path: Path) -> bool:
    """True for a regular file without a byte."""
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == 0


def leads_to_folder(path: Path) -> bool:
    """True for a folder or a link to one; False for a name that no file can have, too."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def same_file(one: Path, two: Path) -> bool:
    """True when both names lead to one file; links are not followed."""
    try:
        return os.path.samestat(os.lstat(one), os.lstat(two))
    except FileNotFoundError:
        return False


def is_named(fd: int, path: Path) -> bool:
    """True when an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def open_regular(path: Path) -> int:
    """A descriptor for reading; links, pipes, devices and folders are refused unopened.

    Raises `FileNotFoundError`, `DamagedFile` with the reason in one line.
    """
    try:
        _require_regular(path, os.lstat(path))
        fd = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DamagedFile(f"{shown(path)} cannot be read: {clean(error, 80)}") from error
    try:
        # It may have become something else since it was looked at.
        _require_regular(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _require_regular(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISREG(facts.st_mode):
        return
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for test, name in kinds if test(facts.st_mode)), "a device")
    raise DamagedFile(f"{shown(path)} cannot be read: it is {kind}, not a regular file")


def read_regular(path: Path, limit: int, require: Callable[[Path, bytes], None] | None = None) -> bytes:
    """The whole of a regular file of at most `limit` bytes.

    Of a large file `require` sees the path and the first bytes before the rest is read, and may raise.
    Raises `FileNotFoundError`, `DamagedFile` with the reason in one line.
    """
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise DamagedFile(f"{shown(path)} cannot be read: {size:,} bytes, at most {limit:,} are read")
        if require is not None and size > _CHUNK:
            require(path, os.pread(fd, _BEGINNING, 0))
        data = _read(fd, size + 1)
        if len(data) <= size:
            return data
        # It grew while it was read.
        parts, left = [data], limit + 1 - len(data)
        while left > 0 and (part := _read(fd, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        if left <= 0:
            raise DamagedFile(f"{shown(path)} cannot be read: it grew beyond {limit:,} bytes")
        return b"".join(parts)
    except OSError as error:
        raise DamagedFile(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(fd)


def read_start(path: Path, count: int) -> bytes:
    """The first `count` bytes of a regular file. Raises as `read_regular`."""
    fd = open_regular(path)
    try:
        return _read(fd, count)
    except OSError as error:
        raise DamagedFile(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(fd)


def _read(fd: int, count: int) -> bytes:
    """`count` bytes, fewer only at the end of the file."""
    data = os.read(fd, count)
    if len(data) == count or not data:
        return data
    parts = [data]
    left = count - len(data)
    while left > 0 and (part := os.read(fd, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
