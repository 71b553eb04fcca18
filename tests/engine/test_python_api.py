"""What a Python program may expect of the engine: what it refuses, repeats, forgives and tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro_tui import InputError, TeamExecutionEngineV2SplitMode
from maestro_tui.model.events import Event
from maestro_tui.store.journal import read_events
from tests.engine.scripted import Bench, Team

DIAMOND = """
name = "diamond"
[[phases]]
name = "extract"
needs = []
[[phases.personas]]
name = "extractor"
argv = ["x"]
[[phases]]
name = "left"
needs = ["extract"]
[[phases.personas]]
name = "lefty"
argv = ["x"]
[[phases]]
name = "right"
needs = ["extract"]
[[phases.personas]]
name = "righty"
argv = ["x"]
[[phases]]
name = "join"
needs = ["left", "right"]
[[phases.personas]]
name = "joiner"
argv = ["x"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, DIAMOND, Team())


# ── Listeners ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_listener_that_raises_costs_no_work_and_is_told_once(bench: Bench) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise KeyError(event.type)

    engine = bench.engine
    engine.listeners = (broken, heard.append)
    context = await engine.execute_batch("x", session_id="s")
    assert {str(result.status) for result in context.phase_results.values()} == {"completed"}
    assert heard[-1].type == "session_completed"
    told = [
        one for one in read_events(bench.root / "s" / "journal.jsonl").events if one.type == "listener_failed"
    ]
    assert [one.data["problem"] for one in told] == ["KeyError: 'runner_acquired'"]


def test_a_listener_that_could_only_be_awaited_is_refused(bench: Bench) -> None:
    async def listen(event: Event) -> None: ...

    class Listens:
        async def __call__(self, event: Event) -> None: ...

    wrong: Any
    for wrong in (listen, [listen], Listens(), [3]):
        with pytest.raises(InputError, match="on_event takes plain functions"):
            TeamExecutionEngineV2SplitMode(bench.root, on_event=wrong)
