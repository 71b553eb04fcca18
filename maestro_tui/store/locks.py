"""Kernel locks on files: held as long as their holder lives, freed by its death, never inherited."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

from maestro_tui.model.errors import StoreError
from maestro_tui.store import durable

COMMIT = "commit"
COMMIT_SECONDS = 30.0
"""How long to wait for a commit of another process; one takes a few milliseconds."""

_SAFE = "Nothing was committed; all commits are safe."
_PAUSE_SECONDS = (0.0005, 0.02)
_open: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """A lock on a file through `flock`. Not for use by two threads at once; each takes its own.

    `safe` is the end of what an error says.
    """

    def __init__(self, path: Path, safe: str = "Nothing was run.") -> None:
        self.path, self._safe = path, safe
        self._fd = -1
        _open.add(self)

    def take(self, *, shared: bool = False) -> bool:
        """True when the lock was taken; False when it is held elsewhere. Never waits. Raises `StoreError`."""
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | durable.NO_FOLLOW, 0o600)
            except OSError as error:
                raise StoreError(
                    f"Cannot open the lock {durable.shown(self.path)}: {error.strerror or error}. {self._safe}"
                ) from error
            try:
                if os.fstat(fd).st_mode & 0o777 != 0o600:
                    # Made a moment ago under a umask that takes even its owner's rights away.
                    durable.keep_private(fd, 0o600)
                fcntl.flock(fd, how)
                current = durable.is_named(fd, self.path)
            except BlockingIOError:
                os.close(fd)
                return False
            except OSError as error:
                os.close(fd)
                raise StoreError(
                    f"Cannot lock {durable.shown(self.path)}: {error.strerror or error}; the checkpoint directory "
                    f"must be on a file system with locks. {self._safe}"
                ) from error
            if current:
                self._fd = fd
                return True
            # The file was removed between opening and locking: what we hold is a lock that nobody sees.
            os.close(fd)

    @property
    def held(self) -> bool:
        """True from a successful `take` to `free`."""
        return self._fd >= 0

    def free(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _forget_in_child() -> None:
    # A forked child shares the parent's lock: were it to keep the descriptor, the lock would outlive the parent.
    for lock in list(_open):
        lock.free()


os.register_at_fork(after_in_child=_forget_in_child)


_FOLDERS = (
    "locks history logs questions receipts tmp artifacts workspace.git workspace.git/refs workspace.git/refs/maestro "
    "workspace.git/info workspace.git/objects workspace.git/objects/pack"
).split()


def make_lock_folder(session_dir: Path) -> None:
    """Make the folder of a session's locks. Everybody comes by here before anything is written into a session: one that
    came with a stranger's files is refused when a folder of it leads elsewhere. Raises `StoreError`."""
    for name in _FOLDERS:
        if session_dir.joinpath(name).is_symlink():
            raise StoreError(
                f"{durable.shown(session_dir / name)} is a symbolic link: a session is written only where it lies. Put "
                "the folder itself in its place. Nothing was run; all commits are safe."
            )
    durable.make_dir(session_dir / "locks")


class CommitLock:
    """`locks/commit`, held for the few milliseconds of one commit or one change of the lease."""

    def __init__(self, session_dir: Path, wait_seconds: float | None = None) -> None:
        self._lock = FileLock(session_dir.joinpath("locks", COMMIT), _SAFE)
        self._wait = COMMIT_SECONDS if wait_seconds is None else wait_seconds

    def __enter__(self) -> CommitLock:
        """Wait for the lock, not for ever. Raises `StoreError`."""
        if not self.take():
            raise StoreError(
                f"{durable.shown(self._lock.path)} has been held for {self._wait:g} s by a process that does not "
                f"go on (stopped, or waiting for its disk). {_SAFE}"
            )
        return self

    def take(self) -> bool:
        """False when another process has held the lock for the whole time of waiting. Raises `StoreError`."""
        pause, most = _PAUSE_SECONDS
        deadline = time.monotonic() + self._wait
        while not self._lock.take():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, most)
        return True

    def free(self) -> None:
        """Give the lock back; harmless when it is not held."""
        self._lock.free()

    def __exit__(self, *_: object) -> None:
        self.free()
