"""Runs the store on real file systems, cuts the power between any two flushes of their disk, and recovers each state.

    python -m tests.crash.real_disks [--fs ext4 xfs] [--states 400] [--mutants all]

The method of Linux's dm-log-writes without the device mapper: the disk is a file that FUSE serves and records. Needs
root, /dev/fuse, loop devices, the mkfs programs and the extra `disks`; without them it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.crash.block_log import (
    Entry,
    Flushed,
    Loss,
    Replay,
    Span,
    Wrote,
    copy_sparse,
    losses,
    read_log,
    spans,
)
from tests.crash.disk import CrashState, Disk
from tests.crash.facts import promises_noted
from tests.crash.mutants import MUTANTS, Mutant, applied
from tests.crash.operations import OPERATIONS, Operation, Recorded, commits_of
from tests.crash.power_loss import in_memory
from tests.crash.real_disk import (
    FILE_SYSTEMS,
    FileSystem,
    Refused,
    make_image,
    missing,
    mount_for_ourselves,
    mounted,
    recorded,
    safe_now,
    written_back,
)
from tests.crash.real_life import Life, live, problems_of_life
from tests.crash.recovery import problems_found
from tests.crash.scene import Scene, same_every_time

CHILD_SECONDS = 120
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENGINE_EVERY = 6
"""Of the states of a whole session every so many are taken up by the real engine, the others by the store."""
MUST_BE_CAUGHT = ("no fsync of the file", "no fsync of folders", "no fdatasync of the journal")
"""Broken versions of the store that real disks must show, or this here proves nothing."""


@dataclass(frozen=True)
class Begun:
    """What was prepared is safe; from here on the power may fail."""


@dataclass
class Shown:
    """What came of the states of one disk, or of many."""

    writes: int = 0
    flushes: int = 0
    promises: int = 0
    states: int = 0
    refused: int = 0
    """States with a torn write that the file system itself does not mount."""
    problems: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, other: Shown) -> None:
        """Both together."""
        for name in ("writes", "flushes", "promises", "states", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems.update(other.problems)
        self.first = other.first | self.first

    def sentence(self) -> str:
        """All problems with the state that shows each."""
        return "\n".join(
            f"{n} × {text}\n      {self.first[text]}" for text, n in self.problems.most_common(8)
        )


# ── In a child of its own ─────────────────────────────────────────────────────────────────────────────────


def in_child(work: Path, do: Callable[[], Any]) -> Any:
    """What `do` gives, from a child: nothing of it stays open or in memory here. Raises `AssertionError`."""
    answer = work / "answer"
    answer.unlink(missing_ok=True)
    sys.stdout.flush()
    child = os.fork()
    # With whatever it starts it can be ended at once.
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, child)
    if child == 0:
        code = 70
        try:
            for number in _ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(CHILD_SECONDS)
            answer.write_bytes(pickle.dumps(do()))
            code = 0
        except BaseException:
            answer.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    try:
        _, status = os.waitpid(child, 0)
    except BaseException:
        # It keeps the disk busy, if it was not the end of it that the signal came upon.
        with suppress(ProcessLookupError, ChildProcessError):
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    if status:
        said = answer.read_text() if answer.exists() else ""
        raise AssertionError(f"the child ended with status {status}: {said}")
    return pickle.loads(answer.read_bytes())


# ── One disk ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Desk:
    """Where one file system is tried."""

    system: FileSystem
    work: Path

    def __post_init__(self) -> None:
        self.work.mkdir()
        self.empty, self.place = self.work / "empty", self.work / "disk"
        self.place.mkdir()
        make_image(self.system, self.empty)

    def record(self, do: Callable[[Path, Callable[[object], None]], Any]) -> tuple[Any, list[Entry]]:
        """Do something on a fresh disk: what it gave, and the log."""
        with recorded(self.system, self.empty, self.work, self.place) as notes:
            gave = in_child(self.work, lambda: do(self.place, notes.tell))
        return gave, read_log(self.work / "log")

    def examine(
        self,
        entries: list[Entry],
        most: int,
        find: Callable[[Span, int], list[str]],
        *,
        until_found: bool = False,
    ) -> Shown:
        """Recover `most` states of the log at most, spread evenly over it; `find` gets each, mounted."""
        out = Shown(
            writes=sum(isinstance(entry, Wrote) for entry in entries),
            flushes=sum(isinstance(entry, Flushed) for entry in entries),
        )
        every = [
            (span, loss)
            for span in spans(entries)
            if any(isinstance(fact, Begun) for fact in span.facts)
            for loss in losses(span)
        ]
        out.promises = max(len(span.facts) for span, _ in every) - 1
        copy, state = self.work / "state", self.work / "safe"
        copy_sparse(self.work / "begin", state)
        replay = Replay(state, self.work / "log", entries)
        try:
            for number, (span, loss) in enumerate(_spread(every, most)):
                replay.forward(span.safe)
                replay.broken_off(loss, copy)
                self._recover(span, loss, copy, number, find, out)
                if until_found and out.problems:
                    break
        finally:
            replay.close()
        return out

    def _recover(
        self,
        span: Span,
        loss: Loss,
        copy: Path,
        number: int,
        find: Callable[[Span, int], list[str]],
        out: Shown,
    ) -> None:
        out.states += 1
        try:
            with mounted(self.system, copy, self.place):
                problems = in_child(self.work, lambda: find(span, number))
        except Refused as error:
            if loss.torn:
                out.refused += 1
                return
            problems = [f"the file system cannot be mounted: {error}"]
        except AssertionError as error:
            problems = [str(error)]
        for problem in problems:
            out.problems[problem] += 1
            out.first.setdefault(problem, f"after {span.safe} entries of the log, {loss.what}")


def _spread(every: list[tuple[Span, Loss]], most: int) -> Iterator[tuple[Span, Loss]]:
    """At most so many of them, evenly and in order."""
    count = min(most, len(every))
    for index in range(count):
        yield every[index * len(every) // count]


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
        "--states", type=int, default=600, help="states of each file system at most, roughly (default: 600)"
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
    for number in _ENDING:
        signal.signal(number, _stop)
    mount_for_ourselves()
    bad, begun = 0, time.monotonic()
    caught: dict[str, list[str]] = {mutant.name: [] for mutant in _mutants(asked.mutants)}
    with in_memory() as top:
        for system in systems:
            desk = Desk(system, top / system.name)
            bad += _try_system(desk, asked.states, asked.only)
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
