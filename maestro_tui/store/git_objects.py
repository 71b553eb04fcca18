"""Git's objects as bytes: names of blobs, trees of a set of files, a pack of objects and the index of it."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Literal

Kind = Literal["blob", "tree"]

PACK_HEADER_BYTES = 12
_NUMBERS: dict[Kind, int] = {"tree": 2, "blob": 3}
_INDEX_MAGIC = b"\xfftOc"
_FAN = struct.Struct(">256L")
_HALF = 0x8000_0000
_FAST = 1


def object_id(kind: Kind, content: bytes) -> bytes:
    """The 20 bytes by which git knows an object."""
    digest = hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)), usedforsecurity=False)
    digest.update(content)
    return digest.digest()


# ── Trees ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file, or a symbolic link, of a tree. `path` is relative, as the operating system gave it."""

    path: str
    blob: bytes
    link: bool
    executable: bool


def tree_of(files: Iterable[TreeFile], keep: Callable[[bytes, bytes], None]) -> bytes:
    """The id of the tree of these files; `keep(id, content)` gets each folder's tree, the lowest first."""
    top: dict[bytes, object] = {}
    for file in files:
        *folders, name = os.fsencode(file.path).split(b"/")
        folder = top
        for part in folders:
            below = folder.setdefault(part, {})
            if not isinstance(below, dict):
                raise ValueError(f"{file.path!r} is both a file and a folder")
            folder = below
        mode = b"120000" if file.link else b"100755" if file.executable else b"100644"
        folder[name] = mode + b" " + name + b"\0" + file.blob
    return _written(top, keep)


def _written(folder: dict[bytes, object], keep: Callable[[bytes, bytes], None]) -> bytes:
    entries: list[tuple[bytes, bytes]] = []
    for name, entry in folder.items():
        if isinstance(entry, dict):
            # Git sorts a folder as if its name ended in a slash.
            entries.append((name + b"/", b"40000 " + name + b"\0" + _written(entry, keep)))
        elif isinstance(entry, bytes):
            entries.append((name, entry))
    content = b"".join(entry for _, entry in sorted(entries))
    name = object_id("tree", content)
    keep(name, content)
    return name


# ── Packs ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Packed:
    """Where an object lies in a pack: bytes from its beginning, and the checksum of what lies there."""

    id: bytes
    offset: int
    checksum: int


def pack_entry(kind: Kind, content: bytes) -> bytes:
    """An object as it lies in a pack: its kind and size in 7-bit groups, then its content, compressed."""
    size = len(content)
    byte, size = _NUMBERS[kind] << 4 | size & 0x0F, size >> 4
    head = bytearray()
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(content, _FAST)


def pack_parts(count: int, entries: Iterable[bytes]) -> Iterator[bytes]:
    """A whole pack, piece by piece; the last piece is its checksum."""
    digest = hashlib.sha1(usedforsecurity=False)
    for part in chain((b"PACK" + struct.pack(">LL", 2, count),), entries):
        digest.update(part)
        yield part
    yield digest.digest()


def pack_index(objects: Sequence[Packed], pack_checksum: bytes) -> bytes:
    """The index (version 2) of a pack with these objects."""
    ordered = sorted(objects, key=lambda packed: packed.id)
    counts = [0] * 256
    for packed in ordered:
        counts[packed.id[0]] += 1
    far = [packed.offset for packed in ordered if packed.offset >= _HALF]
    places = iter(range(len(far)))
    index = b"".join(
        (
            _INDEX_MAGIC,
            struct.pack(">L", 2),
            _FAN.pack(*accumulate(counts)),
            *(packed.id for packed in ordered),
            *(struct.pack(">L", packed.checksum) for packed in ordered),
            *(
                struct.pack(">L", packed.offset if packed.offset < _HALF else _HALF | next(places))
                for packed in ordered
            ),
            *(struct.pack(">Q", offset) for offset in far),
            pack_checksum,
        )
    )
    return index + hashlib.sha1(index, usedforsecurity=False).digest()


def ids_in_index(index: bytes) -> list[bytes]:
    """The ids of all objects that an index names. Raises `ValueError` when it is damaged or of another kind."""
    if len(index) < 8 + _FAN.size + 40 or not index.startswith(_INDEX_MAGIC + struct.pack(">L", 2)):
        raise ValueError("it is no index of a pack")
    if hashlib.sha1(index[:-20], usedforsecurity=False).digest() != index[-20:]:
        raise ValueError("its checksum does not fit")
    count = _FAN.unpack_from(index, 8)[255]
    start = 8 + _FAN.size
    if start + count * 28 > len(index):
        raise ValueError("it breaks off")
    return [index[at : at + 20] for at in range(start, start + count * 20, 20)]
