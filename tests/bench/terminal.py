"""A program in a pseudo-terminal: keys go in, and each piece of its output comes back with its moment."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[@-Z\\-_=>])"
)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class NeverShown(Exception):
    """What was waited for did not come in time."""


def as_installed() -> dict[str, str]:
    """The environment with compiled modules kept, as they are where a package was installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Terminal:
    """One program on `columns` × `rows`, in a home of its own; killed by `close`."""

    def __init__(self, words: Sequence[str], home: Path, columns: int = 120, rows: int = 40) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: value
            for name, value in as_installed().items()
            if name
            not in ("COLUMNS", "LINES", "NO_COLOR", "TEXTUAL_ANIMATIONS", "TMUX", "MAESTRO_CHECKPOINT_DIR")
        }
        environment |= {"HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment |= {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
        self.output = b""
        """What came since the last key."""
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            list(words),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        os.set_blocking(self._master, False)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def plain(self) -> str:
        """What came since the last key, without escape sequences."""
        return _ESCAPES.sub(b"", self.output).decode(errors="replace")

    def press(self, keys: str) -> float:
        """Send keys; the moment. What came before is forgotten."""
        self.take(0)
        self.output = b""
        moment = time.perf_counter()
        os.write(self._master, keys.encode())
        return moment

    def forget(self) -> float:
        """Forget what came; the moment."""
        self.take(0)
        self.output = b""
        return time.perf_counter()

    def take(self, seconds: float) -> float | None:
        """Wait at most so long for output; the moment at which a piece came."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return None
        try:
            piece = os.read(self._master, 1 << 16)
        except OSError:
            raise NeverShown(f"the program ended:\n{self.plain()[-2000:]}") from None
        moment = time.perf_counter()
        self.output += piece
        return moment

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 60.0) -> float:
        """Read until the output since the last key holds `wanted`; the moment of the piece that brought it."""
        deadline = time.perf_counter() + seconds
        moment: float | None = time.perf_counter()
        while True:
            if moment is not None:
                text = self.plain()
                if wanted(text) if callable(wanted) else wanted in text:
                    return moment
            moment = self.take(deadline - time.perf_counter())
            if time.perf_counter() > deadline:
                raise NeverShown(f"never shown: {wanted}\n{self.plain()[-2000:]}")

    def settle(self, quiet: float = 0.1, seconds: float = 5.0) -> None:
        """Read until nothing came for `quiet` seconds, at most so long."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline and self.take(quiet) is not None:
            continue

    def memory(self) -> float:
        """Resident memory of the program, in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * _PAGE / 1e6

    def cpu(self) -> float:
        """Seconds of processor time that the program has used in all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        """End the program."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)


def console(root: Path, *options: str) -> list[str]:
    """The words that start the console on a checkpoint directory."""
    return [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(root), *options]


def bare(*options: str) -> list[str]:
    """The words that start the bare application, the measure of the others."""
    return [sys.executable, str(Path(__file__).with_name("bare_app.py")), *options]
