"""What a dead runner has started is ended: by its guard, or, when that died with it, by the next runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro_tui.performers.orphans import MARK, marked_processes, survivors_of
from maestro_tui.store.journal import read_events
from maestro_tui.store.summaries import read_summary
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")

_WORK = """\
name = "one"
[[phases]]
name = "build"
[[phases.personas]]
name = "worker"
shell = '''
if [ "$MAESTRO_ATTEMPT" = 1 ]; then
  setsid sleep 600 & echo $! > left.tmp; mv left.tmp left
  exec sleep 600
fi
! grep -qs sleep /proc/$(cat left)/cmdline
'''
"""


class Runner:
    """A real `maestro-tui run`, at work on a command with a child that has left its process group."""

    def __init__(self, top: Path) -> None:
        self.root, self.work = top / "root", top / "work"
        self.work.mkdir()
        (self.work / "maestro.toml").write_text(_WORK)
        self.process = self.start("run", "Build it", "--session-id", "s1")
        wait_until((self.work / "left").exists, "the command is at work")
        self.left = int((self.work / "left").read_text())
        self.folder = self.root / "s1"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the command line."""
        before = [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(self.root)]
        return subprocess.Popen(
            [*before, *words, "--workspace", str(self.work), "--trust"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def own(self) -> list[int]:
        """All that this runner's commands have started and that lives."""
        return [one.pid for one in marked_processes() if one.session == str(self.folder)]

    def guard(self) -> int:
        """The companion's pid."""
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if any(word.endswith(b"orphans.py") for word in words) and any(
                    word.startswith(f"{self.process.pid}.".encode()) for word in words
                ):
                    return int(name)
        raise AssertionError("the runner has no guard")

    def kill(self, *pids: int) -> None:
        """SIGKILL to all of them at one moment: none can act in between."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)
        self.process.wait(60)


@pytest.fixture
def runner(tmp_path: Path, own_home: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    try:
        yield runner
    finally:
        if runner.process.poll() is None:
            runner.process.kill()
            runner.process.wait(60)
        for pid in runner.own():
            os.kill(pid, signal.SIGKILL)


def test_a_child_that_has_left_its_process_group_is_ended_after_its_runner_was_killed(runner: Runner) -> None:
    assert runner.left in runner.own()
    wait_until(lambda: os.getpgid(runner.left) == runner.left, "it has left the command's group")
    runner.kill(runner.process.pid)
    wait_until(lambda: not runner.own(), "the guard ends all that the runner has left")


def test_a_child_that_has_left_its_process_group_is_ended_when_the_run_is_cancelled(runner: Runner) -> None:
    runner.process.send_signal(signal.SIGINT)
    assert runner.process.wait(60) == 130
    assert runner.own() == []


def test_what_outlives_runner_and_guard_is_ended_and_told_before_a_new_attempt_begins(runner: Runner) -> None:
    before = set(runner.own())
    assert len(before) == 2
    runner.kill(runner.process.pid, runner.guard())
    assert {one.pid for one in survivors_of(runner.folder)} == before
    assert runner.start("resume", "s1").wait(60) == 0, (
        "the second attempt found the first one's child at work"
    )
    assert runner.own() == []
    events = read_events(runner.folder / "journal.jsonl").events
    kinds = [event.type for event in events]
    assert kinds.index("survivors_ended") < kinds.index("phase_started", kinds.index("survivors_ended"))
    assert set(events[kinds.index("survivors_ended")].data["pids"]) == before
    assert read_summary(runner.folder, 0.0).status == "completed"


def test_processes_of_a_living_runner_are_no_survivors(runner: Runner) -> None:
    assert runner.own()
    assert survivors_of(runner.folder) == []


def test_a_mark_of_another_use_of_the_same_pid_is_that_of_a_dead_runner(tmp_path: Path) -> None:
    env = {MARK: f"{os.getpid()}.1:1", "MAESTRO_SESSION_DIR": str(tmp_path)}
    with subprocess.Popen(["/bin/sleep", "600"], env=env) as process:
        try:
            wait_until(lambda: survivors_of(tmp_path), "it is found")
            assert [one.pid for one in survivors_of(tmp_path)] == [process.pid]
        finally:
            process.kill()
