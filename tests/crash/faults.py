"""Lets the system refuse: every kind of error at every call of a whole run, then the fault goes and the run goes on.

python -m tests.crash.faults           as in the tests
python -m tests.crash.faults --all     every kind at every call that it fits, once and for good
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import functools
import os
import re
import shutil
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import workspace as workspace_store
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_path
from maestro_tui.store.journal import read_events
from maestro_tui.store.summaries import read_summary
from tests.crash.facts import Committed, promises_noted
from tests.crash.operations import no_temporary_files
from tests.crash.power_loss import in_memory
from tests.crash.scene import FLOW, SESSION, Work

PHASES = ("requirements", "design")
TWO = Workflow(name="two", phases=FLOW.phases[:2])

_CHANGES = (
    "open",
    "write",
    "fsync",
    "fdatasync",
    "link",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
    "chmod",
    "fchmod",
)
_SHORT = "short write"
_SHORT_THEN_FULL = "short write, then ENOSPC"
KINDS: dict[str, tuple[str, ...]] = {
    "ENOSPC": ("open", "write", "fsync", "fdatasync", "link", "rename", "mkdir"),
    "EDQUOT": ("open", "write", "fsync", "link", "rename", "mkdir"),
    "EIO": _CHANGES,
    "EMFILE": ("open",),
    "EACCES": ("open", "link", "rename", "unlink", "mkdir", "rmdir", "chmod", "fchmod"),
    "EROFS": _CHANGES,
    _SHORT: ("write",),
    _SHORT_THEN_FULL: ("write",),
}
"""Kind of refusal → the calls that may answer so."""

FOR_GOOD = ("ENOSPC", "EDQUOT", "EIO", "EROFS")
_TRACEBACK = re.compile(r"Traceback|File \"|line \d+, in ")
_SPOILT_RECORD = re.compile(r"journal\.jsonl: the record at byte \d+ ")


@dataclass(frozen=True, slots=True)
class Fault:
    """The first call from the n-th on that may fail so does (and with `for_good` each later one)."""

    number: int
    kind: str
    for_good: bool = False

    def __str__(self) -> str:
        return f"{self.kind} at call {self.number}{' and from then on' if self.for_good else ''}"


class Refusing:
    """Stands before the calls of `os` below a folder, counts them, and refuses as the fault says."""

    def __init__(self, top: Path, fault: Fault | None) -> None:
        self.calls: list[str] = []
        self.refused: list[str] = []
        self.synced_again: list[str] = []
        self._top, self._fault = f"{top}/", fault
        self._spent: dict[int, str] = {}
        """Descriptors whose fsync failed → what they were."""
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[Refusing]:
        """Refuse until the end of the block."""
        with ExitStack() as stack:
            for name in (*_CHANGES, "close"):
                call = functools.partial(self._call, name, getattr(os, name))
                stack.enter_context(mock.patch.object(os, name, call))
            yield self

    def _call(self, name: str, real: Any, *words: Any, **named: Any) -> Any:
        with self._lock:
            if name == "close":
                self._spent.pop(words[0], None)
                return real(*words, **named)
            place = self._place(words[0], named.get("dir_fd"))
            if place is None:
                return real(*words, **named)
            if name in ("fsync", "fdatasync") and words[0] in self._spent:
                self.synced_again.append(place)
            self.calls.append(name)
            kind = self._kind_now(name, words)
            if kind is None:
                return real(*words, **named)
            self.refused.append(f"{name} {place}")
            if name in ("fsync", "fdatasync"):
                self._spent[words[0]] = place
            if kind in (_SHORT, _SHORT_THEN_FULL):
                return real(words[0], bytes(words[1])[: len(words[1]) // 2])
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number), place)

    def _kind_now(self, name: str, words: tuple[Any, ...]) -> str | None:
        fault = self._fault
        if fault is None or len(self.calls) < fault.number:
            return None
        if not self.refused:
            # A heartbeat may come in between and shift the numbers: the first call that may answer so does.
            return fault.kind if name in KINDS[fault.kind] else None
        if fault.kind == _SHORT_THEN_FULL:
            return "ENOSPC" if name == "write" else None
        changes = name != "open" or words[1] & (os.O_CREAT | os.O_TRUNC)
        return fault.kind if fault.for_good and changes and name in KINDS[fault.kind] else None

    def _place(self, what: Any, dir_fd: int | None) -> str | None:
        try:
            if isinstance(what, int):
                path = os.readlink(f"/proc/self/fd/{what}")
            elif dir_fd is not None:
                path = f"{os.readlink(f'/proc/self/fd/{dir_fd}')}/{os.fsdecode(what)}"
            else:
                path = os.path.abspath(os.fsdecode(what))
        except OSError:
            return None
        return path.removeprefix(self._top) if path.startswith(self._top) else None


# ── One run with one fault ────────────────────────────────────────────────────────────────────────────────


@dataclass
class Outcomes:
    """What came of all runs."""

    runs: int = 0
    refused_calls: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def calls_of_a_run(top: Path) -> list[str]:
    """The calls of a run that nothing disturbs."""
    refusing = Refusing(top, None)
    _fresh(top)
    with refusing.running():
        asyncio.run(_engine(top, Work()).execute_batch("Build it", session_id=SESSION))
    shutil.rmtree(top)
    return refusing.calls


def run_with(fault: Fault, top: Path, outcomes: Outcomes) -> None:
    """A run that is disturbed once, then one that is not: what was not as promised goes to `outcomes`."""
    _fresh(top)
    refusing = Refusing(top, fault)
    promised: list[object] = []
    first, ended = Work(), "completed"
    problems: list[str] = []
    with promises_noted(promised.append), warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            with refusing.running():
                context = asyncio.run(_engine(top, first).execute_batch("Build it", session_id=SESSION))
            failed = [result for result in context.phase_results.values() if result.error is not None]
            for result in failed:
                ended = "the phase failed"
                problems += _no_sentence(result.error.message if result.error else "")
        except MaestroError as error:
            ended = f"told ({type(error).__name__})"
            problems += _no_sentence(str(error))
        except BaseException as error:
            ended = "broke"
            problems.append(f"{type(error).__name__} instead of a sentence: {error}")
    problems += [f"synced again after a failed sync: {place}" for place in refusing.synced_again]
    problems += [f"left open: {place}" for place in _open_below(top)]
    commits = [fact for fact in promised if isinstance(fact, Committed)]
    problems += _as_promised(top, commits)
    problems += _goes_on(top, first, fault)
    problems += _as_promised(top, commits)
    outcomes.runs += 1
    outcomes.refused_calls += len(refusing.refused)
    outcomes.ended[ended] += 1
    outcomes.kinds[
        f"{fault.kind} {refusing.refused[0].split()[0] if refusing.refused else '(not reached)'}"
    ] += 1
    where = refusing.refused[0] if refusing.refused else "nowhere"
    outcomes.problems += [f"{fault} ({where}), {ended}: {problem}" for problem in problems]
    shutil.rmtree(top)


def _fresh(top: Path) -> None:
    (top / "work").mkdir(parents=True)
    for phase in PHASES:
        (top / "work" / f"old-{phase}.txt").write_text(phase)
    workspace_store._memories.clear()


def _engine(top: Path, work: Work) -> TeamExecutionEngineV2SplitMode:
    team = TeamExecutionEngineV2(performers=lambda _: work)
    return TeamExecutionEngineV2SplitMode(top / "root", workflow=TWO, workspace=top / "work", team=team)


def _no_sentence(text: str) -> Iterator[str]:
    if len(text) < 15 or "\n" in text.strip() or _TRACEBACK.search(text):
        yield f"no sentence: {text!r}"


def _open_below(top: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if path.startswith(f"{top}/") and not path.endswith(" (deleted)"):
            found.append(path)
    return found


def _as_promised(top: Path, commits: Sequence[Committed]) -> Iterator[str]:
    for fact in commits:
        path = commit_path(top / "root" / SESSION, fact.seq)
        if not path.exists() or path.read_bytes() != fact.data:
            yield f"commit {fact.seq} was acknowledged and is not there"


def _goes_on(top: Path, first: Work, fault: Fault) -> Iterator[str]:
    """The fault is gone: the same session comes to its end, and nothing committed runs again."""
    store = CheckpointStore(top / "root")
    engine, work = _engine(top, second := Work()), second
    done: set[str] = set()
    try:
        if store.exists(SESSION):
            head, damage = store.head_with_damage(SESSION)
            done = {name for name, result in head.context.phase_results.items() if result.done}
            yield from damage
            status = read_summary(store.session_dir(SESSION), time.time()).status
            if status == "running" and not _could_not_let_go(store, fault):
                yield "it is shown as running"
            after = asyncio.run(engine.resume(SESSION))
        else:
            after = asyncio.run(engine.execute_batch("Build it", session_id=SESSION))
    except (MaestroError, OSError) as error:
        yield f"it could not go on: {type(error).__name__}: {error}"
        return
    if {name for name, result in after.phase_results.items() if result.done} != set(PHASES):
        yield "it did not come to its end"
    if set(work.begun) & done or set(work.begun) | done != set(PHASES):
        yield f"{sorted(done)} were committed, and {work.begun} ran again (first {first.begun})"
    folder = store.session_dir(SESSION)
    left = no_temporary_files(folder / "history") + [p.name for p in folder.glob(".maestro-tmp-*")]
    if left:
        yield f"temporary files are left: {left}"
    yield from (line for line in store.verify(SESSION) if not _SPOILT_RECORD.match(line))


def _could_not_let_go(store: CheckpointStore, fault: Fault) -> bool:
    """Who cannot even take its name out of the lease at the end is shown until its process ends: no way around."""
    events = read_events(store.session_dir(SESSION) / "journal.jsonl").events
    return fault.for_good or fault.kind == _SHORT_THEN_FULL or events[-1].type.startswith("session_")


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────


def chosen(calls: Sequence[str], every: bool) -> Iterator[Fault]:
    """Each call with some of the kinds that fit it, in turn (or all), and each call with a disk that stays full."""
    turn: Counter[str] = Counter()
    for number, name in enumerate(calls, 1):
        fitting = [kind for kind, names in KINDS.items() if name in names]
        at = turn[name]
        turn[name] += 1
        kinds = fitting if every else [fitting[(2 * at) % len(fitting)], fitting[(2 * at + 1) % len(fitting)]]
        for kind in dict.fromkeys(kinds):
            yield Fault(number, kind)
        lasting = [kind for kind in FOR_GOOD if name in KINDS[kind]]
        for kind in lasting if every else lasting[at % len(lasting) :][:1]:
            yield Fault(number, kind, for_good=True)


def examine(part: int = 0, parts: int = 1, every: bool = False) -> tuple[int, Outcomes]:
    """Run with each chosen fault, or one part of them: the calls of a run, and what came of it."""
    outcomes = Outcomes()
    with in_memory() as folder:
        calls = calls_of_a_run(folder / "top")
        for number, fault in enumerate(chosen(calls, every)):
            if number % parts == part:
                run_with(fault, folder / "top", outcomes)
    return len(calls), outcomes


def main(words: Sequence[str]) -> int:
    """Examine and print; 1 when anything was not as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every kind at every call")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    calls, outcomes = examine(every=asked.all)
    for text in list(dict.fromkeys(outcomes.problems))[:20]:
        print(text)
    print(
        f"{calls} calls in a run; {outcomes.runs} runs with a fault, {outcomes.refused_calls} calls refused"
    )
    print("ended:", ", ".join(f"{name} {count}" for name, count in outcomes.ended.most_common()))
    print("kinds:", ", ".join(f"{name} {count}" for name, count in sorted(outcomes.kinds.items())))
    print(f"{len(outcomes.problems)} problems, {time.monotonic() - begun:.0f} s")
    return 1 if outcomes.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
