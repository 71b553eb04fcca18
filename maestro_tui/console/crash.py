"""Keeps a fault of the console off the screen: the traceback goes to a file, a sentence names it."""

from __future__ import annotations

import traceback
from pathlib import Path

from maestro_tui.console.settings import memory_path
from maestro_tui.model.text import clean


def crash_words(error: BaseException | None) -> str:
    """Write the traceback to a file of this user; the sentence for the terminal."""
    if error is None:
        return "The console ended by a fault of its own. Sessions are safe on disk; start it again."
    reason = f"{type(error).__name__}: {clean(error, 200)}"
    path = memory_path().parent / "crash.log"
    kept = _write(path, error)
    where = f" The details are in {path}." if kept else ""
    return f"The console ended by a fault of its own ({reason}).{where} Sessions are safe on disk; start it again."


def _write(path: Path, error: BaseException) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
        path.chmod(0o600)
    except OSError:
        return False
    return True
