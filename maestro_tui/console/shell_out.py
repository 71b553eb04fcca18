"""Hands the terminal to the operator's editor or pager and takes it back, whatever that program does.

What others wrote reaches a pager cleaned, as a private copy; an editor gets the file itself, which must be a
regular one that no link leads to.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from maestro_tui.console.preview import open_inside
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

PAGED_BYTES = 16_777_216
EDITED_BYTES = 16_777_216
_LINE = 100_000


def program(kind: str) -> list[str]:
    """The words of the operator's `editor` or `pager`. Raises `InputError` when there is none."""
    names = ("VISUAL", "EDITOR") if kind == "editor" else ("PAGER",)
    wanted = [os.environ.get(name, "").strip() for name in names]
    wanted += ["vi", "nano"] if kind == "editor" else ["less", "more"]
    for words in wanted:
        try:
            parts = shlex.split(words)
        except ValueError as error:
            raise InputError(f"${names[-1]} cannot be read: {clean(error, 80)}.") from error
        if parts and shutil.which(parts[0]):
            return parts
    raise InputError(f"No {kind} was found; set ${names[-1]} to one and start the console again.")


def run_outside(app: MaestroApp, words: list[str]) -> None:
    """Run a program on the terminal while the console steps aside. Raises `InputError`."""
    from textual.app import SuspendNotSupported

    try:
        with app.suspend(), _keys_are_its_own():
            code = subprocess.run(words, check=False).returncode
    except SuspendNotSupported as error:
        raise InputError("Here no program can take the terminal; nothing was opened.") from error
    except OSError as error:
        reason = clean(error.strerror or error, 100)
        raise InputError(f"{clean(words[0], 80)} could not be started: {reason}.") from error
    if code:
        raise InputError(f"{clean(words[0], 80)} ended with code {code}; what it left was not used.")


@contextmanager
def _keys_are_its_own() -> Iterator[None]:
    """ctrl+c belongs to the program: it must not end the console behind it.

    A handler of Python's own is put back to the standard one in the program; ignoring would be inherited.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        for number in before:
            signal.signal(number, lambda *_: None)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ── A text that is edited ─────────────────────────────────────────────────────────────────────────────────


def edit_text(app: MaestroApp, text: str, suffix: str) -> str:
    """What the operator made of a text in the editor; the private file is removed. Raises `InputError`."""
    words = program("editor")
    with tempfile.TemporaryDirectory(prefix="maestro-tui-") as folder:
        path = Path(folder) / f"edit{suffix}"
        with os.fdopen(_private(path), "w", encoding="utf-8") as stream:
            stream.write(text)
        run_outside(app, [*words, str(path)])
        try:
            with path.open("rb") as result:
                raw = result.read(EDITED_BYTES + 1)
            if len(raw) > EDITED_BYTES:
                raise InputError(
                    f"What the editor left has more than {EDITED_BYTES:,} bytes; it is not used."
                )
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"What the editor left is not UTF-8 (byte {error.start}); it is not used."
            ) from error
        except OSError as error:
            raise InputError(
                f"What the editor left cannot be read: {clean(error.strerror or error, 100)}."
            ) from error


# ── A file of a workspace ─────────────────────────────────────────────────────────────────────────────────


def open_in_editor(app: MaestroApp, workspace: str | None, path: str) -> None:
    """Open a workspace's file itself in the editor. Raises `InputError`."""
    words = program("editor")
    os.close(_regular(workspace, path))
    assert workspace is not None  # `_regular` refused otherwise
    run_outside(app, [*words, str(Path(workspace).resolve() / path)])


def open_in_pager(app: MaestroApp, workspace: str | None, path: str) -> None:
    """Show a cleaned private copy of a workspace's file in the pager. Raises `InputError`."""
    words = program("pager")
    descriptor = _regular(workspace, path)
    with os.fdopen(descriptor, "rb") as stream:
        raw = stream.read(PAGED_BYTES + 1)
    lines = raw[:PAGED_BYTES].decode("utf-8", "replace").split("\n")
    shown = "\n".join(clean(line.removesuffix("\r").expandtabs(8), _LINE) for line in lines)
    if len(raw) > PAGED_BYTES:
        shown += f"\n… the first {PAGED_BYTES:,} bytes are shown\n"
    with tempfile.TemporaryDirectory(prefix="maestro-tui-") as folder:
        copy = Path(folder) / "shown.txt"
        with os.fdopen(_private(copy), "w", encoding="utf-8", errors="replace") as out:
            out.write(shown)
        run_outside(app, [*words, str(copy)])


def _private(path: Path) -> int:
    """A new file for its owner alone, in a folder for its owner alone, under any umask."""
    path.parent.chmod(0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _regular(workspace: str | None, path: str) -> int:
    shown = clean(path, 200)
    if workspace is None:
        raise InputError("The session has no workspace here; there is no file to open.")
    try:
        descriptor = open_inside(Path(workspace), path)
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or error, 120)
        raise InputError(f"{shown} is not opened: {reason}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{shown} is not a regular file; it is not opened.")
    return descriptor
