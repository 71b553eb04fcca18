"""Lets many processes race for one session, over and over, and counts how often more than one has it: never.

    python -m tests.crash.races                            32 processes, 1,000 races
    python -m tests.crash.races --processes 6 --races 60   as in the tests

In each race all start at once; every fourth is for one phase. In every tenth the winner is killed with SIGKILL
while it holds, and the next race begins at once: its death alone must have freed the session.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.model.errors import HeldError
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import Hold, hold_phase, hold_session, read_owner
from tests.crash.power_loss import in_memory
from tests.store.small_sessions import commit, context

WON, LOST, LOST_UNNAMED, BROKEN = range(4)
_ANSWER = struct.Struct("<IIQ")
"""Number of the process, what came of it, the epoch of its hold."""
SECONDS = 60
PHASE = "design"


@dataclass
class Tally:
    """What all races have shown."""

    races: int = 0
    more_than_one: int = 0
    nobody: int = 0
    refused: int = 0
    told_whom: int = 0
    killed: int = 0
    commits: int = 0
    problems: list[str] = field(default_factory=list)


# ── One racer ─────────────────────────────────────────────────────────────────────────────────────────────


class Racer:
    """A forked process that tries to take the session whenever a race begins."""

    def __init__(self, number: int, folder: Path, gates: Sequence[int], answers: int, race: int) -> None:
        self.number = number
        order_read, self.order = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.order)
                self._race(folder, gates, order_read, answers, race)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)
        os.close(order_read)

    def _race(self, folder: Path, gates: Sequence[int], orders: int, answers: int, race: int) -> None:
        inside = folder.parent / "inside"
        while os.read(gates[race % 2], 1):
            result, epoch = LOST, 0
            hold: Hold | None = None
            try:
                hold = hold_phase(folder, PHASE) if race % 4 == 3 else hold_session(folder)
                # Whoever else is inside at this moment makes this fail.
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                if race % 5 == 0:
                    commit(CheckpointStore(folder.parent), hold, PHASE, attempt=race + 1)
                result, epoch = WON, hold.epoch
            except HeldError as error:
                result = LOST if " is held by pid " in str(error) else LOST_UNNAMED
            except BaseException:
                traceback.print_exc()
                result = BROKEN
            os.write(answers, _ANSWER.pack(self.number, result, epoch))
            if hold is not None:
                if os.read(orders, 1) != b"r":
                    return
                inside.unlink()
                hold.release()
                os.write(answers, _ANSWER.pack(self.number, WON, epoch))
            race += 1


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────


def run(top: Path, processes: int, races: int) -> Tally:
    """Let so many processes run so many races."""
    tally = Tally()
    store = CheckpointStore(top / "root")
    store.create(context())
    folder = store.session_dir("s1")
    gates = [os.pipe(), os.pipe()]
    answers, answered = os.pipe()
    reading = [gate[0] for gate in gates]
    racers = {number: Racer(number, folder, reading, answered, 0) for number in range(processes)}
    last_epoch = 0
    try:
        for race in range(races):
            signal.alarm(SECONDS)
            os.write(gates[race % 2][1], b"." * processes)
            came = [_ANSWER.unpack(os.read(answers, _ANSWER.size)) for _ in range(processes)]
            won = [(number, epoch) for number, result, epoch in came if result == WON]
            tally.races += 1
            tally.refused += sum(result in (LOST, LOST_UNNAMED) for _, result, _ in came)
            tally.told_whom += sum(result == LOST for _, result, _ in came)
            tally.more_than_one += len(won) > 1
            tally.nobody += not won
            if len(won) != 1 or any(result == BROKEN for _, result, _ in came):
                tally.problems.append(f"race {race}: {len(won)} won, {came}")
                break
            [(number, epoch)] = won
            owner = read_owner(folder, time.time())
            if owner is None or owner.pid != racers[number].pid or not owner.alive or epoch != last_epoch + 1:
                tally.problems.append(f"race {race}: shown as {owner}, epoch {epoch} after {last_epoch}")
            last_epoch = epoch
            tally.commits += race % 5 == 0
            if race % 10 == 9:
                os.kill(racers[number].pid, signal.SIGKILL)
                _reaped(racers[number])
                (folder.parent / "inside").unlink()
                tally.killed += 1
                racers[number] = Racer(number, folder, reading, answered, race + 1)
            else:
                os.write(racers[number].order, b"r")
                os.read(answers, _ANSWER.size)
    finally:
        signal.alarm(0)
        for racer in racers.values():
            os.kill(racer.pid, signal.SIGKILL)
            _reaped(racer)
    if store.head("s1").seq != tally.commits or store.verify("s1"):
        tally.problems.append(
            f"{store.head('s1').seq} commits instead of {tally.commits}; {store.verify('s1')}"
        )
    return tally


def _reaped(racer: Racer) -> None:
    os.waitpid(racer.pid, 0)
    os.close(racer.order)


def main(words: Sequence[str]) -> int:
    """Race and print; 1 when a session ever had two holders or none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--races", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    with in_memory() as top:
        tally = run(top, asked.processes, asked.races)
    if asked.json:
        print(json.dumps(vars(tally)))
    else:
        print(*tally.problems, sep="\n", end="\n" if tally.problems else "")
        print(
            f"{asked.processes} processes, {tally.races:,} races: {tally.more_than_one} times more than one holder, "
            f"{tally.nobody} times none; {tally.refused:,} refused, {tally.told_whom:,} of them told who holds it; "
            f"{tally.killed} holders killed, each session free at once; {tally.commits} commits, all there; "
            f"{time.monotonic() - begun:.0f} s"
        )
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
