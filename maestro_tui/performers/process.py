"""Runs one child process in its own process group, hands on its output line by line, and always ends it whole."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from maestro_tui.model.errors import MaestroError
from maestro_tui.model.text import clean, uncoloured
from maestro_tui.performers import orphans
from maestro_tui.performers.group_guard import GUARD

TAIL_LINES = 20
TAIL_WIDTH = 2_000
LINE_LIMIT = 1_000_000
"""Bytes; a longer line is handed on in pieces of this size, none of it is lost."""
TERM_GRACE = 0.8
"""Seconds between SIGTERM and SIGKILL."""
KILL_GRACE = 0.4
DRAIN_SECONDS = 0.4
"""How long output is awaited after the program itself has ended."""
_CHUNK = 65_536

Stream = Literal["out", "err"]

SESSION_DIR: ContextVar[str] = ContextVar("SESSION_DIR", default="")
"""The folder of the session for which processes are started; they carry it in their mark."""
_numbers = itertools.count(1)


class ProcessNotStarted(MaestroError):
    """The program could not be started; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """How a child process ended. Exactly one of `exit_code` and `signal` is set, unless it could not be reaped."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    duration: float
    """Seconds."""
    tail: tuple[str, ...]
    """The last lines of both streams, each shortened."""
    limit: float | None = None
    """The timeout that was set, in seconds."""

    @property
    def ok(self) -> bool:
        """True when the program ended by itself with exit code 0."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def sentence(self) -> str:
        """How it ended, as the end of a sentence."""
        if self.timed_out:
            return f"was stopped after its limit of {self.limit:g} s"
        if self.signal is not None:
            return f"was killed by {signal_name(self.signal)}"
        return f"ended with exit code {self.exit_code}"


def signal_name(number: int) -> str:
    """The signal's name with its number: `SIGKILL (9)`."""
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"


class LineSplitter:
    """Cuts bytes into lines of text; a very long line comes in pieces, never cut inside a character."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = max(8, limit)
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        out: list[str] = []
        start = len(self._rest)
        self._rest += data
        while True:
            end = self._rest.find(b"\n", start)
            if end < 0:
                break
            out.extend(self._pieces(self._rest[:end]))
            del self._rest[: end + 1]
            start = 0
        while len(self._rest) > self._limit:
            cut = self._cut(self._rest)
            out.append(self._rest[:cut].decode("utf-8", "replace"))
            del self._rest[:cut]
        return out

    def finish(self) -> list[str]:
        """What is left after the last newline."""
        rest, self._rest = self._rest, bytearray()
        return self._pieces(rest) if rest else []

    def _pieces(self, line: bytearray) -> list[str]:
        out: list[str] = []
        while len(line) > self._limit:
            cut = self._cut(line)
            out.append(line[:cut].decode("utf-8", "replace"))
            del line[:cut]
        out.append(line.decode("utf-8", "replace").removesuffix("\r"))
        return out

    def _cut(self, line: bytearray) -> int:
        cut = self._limit
        while cut > self._limit - 4 and line[cut] & 0xC0 == 0x80:
            cut -= 1
        return cut


class _Output:
    """One stream of the child: reads when there is something to read, ends at end of file."""

    def __init__(self, fd: int, stream: Stream, on_line: Callable[[str, Stream], None], limit: int) -> None:
        self._fd = fd
        self._stream: Stream = stream
        self._on_line = on_line
        self._splitter = LineSplitter(limit)
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.problem: BaseException | None = None
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._hand_on(self._splitter.feed(data) if data else self._splitter.finish())
        if not data:
            self.close()

    def _hand_on(self, lines: Sequence[str]) -> None:
        for line in lines:
            try:
                self._on_line(line, self._stream)
            except Exception as error:
                # A listener that fails (a full disk) must end the work, not vanish in the loop's handler.
                self.problem = self.problem or error

    def close(self) -> None:
        """Stop reading; what came without a newline is handed on."""
        if self.ended.is_set():
            return
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self.ended.set()
        self._hand_on(self._splitter.finish())


async def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str, Stream], None],
    timeout: float | None = None,
    line_limit: int = LINE_LIMIT,
    stdin: int | BinaryIO = asyncio.subprocess.DEVNULL,
) -> ProcessOutcome:
    """Run `argv` in `cwd` with `env` and a mark of ours, in a new session and process group.

    The program reads `stdin`: nothing, an open file, or the reading end of a pipe (a descriptor, closed here).
    `line_limit` holds for the lines of standard output.

    `on_line(text, stream)` is called on the event loop for each line while it runs. The run is over when the
    program itself ends; whatever it left in its process group is ended then, and on Linux what has left the group.
    On `timeout` (seconds) and on cancellation all of that gets SIGTERM, and SIGKILL a second later. Raises
    `ProcessNotStarted`.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def take(text: str, stream: Stream) -> None:
        tail.append(uncoloured(text[: 2 * TAIL_WIDTH])[:TAIL_WIDTH])
        on_line(text, stream)

    started = time.monotonic()
    mark = f"{orphans.runner_mark()}:{next(_numbers)}"
    GUARD.stand_by()
    marked = {**env, orphans.MARK: mark, orphans.SESSION: SESSION_DIR.get()}
    process, outputs = await _start(argv, cwd, marked, take, line_limit, stdin)
    GUARD.watch(process.pid)
    timed_out = False
    try:
        try:
            async with asyncio.timeout(timeout):
                await process.wait()
                await _ended(outputs, DRAIN_SECONDS)
        except TimeoutError:
            timed_out = process.returncode is None
    finally:
        await _uninterrupted(_finish(process, outputs, mark))
        GUARD.release(process.pid)
    for output in outputs:
        if output.problem is not None:
            raise output.problem
    code = process.returncode
    return ProcessOutcome(
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        timed_out=timed_out,
        duration=time.monotonic() - started,
        tail=tuple(tail),
        limit=timeout,
    )


