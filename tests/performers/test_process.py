"""Child processes: every line arrives, and nothing of a child is left when it is over."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from maestro_tui.performers import process
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.process import LineSplitter, ProcessNotStarted, ProcessOutcome, run_process

DEADLINE = 20.0


async def run(*argv: str, timeout: float | None = None) -> tuple[ProcessOutcome, list[tuple[str, str]]]:
    lines: list[tuple[str, str]] = []
    outcome = await run_process(
        argv,
        cwd=Path("/"),
        env=child_environment(),
        on_line=lambda text, stream: lines.append((stream, text)),
        timeout=timeout,
    )
    return outcome, lines


def alive(pid: int) -> bool:
    """True for a process that runs; a dead one that nobody collected yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_until(condition: object, what: str) -> None:
    assert callable(condition)
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


async def test_both_streams_arrive_line_by_line_with_the_exit_code() -> None:
    outcome, lines = await run("sh", "-c", "echo one; echo two >&2; printf three; exit 4")
    assert outcome.exit_code == 4 and outcome.signal is None and not outcome.ok
    assert sorted(lines) == [("err", "two"), ("out", "one"), ("out", "three")]


async def test_a_line_of_five_megabytes_arrives_whole_in_pieces() -> None:
    _, lines = await run(sys.executable, "-c", "print('é' * 2_500_000)")
    assert "".join(text for _, text in lines) == "é" * 2_500_000
    assert len(lines) > 1


async def test_lines_arrive_while_the_program_still_runs(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    code = f"echo ready; while [ ! -e {answer} ]; do sleep 0.01; done; echo done"
    seen: list[str] = []

    def on_line(text: str, stream: str) -> None:
        seen.append(text)
        if text == "ready":
            answer.touch()

    outcome = await run_process(
        ["sh", "-c", code], cwd=tmp_path, env=child_environment(), on_line=on_line, timeout=DEADLINE
    )
    assert outcome.ok and seen == ["ready", "done"]


async def test_stdin_is_closed() -> None:
    outcome, lines = await run("sh", "-c", "read line && echo got $line || echo nothing")
    assert lines == [("out", "nothing")] and outcome.ok


async def test_a_signal_is_told_as_a_signal() -> None:
    outcome, _ = await run("sh", "-c", "kill -9 $$")
    assert outcome.signal == signal.SIGKILL and outcome.exit_code is None
    assert outcome.sentence == "was killed by SIGKILL (9)"


async def test_a_timeout_ends_the_program_and_names_the_limit() -> None:
    outcome, _ = await run("sleep", "300", timeout=0.05)
    assert outcome.timed_out and not outcome.ok
    assert outcome.sentence == "was stopped after its limit of 0.05 s"


def test_everything_that_stopping_takes_fits_into_two_seconds() -> None:
    assert process.TERM_GRACE + process.KILL_GRACE + process.DRAIN_SECONDS < 2


async def test_cancelling_ends_grandchildren_that_ignore_sigterm() -> None:
    pids: list[int] = []
    started = asyncio.Event()

    def on_line(text: str, stream: str) -> None:
        pids.append(int(text))
        if len(pids) == 2:
            started.set()

    stubborn = "trap '' TERM; echo $$; sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 1; done\" & wait; sleep 300"
    work = asyncio.create_task(
        run_process(["sh", "-c", stubborn], cwd=Path("/"), env=child_environment(), on_line=on_line)
    )
    async with asyncio.timeout(DEADLINE):
        await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(pids) == 2 and not any(alive(pid) for pid in pids)


async def test_a_child_left_in_the_background_is_ended_and_does_not_hang_the_run() -> None:
    outcome, lines = await run("sh", "-c", "sleep 300 & echo $!")
    assert outcome.ok
    assert not alive(int(lines[0][1]))


async def test_a_daemon_that_keeps_the_output_open_does_not_hang_the_run(tmp_path: Path) -> None:
    code = (
        "import os, time\nif os.fork() == 0:\n os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"
    )
    outcome, lines = await run(sys.executable, "-c", code)
    assert outcome.ok
    os.kill(int(lines[0][1]), signal.SIGKILL)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["no-such-program-here"], "was not found on PATH"),
        (["./no/such/program"], "was not found in the workspace"),
        (["/etc/passwd"], "may not be executed"),
    ],
)
async def test_a_program_that_cannot_be_started_is_a_sentence(argv: list[str], words: str) -> None:
    with pytest.raises(ProcessNotStarted, match=words):
        await run(*argv)


async def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProcessNotStarted, match="is not there"):
        await run_process(
            ["true"], cwd=tmp_path / "gone", env=child_environment(), on_line=lambda text, stream: None
        )


async def test_a_listener_that_fails_is_not_swallowed() -> None:
    def on_line(text: str, stream: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await run_process(["echo", "x"], cwd=Path("/"), env=child_environment(), on_line=on_line)


def test_long_lines_are_never_cut_inside_a_character() -> None:
    splitter = LineSplitter(limit=10)
    data = ("a" + "€" * 20 + "\n").encode()
    pieces = [piece for at in range(0, len(data), 3) for piece in splitter.feed(data[at : at + 3])]
    assert "".join([*pieces, *splitter.finish()]) == "a" + "€" * 20
    assert all("\ufffd" not in piece for piece in pieces)


async def test_children_end_when_their_runner_is_killed_hard(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib\n"
        "from maestro_tui.performers.process import run_process\n"
        "from maestro_tui.performers.child_environment import child_environment\n"
        "asyncio.run(run_process(['sh', '-c', 'echo $$; exec sleep 300'], cwd=pathlib.Path('/'),"
        " env=child_environment(), on_line=lambda text, stream: print(text, flush=True)))"
    )
    runner = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert runner.stdout is not None
    async with asyncio.timeout(DEADLINE):
        child = int(await runner.stdout.readline())
    assert alive(child)
    runner.kill()
    await runner.wait()
    await asyncio.to_thread(wait_until, lambda: not alive(child), "the child outlived its runner")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
async def test_what_has_left_the_process_group_is_ended_with_the_program() -> None:
    # The shell ends only when its child has a session of its own.
    script = "setsid sleep 600 & c=$!; until [ $(ps -o pgid= -p $c) -eq $c ]; do :; done; echo $c"
    if shutil.which("ps") is None or shutil.which("setsid") is None:
        pytest.skip("there is no ps or setsid here")
    outcome, lines = await run("/bin/sh", "-c", script)
    assert outcome.ok
    assert not alive(int(lines[0][1]))
