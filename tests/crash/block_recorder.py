"""A FUSE file system of two files: `disk`, whose writes and flushes it notes in order, and `mark`, which takes notes.

    python -m tests.crash.block_recorder MOUNTPOINT IMAGE LOG

The kernel has no cache for writes here: each is noted before it is answered, and a note that is written into `mark`
stands in the log after all that the disk was given until then. One request at a time. Ends when it is unmounted.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from tests.crash.block_log import LogWriter

if find_library("fuse3"):
    os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")

import mfusepy  # type: ignore[import-not-found]

DISK, MARK = "/disk", "/mark"


class Recorder(mfusepy.Operations):  # type: ignore[misc]
    """Passes reads and writes through to the image."""

    use_ns = True

    def __init__(self, image: Path, log: Path) -> None:
        self._image = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        self._log = LogWriter(log)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """The two files and their folder."""
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path not in (DISK, MARK):
            raise mfusepy.FuseOSError(errno.ENOENT)
        size = os.fstat(self._image).st_size if path == DISK else 0
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": size}

    def readdir(self, path: str, fh: int) -> list[str]:
        """Their names."""
        return [".", "..", DISK[1:], MARK[1:]]

    def open(self, path: str, flags: int) -> int:
        """Nothing is to be remembered."""
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes of the disk."""
        return os.pread(self._image, size, offset) if path == DISK else b""

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Note it, then do it."""
        if path == DISK:
            self._log.wrote(offset, data)
            return os.pwrite(self._image, data, offset)
        self._log.marked(offset, data)
        return len(data)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """All that was written before is safe from here on."""
        if path == DISK:
            self._log.flushed()
        return 0

    def destroy(self, path: str) -> None:
        """Unmounted."""
        self._log.close()
        os.close(self._image)


def main(words: list[str]) -> int:
    """Serve until it is unmounted."""
    place, image, log = words
    mfusepy.FUSE(
        Recorder(Path(image), Path(log)), place, foreground=True, nothreads=True, fsname="maestro-disk"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
