"""Breaks off every operation of the store at every step and recovers each state; prints the counts.

python -m tests.crash.power_loss            as in the tests
python -m tests.crash.power_loss --each 400 many more states of every moment
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from tests.crash.disk import CrashState, crash_states, replayed
from tests.crash.facts import promises_noted
from tests.crash.operations import OPERATIONS, Operation, Recorded, commits_of, record
from tests.crash.recording import Recording
from tests.crash.recovery import problems_after
from tests.crash.scene import SESSION, Scene, clock, same_every_time

EACH = 96
"""States of one moment at most."""
EACH_WITH_ENGINE = 10
"""The same for whole sessions: they have ten times as many moments, and many changes pending at each."""
ENGINE_EVERY = 12
"""Of the states of a whole session every so many are taken up by the real engine, the others by the store."""


RECOVERIES = 8
"""Recoveries that are broken off themselves, of one operation."""
EACH_RECOVERY = 10


@dataclass
class Examined:
    """What came of recovering states."""

    states: set[bytes] = field(default_factory=set)
    recovered: int = 0
    by_engine: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """Problem → the first state that had it."""

    def sentence(self) -> str:
        """All problems with the state that shows each, for a failing test."""
        return "\n".join(
            f"{n} × {text}\n      {self.first[text]}" for text, n in self.problems.most_common(8)
        )


def states_of(recorded: Recorded, each: int | None = None) -> Iterator[CrashState]:
    """The states that are examined of one operation."""
    most = each or (EACH_WITH_ENGINE if recorded.operation.with_engine else EACH)
    yield from crash_states(recorded.base, recorded.ops, most, recorded.promised)


def examine(recorded: Recorded, *, part: int = 0, parts: int = 1, each: int | None = None) -> Examined:
    """Recover every state of an operation, or one part of them."""
    out = Examined()
    for number, state in enumerate(states_of(recorded, each)):
        if number % parts != part:
            continue
        engine = (
            each != EACH_RECOVERY and recorded.operation.with_engine and number // parts % ENGINE_EVERY == 0
        )
        out.states.add(state.disk.digest())
        out.recovered += 1
        out.by_engine += engine
        for problem in problems_after(recorded, state, engine=engine):
            out.problems[problem] += 1
            out.first.setdefault(problem, f"after {state.after} operations, {state.what}")
    return out


def record_recovery(recorded: Recorded, state: CrashState) -> Recorded | None:
    """The recovery of a state, itself recorded to be broken off; None when there is no session to recover."""
    top = Path(recorded.top)
    state.disk.write_to(top)
    try:
        scene = Scene(top)
        if not scene.store.exists(SESSION):
            return None
        # Not the names that the operation itself used: its temporary files may still lie there.
        with same_every_time(1 << 20):
            recording = Recording(top)
            with promises_noted(recording.tell), recording.running():
                recover(scene)
        if replayed(recording.base, recording.ops).digest() != recording.as_it_is().digest():
            raise AssertionError(
                f"{recorded.operation.name}: the recording of its recovery has missed a change"
            )
        known = {place: set(contents) for place, contents in recorded.known.items()}
        for place, contents in commits_of(scene).items():
            known.setdefault(place, set()).update(contents)
    finally:
        shutil.rmtree(top)
    return Recorded(
        recorded.operation, recording.base, state.facts, tuple(recording.ops), known, recorded.top
    )


def recover(scene: Scene) -> None:
    """What each runner does before it goes on."""
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.store.repair_views(SESSION, alone=True)
        journal = Journal(scene.folder() / "journal.jsonl", SESSION, clock=clock, seal=True)
        journal.append("runner_acquired", data={"epoch": hold.epoch})
        journal.close()


def examine_recoveries(recorded: Recorded, count: int = RECOVERIES, each: int = EACH_RECOVERY) -> Examined:
    """Break the recovery of some of an operation's states off at every step, and recover again."""
    out = Examined()
    states = list(states_of(recorded))
    for state in states[:: max(1, len(states) // count)]:
        again = record_recovery(recorded, state)
        if again is not None:
            _add(examine(again, each=each), out)
    return out


def _add(one: Examined, to: Examined) -> None:
    to.states |= one.states
    to.recovered += one.recovered
    to.by_engine += one.by_engine
    to.problems.update(one.problems)
    to.first = one.first | to.first


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that needs no disk, where there is one."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="maestro-crash-", dir=base) as folder:
        yield Path(folder)


def main(words: list[str]) -> int:
    """Examine all operations; 1 when anything was not as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=None, help="states of one moment at most")
    parser.add_argument("--only", default="", help="operations whose name holds this")
    asked = parser.parse_args(words)
    every: set[bytes] = set()
    recovered = by_engine = broken_off = bad = 0
    begun = time.monotonic()
    with in_memory() as folder:
        for operation in chosen(asked.only):
            recorded = record(operation, folder / "top")
            result = examine(recorded, each=asked.each)
            every |= result.states
            recovered, by_engine = recovered + result.recovered, by_engine + result.by_engine
            bad += sum(result.problems.values())
            print(
                f"{operation.name:<40} {len(recorded.ops):>4} steps {len(result.states):>6} states",
                flush=True,
            )
            if result.problems:
                print(result.sentence())
            if not operation.prunes:
                second = examine_recoveries(record(operation, folder / "top"))
                broken_off += second.recovered
                every |= second.states
                bad += sum(second.problems.values())
                if second.problems:
                    print(second.sentence())
    print(
        f"{len(every):,} distinct states; {recovered:,} recoveries ({by_engine:,} of them by the engine) and "
        f"{broken_off:,} after a recovery that was broken off itself; {bad} problems, {time.monotonic() - begun:.0f} s"
    )
    return 1 if bad else 0


def chosen(part_of_name: str) -> list[Operation]:
    """The operations whose name holds the words."""
    return [operation for operation in OPERATIONS if part_of_name in operation.name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
