"""How the console ends on a real terminal: by key, by signal, by a closed terminal, by a fault of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
from tests.console import fakes
from maestro_tui.console import run
from maestro_tui.console.screens import main
from textual.widget import Widget

class Plain(Widget):
    def show(self, summary, usual=None):
        {fault}

class Host(fakes.FakeHost):
    def stop_all(self, timeout=5.0):
        Path(sys.argv[1]).write_text("stopped")
        return ()

main.make_pane = lambda root, clock: Plain()
host = Host()
host.own = ("docs-site",)
sys.exit(run.run_console(fakes.ROOT, source=fakes.FakeSource(fakes.busy_fleet()), host=host))
"""
MOUSE_OFF, ALTERNATE_OFF = b"\x1b[?1000l", b"\x1b[?1049l"


def take_terminal(descriptor: int) -> None:
    """Make it the terminal that controls this process."""
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


class Terminal:
    """A pseudo terminal with the console in it, and all bytes that it wrote."""

    def __init__(self, tmp_path: Path, fault: str = "pass") -> None:
        self.flag = tmp_path / "stopped"
        self.main, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(child)
        self.child = child
        env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(HERE), "HOME": str(tmp_path)}
        env |= {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(fault=fault), str(self.flag)],
            stdin=child,
            stdout=child,
            stderr=child,
            env=env,
            cwd=HERE,
            start_new_session=True,
            preexec_fn=lambda: take_terminal(child),
        )
        self.out = b""

    def read_until(self, wanted: Callable[[], bool], seconds: float = 30) -> None:
        """Read what it writes until the condition holds."""
        end = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s; it wrote {self.out[-2_000:]!r}")
            ready, _, _ = select.select([self.main], [], [], 0.05)
            if ready:
                try:
                    self.out += os.read(self.main, 65_536)
                except OSError:
                    return

    def see(self, words: bytes) -> None:
        """Wait until it has written these words."""
        self.read_until(lambda: words in self.out)

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        self.read_until(lambda: self.process.poll() is not None)
        return self.process.wait(10)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(fault: str = "pass") -> Terminal:
        opened.append(Terminal(tmp_path, fault))
        return opened[-1]

    yield make
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        for number in (one.main, one.child):
            try:
                os.close(number)
            except OSError:
                continue


def test_quitting_by_key_asks_stops_and_restores_the_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.see(b"payments-refactor")
    os.write(terminal.main, b"q")
    terminal.see(b"runs in this console")
    assert not terminal.flag.exists()
    os.write(terminal.main, b"y")
    assert terminal.ended() == 0
    assert terminal.flag.read_text() == "stopped"
    assert ALTERNATE_OFF in terminal.out and MOUSE_OFF in terminal.out
    assert termios.tcgetattr(terminal.child)[3] == terminal.before[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_stops_own_sessions(
    start: Callable[..., Terminal], number: signal.Signals
) -> None:
    terminal = start()
    terminal.see(b"payments-refactor")
    terminal.process.send_signal(number)
    assert terminal.ended() == 128 + number
    assert terminal.flag.read_text() == "stopped"
    assert ALTERNATE_OFF in terminal.out and MOUSE_OFF in terminal.out
    assert termios.tcgetattr(terminal.child)[3] == terminal.before[3]


def test_a_closed_terminal_stops_own_sessions(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.see(b"payments-refactor")
    os.close(terminal.child)
    os.close(terminal.main)
    terminal.process.wait(30)
    assert terminal.flag.read_text() == "stopped"


def test_a_fault_of_the_console_is_a_sentence_with_a_file_and_no_traceback(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    terminal = start(fault="raise ValueError('broken \\x1b[31m')")
    assert terminal.ended() == 1
    tail = terminal.out.split(ALTERNATE_OFF)[-1]
    assert (
        b"ended by a fault of its own" in tail and b"Traceback" not in tail and b"broken \x1b[31m" not in tail
    )
    assert "ValueError" in (tmp_path / "state" / "maestro-tui" / "crash.log").read_text()
    assert terminal.flag.read_text() == "stopped"
