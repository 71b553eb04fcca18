"""Lets many viewers look at a session that commits as fast as it can, each in every way that the console has.

    python -m tests.crash.viewers                             50 viewers, 1,000 commits
    python -m tests.crash.viewers --viewers 6 --commits 80    as in the tests

No viewer may see damage where there is none, go back to an older state, or be shown half a line of the journal
or of a log.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.console.log_tail import LogFile
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import DetailReader
from maestro_tui.store.journal import Journal, read_events
from maestro_tui.store.lease import hold_session
from maestro_tui.store.logs import PhaseLog, parse_log_line
from maestro_tui.store.summaries import SummaryReader
from tests.crash.power_loss import in_memory
from tests.store.small_sessions import PHASES, commit, session

SECONDS = 900
EACH_LINES = 20
LONG = "x" * 3_000
"""Lines long enough that a reader can meet them half-way."""


@dataclass
class Seen:
    """What all viewers together have seen."""

    looks: Counter[str] = field(default_factory=Counter)
    states: int = 0
    """How often a viewer saw a newer commit than the last time."""
    lines: int = 0
    problems: list[str] = field(default_factory=list)


# ── The session ───────────────────────────────────────────────────────────────────────────────────────────


def work(store: CheckpointStore, folder: Path, commits: int) -> None:
    """Commit as fast as possible, with an event and lines of a log for each."""
    with (
        hold_session(folder) as hold,
        closing(Journal(folder / "journal.jsonl", "s1", seal=True)) as journal,
        closing(PhaseLog(folder / "logs" / "design.1.log")) as log,
    ):
        line = 0
        for number in range(1, commits + 1):
            phase = PHASES[number % len(PHASES)]
            journal.append("phase_started", phase=phase, attempt=number)
            for _ in range(EACH_LINES):
                log.write("worker", "out", f"{line} {LONG} {line}")
                line += 1
            made = commit(store, hold, phase, attempt=number, said=LONG)
            journal.append(
                "phase_committed",
                phase=phase,
                attempt=number,
                data={"seq": made.seq, "sha256": made.sha256, "note": LONG},
            )
            hold.beat((phase,))


# ── A viewer ──────────────────────────────────────────────────────────────────────────────────────────────


class Viewer:
    """Looks again and again, by the list's reader, the console's, the journal's, the log's and `verify`."""

    def __init__(self, folder: Path, commits: int) -> None:
        self.store = CheckpointStore(folder.parent)
        self.folder, self.commits = folder, commits
        self.seen = Seen()
        self._newest: Counter[str] = Counter()
        self._offset = self._events = self._line = 0
        self._log = LogFile(folder / "logs" / "design.1.log")

    def open(self) -> None:
        """Open the log while it is empty."""
        self._log.refresh()

    def look(self) -> None:
        """Until the last commit was seen, and then once more in every way."""
        summary, detail = SummaryReader(self.folder), DetailReader(self.folder)
        last = False
        while True:
            now = time.time()
            one = summary.read(now)
            self._step("list", one.seq, one.damage)
            if last or self.seen.looks["list"] % 5 == 0:
                two = detail.read(now).summary
                self._step("console", two.seq, two.damage)
                head, damage = self.store.head_with_damage("s1")
                self._step("engine", head.seq, damage)
            if last or self.seen.looks["list"] % 25 == 0:
                self._step("verify", self._newest["verify"], self.store.verify("s1"))
            self._read_journal()
            self._read_log()
            if last or self.seen.problems:
                return
            last = one.seq == self.commits

    def _step(self, how: str, seq: int, damage: Sequence[str]) -> None:
        self.seen.looks[how] += 1
        if damage:
            self.seen.problems.append(f"{how} sees damage at commit {seq}: {damage}")
        if seq < self._newest[how]:
            self.seen.problems.append(f"{how} goes back from commit {self._newest[how]} to {seq}")
        self.seen.states += seq > self._newest[how]
        self._newest[how] = seq

    def _read_journal(self) -> None:
        self.seen.looks["journal"] += 1
        part = read_events(self.folder / "journal.jsonl", self._offset)
        self._offset = part.next_offset
        self.seen.problems += [f"journal: {line}" for line in part.damage]
        for event in part.events:
            self._events += 1
            if event.seq != self._events:
                self.seen.problems.append(f"journal: event {event.seq} in the place of {self._events}")
            if event.type == "phase_committed" and event.data["note"] != LONG:
                self.seen.problems.append(f"journal: event {event.seq} is not whole")

    def _read_log(self) -> None:
        self.seen.looks["log"] += 1
        self._log.refresh()
        whole = self._log.line_count - (1 if self._log.ends_open else 0)
        if self._log.base:
            return  # opened late: the lines before are counted by another reader
        for raw in self._log.lines(self._line, whole - self._line):
            line = parse_log_line(raw)
            if line.text != f"{self._line} {LONG} {self._line}" or line.at is None:
                self.seen.problems.append(f"log: line {self._line} is {line.text[:40]!r}…{line.text[-20:]!r}")
            self._line += 1
            self.seen.lines += 1


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────


def run(top: Path, viewers: int, commits: int) -> Seen:
    """Let so many viewers look at so many commits."""
    store = CheckpointStore(top / "root")
    folder = session(store)
    (folder / "logs" / "design.1.log").touch(0o600)
    ready, tell = os.pipe()
    children = [_forked(top / f"seen-{number}", folder, commits, tell) for number in range(viewers)]
    os.close(tell)
    seen = Seen()
    try:
        # A viewer that opens a long log late begins at its end, and would not see the lines before.
        with os.fdopen(ready, "rb") as stream:
            stream.read(viewers)
        work(store, folder, commits)
        for number, child in enumerate(children):
            _, status = os.waitpid(child, 0)
            children[number] = 0
            if status:
                seen.problems.append(f"viewer {number} ended with status {status}")
            else:
                _add(seen, json.loads((top / f"seen-{number}").read_text()))
    finally:
        for child in filter(None, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return seen


def _forked(notes: Path, folder: Path, commits: int, tell: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        signal.alarm(SECONDS)
        viewer = Viewer(folder, commits)
        viewer.open()
        os.write(tell, b"r")
        os.close(tell)
        viewer.look()
        notes.write_text(json.dumps(vars(viewer.seen)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _add(seen: Seen, one: dict[str, object]) -> None:
    seen.looks.update(one["looks"])  # type: ignore[arg-type]
    seen.states += one["states"]  # type: ignore[operator]
    seen.lines += one["lines"]  # type: ignore[operator]
    seen.problems += one["problems"]  # type: ignore[operator]


def words_for(seen: Seen, viewers: int, commits: int, seconds: float) -> Iterator[str]:
    """What was seen, for people."""
    yield from seen.problems[:20]
    looks = ", ".join(f"{name} {count:,}" for name, count in seen.looks.most_common())
    yield f"{viewers} viewers, {commits:,} commits: {sum(seen.looks.values()):,} looks ({looks})"
    yield f"{seen.states:,} times a newer state, {seen.lines:,} lines of a log; {len(seen.problems)} problems; {seconds:.0f} s"


def main(words: Sequence[str]) -> int:
    """Look and print; 1 when anything was seen that is not so."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--commits", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    with in_memory() as top:
        seen = run(top, asked.viewers, asked.commits)
    if asked.json:
        print(json.dumps(vars(seen)))
    else:
        print(*words_for(seen, asked.viewers, asked.commits, time.monotonic() - begun), sep="\n")
    return 1 if seen.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
