"""Keeps trees of a workspace in the session's own git repository, through `git fast-import` alone.

The project's repository, hooks, attributes, filters and ignore files play no part: git gets contents and
paths from us and never looks at the workspace itself.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from maestro_tui.model.text import clean

TIMEOUT_SECONDS = 600.0

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*\Z")
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9_./+=@,~-]+\Z")
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.attributesFile=/dev/null", "core.protectNTFS=false",
    "core.protectHFS=false", "core.compression=1", "core.fsync=all", "fastimport.unpackLimit=1", "gc.auto=0",
    "init.templateDir=",
)  # fmt: skip


def ref_problem(name: str) -> str | None:
    """Why this is no name for a snapshot, as the end of a sentence; None when it is one."""
    if _REF.match(name) and len(name) <= 200:
        return None
    return "it must be words of letters, digits, underscores and hyphens, with '/' between them"


class Recorder:
    """Takes contents and then one tree. Once git fails, all further calls do nothing and `problem` says why."""

    def __init__(
        self, process: subprocess.Popen[bytes] | None, name: str, problem: str | None = None
    ) -> None:
        self.problem = problem
        self._process = process
        self._ref = f"refs/maestro/{name}"

    def blob(self, data: bytes) -> None:
        """Content that the tree will name."""
        self._send(b"blob\ndata %d\n" % len(data), data, b"\n")

    def commit(self, entries: Iterable[tuple[str, bool, bool, str]]) -> str | None:
        """Record (path, is link, is executable, blob) as one tree; the commit's name, None when git failed."""
        process = self._process
        if process is None:
            return None
        message = self._ref.encode()
        self._send(
            b"commit %s\nmark :1\n" % self._ref.encode(),
            b"committer maestro-tui <> %d +0000\ndata %d\n%s\n" % (int(time.time()), len(message), message),
            b"deleteall\n",
        )
        for path, link, executable, blob in entries:
            if blob:
                mode = b"120000" if link else b"100755" if executable else b"100644"
                self._send(b"M %s %s %s\n" % (mode, blob.encode(), _quoted(os.fsencode(path))))
        self._send(b"\nget-mark :1\ndone\n")
        try:
            out, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self._fail(f"it did not end within {TIMEOUT_SECONDS:g} s")
            return None
        if process.returncode != 0:
            self._fail(clean(errors.decode("utf-8", "replace").strip().partition("\n")[0], 200))
        return out.decode("ascii", "replace").strip() if self.problem is None else None

    def abandon(self) -> None:
        """End git when no tree came."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def _send(self, *parts: bytes) -> None:
        if self._process is None or self._process.stdin is None or self.problem is not None:
            return
        try:
            for part in parts:
                self._process.stdin.write(part)
        except (BrokenPipeError, ValueError):
            self._fail("git ended early")

    def _fail(self, reason: str) -> None:
        self.problem = (
            f"git kept no tree of the workspace ({reason}); the files' hashes are recorded all the same"
        )


class GitRecord:
    """The session's `workspace.git`, made when first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git = shutil.which("git")

    @property
    def present(self) -> bool:
        """True when there is a git program to record with."""
        return self._git is not None

    @contextmanager
    def recording(self, name: str) -> Iterator[Recorder]:
        """A recorder for one tree; git is ended on the way out, whatever happened."""
        recorder = self._begin(name)
        try:
            yield recorder
        finally:
            recorder.abandon()
        if recorder.problem is None and self._git is not None:
            _sync_folders(self.path, f"refs/maestro/{name}")

    def _begin(self, name: str) -> Recorder:
        if self._git is None:
            return Recorder(None, name)
        try:
            self._make()
            # --force: a name that an interrupted attempt used before is given to the new tree.
            process = self._start(
                "fast-import", "--quiet", "--force", "--depth=0", "--done", "--date-format=raw"
            )
        except (OSError, subprocess.SubprocessError) as error:
            reason = clean(error.strerror if isinstance(error, OSError) and error.strerror else error, 200)
            return Recorder(None, name, f"git kept no tree of the workspace ({reason})")
        return Recorder(process, name)

    def _make(self) -> None:
        """Create the repository beside its place and move it there, so that two who do it at once agree."""
        if (self.path / "HEAD").exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.tmp")
        fresh.mkdir(mode=0o700)
        try:
            subprocess.run(
                self._words("init", "--quiet", "--bare", str(fresh)),
                env=git_environment(None), stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60,
                umask=0o077,
            )  # fmt: skip
            # Git syncs nothing here, and an empty HEAD or config would make the repository useless for good.
            for part in ("HEAD", "config", "refs", "objects", "."):
                _sync(fresh / part)
            try:
                fresh.rename(self.path)
            except OSError:
                if not (self.path / "HEAD").exists():
                    raise
            _sync(self.path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        # A session of its own: ctrl+c in the terminal is for us to handle, not for git.
        return subprocess.Popen(
            self._words(*words),
            env=git_environment(self.path), cwd=self.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=1024 * 1024, start_new_session=True, umask=0o077,
        )  # fmt: skip

    def _words(self, *words: str) -> list[str]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return [self._git or "git", *settings, *words]


def git_environment(repository: Path | None) -> dict[str, str]:
    """Nothing of the operator's git settings: no system, global or inherited configuration, no prompts."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DEFAULT_HASH": "sha1",
    }
    if repository is not None:
        environment["GIT_DIR"] = str(repository.absolute())
    return environment


def _quoted(path: bytes) -> bytes:
    """A path as fast-import reads it: plain, or in quotes with every other byte as three octal digits."""
    if _PLAIN_PATH.match(path):
        return path
    return (
        b'"'
        + b"".join(bytes([c]) if 0x20 < c < 0x7F and c not in b'"\\' else b"\\%03o" % c for c in path)
        + b'"'
    )


def _sync_folders(repository: Path, ref: str) -> None:
    """Git syncs its files; their names are safe only when the folders are synced as well."""
    folders = [repository / "objects" / "pack", repository / "objects", repository]
    folder = (repository / ref).parent
    while folder != repository and repository in folder.parents:
        folders.append(folder)
        folder = folder.parent
    for folder in folders:
        try:
            _sync(folder)
        except FileNotFoundError:
            continue  # git keeps it elsewhere (packed refs)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
