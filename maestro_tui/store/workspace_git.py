"""Keeps trees of a workspace in the session's own git repository, `workspace.git`, written here byte by byte.

No git program takes part: no process to start, none of the operator's settings, hooks or filters, and the same
rules for what is on the disk when as everywhere in the store. Any git can read it:
`git --git-dir workspace.git diff refs/maestro/build/1/before refs/maestro/build/1/after`.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from maestro_tui.model.errors import DamagedFile
from maestro_tui.store import durable
from maestro_tui.store.git_objects import (
    PACK_HEADER_BYTES,
    Kind,
    Packed,
    TreeFile,
    ids_in_index,
    object_id,
    pack_entry,
    pack_index,
    pack_parts,
    tree_of,
)

REPOSITORY = "workspace.git"

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*\Z")
_PACK = re.compile(r"pack-[0-9a-f]{40}\.pack\Z")
_IN_MEMORY = 4 << 20
_PART_OF_FREE = 3
"""What waits takes at most this part of the free room; its pack takes as much again, the rest is for commits."""
_CHUNK = 1 << 20
_INDEX_LIMIT = 1 << 30
_FILES = {
    "config": b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n[gc]\n\tauto = 0\n\tpruneExpire = never\n",
    "HEAD": b"ref: refs/heads/main\n",
    # `git archive` gives the files as they are, whatever they or the operator's settings say of attributes.
    "info/attributes": b"* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n",
}


def ref_problem(name: str) -> str | None:
    """Why this is no name for a snapshot, as the end of a sentence; None when it is one."""
    if _REF.match(name) and len(name) <= 200:
        return None
    return "it must be words of letters, digits, underscores and hyphens, with '/' between them"


class TreeStore:
    """The objects of a session's trees: those on disk, and those that wait until a tree has to last.

    What waits lies in memory or in a nameless file: while nothing has changed in the workspace nothing needs to
    be on the disk, for the workspace itself holds it. What the disk has no room for is let go: from then on ids
    are told and nothing is kept, until there is room. Not for use by two threads at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packs = path / "objects" / "pack"
        self._stored: set[bytes] = set()
        self._known_packs: frozenset[str] | None = None
        self._waiting: dict[bytes, Packed] = {}
        self._spool: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._end = 0
        self._offered = 0
        """Bytes of all that was taken."""
        self.given_up: str | None = None
        """Why nothing can be kept now, as the end of a sentence; None when it can."""

    def is_complete(self) -> bool:
        """False when there may be less than was taken: the repository was removed, gc ran, or there was no room."""
        with suppress(OSError):
            if self.given_up is not None and self._has_room(self._offered):
                return False
        there = self._names()
        if self._known_packs is None:
            for name in there:
                # What cannot be read is written once more; nothing is lost by that.
                with suppress(DamagedFile, FileNotFoundError, ValueError):
                    index = durable.read_regular((self._packs / name).with_suffix(".idx"), _INDEX_LIMIT)
                    self._stored.update(ids_in_index(index))
            self._known_packs = there
        return self._known_packs <= there

    def blob(self, content: bytes) -> bytes:
        """Take a file's content; its id."""
        name = object_id("blob", content)
        self._add("blob", name, content)
        return name

    def tree(self, files: Iterable[TreeFile]) -> str:
        """Take the tree of files whose blobs were taken before; its id in hex digits."""
        return tree_of(files, lambda name, content: self._add("tree", name, content)).hex()

    def has(self, tree: str) -> bool:
        """True for a tree that was taken, with all that belongs to it."""
        name = bytes.fromhex(tree)
        return name in self._waiting or name in self._stored

    def keep(self, trees: Iterable[tuple[str, str]]) -> None:
        """Bring everything taken so far to the disk, then name trees: (name of a snapshot, id). Raises `StoreError`."""
        durable.make_dir(self._packs)
        durable.make_dir(self.path / "refs")
        durable.make_dir(self.path / "info")
        for name, data in _FILES.items():
            if not _is(self.path / name, data):
                durable.replace(self.path / name, data)
        if self._waiting:
            self._write_pack()
        for name, tree in trees:
            ref = self.path / "refs" / "maestro" / name
            durable.make_dir(ref.parent)
            durable.replace(ref, f"{tree}\n".encode())

    def _add(self, kind: Kind, name: bytes, content: bytes) -> None:
        if name in self._stored or name in self._waiting:
            return
        self._offered += len(content)
        if self.given_up is not None:
            return
        if self._spool is None:
            self._spool = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self.path.parent))  # noqa: SIM115
            self._close_spool = weakref.finalize(self, self._spool.close)
            self._end = PACK_HEADER_BYTES
        entry = pack_entry(kind, content)
        try:
            if self._end + len(entry) > _IN_MEMORY and not self._has_room(len(entry), self._end):
                raise OSError(errno.ENOSPC, "too little room is free there")
            self._spool.seek(self._end - PACK_HEADER_BYTES)
            self._spool.write(entry)
        except OSError as error:
            self._give_up(error)
            return
        self._waiting[name] = Packed(name, self._end, zlib.crc32(entry))
        self._end += len(entry)

    def _has_room(self, more: int, waiting: int = 0) -> bool:
        """True when so many further bytes may wait on the disk beside those that wait there already."""
        free = durable.free_bytes(self.path.parent)
        if free is None:
            return True
        on_disk = waiting if waiting > _IN_MEMORY else 0
        return (waiting + more) * _PART_OF_FREE <= free + on_disk

    def _give_up(self, error: OSError) -> None:
        self.given_up = f"no copy of it can be kept beside {durable.shown(self.path)}: {error.strerror}"
        self._waiting = {}
        if self._spool is not None:
            spool, self._spool = self._spool, None
            with suppress(OSError):
                spool.close()

    def _write_pack(self) -> None:
        checksum = b""
        with durable.told("read what waits for", self.path):
            for part in self._whole_pack():
                checksum = part
        base = self._packs / f"pack-{checksum.hex()}"
        # A name that is there already has this very content: a process died before it had named the trees.
        with suppress(FileExistsError):
            durable.write_new(base.with_suffix(".pack"), self._whole_pack())
        with suppress(FileExistsError):
            durable.write_new(base.with_suffix(".idx"), pack_index(list(self._waiting.values()), checksum))
        self._stored.update(self._waiting)
        self._known_packs = self._names()
        self._waiting = {}
        if self._spool is not None:
            self._close_spool()
            self._spool = None

    def _whole_pack(self) -> Iterator[bytes]:
        return pack_parts(len(self._waiting), self._spooled())

    def _spooled(self) -> Iterator[bytes]:
        if self._spool is not None:
            self._spool.seek(0)
            while part := self._spool.read(_CHUNK):
                yield part

    def _names(self) -> frozenset[str]:
        try:
            return frozenset(name for name in durable.names_in(self._packs) if _PACK.match(name))
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()


def sweep_trees(repository: Path) -> None:
    """Remove temporary files that a dead process left; only while no other runner keeps trees. Raises `StoreError`."""
    for folder, _, _ in os.walk(repository):
        durable.sweep(Path(folder))


def _is(path: Path, data: bytes) -> bool:
    try:
        return durable.read_regular(path, _CHUNK) == data
    except (FileNotFoundError, DamagedFile):
        return False
