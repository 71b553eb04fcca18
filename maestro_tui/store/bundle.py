"""Packs a session whole into one plain tar file: the form of a bundle, and its writing.

A bundle holds `manifest.json` with size and SHA-256 of every other member, and then, in this order, the journal,
logs, questions, the workspace's trees with the packs that hold them, every commit, and the artifacts of the newest
one by their SHA-256. Equal sessions give equal bytes. It is not compressed, so that nothing can grow when it is
unpacked, and every name in it is one of a few fixed forms, so that none can lead elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.text import clean
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import VIEW_PREFIX, commit_numbers, commit_path
from maestro_tui.store.questions import QUESTIONS
from maestro_tui.store.runner_file import LEASE
from maestro_tui.store.verify_trees import tree_problems
from maestro_tui.store.workspace_files import found_path
from maestro_tui.store.workspace_git import REPOSITORY

FORMAT = "maestro-bundle/1"
MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
ARTIFACTS = "artifacts"
MANIFEST_LIMIT = 64_000_000
MEMBERS_LIMIT = 200_000
MEMBER_LIMIT = 8_000_000_000
"""Bytes; what a plain tar header can say."""

NAMES = re.compile(
    r"journal\.jsonl|questions/[0-9]{4,9}(\.answer)?\.json|history/[0-9]{4,9}\.json|artifacts/[0-9a-f]{64}"
    r"|logs/[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[0-9]{1,9}\.log"
    r"|workspace\.git/refs/maestro(/[A-Za-z0-9][A-Za-z0-9_-]{0,63}){1,4}"
    r"|workspace\.git/objects/pack/pack-[0-9a-f]{40}\.(pack|idx)"
)
CHUNK = 1 << 20
BLOCK = tarfile.BLOCKSIZE
_NOT_PACKED = (VIEW_PREFIX, LEASE)
"""How lines begin about files that no bundle holds: they are made anew where it is imported."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself."""

    session_id: str
    seq: int
    sha256: str
    """Number and digest of the newest commit."""
    members: tuple[Member, ...]
    left_out: tuple[str, ...] = ()
    """What of the session is not in it, or is in it as damaged as it was, one line each."""


def write_bundle(store: CheckpointStore, session_id: str, target: Path) -> Manifest:
    """Write the session to a new file, durable on return.

    What was damaged before the newest commit goes along as it is, and `left_out` says so. Raises `InputError` when
    the newest commit is damaged or the file is there already, `StoreError`.
    """
    numbers = commit_numbers(store.session_dir(session_id))
    try:
        # Loaded once: a session that runs has a newer one before all of it is read.
        head = store.load(session_id, numbers[-1]) if numbers else store.head(session_id)
    except DamagedFile as error:
        raise InputError(
            f"Session {session_id} is damaged ({error}), and a bundle begins from its newest commit. "
            f"'maestro-tui doctor {session_id}' tells all of it; after a resume from the commit before it can be "
            "exported. Nothing was written."
        ) from error
    left_out = [line for line in problems_of(store, session_id) if not line.startswith(_NOT_PACKED)]
    sources = _sources(store, head, numbers, left_out)
    members = tuple(Member(name, size, _digest(path, size)) for name, (path, size) in sources.items())
    manifest = Manifest(session_id, head.seq, head.sha256, members, tuple(left_out))
    try:
        durable.write_new(target, _parts(manifest, sources))
    except FileExistsError:
        raise InputError(f"{durable.shown(target)} is there already; name a new file.") from None
    return manifest


def problems_of(store: CheckpointStore, session_id: str) -> list[str]:
    """One line for each thing that is wrong with a session or its kept trees, the same wherever its folder lies."""
    folder = store.session_dir(session_id)
    lines = [*store.verify(session_id), *tree_problems(folder)]
    return [line.replace(f"{durable.shown(folder)}/", "") for line in lines]


