"""Kills the real `maestro-tui` by strace at every system call that changes something: for those who have strace.

    python -m tests.crash.inject                     every call of the kinds below, each in turn
    python -m tests.crash.inject --calls fsync --step 5

`strace -f -e inject=CALL:signal=KILL:when=N` delivers SIGKILL as the N-th call of that kind begins, from outside,
so that nothing of Python or of this harness stands between. Each victim must have died of it; a run that was over
before its N-th call is counted as not reached. Afterwards the session is resumed to its end, undisturbed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.crash.kill import CommandVictim, Tally
from tests.crash.power_loss import in_memory

CALLS = (
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "link",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
    "fchmod",
    "chmod",
)
"""What the store does to files. Calls whose path is elsewhere (Python's own files) count as well."""
LIMIT = 60
"""Kills of one kind at most; `openat` and `write` come thousands of times, and are spread over the run."""
SECONDS = 90


def strace_works(top: Path) -> bool:
    """True when there is an strace that may inject here."""
    if shutil.which("strace") is None:
        return False
    words = ["strace", "-o", os.devnull, "-e", "inject=getpid:signal=KILL:when=1", "true"]
    done = subprocess.run(words, cwd=top, capture_output=True, check=False)
    return done.returncode == 0


class Injected(CommandVictim):
    """A session whose first run is killed by strace."""

    def count(self, call: str) -> int:
        """How often one thread of a run that nobody kills makes this call: strace counts for each by itself."""
        summary = self.top / "calls"
        self._strace("-f", "-o", str(summary), "-e", f"trace={call}", "-e", "signal=none")
        lines = summary.read_text(errors="replace").splitlines()
        return max(Counter(line.split()[0] for line in lines if f" {call}(" in line).values(), default=0)

    def killed_at(self, call: str, number: int) -> bool:
        """Run once under strace; True when it was killed there. The victim must be dead, not only its tracer."""
        status = self._strace("-f", "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={number}")
        # strace ends as its victim did: by the same signal.
        if status == -signal.SIGKILL:
            self.tally.kills += 1
            self.tally.places[call] += 1
            return True
        if status not in (0, 1):
            self.problem(f"a run under strace ended with status {status}")
        return False

    def _strace(self, *words: str) -> int:
        command = [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(self.root), "run", "Build it"]
        command += ["--session-id", self.session, "--workspace", str(self.workspace), "--trust"]
        environment = {**os.environ, "HOME": str(self.top), "XDG_CONFIG_HOME": str(self.top / "config")}
        process = subprocess.Popen(
            ["strace", *words, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.problem("a run under strace came to no end")
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def examine(top: Path, calls: Sequence[str], limit: int, step: int | None) -> Tally:
    """Kill at each of these calls in turn; with `step` at every so-manyth, else spread over at most `limit`."""
    tally = Tally()
    tally.places["not reached"] = 0
    for call in calls:
        counted = Injected(top / "victim", tally)
        most = counted.count(call)
        counted.inspect()
        counted.finish()
        for number in range(1, most + 1, step or max(1, most // limit)):
            victim = Injected(top / "victim", tally)
            tally.places["not reached"] += not victim.killed_at(call, number)
            victim.inspect()
            victim.finish()
            if tally.problems:
                return tally
    return tally


def main(words: Sequence[str]) -> int:
    """Examine and print; 1 when anything was lost or ran again, 2 when strace cannot inject here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", nargs="+", default=CALLS, metavar="CALL")
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="N", help="kills of one kind at most")
    parser.add_argument("--step", type=int, default=None, metavar="N", help="every N-th call instead")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    with in_memory() as top:
        if not strace_works(top):
            print("strace is not here, or may not inject (it needs ptrace); nothing was tried.")
            return 2
        tally = examine(top, asked.calls, asked.limit, asked.step)
    print(*tally.problems[:20], sep="\n", end="\n" if tally.problems else "")
    places = ", ".join(f"{name} {count}" for name, count in Counter(tally.places).most_common())
    print(
        f"{tally.kills} kills by strace ({places}); {tally.sessions} sessions, {tally.completed} completed; "
        f"{tally.commits_seen} commits seen; {tally.orphans} orphans; {len(tally.problems)} problems; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if tally.problems or tally.completed != tally.sessions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
