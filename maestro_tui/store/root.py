"""Makes the checkpoint directory itself, where sessions will lie."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.store import durable

DEFAULT_NAME = ".maestro"
_NO_PLACE = frozenset(
    [
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    ]
)
"""What says that no folder can be made at this path; anything else is the disk's."""


def make_root(root: Path) -> None:
    """Make the checkpoint directory durably if it is not there; under its default name git is told to ignore it.

    Raises `InputError` when no folder can be there, `StoreError` when the disk fails.
    """
    if root.is_dir():
        return
    try:
        durable.make_dir(root)
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in _NO_PLACE:
            raise
        reason = (cause.strerror or str(cause)) if isinstance(cause, OSError) else str(error).rstrip(".")
        raise InputError(
            f"The checkpoint directory {durable.shown(root)} cannot be made: {reason}. Nothing was run; name "
            "another one with --checkpoint-dir."
        ) from error
    if root.name == DEFAULT_NAME:
        with durable.told("write", root / ".gitignore"):
            _ignore(root / ".gitignore")


def _ignore(path: Path) -> None:
    """Not synced: no session depends on it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | durable.NO_FOLLOW, 0o600)
    except FileExistsError:
        return
    try:
        os.write(fd, b"*\n")
    finally:
        os.close(fd)
