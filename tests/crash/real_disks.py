"""Runs the store on real file systems, cuts the power between any two flushes of their disk, and recovers each state.

    python -m tests.crash.real_disks [--fs ext4 xfs] [--states 400] [--mutants all]

The method of Linux's dm-log-writes without the device mapper: the disk is a file that FUSE serves and records. Needs
root, /dev/fuse, loop devices, the mkfs programs and the extra `disks`; without them it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from tests.crash.block_log import Span
from tests.crash.disk import CrashState, Disk
from tests.crash.facts import promises_noted
from tests.crash.mutants import MUTANTS, Mutant, applied
from tests.crash.operations import OPERATIONS, Operation, Recorded, commits_of
from tests.crash.power_loss import in_memory
from tests.crash.real_disk import FILE_SYSTEMS, missing, mount_for_ourselves, safe_now, written_back
from tests.crash.real_life import Life, live, problems_of_life
from tests.crash.real_states import ENDING, Begun, Desk, Shown
from tests.crash.recovery import problems_found
from tests.crash.scene import Scene, same_every_time

ENGINE_EVERY = 6
"""Of the states of a whole session every so many are taken up by the real engine, the others by the store."""
MUST_BE_CAUGHT = ("no fsync of the file", "no fsync of folders", "no fdatasync of the journal")
"""Broken versions of the store that real disks must show, or this here proves nothing."""


# ── What is done there ────────────────────────────────────────────────────────────────────────────────────


def try_operation(
    desk: Desk,
    operation: Operation,
    most: int,
    *,
    restless: bool = False,
    mutant: Mutant | None = None,
    until_found: bool = False,
) -> Shown:
    """One operation of the power-loss model, for real; on a `restless` disk what was not synced is written early."""

    def broken(do: Callable[[], Any]) -> Any:
        with ExitStack() as stack:
            if mutant is not None:
                stack.enter_context(applied(mutant))
            return do()

    def work(place: Path, tell: Callable[[object], None]) -> Any:
        def do() -> Any:
            top = place / "top"
            top.mkdir()
            scene = Scene(top)
            scene.told = tell
            with same_every_time(), promises_noted(tell):
                operation.prepare(scene)
                before = commits_of(scene)
                safe_now(place)
                tell(Begun())
                with written_back(place) if restless else nullcontext():
                    operation.run(scene)
            known = commits_of(scene)
            for which, contents in before.items():
                known.setdefault(which, set()).update(contents)
            return known

        return broken(do)

    known, entries = desk.record(work)
    one = Recorded(operation, Disk(), (), (), known, str(desk.place / "top"))

    def find(span: Span, number: int) -> list[str]:
        engine = operation.with_engine and number % ENGINE_EVERY == 0
        state = CrashState(Disk(), span.safe, span.facts, "")
        return list(broken(lambda: problems_found(one, state, engine=engine)))

    return desk.examine(entries, most, find, until_found=until_found)


def try_life(desk: Desk, most: int) -> Shown:
    """What an operator does with `maestro-tui` in a life of several sessions."""

    def work(place: Path, tell: Callable[[object], None]) -> None:
        def begun() -> None:
            safe_now(place)
            tell(Begun())

        live(Life(place), tell, begun)

    _, entries = desk.record(work)
    return desk.examine(entries, most, lambda span, _: problems_of_life(Life(desk.place), span.facts))


def try_mutants(desk: Desk, mutants: Sequence[Mutant], most: int) -> dict[str, str | None]:
    """Each broken version on this file system: the first problem that shows it, None when none does."""
    found: dict[str, str | None] = {}
    for mutant in mutants:
        operation = next(one for one in OPERATIONS if one.name == mutant.operation)
        shown = try_operation(desk, operation, most, mutant=mutant, until_found=True)
        found[mutant.name] = next(iter(shown.problems), None)
    return found


# ── All of it ─────────────────────────────────────────────────────────────────────────────────────────────


def main(words: Sequence[str]) -> int:
    """1 when anything was not as promised, or a broken store was not caught; 2 when it cannot be tried here."""
    names = [one.name for one in FILE_SYSTEMS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fs", nargs="+", choices=names, default=names, help="file systems")
    parser.add_argument(
        "--states",
        type=int,
        default=600,
        help="states of each file system at most, roughly (default: 600; 0: broken versions only)",
    )
    parser.add_argument("--only", default="", help="operations whose name holds this; 'life' alone: the life")
    parser.add_argument(
        "--mutants",
        choices=("some", "all", "none"),
        default="some",
        help="broken versions that must be caught",
    )
    asked = parser.parse_args(words)
    systems = tuple(one for one in FILE_SYSTEMS if one.name in asked.fs)
    lacking = missing(systems)
    if lacking:
        print(
            "This needs root, /dev/fuse, loop devices, mkfs programs and mfusepy; "
            f"not here: {', '.join(lacking)}. Nothing was tried."
        )
        return 2
    for number in ENDING:
        signal.signal(number, _stop)
    mount_for_ourselves()
    bad, begun = 0, time.monotonic()
    caught: dict[str, list[str]] = {mutant.name: [] for mutant in _mutants(asked.mutants)}
    with in_memory() as top:
        for system in systems:
            desk = Desk(system, top / system.name)
            bad += _try_system(desk, asked.states, asked.only) if asked.states else 0
            for name, problem in try_mutants(desk, _mutants(asked.mutants), 80).items():
                print(
                    f"    {name:<44} {'caught: ' + problem[:70] if problem else 'not seen here'}", flush=True
                )
                if problem:
                    caught[name].append(system.name)
    for name, where in caught.items():
        if not where and name in MUST_BE_CAUGHT:
            bad += 1
            print(f"No file system has shown the store with {name!r}: what was found above proves nothing.")
    seen = sum(bool(where) for where in caught.values())
    print(
        f"{seen} of {len(caught)} broken versions of the store seen on at least one file system; "
        f"{bad} problems, {time.monotonic() - begun:.0f} s"
    )
    return 1 if bad else 0


def _try_system(desk: Desk, states: int, only: str) -> int:
    begun, total = time.monotonic(), Shown()
    chosen = [operation for operation in OPERATIONS if only in operation.name]
    life = only in ("", "life")
    each = max(1, states // (len(chosen) + 4 * life))
    for operation in chosen:
        shown = Shown()
        for restless in (False, True):
            shown.add(try_operation(desk, operation, -(-each // 2), restless=restless))
        _say(operation.name, shown)
        total.add(shown)
    if life:
        shown = try_life(desk, 4 * each)
        _say("a life by maestro-tui", shown)
        total.add(shown)
    print(
        f"{desk.system.name}: {total.writes:,} writes, {total.flushes:,} flushes, {total.promises:,} promises; "
        f"{total.states:,} states, {total.refused} with a torn write not taken by the file system; "
        f"{sum(total.problems.values())} problems, {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    return sum(total.problems.values())


def _say(name: str, shown: Shown) -> None:
    print(
        f"    {name:<40} {shown.writes:>5} writes {shown.flushes:>5} flushes {shown.promises:>4} promises "
        f"{shown.states:>5} states",
        flush=True,
    )
    if shown.problems:
        print(shown.sentence(), flush=True)


def _mutants(which: str) -> list[Mutant]:
    if which == "all":
        return [mutant for mutant in MUTANTS if mutant.operation is not None]
    return [mutant for mutant in MUTANTS if which == "some" and mutant.name in MUST_BE_CAUGHT]


def _stop(number: int, _: FrameType | None) -> None:
    # Everything is put away on the way out, once.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
