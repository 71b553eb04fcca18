"""The bytes that a real terminal receives: notifications only when it is not focused, the clipboard only on a key."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.sessions import Project, line

FOCUS_LOST = b"\x1b[O"


class Console:
    """The console as a process on a pseudo terminal of 80 columns and 24 rows."""

    def __init__(self, project: Project, stderr: IO[bytes] | None = None) -> None:
        self.received = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TEXTUAL_ANIMATIONS": "none", "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            project.command(),
            stdin=slave,
            stdout=slave,
            stderr=slave if stderr is None else stderr,
            cwd=project.folder,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def until(self, wanted: bytes, seconds: float = 30) -> bytes:
        """All that came until `wanted` did."""
        deadline = time.monotonic() + seconds
        while wanted not in self.received:
            assert time.monotonic() < deadline, (wanted, self.received[-2_000:])
            if select.select([self._master], [], [], 0.1)[0]:
                self.received += os.read(self._master, 65_536)
        return self.received

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        os.close(self._master)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "shop", line("design", "testing"))
    assert made.call("run", "Refunds", "--session-id", "done", "--trust").returncode == 0
    return made


@pytest.fixture
def terminal(project: Project) -> Iterator[Console]:
    made = Console(project)
    yield made
    made.close()


def test_a_failure_is_told_to_an_unfocused_terminal_and_a_key_copies(
    project: Project, terminal: Console
) -> None:
    terminal.until(b"completed")
    project.order("testing", exit=7)
    seen = project.call("run", "seen", "--session-id", "watched", "--trust")
    assert seen.returncode == 1
    terminal.until(b"failed")
    assert b"\x1b]9;" not in terminal.received, "focused: nothing is told"
    terminal.send(FOCUS_LOST)
    assert project.call("run", "x", "--session-id", "unseen", "--trust").returncode == 1
    told = terminal.until(b"\x1b]9;maestro: unseen failed at testing")
    assert b"\x07" in told
    assert b"\x1b]52" not in told, "no key was pressed"
    terminal.send(b"gc")
    copied = terminal.until(b"Copied").split(b"\x1b]52;c;", 1)[1].split(b"\x07", 1)[0]
    assert base64.b64decode(copied).decode() in {"unseen", "watched"}


def test_with_its_errors_in_a_file_the_console_is_drawn_on_the_terminal_all_the_same(
    project: Project, tmp_path: Path
) -> None:
    with (tmp_path / "errors").open("w+b") as errors:
        terminal = Console(project, errors)
        try:
            terminal.until(b"completed")
            terminal.send(b"q")
            assert terminal.process.wait(30) == 0
        finally:
            terminal.close()
        errors.seek(0)
        assert errors.read() == b""
