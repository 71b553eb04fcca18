"""Kills real runs with SIGKILL, over and over, resumes them to their end, and counts what was lost: nothing may be.

    python -m tests.crash.kill --sweep           at every state-changing call of a run, one after the other
    python -m tests.crash.kill --count 10000     at calls by chance, many times in one session
    python -m tests.crash.kill --commands 200    `maestro-tui run` with commands, at calls and moments by chance

This process stays without threads and forks a child for each run, so that a kill costs a few milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_numbers, commit_path
from maestro_tui.store.summaries import read_summary
from tests.crash.failpoint import Failpoint, kill_me
from tests.crash.power_loss import in_memory
from tests.crash.scene import put

NEEDS = {"plan": (), "left": ("plan",), "right": ("plan",), "join": ("left", "right")}
FLOW = Workflow(
    name="diamond",
    phases=tuple(
        Phase(name=name, needs=needs, personas=(Persona(name="worker", argv=("in-process",)),))
        for name, needs in NEEDS.items()
    ),
)
CHILD_SECONDS = 60
ORPHAN_SECONDS = 10.0
_SPOILT_RECORD = re.compile(r"journal\.jsonl: the record at byte \d+ ")

# Counting must neither be killed in its midst nor be counted as a call of the store.
_open, _write, _close = os.open, os.write, os.close


def count_run(workspace: Path, phase: str, attempt: int) -> None:
    """Note, out of reach of any failpoint, that a phase's work was really begun."""
    fd = _open(workspace / f"ran-{phase}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _write(fd, f"{attempt}\n".encode())
    _close(fd)


class CountedWork:
    """Does a phase's work in the child itself."""

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Count the run, leave a file and some output."""
        phase = task.phase.name
        count_run(task.workspace, phase, task.attempt)
        port.line(f"{phase} begins")
        await asyncio.sleep(0)
        put(task.workspace / f"{phase}.txt", f"{phase} {task.attempt}\n".encode())
        return PerformerResult(outputs={"said": phase}, summary=f"{phase} done")


# ── One session ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Tally:
    """What all sessions together have shown."""

    kills: int = 0
    sessions: int = 0
    completed: int = 0
    commits_seen: int = 0
    phases_run: int = 0
    phases_run_more_than_once: int = 0
    orphans: int = 0
    places: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, object]:
        """For a script."""
        return {
            "kills": self.kills,
            "sessions": self.sessions,
            "completed": self.completed,
            "commits_seen": self.commits_seen,
            "phases_run": self.phases_run,
            "phases_interrupted_and_run_again": self.phases_run_more_than_once,
            "committed_phases_lost_or_run_again": len(self.problems),
            "orphans": self.orphans,
            "killed_at": dict(self.places.most_common()),
            "problems": self.problems[:20],
        }


class Victim:
    """One session that is killed and resumed until it is complete."""

    session = "s1"

    def __init__(self, top: Path, tally: Tally) -> None:
        self.top, self.tally = top, tally
        self.root, self.workspace = top / "root", top / "work"
        self.workspace.mkdir(parents=True)
        self.store = CheckpointStore(self.root)
        self._commits: dict[int, bytes] = {}
        self._done: dict[str, int] = {}
        """Phase that was found committed → how often its work had begun then."""
        tally.sessions += 1

    # What the child does; it never returns.

    def work(self) -> None:
        """Begin the session or go on with it, with the real engine."""
        team = TeamExecutionEngineV2(performers=lambda _: CountedWork())
        engine = TeamExecutionEngineV2SplitMode(self.root, workflow=FLOW, workspace=self.workspace, team=team)
        if engine.store.exists(self.session):
            asyncio.run(engine.resume(self.session))
        else:
            asyncio.run(engine.execute_batch("Build it", session_id=self.session))

    def run(self, failpoint: Failpoint | None, after_seconds: float | None = None) -> bool:
        """Run a child; True when it was killed, False when it came to its end."""
        notes = self.top / "notes"
        notes.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            self._in_child(failpoint, notes)
        if after_seconds is not None:
            _kill_after(child, after_seconds)
        _, status = os.waitpid(child, 0)
        said = notes.read_text() if notes.exists() else ""
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.tally.kills += 1
            self.tally.places[said or "at a moment by chance"] += 1
            return True
        if status != 0:
            self.problem(f"a run ended with status {status}: {said[-1500:]}")
        return False

    def _in_child(self, failpoint: Failpoint | None, notes: Path) -> None:
        code = 70
        try:
            signal.alarm(CHILD_SECONDS)
            if failpoint is not None:
                failpoint.place_into = notes
                failpoint.install()
            self.work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 70
            if code:
                put(notes, f"exit code {code}".encode())
        except BaseException:
            put(notes, traceback.format_exc().encode())
        finally:
            os._exit(code)

    # What is there after each run.

    def problem(self, text: str) -> None:
        """Note that a promise was not kept."""
        self.tally.problems.append(f"session {self.tally.sessions}: {text}")

    def runs(self, phase: str) -> list[int]:
        """The numbers of the attempts whose work was begun."""
        path = self.workspace / f"ran-{phase}"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def inspect(self) -> None:
        """Compare what is on disk with what was there before the last kill."""
        folder = self.root / self.session
        there = {seq: commit_path(folder, seq).read_bytes() for seq in commit_numbers(folder)}
        for seq, data in self._commits.items():
            if there.get(seq) != data:
                self.problem(f"commit {seq} is {'changed' if seq in there else 'gone'}")
        self.tally.commits_seen += len(there.keys() - self._commits.keys())
        self._commits = there
        if not there:
            return
        head, damage = self.store.head_with_damage(self.session)
        if damage:
            self.problem(f"damage: {damage}")
        done = {name for name, result in head.context.phase_results.items() if result.done}
        for name, count in self._done.items():
            if name not in done:
                self.problem(f"{name} was committed and is not any more")
            elif len(self.runs(name)) != count:
                self.problem(f"{name} was committed and ran again: {self.runs(name)}")
        self._done = {name: len(self.runs(name)) for name in done}
        summary = read_summary(folder, time.time())
        if summary.status == "running" or summary.damage:
            self.problem(f"it is shown as {summary.status}, damage {summary.damage}")

    def finish(self) -> None:
        """Bring it to its end without a kill, and look at the whole."""
        self.run(None)
        self.inspect()
        if set(self._done) != set(NEEDS):
            self.problem(f"it did not come to its end: only {sorted(self._done)} are done")
        else:
            self.tally.completed += 1
        for name in NEEDS:
            runs = self.runs(name)
            self.tally.phases_run += len(runs)
            self.tally.phases_run_more_than_once += len(runs) > 1
            if sorted(set(runs)) != runs:
                self.problem(f"an attempt of {name} ran twice: {runs}")
        status = read_summary(self.root / self.session, time.time()).status
        if status != "completed":
            self.problem(f"it is {status} in the end")
        lines = [line for line in self.store.verify(self.session) if not _SPOILT_RECORD.match(line)]
        if lines:
            self.problem(f"verify: {lines}")
        before = {name: self.runs(name) for name in NEEDS}
        if self.tally.sessions % 10 == 0:
            self.run(None)
            if {name: self.runs(name) for name in NEEDS} != before:
                self.problem("a finished session ran again")
        shutil.rmtree(self.top)


def _kill_after(child: int, seconds: float) -> None:
    """SIGKILL after some time, or nothing when the child ends before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)


