"""Measures what a commit and a whole phase cost against the floor: the same bytes by temp file, fsync, rename, fsync.

python -m tests.bench.commit_cost [--commits N] [--sessions N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.context import PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from tests.bench import figures
from tests.bench.five_steps import GROWTH, NAMES, words

if TYPE_CHECKING:
    from tests.bench.langgraph_work import LangGraph

AIMS = {10_000: 2.0, 1_000_000: 2.5}
PHASE_AIM = 2.2
_fresh = itertools.count()


def floor(folder: Path, data: bytes) -> float:
    """Seconds for the least that a durable file costs."""
    began = time.perf_counter()
    number = next(_fresh)
    temp = folder / f"temp-{number}"
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    # Under a fresh name: the freeing of a file that is replaced would make the floor dearer.
    os.rename(temp, folder / f"floor-{number}")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
    return time.perf_counter() - began


def commits(root: Path, size: int, count: int) -> tuple[list[float], list[float], list[float], int]:
    """Seconds of the floor, of a commit with its event, and of a store's first commit in a session; bytes of a file."""
    chance = random.Random(size)
    flow = sdlc()
    first = TeamExecutionContext(
        session_id=f"s{size}", requirement="cost", workflow=flow, created_at=datetime.now(UTC)
    )
    for name in flow.order:
        first = first.with_result(name, _result(1, words(size // 5, chance)))
    store = CheckpointStore(root)
    store.create(first)
    folder = store.session_dir(first.session_id)
    beside = root / "floor"
    beside.mkdir(exist_ok=True)
    floors, warm, cold = [], [], []
    with hold_session(folder) as hold:
        journal = Journal(folder / "journal.jsonl", first.session_id)
        for number in range(count + 5):
            name = flow.order[number % len(flow.order)]
            result = _result(number + 2, words(size // 5, chance))
            fresh = number % 5 == 0
            now = CheckpointStore(root) if fresh else store
            began = time.perf_counter()
            made = now.commit(
                first.session_id, name, number + 2, lambda head, n=name, r=result: (head.context.with_result(n, r), None),
                hold=hold,
            )  # fmt: skip
            journal.append(
                "phase_committed",
                phase=name,
                attempt=number + 2,
                data={"seq": made.seq, "sha256": made.sha256},
            )
            took = time.perf_counter() - began
            path = folder / "history" / f"{made.seq:04d}.json"
            data = path.read_bytes()
            low = floor(beside, data)
            if number >= 5:
                floors.append(low)
                (cold if fresh else warm).append(took)
            store = now
        journal.close()
    return floors, warm, cold, len(data)


def _result(attempt: int, outputs: dict[str, object]) -> PhaseResult:
    now = datetime.now(UTC)
    return PhaseResult(
        status=PhaseStatus.COMPLETED, attempt=attempt, started_at=now, finished_at=now, outputs=outputs
    )


class NoWork:
    """Does nothing and leaves outputs of ten kilobytes."""

    def __init__(self) -> None:
        self._chance = random.Random(1)

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """At once."""
        return PerformerResult(outputs=words(GROWTH, self._chance))


def phases(root: Path, sessions: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds a phase: of the floor, of the engine and of LangGraph (none without it), by turns.

    Each is a mean over the five phases of a session, its creation and its end included.
    """
    flow = Workflow(
        name="no-op",
        phases=tuple(
            Phase(name=name, needs=NAMES[max(0, n - 1) : n], personas=(Persona(name="nobody", performer="command", argv=("true",)),))
            for n, name in enumerate(NAMES)
        ),
    )  # fmt: skip
    workspace = root / "workspace"
    workspace.mkdir()
    (workspace / "file").write_text("here")
    beside = root / "floor"
    beside.mkdir(exist_ok=True)
    nobody: Callable[[Persona], NoWork] = lambda persona: NoWork()  # noqa: E731
    engine = TeamExecutionEngineV2SplitMode(
        root, flow, workspace, team=TeamExecutionEngineV2(performers=nobody)
    )
    graph = langgraph(root / "langgraph.db")
    floors: list[float] = []
    engines: list[float] = []
    graphs: list[float] = []
    for number in range(sessions):
        began = time.perf_counter()
        context = asyncio.run(engine.execute_batch("cost", session_id=f"p{number}"))
        took = time.perf_counter() - began
        assert all(result.done for _, result in context.results()), context.phase_results
        files = sorted((root / f"p{number}" / "history").glob("*.json"))[1:]
        assert len(files) == len(NAMES)
        floors.append(sum(floor(beside, file.read_bytes()) for file in files) / len(NAMES))
        engines.append(took / len(NAMES))
        if graph is not None:
            began = time.perf_counter()
            outputs = graph.run(f"p{number}")
            graphs.append((time.perf_counter() - began) / len(NAMES))
            assert tuple(outputs) == NAMES
    if graph is not None:
        graph.close()
    return floors, engines, graphs


def langgraph(database: Path) -> LangGraph | None:
    """The same work by LangGraph over SQLite; None, and a word about it, where the extra `bench` is missing."""
    try:
        from tests.bench.langgraph_work import LangGraph
    except ImportError:
        print("  LangGraph is not here (pip install -e '.[bench]'): nothing to compare with")
        return None
    chance = random.Random(1)
    graph = LangGraph(database, lambda _: words(GROWTH, chance))
    print(f"  LangGraph's SqliteSaver: {graph.settings()}, durability=sync")
    return graph


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where to write; its disk is what is measured")
    asked = parser.parse_args()
    figures.head("cost of a commit and of a phase")
    folder = Path(tempfile.mkdtemp(prefix="maestro-bench-", dir=asked.folder))
    try:
        for size, limit in AIMS.items():
            floors, warm, cold, bytes_ = commits(folder / "commits", size, asked.commits)
            name = f"{size // 1000} kB"
            figures.line(f"floor, file of {bytes_:,} bytes", floors)
            figures.line(f"commit of a context of {name}", warm, floors)
            figures.line(f"first commit of a process, {name}", cold, floors)
            ratio = statistics.median(warm) / statistics.median(floors)
            figures.aim(f"commit of {name} ≤ {limit} × floor: ×{ratio:.2f}", ratio <= limit)
        floors, engines, graphs = phases(folder, asked.sessions)
        figures.line("floor a phase, context growing by 10 kB", floors)
        figures.line("whole no-op phase through the engine", engines, floors)
        ratio = statistics.median(engines) / statistics.median(floors)
        figures.aim(f"no-op phase ≤ {PHASE_AIM} × floor: ×{ratio:.2f}", ratio <= PHASE_AIM)
        if graphs:
            figures.line("the same step by LangGraph", graphs, floors)
            beside = statistics.median(engines) / statistics.median(graphs)
            figures.aim(f"no-op phase below LangGraph: ×{beside:.2f} of it", beside < 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures.tail()


if __name__ == "__main__":
    main()
