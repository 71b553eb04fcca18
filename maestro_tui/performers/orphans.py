"""Finds child processes by the mark in their environment and ends them, wherever they have gone.

A process group can be left (`setsid`), and a list of processes can be a moment late. The mark is there from a
program's first moment and is inherited by all that it starts. Linux only: elsewhere nothing is found.

As a program (`python orphans.py MARK`) this is the companion of a runner: it reads process groups from its
standard input until that closes, which it does when the runner dies, and then ends what the runner has left. So
nothing of the package is imported here.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MARK = "MAESTRO_RUN"
"""Variable with `<pid>.<start ticks>:<number>`: the runner and which of its child processes this belongs to."""
SESSION = "MAESTRO_SESSION_DIR"
"""Variable with the session's folder."""

TERM_GRACE = 0.5
KILL_GRACE = 5.0
_PAUSE = 0.02
_CLEAN_LOOKS = 2
"""So often nothing must be found: a process that is just being born has no environment of its own yet."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A living process that carries a mark."""

    pid: int
    mark: str
    session: str

    @property
    def runner_is_dead(self) -> bool:
        """True when the process that started it, or its ancestor, is no more."""
        pid, _, ticks = self.mark.partition(":")[0].partition(".")
        return not (pid.isdigit() and ticks == (_start_ticks(int(pid)) or "gone"))


@cache
def _own_mark(pid: int) -> str:
    return f"{pid}.{_start_ticks(pid) or '?'}"


def runner_mark() -> str:
    """The first part of the marks that this process gives."""
    return _own_mark(os.getpid())


def _start_ticks(pid: int) -> str | None:
    """When a process began, in ticks since boot; None when it is gone, or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[19].decode() if len(fields) > 19 and fields[0] not in (b"Z", b"X", b"x") else None


def marked_processes() -> list[Marked]:
    """All living processes with a mark that this user may see, of this container; empty where there is no /proc."""
    found = []
    try:
        here = Path("/proc/self/ns/pid").readlink()
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return []
    for name in names:
        if not name.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{name}/environ", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        with os.fdopen(fd, "rb", buffering=0) as stream, suppress(OSError):
            content = stream.read()
            if MARK.encode() not in content:
                continue
            values = dict(part.partition(b"=")[::2] for part in content.split(b"\0"))
            mark, session = (os.fsdecode(values.get(key.encode(), b"")) for key in (MARK, SESSION))
            # Numbers of processes mean something within one container only.
            if mark and Path(f"/proc/{name}/ns/pid").readlink() == here:
                found.append(Marked(int(name), mark, session))
    return found


def end_all(find: Callable[[], Iterable[int]], looks: int = 1) -> list[int]:
    """SIGTERM to each process found, SIGKILL half a second later, until `looks` times none is found.

    Those that are left after some seconds are returned.
    """
    left: list[int] = []
    for number, grace in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, KILL_GRACE)):
        told: set[int] = set()
        clean = 0
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            left = list(find())
            clean = clean + 1 if not left else 0
            if clean >= looks:
                return []
            for pid in left:
                if pid not in told:
                    told.add(pid)
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
            time.sleep(_PAUSE)
    return left


def survivors_of(session_dir: Path) -> list[Marked]:
    """Processes of a session that live on although their runner is dead."""
    folder = str(session_dir)
    return [found for found in marked_processes() if found.session == folder and found.runner_is_dead]


def _companion(mark: str) -> None:
    """Wait for the runner's end, then end what it has left."""
    groups: set[int] = set()
    for line in sys.stdin:
        sign, number = line[0], int(line[1:])
        (groups.add if sign == "+" else groups.discard)(number)

    def signal_groups(number: int) -> None:
        for group in groups:
            with suppress(OSError):
                os.killpg(group, number)

    signal_groups(signal.SIGTERM)
    begun = time.monotonic()
    end_all(
        lambda: [one.pid for one in marked_processes() if one.mark.partition(":")[0] == mark], _CLEAN_LOOKS
    )
    if groups:
        time.sleep(max(0.0, begun + TERM_GRACE - time.monotonic()))
        signal_groups(signal.SIGKILL)


if __name__ == "__main__":
    _companion(sys.argv[1])
