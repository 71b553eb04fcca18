"""What a phase that does nothing costs: its system calls are counted, and nothing is made that nobody asked for."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from maestro_tui.engine import heartbeat
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.lease import Hold
from tests.engine.scripted import Bench, Team, said

WORKFLOW = """
name = "cost"
[[phases]]
name = "one"
[[phases.personas]]
name = "ann"
performer = "command"
argv = ["true"]
[[phases]]
name = "two"
[[phases.personas]]
name = "ben"
performer = "command"
argv = ["true"]
"""


async def test_a_phase_costs_three_syncs_and_rewrites_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    beats: list[tuple[str, ...]] = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda fd, real=real: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))[1]
        )
    monkeypatch.setattr(Hold, "beat", lambda self, phases=(): beats.append(phases))
    for name in ("NAMED_SECONDS", "HEARTBEAT_SECONDS"):
        monkeypatch.setattr(heartbeat, name, 600.0)
    at: list[int] = []

    def noting(task: Task, port: Port) -> PerformerResult:
        at.append(len(synced))
        return said(task, port)

    bench = Bench(tmp_path, WORKFLOW, Team(ann=noting, ben=noting))
    context = await bench.engine.execute_batch("cost", session_id="s1")
    assert all(result.done for _, result in context.results())
    # From the first phase's work to the second's: its commit (file, folder), and that the second begins.
    between = [Path(path).name.partition("-")[0] for path in synced[at[0] : at[1]]]
    assert between == [".maestro", "history", "journal.jsonl"]
    assert beats == []


async def test_a_phase_that_goes_on_is_named_in_the_lease(tmp_path: Path) -> None:
    named: list[list[str]] = []

    async def waiting(task: Task, port: Port) -> PerformerResult:
        async with asyncio.timeout(60):
            while not named or named[-1] != [task.phase.name]:
                await asyncio.sleep(0.01)
                lease = json.loads((bench.root / "s1" / "runner.json").read_text())
                named.append(lease["holders"][0]["phases"])
        return said(task, port)

    bench = Bench(tmp_path, WORKFLOW, Team(ann=waiting, ben=waiting))
    await bench.engine.execute_batch("cost", session_id="s1")
    assert named[0] == []
    assert named[-1] == ["two"]


async def test_a_scratch_folder_is_made_for_those_who_ask_and_removed(tmp_path: Path) -> None:
    seen: list[tuple[str, list[str]]] = []

    def asking(task: Task, port: Port) -> PerformerResult:
        assert not any(tmp.iterdir())
        (task.scratch / "here").write_text("x")
        seen.append((oct(task.scratch.stat().st_mode & 0o777), [one.name for one in task.scratch.iterdir()]))
        return said(task, port)

    def not_asking(task: Task, port: Port) -> PerformerResult:
        assert not any(tmp.iterdir())
        return said(task, port)

    tmp = tmp_path / "checkpoints" / "s1" / "tmp"
    bench = Bench(tmp_path, WORKFLOW, Team(ann=asking, ben=not_asking))
    context = await bench.engine.execute_batch("cost", session_id="s1")
    assert all(result.done for _, result in context.results()), context.phase_results
    assert seen == [("0o700", ["here"])]
    assert not any(tmp.iterdir())
