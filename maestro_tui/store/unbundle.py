"""Unpacks a bundle into a checkpoint directory: every byte is checked first, and all of it is there or nothing."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Lineage
from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.model.text import clean, session_id_problem
from maestro_tui.store import durable
from maestro_tui.store.bundle import (
    ARTIFACTS,
    BLOCK,
    CHUNK,
    FORMAT,
    MANIFEST,
    MANIFEST_LIMIT,
    MEMBER_LIMIT,
    MEMBERS_LIMIT,
    NAMES,
    Manifest,
    Member,
    problems_of,
)
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import HISTORY, commit_numbers
from maestro_tui.store.locks import FileLock
from maestro_tui.store.root import make_root
from maestro_tui.store.workspace_git import REPOSITORY, TreeStore

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FILE = re.compile(r"(?:history|questions)/[0-9]{4,9}(?:\.answer)?\.json|journal\.jsonl")
_UNPACKING = ".import-"
_TRIES = 20


def is_bundle(path: Path) -> bool:
    """True for a regular file that begins as a bundle does."""
    try:
        return durable.read_start(path, len(MANIFEST) + 1) == MANIFEST.encode() + b"\0"
    except (DamagedFile, FileNotFoundError):
        return False


def unpack_bundle(store: CheckpointStore, path: Path, as_id: str | None = None) -> Manifest:
    """Make a session of a bundle, under its own id or begun anew as `as_id`; durable on return.

    Every byte is checked before the session can be seen. With `as_id` a new session begins from the newest
    commit, lineage recorded, with the logs, artifacts and trees of the old one. Raises `InputError` when the id
    is taken, `DamagedFile` with the reason in one line, `StoreError`; nothing is left of what was broken off.
    """
    make_root(store.root)
    _sweep_broken_off(store.root)
    with _aside(store.root) as place, path.open("rb") as stream:
        manifest = _read_manifest(stream, path)
        wanted = as_id if as_id is not None else manifest.session_id
        if store.exists(wanted) or store.session_dir(wanted).exists():
            raise InputError(
                f"Session {clean(wanted, 130)!r} exists already in {durable.shown(store.root)}; --as gives the one "
                "in the bundle another name. Nothing was imported."
            )
        _unpack_members(stream, path, manifest, place / manifest.session_id)
        _check(CheckpointStore(place), path, manifest)
        if as_id is not None:
            _begin_anew(CheckpointStore(place), manifest, as_id)
        with durable.told("import into", store.root):
            try:
                (place / wanted).rename(store.session_dir(wanted))
            except OSError as error:
                if not store.session_dir(wanted).exists():
                    raise
                raise InputError(f"Session {wanted!r} was begun meanwhile. Nothing was imported.") from error
            durable.sync_dir(store.root)
    return manifest


def verify_bundle(path: Path) -> list[str]:
    """One line for each thing that is wrong with a bundle; it is unpacked into a temporary folder and checked whole."""
    with tempfile.TemporaryDirectory(prefix="maestro-") as aside:
        Path(aside).chmod(0o700)  # under any umask
        store = CheckpointStore(aside)
        try:
            return problems_of(store, unpack_bundle(store, path).session_id)
        except (DamagedFile, InputError, StoreError) as error:
            return [str(error)]


@contextmanager
def _aside(root: Path) -> Iterator[Path]:
    """A folder under the root that nobody lists; removed on the way out, and by the next import after a crash."""
    for left in reversed(range(_TRIES)):
        place = root / f"{_UNPACKING}{secrets.token_hex(8)}"
        lock = FileLock(place / "lock")
        try:
            with durable.told("make the folder", place):
                durable.enter_dir(place)
            if lock.take():
                break
        except StoreError:
            if place.is_dir() or not left:
                raise
        # Another import took it for what a dead one left: between its making and its locking nobody can tell.
    else:
        raise StoreError(f"Other imports into {durable.shown(root)} are in the way. Nothing was imported.")
    try:
        yield place
    finally:
        _delete(place, lock)


def _sweep_broken_off(root: Path) -> None:
    for name in durable.names_in(root):
        if name.startswith(_UNPACKING):
            lock = FileLock(root / name / "lock")
            # It is gone meanwhile, or not ours to open: none of these keeps anybody from importing.
            with suppress(StoreError):
                if lock.take():
                    _delete(root / name, lock)


def _delete(place: Path, lock: FileLock) -> None:
    shutil.rmtree(place, ignore_errors=True)
    lock.free()
    # Over FUSE and NFS a deleted file that is open stays under a hidden name until it is closed, and its folder too.
    with suppress(OSError):
        place.rmdir()


def _unpack_members(stream: Any, path: Path, manifest: Manifest, folder: Path) -> None:
    with durable.told("make the folder", folder):
        for part in ("", HISTORY, "locks", "logs", "tmp", ARTIFACTS):
            durable.enter_dir(folder / part)
    for member in manifest.members:
        _expect_header(stream, path, member.name, member.size)
        target = folder / member.name
        durable.make_dir(target.parent)
        durable.write_new(target, _checked(stream, path, member))
    if stream.read(2 * BLOCK + 1) != bytes(2 * BLOCK):
        raise _damaged(path, "it holds more than its manifest says, or breaks off")
    with durable.told("write", folder):
        for part in (HISTORY, "logs", ARTIFACTS, ""):
            durable.sync_dir(folder / part)


def _checked(stream: Any, path: Path, member: Member) -> Iterator[bytes]:
    """A member's bytes; when they are not those of the manifest, the file is not made."""
    digest = hashlib.sha256()
    for chunk in _read_exactly(stream, path, member.size):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != member.sha256:
        raise _damaged(path, f"{member.name} is not what the manifest says")
    _skip_padding(stream, path, member.size)


