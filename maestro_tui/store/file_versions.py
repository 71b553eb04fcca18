"""Reads what a file of the workspace held at each attempt, from the trees in the session's `workspace.git`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maestro_tui.model.errors import StoreError
from maestro_tui.model.text import clean
from maestro_tui.store.workspace_git import ref_problem

SECONDS = 30.0
_SETTINGS = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "core.fsmonitor=false",
)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file as an attempt found it (`before`) or left it (`after`)."""

    phase: str
    attempt: int
    moment: Literal["before", "after"]
    blob: str
    """Name of the content in `workspace.git`; empty when the file was not there."""
    size: int
    """Bytes."""


def file_versions(session_dir: Path, path: str, attempts: Iterable[tuple[str, int]]) -> list[FileVersion]:
    """Each content that a file had, oldest first; the same content twice in a row counts once.

    `attempts` are (phase, number) in the order of their start. Empty when no tree was kept. Raises
    `StoreError` when git cannot be asked. Reads the disk: for a thread.
    """
    repository = session_dir / "workspace.git"
    moments: tuple[Literal["before", "after"], ...] = ("before", "after")
    asked = [
        (phase, attempt, moment)
        for phase, attempt in attempts
        for moment in moments
        if ref_problem(f"{phase}/{attempt}/{moment}") is None
    ]
    # Git would look for these beside the tree, not in it.
    inside = not {"", ".", ".."} & set(path.split("/")) and "\n" not in path
    if not asked or not inside or not (repository / "HEAD").is_file():
        return []
    refs = [f"refs/maestro/{phase}/{attempt}/{moment}" for phase, attempt, moment in asked]
    # The tree itself is asked for too: where none was kept, a file that is missing in it means nothing.
    lines = [name for ref in refs for name in (f"{ref}^{{tree}}", f"{ref}:{path}")]
    out = ask_git(repository, ["cat-file", "--batch-check=%(objecttype) %(objectname) %(objectsize)"], lines)
    answers = out.decode("utf-8", "replace").splitlines()
    if len(answers) != len(lines):
        raise StoreError(f"git answered {len(answers)} of {len(lines)} questions about {clean(path, 200)}.")
    versions: list[FileVersion] = []
    for number, (phase, attempt, moment) in enumerate(asked):
        if not answers[2 * number].startswith("tree "):
            continue
        kind, _, rest = answers[2 * number + 1].partition(" ")
        blob, _, size = rest.partition(" ") if kind == "blob" else ("", "", "0")
        if not versions or versions[-1].blob != blob:
            versions.append(FileVersion(phase, attempt, moment, blob, int(size)))
    return versions if any(version.blob for version in versions) else []


def version_content(session_dir: Path, version: FileVersion, most: int) -> bytes:
    """What the file held, at most `most` bytes of it; nothing when it was not there. Raises `StoreError`."""
    if not version.blob:
        return b""
    if version.size > most:
        raise StoreError(
            f"It has {version.size:,} bytes at attempt {version.attempt} of {version.phase}: too many to show."
        )
    return ask_git(session_dir / "workspace.git", ["cat-file", "blob", version.blob], ())


def ask_git(repository: Path, words: list[str], lines: Iterable[str]) -> bytes:
    """What git says of a repository, asked with these lines. Raises `StoreError`."""
    program, environment = git_program(repository)
    try:
        done = subprocess.run(
            [*program, *words],
            input="".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"),
            env=environment,
            cwd=repository,
            capture_output=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(f"git cannot be asked for what the file was: {clean(reason, 200)}.") from error
    if done.returncode != 0:
        reason = clean(done.stderr.decode("utf-8", "replace").strip().partition("\n")[0], 200)
        raise StoreError(f"git cannot tell what the file was: {reason}. All commits are safe.")
    return done.stdout


def git_program(repository: Path) -> tuple[list[str], dict[str, str]]:
    """How git is begun, and with which environment. Raises `StoreError` when it is not installed."""
    git = shutil.which("git")
    if git is None:
        raise StoreError("git is not installed here; it reads what files were at each attempt.")
    return [git, *_SETTINGS], _environment(repository)


def _environment(repository: Path) -> dict[str, str]:
    """Nothing of the operator's git settings, no prompts, and no way to another computer, whatever a copied
    repository asks for."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_DIR": str(repository.absolute()),
    }