# ── With real commands ────────────────────────────────────────────────────────────────────────────────────

_COMMAND = 'echo $MAESTRO_ATTEMPT >> "ran-$MAESTRO_PHASE"; echo begins; sleep 0.05 & wait; echo ends > "$MAESTRO_PHASE.txt"'


class CommandVictim(Victim):
    """The same by `maestro-tui run` and `resume`, each phase a shell command with a child of its own."""

    def __init__(self, top: Path, tally: Tally) -> None:
        super().__init__(top, tally)
        self.session = f"victim-{os.getpid()}-{tally.sessions}"
        lines = ['name = "diamond"']
        for name, needs in NEEDS.items():
            lines += ["[[phases]]", f'name = "{name}"', f"needs = {json.dumps(needs)}"]
            lines += ["[[phases.personas]]", 'name = "worker"', f"shell = {json.dumps(_COMMAND)}"]
        (self.workspace / "maestro.toml").write_text("\n".join(lines) + "\n")

    def work(self) -> None:
        """`maestro-tui` with the words of an operator."""
        from maestro_tui.cli import main

        os.environ |= {"HOME": str(self.top), "XDG_CONFIG_HOME": str(self.top / "config")}
        quiet = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(quiet, fd)
        words = ["resume", self.session]
        if not self.store.exists(self.session):
            words = ["run", "Build it", "--session-id", self.session]
        sys.argv = ["maestro-tui", "--checkpoint-dir", str(self.root), *words]
        sys.argv += ["--workspace", str(self.workspace), "--trust"]
        main()

    def inspect(self) -> None:
        """Besides, nothing that a dead runner has started may live on."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while alive := self._children():
            if time.monotonic() > deadline:
                self.tally.orphans += len(alive)
                self.problem(f"still running: {alive}")
                for pid in alive:
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.01)
        super().inspect()

    def _children(self) -> list[int]:
        """Processes that were started for this session."""
        mark = f"MAESTRO_SESSION_ID={self.session}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                        found.append(int(name))
                except OSError:
                    continue
        return found


class NewbornVictim(CommandVictim):
    """Dies in the very moment in which a command was born, before anybody else knows of it."""

    def work(self) -> None:
        """As an operator does; the first command lives long."""
        real = subprocess._fork_exec  # type: ignore[attr-defined]

        def fork_exec(*words: Any) -> int:
            born: int = real(*words)
            if "sleep 60" in str(words[0]):
                kill_me()
            return born

        subprocess._fork_exec = fork_exec  # type: ignore[attr-defined]
        toml = self.workspace / "maestro.toml"
        toml.write_text(toml.read_text().replace(json.dumps(_COMMAND), json.dumps("sleep 60")))
        super().work()


# ── Campaigns ─────────────────────────────────────────────────────────────────────────────────────────────


def sweep(top: Path, tally: Tally, part: int, parts: int) -> None:
    """Kill a run before each call in turn, and in the midst of each write in turn."""
    for torn in (False, True):
        number = 1 + part
        while True:
            victim = Victim(top / "victim", tally)
            killed = victim.run(Failpoint(number, torn=torn))
            victim.inspect()
            victim.finish()
            if not killed or tally.problems:
                break
            number += parts


def by_chance(top: Path, tally: Tally, count: int, seed: int, kind: Callable[[Path, Tally], Victim]) -> None:
    """Kill at calls (and with commands: also at moments) by chance, until so many kills were done."""
    chance = random.Random(seed)
    until = tally.kills + count
    while tally.kills < until and not tally.problems:
        victim = kind(top / "victim", tally)
        killed = True
        while killed and tally.kills < until and not tally.problems:
            if kind is CommandVictim and chance.random() < 0.5:
                killed = victim.run(None, after_seconds=chance.uniform(0.0, 0.6))
            else:
                most = chance.choice((10, 60, 200))
                killed = victim.run(Failpoint(chance.randint(1, most), torn=chance.random() < 0.2))
            victim.inspect()
        victim.finish()


def newborn(top: Path, tally: Tally) -> None:
    """Kill once between the birth of a command and the moment in which its runner knows of it."""
    victim = NewbornVictim(top / "victim", tally)
    victim.run(None)
    victim.inspect()


def main(words: Sequence[str]) -> int:
    """Kill as asked; 1 when anything was lost, ran again, was left behind or did not come to its end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sweep", nargs="?", const="1/1", metavar="N/OF", help="at every call of a run, or at every OF-th"
    )
    parser.add_argument("--count", type=int, default=0, metavar="N", help="kills at calls by chance")
    parser.add_argument("--commands", type=int, default=0, metavar="N", help="kills of runs with commands")
    parser.add_argument("--newborn", action="store_true", help="once, when a command was just born")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    tally = Tally()
    begun = time.monotonic()
    with in_memory() as top:
        try:
            if asked.sweep:
                number, _, parts = asked.sweep.partition("/")
                sweep(top, tally, int(number) - 1, int(parts))
            if asked.newborn:
                newborn(top, tally)
            by_chance(top, tally, asked.count, asked.seed, Victim)
            by_chance(top, tally, asked.commands, asked.seed, CommandVictim)
        except MaestroError as error:
            tally.problems.append(str(error))
    facts = tally.facts() | {"seconds": round(time.monotonic() - begun, 1)}
    if asked.json:
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()))
    return 1 if tally.problems or tally.completed != tally.sessions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
