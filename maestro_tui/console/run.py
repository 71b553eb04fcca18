"""Runs the console on a terminal and ends it well: terminal restored, own sessions stopped resumably."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maestro_tui.console.app import MaestroApp
from maestro_tui.store.index_file import first_glance


def run_console(root: str | Path, **options: Any) -> int:
    """Run until the operator quits, a signal comes or the terminal closes; the exit code.

    `options` are those of `MaestroApp`. Sessions that run here are stopped before this returns.
    """
    root = Path(root).expanduser().absolute()
    # The first frame already holds sessions: a frame without them would have to be painted twice.
    app = MaestroApp(root, first=first_glance(root), **options)
    code = 0
    try:
        with _errors_on_the_terminal():
            code = app.run() or app.return_code or 0
    finally:
        left = app.stop_sessions()
        if left:
            _tell(
                f"{len(left)} of the sessions did not stop in time: {', '.join(left)}. resume goes on with them."
            )
    return code


@contextmanager
def _errors_on_the_terminal() -> Iterator[None]:
    """Textual draws on standard error: where that is a file or a pipe, the terminal takes its place meanwhile."""
    if os.isatty(2):
        yield
        return
    kept = os.dup(2)
    os.dup2(1, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _tell(sentence: str) -> None:
    try:
        sys.stderr.write(sentence + "\n")
    except OSError:
        # The terminal is gone; there is nobody to tell.
        return
