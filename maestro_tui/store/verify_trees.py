"""Checks the trees of the workspace that a session keeps: every pack's checksum, and that each name leads to a tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean
from maestro_tui.store import durable
from maestro_tui.store.git_objects import ids_in_index
from maestro_tui.store.workspace_git import REPOSITORY

_SUM = 20
_CHUNK = 1 << 20
_INDEX_LIMIT = 1 << 30
_REF_LIMIT = 1_000


def tree_problems(session_dir: Path) -> Iterator[str]:
    """One line for each thing that is not as it was written; none where no trees are kept. Reads only."""
    repository = session_dir / REPOSITORY
    ids: set[bytes] = set()
    packs = repository / "objects" / "pack"
    for pack in sorted(packs.glob("pack-*.pack")) if durable.leads_to_folder(packs) else ():
        place = f"{REPOSITORY}/{clean(pack.name, 80)}"
        try:
            checksum = _checksum(pack)
            if checksum is None:
                yield f"{place}: its checksum does not match its bytes (cut off or changed)"
            index = durable.read_regular(pack.with_suffix(".idx"), _INDEX_LIMIT)
            whole = hashlib.sha1(index[:-_SUM], usedforsecurity=False).digest() == index[-_SUM:]
            if not whole or (checksum is not None and index[-2 * _SUM : -_SUM] != checksum):
                yield f"{place}: its index does not belong to it (cut off or changed)"
                continue
            ids.update(ids_in_index(index))
        except FileNotFoundError:
            yield f"{place}: its index is missing"
        except (DamagedFile, OSError, ValueError) as error:
            yield f"{place}: {clean(error, 200)}"
    yield from _names(repository, ids)


def _names(repository: Path, ids: set[bytes]) -> Iterator[str]:
    top = repository / "refs" / "maestro"
    for folder, _, files in sorted(os.walk(top)):
        for name in sorted(files):
            path = Path(folder, name)
            place = f"{REPOSITORY}: the tree {clean(str(path.relative_to(top)), 200)}"
            if name.startswith(durable.TEMP_PREFIX):
                continue
            try:
                tree = durable.read_regular(path, _REF_LIMIT).decode("ascii").strip()
                there = bytes.fromhex(tree) in ids or _is_loose(repository, tree)
            except (DamagedFile, FileNotFoundError, ValueError):
                yield f"{place} has no name that can be read"
                continue
            if not there:
                yield f"{place} is not there any more"


def _is_loose(repository: Path, tree: str) -> bool:
    return (repository / "objects" / tree[:2] / tree[2:]).is_file()


def _checksum(pack: Path) -> bytes | None:
    """The checksum at a pack's end when it is right."""
    descriptor = durable.open_regular(pack)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        left = os.fstat(descriptor).st_size - _SUM
        digest = hashlib.sha1(usedforsecurity=False)
        while left > 0 and (data := stream.read(min(_CHUNK, left))):
            digest.update(data)
            left -= len(data)
        told = stream.read(_SUM)
    return told if left == 0 and told == digest.digest() else None