def _parts(manifest: Manifest, sources: Mapping[str, tuple[Path, int]]) -> Iterator[bytes]:
    """The whole file, piece by piece."""
    told = _manifest_bytes(manifest)
    yield from (_header(MANIFEST, len(told)), told, bytes(-len(told) % BLOCK))
    for member in manifest.members:
        yield _header(member.name, member.size)
        yield from _chunks(sources[member.name][0], member.size)
        yield bytes(-member.size % BLOCK)
    yield bytes(2 * BLOCK)


def _sources(
    store: CheckpointStore, head: Checkpoint, numbers: Sequence[int], left_out: list[str]
) -> dict[str, tuple[Path, int]]:
    """Name in the bundle → file, and how many of its bytes: what is appended meanwhile is not taken."""
    folder = store.session_dir(head.session_id)
    found: dict[str, tuple[Path, int]] = {}
    # The journal comes first, it never tells of a commit that was made after it was read; so do the names of trees.
    journal = folder / JOURNAL
    if journal.is_file():
        found[JOURNAL] = (journal, _whole_lines(journal))
    try:
        logs = sorted(durable.names_in(folder / "logs"))
    except FileNotFoundError:
        logs = []
    trees = folder / REPOSITORY
    paths = [folder / "logs" / name for name in logs]
    paths += sorted((folder / QUESTIONS).glob("*"))
    paths += [*sorted((trees / "refs").rglob("*")), *sorted((trees / "objects" / "pack").glob("*"))]
    paths += [commit_path(folder, seq) for seq in numbers]
    for path in paths:
        name = str(path.relative_to(folder))
        if NAMES.fullmatch(name) and (facts := path.lstat()) and stat.S_ISREG(facts.st_mode):
            found[name] = (path, facts.st_size)
    workspace = Path(head.context.workspace) if head.context.workspace else None
    for artifact in head.context.artifacts:
        name = f"{ARTIFACTS}/{artifact.sha256}"
        if artifact.change == "deleted" or name in found or not NAMES.fullmatch(name):
            continue
        kept = folder / ARTIFACTS / artifact.sha256
        file = kept if kept.is_file() else file_of(workspace, artifact.path)
        try:
            if file is None or _digest(file, file.stat().st_size) != artifact.sha256:
                left_out.append(f"artifact {clean(artifact.path, 200)}: it is not there as it was recorded")
                continue
        except (OSError, DamagedFile) as error:
            reason = getattr(error, "strerror", None) or error
            left_out.append(f"artifact {clean(artifact.path, 200)}: {clean(reason, 200)}")
            continue
        found[name] = (file, file.stat().st_size)
    return found


def file_of(workspace: Path | None, path: str) -> Path | None:
    """An artifact's file within the workspace; None for one that lies elsewhere."""
    relative = PurePosixPath(path)
    if workspace is None or relative.is_absolute() or ".." in relative.parts:
        return None
    file = found_path(workspace, path)
    return file if file.parent.resolve().is_relative_to(workspace.resolve()) else None


def _whole_lines(path: Path) -> int:
    """The length of a file up to its last line break."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - CHUNK)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _digest(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path, size):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    """Exactly the first `size` bytes of a regular file. Raises `DamagedFile` when it has become shorter."""
    fd = durable.open_regular(path)
    with os.fdopen(fd, "rb", buffering=0) as stream:
        left = size
        while left:
            chunk = stream.read(min(left, CHUNK))
            if not chunk:
                raise DamagedFile(f"{durable.shown(path)} has become shorter while it was read")
            left -= len(chunk)
            yield chunk


def _manifest_bytes(manifest: Manifest) -> bytes:
    document = {
        "format": FORMAT,
        "session_id": manifest.session_id,
        "head": {"seq": manifest.seq, "sha256": manifest.sha256},
        "files": [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in manifest.members],
        "left_out": list(manifest.left_out),
    }
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    try:
        return info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError as error:
        raise InputError(
            f"{clean(name, 120)} has {size:,} bytes, too many for a bundle. Nothing was written."
        ) from error
