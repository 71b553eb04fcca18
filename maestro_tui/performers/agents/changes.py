"""Tells whether anything in a folder has changed since a moment, when an agent was denied a tool."""

from __future__ import annotations

import os
import time
from pathlib import Path

_NOT_WORK = frozenset([".git", ".maestro"])


def moment(mark: Path) -> int:
    """A moment on the file system's own clock, in nanoseconds, later than all changes so far; writes `mark`."""
    mark.write_bytes(b"")
    before = now = mark.stat().st_ctime_ns
    while now == before:
        # That clock goes in steps of some milliseconds.
        time.sleep(0.001)
        mark.write_bytes(b"")
        now = mark.stat().st_ctime_ns
    return now


def changed_since(folder: Path, since: int) -> bool:
    """True when a file or folder inside was made, changed or removed at or after `since`.

    The inode's change time cannot be set back by a program; a folder's own covers removals inside it.
    """
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in _NOT_WORK]
        for name in (*files, "."):
            try:
                if os.lstat(os.path.join(place, name)).st_ctime_ns >= since:  # noqa: PTH118
                    return True
            except OSError:
                # Gone in between: so something changes it.
                return True
    return False