def _check(store: CheckpointStore, path: Path, manifest: Manifest) -> None:
    """Everything that a session in the checkpoint directory is checked for, before it comes there."""
    session_id = manifest.session_id
    folder = store.session_dir(session_id)
    if (folder / REPOSITORY).exists():
        # Settings and hooks do not come with a bundle: those of a repository of ours are written anew.
        TreeStore(folder / REPOSITORY).keep(())
    store.repair_views(session_id)
    told = set(map(_place, manifest.left_out))
    for problem in problems_of(store, session_id):
        if _place(problem) not in told:
            raise _damaged(path, problem)
    newest, head = max(commit_numbers(folder), default=0), store.head(session_id)
    if newest != head.seq or (head.seq, head.sha256) != (manifest.seq, manifest.sha256):
        raise _damaged(path, f"its newest commit is {newest}, not that of its manifest")


def _place(line: str) -> str:
    """What a line is about: a file may be told as damaged where it was and as missing here."""
    found = _FILE.match(line)
    return found[0] if found is not None else line


def _begin_anew(store: CheckpointStore, manifest: Manifest, as_id: str) -> None:
    lineage = Lineage(session_id=manifest.session_id, seq=manifest.seq, sha256=manifest.sha256, how="import")
    context = store.head(manifest.session_id).context
    store.create(context.model_copy(update={"session_id": as_id, "lineage": lineage, "recovered": {}}))
    old, new = store.session_dir(manifest.session_id), store.session_dir(as_id)
    (new / "logs").rmdir()
    for name in ("logs", ARTIFACTS, REPOSITORY):
        if (old / name).exists():
            (old / name).rename(new / name)
    durable.sync_dir(new)


def _read_manifest(stream: Any, path: Path) -> Manifest:
    size = _expect_header(stream, path, MANIFEST, None)
    if size > MANIFEST_LIMIT:
        raise _damaged(path, "its manifest is too large")
    raw = b"".join(_read_exactly(stream, path, size))
    _skip_padding(stream, path, size)
    try:
        document = json.loads(raw.decode("ascii"))
        if document["format"] != FORMAT:
            raise _damaged(path, f"its format is {clean(document['format'], 60)!r}; {FORMAT!r} is read")
        members = tuple(_member(one) for one in document["files"])
        manifest = Manifest(
            session_id=document["session_id"],
            seq=int(document["head"]["seq"]),
            sha256=str(document["head"]["sha256"]),
            members=members,
            left_out=tuple(clean(line, 400) for line in document["left_out"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise _damaged(path, f"its manifest is none ({clean(error, 120)})") from error
    problem = (
        session_id_problem(manifest.session_id) if isinstance(manifest.session_id, str) else "it is no text"
    )
    if problem is not None:
        raise _damaged(path, f"its session id is none: {problem}")
    names = [member.name for member in members]
    if len(names) > MEMBERS_LIMIT or len(set(names)) != len(names):
        raise _damaged(path, "its manifest names a file twice, or too many")
    return manifest


def _member(entry: Mapping[str, Any]) -> Member:
    name, size, sha256 = entry["name"], entry["size"], entry["sha256"]
    if not isinstance(name, str) or not NAMES.fullmatch(name):
        raise ValueError(f"no file of a bundle is called {clean(name, 120)!r}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MEMBER_LIMIT:
        raise ValueError(f"{name} has no size")
    if not isinstance(sha256, str) or not _DIGEST.match(sha256):
        raise ValueError(f"{name} has no digest")
    if name.startswith(f"{ARTIFACTS}/") and name != f"{ARTIFACTS}/{sha256}":
        raise ValueError(f"{name} is another file's content")
    return Member(name, size, sha256)


def _expect_header(stream: Any, path: Path, name: str, size: int | None) -> int:
    """The size that the next header tells; it must be of a plain file of that name and size."""
    raw = stream.read(BLOCK)
    try:
        info = tarfile.TarInfo.frombuf(raw, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise _damaged(path, f"it breaks off before {name}, or is no bundle") from error
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.name != name:
        raise _damaged(path, f"where {name} should be is {clean(info.name, 120)!r}, or no plain file")
    if size is not None and info.size != size:
        raise _damaged(path, f"{name} has {info.size:,} bytes, its manifest says {size:,}")
    return info.size


def _read_exactly(stream: Any, path: Path, size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            raise _damaged(path, "it breaks off")
        left -= len(chunk)
        yield chunk


def _skip_padding(stream: Any, path: Path, size: int) -> None:
    padding = -size % BLOCK
    if stream.read(padding) != bytes(padding):
        raise _damaged(path, "it breaks off, or holds something between its files")


def _damaged(path: Path, reason: str) -> DamagedFile:
    return DamagedFile(f"{durable.shown(path)}: {reason}. Nothing was imported.")
