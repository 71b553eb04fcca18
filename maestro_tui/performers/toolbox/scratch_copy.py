"""Copies the project into scratch, so that building leaves nothing behind in the workspace."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import threading
from pathlib import Path

from maestro_tui.model.text import clean, format_bytes
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.source_files import is_virtual_environment, left_out

COPY_LIMIT = 2_000_000_000
"""Bytes; a workspace that is larger holds more than a project's sources."""
_GIT_STATE = ("HEAD", "config", "packed-refs", "index", "shallow")


def copy_project(workspace: Path, target: Path, outside: Path | None, stop: threading.Event) -> None:
    """Copy the project's files; links stay links. Git's state comes along for versions that are read from tags.

    Raises `PerformerFailed` when it is too large or cannot be read.
    """
    total = 0
    todo = [(workspace, target)]
    target.mkdir(parents=True)
    while todo and not stop.is_set():
        source, destination = todo.pop()
        try:
            entries = list(os.scandir(source))
        except OSError as error:
            raise PerformerFailed(f"Cannot read {clean(str(source), 200)}: {error.strerror}.") from error
        for entry in entries:
            if stop.is_set():
                return
            path, to = Path(entry.path), destination / entry.name
            try:
                if entry.is_symlink():
                    to.symlink_to(path.readlink())
                elif entry.is_dir(follow_symlinks=False):
                    if not left_out(entry, source == workspace, outside, generated=False):
                        to.mkdir()
                        todo.append((path, to))
                elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    total += entry.stat(follow_symlinks=False).st_size
                    if total > COPY_LIMIT:
                        raise PerformerFailed(
                            f"The workspace holds more than {format_bytes(COPY_LIMIT)}; it is not copied for a build."
                        )
                    shutil.copy2(path, to, follow_symlinks=False)
            except OSError as error:
                raise PerformerFailed(f"Cannot copy {clean(str(path), 200)}: {error.strerror}.") from error
    _copy_git_state(workspace / ".git", target / ".git")


def _copy_git_state(source: Path, target: Path) -> None:
    """A repository of its own that borrows the objects of the workspace's: nothing can be written back."""
    try:
        if source.is_file():
            text = source.read_text(encoding="utf-8").strip()
            folder = Path(text.removeprefix("gitdir:").strip())
            target.write_text(f"gitdir: {(source.parent / folder).resolve()}\n", encoding="utf-8")
            return
        if not (source / "HEAD").is_file() or source.is_symlink():
            return
        (target / "objects" / "info").mkdir(parents=True)
        alternates = f"{(source / 'objects').resolve()}\n"
        (target / "objects" / "info" / "alternates").write_text(alternates, encoding="utf-8")
        for name in _GIT_STATE:
            if (source / name).is_file():
                shutil.copy2(source / name, target / name)
        if (source / "refs").is_dir():
            shutil.copytree(source / "refs", target / "refs", symlinks=True)
    except (OSError, ValueError) as error:
        raise PerformerFailed(
            f"Cannot read the git repository of the workspace: {clean(error, 200)}."
        ) from error


def unpack_sdist(archive: Path, folder: Path) -> Path:
    """The source tree of an sdist. Raises `PerformerFailed` when it is no sdist or reaches outside its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                inside = folder.resolve()
                for member in tar.getmembers():
                    plain = member.isfile() or member.isdir()
                    if plain and (inside / member.name).resolve().is_relative_to(inside):
                        tar.extract(member, folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise PerformerFailed(
            f"The sdist {clean(archive.name, 120)} cannot be unpacked: {clean(error, 160)}."
        ) from error
    trees = [path for path in folder.iterdir() if path.is_dir() and not is_virtual_environment(path)]
    if len(trees) != 1:
        raise PerformerFailed(f"The sdist {clean(archive.name, 120)} does not hold exactly one folder.")
    return trees[0]
