"""Real processes that hold sessions: started, spoken with line by line, killed, and always ended with the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RUNNER = """
import json, os, sys
from pathlib import Path
from maestro_tui.model.errors import MaestroError
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import hold_phase, hold_session
from maestro_tui.store.locks import CommitLock
from tests.store.small_sessions import outcome

def act(words):
    global hold, child, lock
    if words[0] == "hold":
        hold = hold_session(folder) if len(words) == 1 else hold_phase(folder, words[1])
        return hold.epoch
    if words[0] == "commit":
        return store.commit(folder.name, words[1], int(words[2]), outcome(words[1], attempt=int(words[2])), hold).seq
    if words[0] == "commit_lock":
        lock = CommitLock(folder)
        return lock.take()
    if words[0] == "child":
        import subprocess
        child = subprocess.Popen(["sleep", "600"], close_fds=False)
        return child.pid
    if words[0] == "fork":
        pid = os.fork()
        if pid == 0:
            os.read(0, 1)
            os._exit(0)
        return pid
    return getattr(hold, words[0])()

folder = Path(sys.argv[1])
store = CheckpointStore(folder.parent)
for line in sys.stdin:
    try:
        answer = {"ok": act(line.split())}
    except MaestroError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    print(json.dumps(answer), flush=True)
"""
REPOSITORY = Path(__file__).parents[2]


class Runner:
    """One process; `ask` gives it a command and waits for the answer."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    def tell(self, *words: str) -> None:
        """Give it a command without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, object]:
        """Its next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process ended without an answer"
        return dict(json.loads(line))

    def ask(self, *words: str) -> dict[str, object]:
        """Give it a command and wait for the answer."""
        self.tell(*words)
        return self.answer()

    def do(self, *words: str) -> object:
        """Give it a command that must succeed."""
        answer = self.ask(*words)
        assert "ok" in answer, answer
        return answer["ok"]

    def kill(self) -> None:
        """Kill −9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


@contextmanager
def runners(folder: Path, count: int = 1) -> Iterator[list[Runner]]:
    """Some processes on one session; all are dead afterwards."""
    started: list[Runner] = []
    try:
        started += [Runner(folder) for _ in range(count)]
        yield started
    finally:
        for runner in started:
            runner.kill()
            for stream in (runner.process.stdin, runner.process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        continue
