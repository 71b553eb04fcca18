"""Writes a kept tree of the workspace into an empty folder, byte by byte as it was, large files too where they are."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.model.text import clean
from maestro_tui.store import durable
from maestro_tui.store.bundle import ARTIFACTS, file_of
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.file_versions import ask_git, git_program
from maestro_tui.store.workspace_files import (
    LARGE_FILE,
    OPEN_FOLDER,
    hash_regular,
    is_below,
    shown_path,
)
from maestro_tui.store.workspace_git import REPOSITORY

_REF = re.compile(r"refs/maestro/([^/]+)/([0-9]{1,9})/after\Z")
_AT = re.compile(r"(?P<phase>[A-Za-z0-9_-]+)(?:\.(?P<attempt>[0-9]{1,9}))?\Z")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | durable.NO_FOLLOW
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """What was written."""

    phase: str
    attempt: int
    files: int
    missing: tuple[str, ...]
    """Files too large to be kept whose content is nowhere to be found: not written, one line each."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file of a tree: its path, git's mode, the name of its content."""

    path: str
    mode: str
    blob: str


def restore_tree(store: CheckpointStore, session_id: str, target: Path, at: str | None = None) -> Restored:
    """Write the workspace as an attempt left it into `target`, an empty folder or a new one.

    `at` is `PHASE` or `PHASE.N`; without it the phase that ended last and has a tree. A phase that changed no file
    has none. Not synced: the same tree can be written again. Raises `InputError`, `DamagedFile`, `StoreError`.
    """
    head = store.head(session_id)
    folder = store.session_dir(session_id)
    repository = folder / REPOSITORY
    phase, attempt = _chosen(head, _kept(repository), at)
    entries = _entries(repository, f"refs/maestro/{phase}/{attempt}/after")
    with durable.told("write into", target):
        durable.enter_dirs(target)
        if any(target.iterdir()):
            raise InputError(f"{durable.shown(target)} is not empty; name a new folder. Nothing was written.")
    missing = []
    with _contents(repository) as content, durable.told("write into", target), _opened(target) as top:
        for entry in entries:
            try:
                written = _write(entry, content(entry.blob), top, folder, head)
            except FileExistsError as error:
                raise StoreError(
                    f"{durable.shown(target)} cannot hold {clean(shown_path(entry.path), 200)} beside another file "
                    "of that name; what was written so far is not whole."
                ) from error
            if not written:
                missing.append(f"{clean(shown_path(entry.path), 200)}: only its size and SHA-256 are kept")
    return Restored(phase, attempt, len(entries) - len(missing), tuple(missing))


def _kept(repository: Path) -> set[tuple[str, int]]:
    if not (repository / "HEAD").is_file():
        return set()
    lines = ask_git(repository, ["for-each-ref", "--format=%(refname)", "refs/maestro"], ()).decode()
    return {(found[1], int(found[2])) for line in lines.splitlines() if (found := _REF.match(line))}


def _chosen(head: Checkpoint, kept: set[tuple[str, int]], at: str | None) -> tuple[str, int]:
    results = head.context.phase_results
    if at is None:
        ended = [(name, one) for name, one in results.items() if (name, one.attempt) in kept]
        if ended:
            name, last = max(ended, key=lambda one: str(one[1].finished_at))
            return name, last.attempt
        raise InputError(f"Session {head.session_id} keeps no tree of its workspace. Nothing was written.")
    found = _AT.match(at)
    phase = found["phase"] if found else at
    attempt = int(found["attempt"] or 0) if found else 0
    if not attempt and phase in results:
        attempt = results[phase].attempt
    if (phase, attempt) in kept:
        return phase, attempt
    there = ", ".join(f"{name}.{number}" for name, number in sorted(kept)[:20]) or "none"
    raise InputError(
        f"Session {head.session_id} keeps no tree of {clean(at, 80)!r} (an attempt that changed no file has none); "
        f"kept are: {there}. Nothing was written."
    )


