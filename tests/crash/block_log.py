"""What a disk was told, in order, and what a power loss may leave of it: the method of Linux's dm-log-writes.

A disk with a cache of its own has for certain only what it was given before the last flush that it answered. Of
everything since, any part may be there, each 512-byte sector for itself.
"""

from __future__ import annotations

import os
import pickle
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
_HEAD = struct.Struct("<cQQ")
_CHUNK = 1 << 20
_KINDS = {"write": b"W", "flush": b"F", "mark": b"M"}


@dataclass(frozen=True, slots=True)
class Wrote:
    """The disk took `length` bytes for `offset`; they lie at `place` in the log."""

    offset: int
    length: int
    place: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that was written before is safe."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Whoever works on the disk has noted something."""

    fact: object


Entry = Wrote | Flushed | Marked


class LogWriter:
    """Appends to a log; the recorder has one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def wrote(self, offset: int, data: bytes) -> None:
        """The disk was given these bytes."""
        self._put("write", offset, data)

    def flushed(self) -> None:
        """The disk was told to make all of it safe."""
        self._put("flush", 0, b"")

    def marked(self, offset: int, data: bytes) -> None:
        """A note came in, or from an offset on the rest of one."""
        self._put("mark", offset, data)

    def _put(self, kind: str, offset: int, data: bytes) -> None:
        self._file.write(_HEAD.pack(_KINDS[kind], offset, len(data)) + data)

    def close(self) -> None:
        """End the log."""
        self._file.close()


def read_log(path: Path) -> list[Entry]:
    """All entries in order. Raises `ValueError` for a log that breaks off."""
    entries: list[Entry] = []
    notes: list[tuple[int, bytes]] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ValueError(f"the log breaks off after {len(entries)} entries")
            kind, offset, length = _HEAD.unpack(head)
            place = file.tell()
            if place + length > size:
                raise ValueError(f"the log breaks off in entry {len(entries)}")
            if kind == _KINDS["write"]:
                entries.append(Wrote(offset, length, place))
                file.seek(length, os.SEEK_CUR)
            elif kind == _KINDS["flush"]:
                entries.append(Flushed())
            elif kind == _KINDS["mark"]:
                if offset == 0:
                    # It counts from where it begins.
                    notes.append((len(entries), b""))
                    entries.append(Marked(None))
                number, begun = notes[-1]
                notes[-1] = (number, begun + file.read(length))
            else:
                raise ValueError(f"entry {len(entries)} of the log is of no kind")
    for number, data in notes:
        entries[number] = Marked(pickle.loads(data))
    return entries


# ── The moments between two flushes ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Span:
    """What lies between one flush and the next: whatever part of `pending` is there, `facts` must hold.

    All notes up to the next flush belong to it: a disk that has only what was flushed before may be found at the
    last moment before that flush as well.
    """

    safe: int
    """Entries up to and with the last flush."""
    pending: tuple[Wrote, ...]
    facts: tuple[object, ...]


def spans(entries: Sequence[Entry]) -> list[Span]:
    """The spans of a log, in order; one that has neither a write nor a note since the last is left out."""
    out: list[Span] = []
    facts: list[object] = []
    pending: list[Wrote] = []
    safe = noted = 0
    for number, entry in enumerate((*entries, Flushed())):
        if isinstance(entry, Wrote):
            pending.append(entry)
        elif isinstance(entry, Marked):
            facts.append(entry.fact)
        else:
            if pending or len(facts) > noted:
                out.append(Span(safe, tuple(pending), tuple(facts)))
            pending, safe, noted = [], number + 1, len(facts)
    return out


Part = tuple[int, int, int]
"""Offset on the disk, length, place in the log."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One way in which a span may be broken off: the parts of its writes that came through, in order."""

    what: str
    parts: tuple[Part, ...]
    torn: bool
    """A write came through in part."""


def losses(span: Span, seed: int = 1) -> Iterator[Loss]:
    """None and all of what was pending; up to one write; some of the writes; some sectors of one write and of all.

    Most by chance, with a fixed seed; equal ones are left out.
    """
    chance = random.Random(f"{seed} {span.safe}")
    whole = [(one.offset, one.length, one.place) for one in span.pending]
    seen: set[tuple[Part, ...]] = set()
    end = chance.randrange(len(whole)) if whole else 0
    torn = chance.randrange(len(whole)) if whole else 0
    ways = (
        ("nothing since the last flush", False, []),
        ("all since the last flush", False, whole),
        (f"the first {end} of {len(whole)} writes", False, whole[:end]),
        ("some of the writes", False, [part for part in whole if chance.random() < 0.5]),
        (
            f"write {torn} of {len(whole)} torn, those before whole",
            True,
            [*whole[:torn], *(p for one in whole[torn : torn + 1] for p in _torn(one, chance))],
        ),
        ("some sectors of all writes", True, [part for one in whole for part in _torn(one, chance)]),
    )
    for what, in_part, parts in ways:
        key = tuple(parts)
        if key not in seen:
            seen.add(key)
            yield Loss(what, key, in_part)


def _torn(part: Part, chance: random.Random) -> list[Part]:
    """Some of the sectors of a write."""
    offset, length, place = part
    return [
        (offset + at, min(SECTOR, length - at), place + at)
        for at in range(0, length, SECTOR)
        if chance.random() < 0.5
    ]


# ── The disk again ────────────────────────────────────────────────────────────────────────────────────────


class Replay:
    """Brings an image of the disk forward along its log, and makes broken-off copies of it."""

    def __init__(self, image: Path, log: Path, entries: Sequence[Entry]) -> None:
        self._image, self._entries = image.open("r+b"), entries
        self._log = log.open("rb")
        self._at = 0

    def forward(self, safe: int) -> None:
        """Bring the image to what is there for certain after so many entries; never back."""
        if safe < self._at:
            raise ValueError(f"the image stands at {self._at} already")
        for entry in self._entries[self._at : safe]:
            if isinstance(entry, Wrote):
                self._write(self._image, (entry.offset, entry.length, entry.place))
        self._at = safe

    def broken_off(self, loss: Loss, copy: Path) -> None:
        """Make `copy` the image with that of the span which came through."""
        self._image.flush()
        copy_sparse(Path(self._image.name), copy)
        with copy.open("r+b") as file:
            for part in loss.parts:
                self._write(file, part)

    def _write(self, file: BinaryIO, part: Part) -> None:
        offset, length, place = part
        self._log.seek(place)
        file.seek(offset)
        file.write(self._log.read(length))

    def close(self) -> None:
        """Let go of the files."""
        self._image.close()
        self._log.close()


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file anew, holes left out."""
    with source.open("rb", buffering=0) as old, target.open("wb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        end = 0
        while end < size:
            try:
                at = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:
                # Nothing but a hole is left.
                break
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.pwrite(new.fileno(), os.pread(old.fileno(), min(_CHUNK, end - at), at), at)
        new.truncate(size)