async def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str, Stream], None],
    line_limit: int,
    stdin: int | BinaryIO,
) -> tuple[asyncio.subprocess.Process, tuple[_Output, _Output]]:
    # Pipes of our own: asyncio's would make wait() wait for every grandchild that holds them open.
    fds = [*os.pipe(), *os.pipe()]
    out_read, out_write, err_read, err_write = fds
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=out_write,
            stderr=err_write,
            start_new_session=True,
        )
    except BaseException as error:
        for fd in fds:
            os.close(fd)
        if isinstance(error, OSError | ValueError):
            raise ProcessNotStarted(_why_not_started(argv, cwd, error)) from error
        raise
    finally:
        if isinstance(stdin, int) and stdin >= 0:
            os.close(stdin)
    os.close(out_write)
    os.close(err_write)
    return process, (
        _Output(out_read, "out", on_line, line_limit),
        _Output(err_read, "err", on_line, min(line_limit, LINE_LIMIT)),
    )


def _why_not_started(argv: Sequence[str], cwd: Path, error: OSError | ValueError) -> str:
    program = clean(argv[0] if argv else "", 200)
    if not cwd.is_dir():
        return f"{program!r} was not started: the folder {clean(str(cwd), 200)} is not there."
    if isinstance(error, FileNotFoundError):
        where = "in the workspace" if "/" in program else "on PATH"
        return f"The program {program!r} was not found {where}, or the interpreter it names is missing."
    if isinstance(error, PermissionError):
        return f"The program {program!r} may not be executed; make it executable (chmod +x)."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"The program {program!r} could not be started: {clean(reason, 200)}."


async def _finish(process: asyncio.subprocess.Process, outputs: Sequence[_Output], mark: str) -> None:
    """End what is left of the group and what has left it, take the last output, and stop reading."""
    await _end_group(process)
    await asyncio.to_thread(orphans.end_all, lambda: _carrying(mark))
    await _ended(outputs, DRAIN_SECONDS)
    for output in outputs:
        output.close()


async def _end_group(process: asyncio.subprocess.Process) -> None:
    for number, grace in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, KILL_GRACE)):
        if process.returncode is not None and not _group_lives(process.pid):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if process.returncode is not None and not _group_lives(process.pid):
                return
            await asyncio.sleep(0.02)


def _carrying(mark: str) -> list[int]:
    return [found.pid for found in orphans.marked_processes() if found.mark == mark]


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _has_members_that_run(group)


def _has_members_that_run(group: int) -> bool:
    """False when all members are dead and only wait for a slow init to collect them (Linux; else True)."""
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return True
    if not numbers:
        return True
    for number in numbers:
        try:
            stat = Path("/proc", number, "stat").read_bytes()
        except OSError:
            continue
        # After the name in parentheses come: state, parent, process group.
        fields = stat[stat.rfind(b")") + 2 :].split()
        if len(fields) > 2 and int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
            return True
    return False


async def _ended(outputs: Sequence[_Output], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for output in outputs:
                await output.ended.wait()


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish this even when cancelled in between; the cancellation is delivered afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
