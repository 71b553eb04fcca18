"""A real terminal for tests: the console in tmux, its keys and its screen."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event


class Terminal:
    """One tmux session of its own server, `columns` × `rows`; ended by `close`."""

    def __init__(self, words: list[str], cwd: Path, columns: int = 120, rows: int = 40) -> None:
        self._socket = f"maestro-test-{os.getpid()}-{secrets.token_hex(4)}"
        self._cwd = cwd
        keep = {
            name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
        }
        self._environment: Mapping[str, str] = {
            **keep,
            "TEXTUAL_ANIMATIONS": "none",
            "COLORTERM": "truecolor",
        }
        self._tmux(
            "-f", os.devnull, "new-session", "-d", "-x", str(columns), "-y", str(rows), "-s", "t", "sh"
        )
        self._tmux("set-option", "-t", "t", "status", "off")
        self._tmux("resize-window", "-t", "t", "-x", str(columns), "-y", str(rows))
        self.start(words)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def start(self, words: list[str]) -> None:
        """Start a program in the terminal's shell; its pid goes to a file beside it."""
        sets = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._environment.items())
        line = f"cd {shlex.quote(str(self._cwd))} && clear && env -u COLUMNS -u LINES {sets} sh -c 'echo $$ > console.pid; exec {shlex.join(words)}'"
        self._tmux("send-keys", "-t", "t", "-l", line)
        self._tmux("send-keys", "-t", "t", "Enter")

    @property
    def pid(self) -> int:
        """Process id of the program that was started last."""
        return int((self._cwd / "console.pid").read_text())

    def press(self, *keys: str) -> None:
        """Send keys by tmux's names (`Enter`, `C-s`, `n`)."""
        for key in keys:
            self._tmux("send-keys", "-t", "t", key)

    def type(self, text: str) -> None:
        """Send text as it is."""
        self._tmux("send-keys", "-t", "t", "-l", text)

    def screen(self) -> str:
        """What the terminal shows now."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    def look_of(self, words: str) -> str:
        """The colours and styles in which these words stand on the screen; empty when they do not."""
        shown = self._tmux("capture-pane", "-p", "-e", "-t", "t")
        found = re.search(r"((?:\x1b\[[0-9;]*m)+) *" + re.escape(words), shown)
        return found[1] if found else ""

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 30) -> str:
        """The screen once it holds `wanted`; fails with the last screen when it never does."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if wanted(shown) if callable(wanted) else wanted in shown:
                return shown
            assert time.monotonic() < deadline, f"never shown: {wanted}\n{shown}"
            Event().wait(0.05)

    def close(self) -> None:
        """End the terminal and what runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, timeout=30)
