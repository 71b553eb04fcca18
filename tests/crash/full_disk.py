"""Runs sessions on disks that are really full: a tiny tmpfs where root may mount one, a limit on file sizes elsewhere.

    python -m tests.crash.full_disk          both, each with many sizes

Nothing is put before the system's calls here: the kernel itself refuses. Each run must end with a sentence or a
failed phase, lose nothing that was acknowledged, and come to its end when there is room again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.model.errors import MaestroError
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_path
from tests.crash.facts import Committed, promises_noted
from tests.crash.power_loss import in_memory
from tests.crash.scene import PHASES, SESSION, Work, engine_of

OUTPUT = "x" * 40_000
"""What each phase says, so that a small disk fills up in the midst of the session."""
TMPFS_PAGES = range(4, 160, 3)
FILE_SIZES = range(500, 130_000, 2_500)
PAGE = 4096


@dataclass
class Outcomes:
    """What came of all runs."""

    runs: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    problems: list[str] = field(default_factory=list)


class Talkative(Work):
    """Says much."""

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Fill the log and the outputs."""
        self.begun.append(task.phase.name)
        port.line(OUTPUT[:5_000])
        (task.workspace / f"{task.phase.name}.txt").write_text(OUTPUT[:3_000])
        return PerformerResult(outputs={"said": OUTPUT}, summary="done")


@contextmanager
def tiny_disk(place: Path, pages: int) -> Iterator[Callable[[], None]]:
    """A tmpfs of so many pages at `place`; what is given makes it large. Raises `OSError` where that is not allowed."""
    place.mkdir()
    _mount(place, f"size={pages * PAGE},mode=0700")
    try:
        yield lambda: _mount(place, f"remount,size={64 << 20}")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def _mount(place: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "maestro-tiny", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(done.returncode, done.stderr.decode("utf-8", "replace").strip())


def may_mount() -> bool:
    """True where a tmpfs may be mounted."""
    with in_memory() as top:
        try:
            with tiny_disk(top / "disk", 16):
                return True
        except OSError:
            return False


# ── One run ───────────────────────────────────────────────────────────────────────────────────────────────


def run_here(top: Path, make_room: Callable[[], None]) -> tuple[str, int, list[str]]:
    """A run that meets the full disk, then one that has room: how the first ended, commits seen, problems."""
    promised: list[object] = []
    problems: list[str] = []
    first = Talkative()
    ended = "completed"
    with promises_noted(promised.append):
        try:
            (top / "work").mkdir()
            engine = engine_of(top / "root", top / "work", first)
            context = asyncio.run(engine.execute_batch("Build it", session_id=SESSION))
            if any(result.error is not None for result in context.phase_results.values()):
                ended = "the phase failed"
        except MaestroError as error:
            ended = f"told ({type(error).__name__})"
            if "\n" in str(error) or len(str(error)) < 20:
                problems.append(f"no sentence: {error!r}")
        except OSError as error:
            ended = "no room for the work itself" if not (top / "work").exists() else "broke"
            if ended == "broke":
                problems.append(f"{error!r} instead of a sentence")
        make_room()
        commits = [fact for fact in promised if isinstance(fact, Committed)]
        problems += _kept(top, commits)
        problems += _goes_on(top)
        problems += _kept(top, commits)
    return ended, len(commits), problems


def _kept(top: Path, commits: Sequence[Committed]) -> Iterator[str]:
    for fact in commits:
        path = commit_path(top / "root" / SESSION, fact.seq)
        if not path.exists() or path.read_bytes() != fact.data:
            yield f"commit {fact.seq} was acknowledged and is not there"


def _goes_on(top: Path) -> Iterator[str]:
    store = CheckpointStore(top / "root")
    second = Talkative()
    (top / "work").mkdir(exist_ok=True)
    engine = engine_of(top / "root", top / "work", second)
    done: set[str] = set()
    try:
        if store.exists(SESSION):
            head, damage = store.head_with_damage(SESSION)
            yield from damage
            done = {name for name, result in head.context.phase_results.items() if result.done}
            after = asyncio.run(engine.resume(SESSION))
        else:
            after = asyncio.run(engine.execute_batch("Build it", session_id=SESSION))
    except (MaestroError, OSError) as error:
        yield f"it could not go on: {error!r}"
        return
    if {name for name, result in after.phase_results.items() if result.done} != set(PHASES):
        yield "it did not come to its end"
    if set(second.begun) & done:
        yield f"{sorted(done)} were committed, and {second.begun} ran again"
    yield from (line for line in store.verify(SESSION) if "journal.jsonl: the record at byte" not in line)


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────


def on_tiny_disks(pages: Sequence[int]) -> Outcomes:
    """A run on a tmpfs of each of these sizes."""
    outcomes = Outcomes()
    with in_memory() as top:
        for count in pages:
            with tiny_disk(top / "disk", count) as make_room:
                _add(outcomes, f"{count} pages", *run_here(top / "disk", make_room))
            (top / "disk").rmdir()
    return outcomes


def under_limits(sizes: Sequence[int]) -> Outcomes:
    """A run in a child of its own under each of these limits on the size of a file (RLIMIT_FSIZE)."""
    outcomes = Outcomes()
    with in_memory() as top:
        for size in sizes:
            notes = top / f"{size}.json"
            (top / str(size)).mkdir()
            child = os.fork()
            if child == 0:
                _in_child(top / str(size), size, notes)
            _, status = os.waitpid(child, 0)
            if status:
                outcomes.problems.append(f"limit {size}: the child ended with status {status}")
            else:
                _add(outcomes, f"limit {size}", *json.loads(notes.read_text()))
    return outcomes


def _in_child(top: Path, size: int, notes: Path) -> None:
    code = 70
    try:
        signal.alarm(60)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write() says EFBIG then
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        found = run_here(top, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        notes.write_text(json.dumps(found))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _add(outcomes: Outcomes, where: str, ended: str, commits: int, problems: Sequence[str]) -> None:
    outcomes.runs += 1
    outcomes.ended[ended] += 1
    outcomes.commits += commits
    outcomes.problems += [f"{where}, {ended}: {problem}" for problem in problems]


def main(words: Sequence[str]) -> int:
    """Run on all sizes and print; 1 when anything was not as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th size only")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    found = {"under a limit on file sizes": under_limits(FILE_SIZES[:: asked.every])}
    if may_mount():
        found["on a tiny tmpfs"] = on_tiny_disks(TMPFS_PAGES[:: asked.every])
    if asked.json:
        print(json.dumps({name: vars(outcomes) for name, outcomes in found.items()}))
    else:
        for name, outcomes in found.items():
            print(*outcomes.problems[:10], sep="\n", end="\n" if outcomes.problems else "")
            ended = ", ".join(f"{how} {count}" for how, count in outcomes.ended.most_common())
            print(
                f"{name}: {outcomes.runs} runs ({ended}); {outcomes.commits} commits acknowledged, {len(outcomes.problems)} problems"
            )
        print(f"{time.monotonic() - begun:.0f} s")
    return 1 if any(outcomes.problems for outcomes in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
