"""Writes the documents that a model hands in into the workspace, and nowhere else."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from maestro_tui.model.text import clean, encodable

DOCUMENT_LIMIT = 2_000_000
"""Bytes of one document."""
TOTAL_LIMIT = 16_000_000
"""Bytes of all documents of one answer."""
COUNT_LIMIT = 200
_CLOSED = frozenset([".git", ".maestro"])
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Document(BaseModel):
    """A file to be delivered, whole."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="Relative to the workspace, like docs/design.md.")
    content: str = Field(description="The whole text of the file.")


class DocumentRefused(Exception):
    """A document cannot be written where it wants to be; `str()` is a sentence."""


def problem_with(documents: Sequence[Document]) -> str | None:
    """What is wrong with paths and sizes, as a sentence; None when nothing is."""
    if len(documents) > COUNT_LIMIT:
        return f"There are {len(documents)} documents; at most {COUNT_LIMIT} can be taken."
    total, seen = 0, set()
    for document in documents:
        reason = _path_problem(document.path)
        if reason is not None:
            return f"The document path {clean(document.path, 120)!r} cannot be taken: {reason}."
        if document.path in seen:
            return f"The document {document.path!r} is there twice."
        seen.add(document.path)
        size = len(encodable(document.content).encode())
        total += size
        if size > DOCUMENT_LIMIT or total > TOTAL_LIMIT:
            return (
                f"The document {document.path!r} makes it too much: one may have {DOCUMENT_LIMIT:,} bytes, "
                f"all together {TOTAL_LIMIT:,}."
            )
    return None


def _path_problem(path: str) -> str | None:
    if not path or len(path) > 1_000 or clean(path, 2_000) != path:
        return "it must be 1 to 1,000 visible characters"
    if path.startswith("/") or "\\" in path or path[1:2] == ":":
        return "it must be relative to the workspace, with '/' between its parts"
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.strip() != part for part in parts):
        return "it must have no '.', '..', empty or padded parts"
    if any(len(part.encode()) > 200 for part in parts):
        return "one of its parts is longer than 200 bytes"
    if any(part.lower() in _CLOSED for part in parts):
        return "nothing may be written into .git or the checkpoint directory"
    return None


def write_documents(
    documents: Sequence[Document],
    workspace: Path,
    *,
    own_folder: str | None = None,
    scratch: Path | None = None,
) -> tuple[str, ...]:
    """Write the documents; their paths relative to the workspace, in order.

    Folders are made as needed. No link is followed on the way: each folder is opened from within the one above
    it. Files are replaced as a whole. With `own_folder` every document goes below it. `scratch` tells where the
    session's checkpoint directory is, which is never written into. Raises `DocumentRefused`, and says what had
    been written by then.
    """
    problem = problem_with(documents)
    if problem is not None:
        raise DocumentRefused(problem)
    closed = _checkpoint_folders(scratch)
    written: list[str] = []
    for document in documents:
        path = document.path
        if own_folder and not path.startswith(f"{own_folder}/"):
            path = f"{own_folder}/{path}"
        try:
            _write(workspace, path, encodable(document.content).encode(), closed)
        except OSError as error:
            done = f" Written before it: {', '.join(written)}." if written else " Nothing was written."
            raise DocumentRefused(
                f"The document {path!r} cannot be written into the workspace ({_reason(error)}).{done}"
            ) from error
        written.append(path)
    return tuple(written)


def make_folder(workspace: Path, path: str) -> None:
    """Make a folder of the workspace, with those above it; no link is followed. Raises `DocumentRefused`."""
    try:
        with _opened(workspace, path.split("/"), frozenset()):
            return
    except OSError as error:
        raise DocumentRefused(
            f"The folder {clean(path, 200)!r} cannot be made in the workspace ({_reason(error)}). "
            "Remove what is in its place, then resume."
        ) from error


def _write(workspace: Path, path: str, content: bytes, closed: frozenset[tuple[int, int]]) -> None:
    *folders, name = path.split("/")
    with _opened(workspace, folders, closed) as folder:
        mode = 0o666
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is not None:
            if stat.S_ISLNK(there.st_mode):
                raise OSError(errno.ELOOP, "a link stands in its place")
            if not stat.S_ISREG(there.st_mode):
                raise OSError(errno.EEXIST, "something that is no file stands in its place")
            mode = stat.S_IMODE(there.st_mode)
        draft = f".{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(draft, flags, mode, dir_fd=folder), "wb") as file:
                if there is not None:
                    os.fchmod(file.fileno(), mode)
                file.write(content)
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise


@contextmanager
def _opened(workspace: Path, folders: Sequence[str], closed: frozenset[tuple[int, int]]) -> Iterator[int]:
    # The operator named the workspace, so a link there is theirs; below it nobody is trusted.
    here = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in folders:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=here)
            below = os.open(name, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
            found = os.fstat(here)
            if (found.st_dev, found.st_ino) in closed:
                raise OSError(errno.EACCES, "that is the checkpoint directory")
        yield here
    finally:
        os.close(here)


def _checkpoint_folders(scratch: Path | None) -> frozenset[tuple[int, int]]:
    """The session's folder and the checkpoint directory around it, by identity."""
    for folder in scratch.parents if scratch is not None else ():
        if (folder / "history").is_dir():
            found = [one.stat() for one in (folder, folder.parent)]
            return frozenset((one.st_dev, one.st_ino) for one in found)
    return frozenset()


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a link or a file stands in its way"
    return clean(error.strerror or error, 120).lower()