def _entries(repository: Path, tree: str) -> list[_Entry]:
    out = []
    for line in ask_git(repository, ["ls-tree", "-r", "-z", "--full-tree", tree], ()).split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, kind, blob = facts.decode().split()
        path = os.fsdecode(name)
        if kind != "blob" or any(
            part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")
        ):
            raise DamagedFile(
                f"{REPOSITORY}: its tree holds {clean(shown_path(path), 200)!r}, which is no file of ours"
            )
        out.append(_Entry(path, mode, blob))
    paths = {entry.path for entry in out}
    if len(paths) < len(out) or any(is_below(path.rpartition("/")[0], paths) for path in paths):
        raise DamagedFile(f"{REPOSITORY}: its tree holds one name twice. Nothing was written.")
    return out


def _write(entry: _Entry, data: bytes, top: int, folder: Path, head: Checkpoint) -> bool:
    """False when only a note about the file is kept, and its content is neither an artifact nor in the workspace."""
    *folders, name = entry.path.split("/")
    note = LARGE_FILE.fullmatch(data) if entry.mode != "120000" else None
    source = _whole_file(entry, note[2].decode(), folder, head) if note is not None else None
    if note is not None and source is None:
        return False
    with _below(top, folders) as here:
        if entry.mode == "120000":
            if b"\0" in data:
                raise DamagedFile(
                    f"{REPOSITORY}: the link {clean(shown_path(entry.path), 200)} leads nowhere"
                )
            os.symlink(os.fsdecode(data), name, dir_fd=here)
            return True
        # For the owner alone, as in the checkpoint directory that it comes from.
        mode = 0o700 if entry.mode == "100755" else 0o600
        with os.fdopen(os.open(name, _CREATE, mode, dir_fd=here), "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            for part in (data,) if source is None else _parts(source):
                stream.write(part)
    return True


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    here = os.open(folder, OPEN_FOLDER & ~os.O_NOFOLLOW)
    try:
        yield here
    finally:
        os.close(here)


@contextmanager
def _below(top: int, folders: Sequence[str]) -> Iterator[int]:
    """A folder below an open one, made where it is missing; a link on the way is an error."""
    here = os.dup(top)
    try:
        for name in folders:
            try:
                os.mkdir(name, 0o700, dir_fd=here)
                made = True
            except FileExistsError:
                made = False
            if made:
                os.chmod(name, 0o700, dir_fd=here)
            below = os.open(name, OPEN_FOLDER, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _whole_file(entry: _Entry, sha256: str, folder: Path, head: Checkpoint) -> Path | None:
    workspace = Path(head.context.workspace) if head.context.workspace else None
    for path in (folder / ARTIFACTS / sha256, file_of(workspace, entry.path)):
        try:
            if path is not None and hash_regular(path)[1] == sha256:
                return path
        except OSError:
            continue  # it is not there, or no file
    return None


def _parts(path: Path) -> Iterator[bytes]:
    with os.fdopen(durable.open_regular(path), "rb", buffering=0) as stream:
        while part := stream.read(_CHUNK):
            yield part


@contextmanager
def _contents(repository: Path) -> Iterator[_Reader]:
    words, environment = git_program(repository)
    with subprocess.Popen(
        [*words, "cat-file", "--batch"],
        env=environment, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as git:  # fmt: skip
        if git.stdin is None or git.stdout is None:
            raise StoreError("git has no pipe to answer on.")
        yield _Reader(git.stdin, git.stdout)
        git.stdin.close()


class _Reader:
    """Asks one git for one content after the other."""

    def __init__(self, asks: IO[bytes], answers: IO[bytes]) -> None:
        self._asks, self._answers = asks, answers

    def __call__(self, blob: str) -> bytes:
        """The content. Raises `DamagedFile`."""
        self._asks.write(f"{blob}\n".encode())
        self._asks.flush()
        answer = self._answers.readline().split()
        if len(answer) != 3 or answer[1] != b"blob":
            raise DamagedFile(f"{REPOSITORY}: it has lost {blob}; what was written so far is not whole")
        data = self._answers.read(int(answer[2]) + 1)
        if len(data) != int(answer[2]) + 1:
            raise DamagedFile(f"{REPOSITORY}: {blob} breaks off; what was written so far is not whole")
        return data[:-1]
