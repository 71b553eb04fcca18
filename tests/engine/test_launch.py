"""What is asked of a new session must hold together: a contradiction is refused where it can still be mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro_tui.engine.launch import Launch
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow

FLOW = Workflow(
    name="flow",
    phases=(
        Phase(name="requirements"),
        Phase(name="design", needs=("requirements",)),
        Phase(name="notes", needs=(), personas=(Persona(name="writer", shell="true"),)),
        Phase(name="testing", needs=("design",)),
    ),
)
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "start that is not selected": (
        {"phases": ("requirements", "testing"), "start_from": "design"},
        "The session is to start from 'design', a phase that is not selected to run (requirements, testing are). "
        "Select it, or start elsewhere. Nothing was run.",
    ),
    "stop after what is not selected": (
        {"phases": ("requirements",), "pause_after": ("design",)},
        "The session is to stop after the phase 'design', which does not run: it is not selected. Take one of the "
        "two back. Nothing was run.",
    ),
    "stop before the start": (
        {"start_from": "testing", "pause_after": ("requirements",)},
        "The session is to stop after the phase 'requirements', which does not run: it comes before 'testing', "
        "where the session starts. Take one of the two back. Nothing was run.",
    ),
    "stop after what a file gives": (
        {"inputs": {"requirements": "given.md"}, "pause_after": ("requirements",)},
        "The session is to stop after the phase 'requirements', which does not run: its result comes from a file. "
        "Take one of the two back. Nothing was run.",
    ),
}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TeamExecutionEngineV2SplitMode:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given.md").write_text("# Given")
    return TeamExecutionEngineV2SplitMode(tmp_path / "root", FLOW, tmp_path)


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradictory_order_is_refused_by_the_launch_and_by_its_plan(
    engine: TeamExecutionEngineV2SplitMode, case: str
) -> None:
    order, sentence = CONTRADICTIONS[case]
    for ask in (engine.create, engine.plan_launch):
        with pytest.raises(InputError) as refused:
            ask(Launch("x", **order))
        assert str(refused.value) == sentence
    assert not engine.store.root.exists()


@pytest.mark.parametrize(
    "order",
    [
        {"phases": ("requirements", "design", "testing"), "start_from": "design", "pause_after": ("design",)},
        {"start_from": "testing", "pause_after": ("notes",)},
    ],
)
def test_what_holds_together_is_taken(engine: TeamExecutionEngineV2SplitMode, order: dict[str, Any]) -> None:
    assert engine.first_context(Launch("x", **order)).pause_after == order["pause_after"]
