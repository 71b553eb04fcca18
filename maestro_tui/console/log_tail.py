"""Reads a log by byte offset: opens at its end at once and counts lines in blocks.

Memory stays small whatever the file's size: a few numbers for each 64 kB.
"""

from __future__ import annotations

import os
import stat
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

BLOCK = 65_536
FIRST_LOOK = 262_144
"""Bytes read when a log is opened; what is before them is counted afterwards."""
MOST_AT_ONCE = 8_388_608
"""Bytes taken in one step while a log grows, so that no step takes long."""
LINE_BYTES = 16_384
"""More of one line is never read for showing."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a look at the file found."""

    lines: int = 0
    """Lines that were added at the end."""
    grown: bool = False
    """True when any byte was added."""
    anew: bool = False
    """True when it is another file or was cut: everything is read again."""


def open_regular(path: Path) -> int:
    """A descriptor for reading a regular file; never follows a link, never waits. OSError otherwise."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no regular file")
    return descriptor


def count_blocks(descriptor: int, start: int, end: int) -> list[tuple[int, int, int]]:
    """(offset, length, newlines) of each block between two offsets; for a thread."""
    blocks = []
    while start < end:
        data = os.pread(descriptor, min(BLOCK, end - start), start)
        if not data:
            break
        blocks.append((start, len(data), data.count(b"\n")))
        start += len(data)
    return blocks


class LogFile:
    """The lines of one growing file, by number. Line 0 is the first one that has been counted so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        self._forget()

    def _forget(self) -> None:
        self.base = self.end = 0
        self._offsets, self._lengths, self._newlines, self._before = (array("Q") for _ in range(4))
        self._total = 0
        self.ends_open = False
        """True when the last line is not finished yet."""
        self._cache: dict[int, bytes] = {}

    @property
    def exists(self) -> bool:
        """True once the file was there."""
        return self._descriptor >= 0

    @property
    def descriptor(self) -> int:
        """For reading in a thread; valid until `close`."""
        return self._descriptor

    @property
    def complete(self) -> bool:
        """True when all lines from the file's beginning are counted."""
        return self.base == 0

    @property
    def line_count(self) -> int:
        """Lines counted so far; an unfinished last one counts."""
        return self._total + (1 if self.ends_open else 0)

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._identity = None
        self._forget()

    def refresh(self) -> Growth:
        """Looks at the file and takes in what was added; OSError when it cannot be read."""
        anew = False
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            # A log that was removed stays readable through the descriptor.
            return Growth()
        if self._identity != (status.st_dev, status.st_ino) or status.st_size < self.end:
            self.close()
            self._descriptor = open_regular(self.path)
            opened = os.fstat(self._descriptor)
            self._identity = (opened.st_dev, opened.st_ino)
            anew = True
            if opened.st_size > FIRST_LOOK:
                self.base = self.end = self._line_start(opened.st_size - FIRST_LOOK)
        lines, end = self.line_count, self.end
        size = os.fstat(self._descriptor).st_size
        self._take(min(size, self.end + MOST_AT_ONCE))
        return Growth(self.line_count - lines, self.end > end, anew)

    def _line_start(self, offset: int) -> int:
        data = os.pread(self._descriptor, BLOCK, offset)
        found = data.find(b"\n")
        return offset + found + 1 if found >= 0 else offset

    def _take(self, limit: int) -> None:
        while self.end < limit:
            if self._lengths and self._lengths[-1] < BLOCK:
                room = BLOCK - self._lengths[-1]
                data = os.pread(self._descriptor, min(room, limit - self.end), self.end)
                if not data:
                    return
                self._cache.pop(self._offsets[-1], None)
                self._lengths[-1] += len(data)
                self._newlines[-1] += data.count(b"\n")
            else:
                data = os.pread(self._descriptor, min(BLOCK, limit - self.end), self.end)
                if not data:
                    return
                self._offsets.append(self.end)
                self._lengths.append(len(data))
                self._newlines.append(data.count(b"\n"))
                self._before.append(self._total)
            self._total += data.count(b"\n")
            self.end += len(data)
            self.ends_open = data[-1:] != b"\n"

    def prepend(self, blocks: list[tuple[int, int, int]]) -> int:
        """Takes in blocks that end where the counted part begins; the number of lines that came before."""
        if not blocks or blocks[-1][0] + blocks[-1][1] != self.base:
            return 0
        added = sum(newlines for _, _, newlines in blocks)
        self._offsets = array("Q", [offset for offset, _, _ in blocks]) + self._offsets
        self._lengths = array("Q", [length for _, length, _ in blocks]) + self._lengths
        self._newlines = array("Q", [newlines for _, _, newlines in blocks]) + self._newlines
        self._before = array("Q", [0, *accumulate(self._newlines[:-1])])
        self._total += added
        self.base = blocks[0][0]
        return added

    def offset_of(self, line: int) -> int:
        """Where a line begins."""
        if line <= 0:
            return self.base
        if line > self._total:
            return self.end
        block = bisect_left(self._before, line) - 1
        data = self._block(block)
        position = -1
        for _ in range(line - self._before[block]):
            position = data.find(b"\n", position + 1)
            if position < 0:
                return self.end
        return self._offsets[block] + position + 1

    def line_at(self, offset: int) -> int:
        """Number of the line that holds the byte at an offset."""
        block = bisect_right(self._offsets, offset) - 1
        if block < 0:
            return 0
        return self._before[block] + self._block(block).count(b"\n", 0, offset - self._offsets[block])

    def lines(self, first: int, count: int) -> list[bytes]:
        """The bytes of some lines, each without its end and at most `LINE_BYTES` long."""
        found: list[bytes] = []
        count = min(count, self.line_count - first)
        at = self.offset_of(first)
        while len(found) < count and at < self.end:
            data = os.pread(self._descriptor, min(BLOCK, self.end - at), at)
            if not data:
                break
            *whole, rest = data.split(b"\n")
            found.extend(part[:LINE_BYTES] for part in whole)
            if whole:
                at += len(data) - len(rest)
                if at + len(rest) >= self.end and rest:
                    found.append(rest[:LINE_BYTES])
                    break
            else:  # a line longer than a block: its head, then on after its end
                found.append(rest[:LINE_BYTES])
                at = self.offset_of(first + len(found))
        return found[:count]

    def line_from(self, offset: int) -> bytes:
        """The bytes of the line that begins at an offset, at most `LINE_BYTES`."""
        data = os.pread(self._descriptor, LINE_BYTES, offset)
        return data.split(b"\n", 1)[0]

    def _block(self, block: int) -> bytes:
        offset = self._offsets[block]
        data = self._cache.get(offset)
        if data is None:
            data = os.pread(self._descriptor, self._lengths[block], offset)
            if len(self._cache) >= 8:
                self._cache.pop(next(iter(self._cache)))
            self._cache[offset] = data
        return data
