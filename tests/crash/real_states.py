"""Records what is done on a real file system, cuts the power at every flush, and has each state recovered."""

from __future__ import annotations

import filecmp
import os
import pickle
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
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
from tests.crash.real_disk import FileSystem, Refused, make_image, mounted, recorded

CHILD_SECONDS = 120
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals upon which everything is put away."""


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
            for number in ENDING:
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
        entries = read_log(self.work / "log")
        self._nothing_missed(entries)
        return gave, entries

    def _nothing_missed(self, entries: list[Entry]) -> None:
        """A replay of the whole log must give the disk as it is."""
        copy_sparse(self.work / "begin", self.work / "safe")
        replay = Replay(self.work / "safe", self.work / "log", entries)
        replay.forward(len(entries))
        replay.close()
        if not filecmp.cmp(self.work / "safe", self.work / "image", shallow=False):
            raise AssertionError("the recorder has missed a write")

    def examine(
        self,
        entries: list[Entry],
        most: int,
        find: Callable[[Span, int], list[str]],
        *,
        until_found: bool = False,
    ) -> Shown:
        """Recover `most` states of the log at most, chosen from all of it by chance; `find` gets each, mounted."""
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
            for number, (span, loss) in enumerate(_sample(every, most)):
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


def _sample(every: list[tuple[Span, Loss]], most: int) -> Iterator[tuple[Span, Loss]]:
    """At most so many of them, by chance with a fixed seed, in order."""
    for index in sorted(random.Random(1).sample(range(len(every)), min(most, len(every)))):
        yield every[index]
