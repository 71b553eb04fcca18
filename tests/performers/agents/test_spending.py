"""Whatever agent tells on the way what it spends is stopped at its budget; where none does, the log says so first."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import TeamExecutionContext, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.model.context import PhaseStatus
from tests.performers.acp.talking import AGENT as ACP_AGENT
from tests.performers.agents.streams import STREAMS, claude_message, lines, opencode_step

Replay = Callable[..., Path]

WAITS = "time.sleep(600)"


async def run(
    tmp_path: Path, persona: Mapping[str, Any], budget: Mapping[str, Any], whose: str
) -> tuple[TeamExecutionContext, str]:
    """A session of two phases, with the log of the first attempt."""
    worker = {"name": "worker", "performer": "agent_cli", **persona}
    if whose == "persona":
        worker["budget"] = budget
    first = {"name": "a", "personas": [worker], **({"budget": budget} if whose == "phase" else {})}
    second = {"name": "b", "personas": [{"name": "next", "argv": ["true"]}]}
    flow = Workflow.model_validate(
        {"name": "w", "phases": [first, second], **({"budget": budget} if whose == "session" else {})}
    )
    (tmp_path / "work").mkdir()
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", flow, tmp_path / "work")
    context = await engine.execute_batch("x", session_id="s")
    return context, (tmp_path / "root" / "s" / "logs" / "a.1.log").read_text()


def opencode(tmp_path: Path, replay: Replay) -> Mapping[str, Any]:
    replay("opencode", lines(opencode_step("tool-calls", cost=0.6)), then=WAITS)
    return {"options": {"agent": "opencode"}}


def claude(tmp_path: Path, replay: Replay) -> Mapping[str, Any]:
    replay("claude", lines(claude_message({"type": "text", "text": "I begin."})), then=WAITS)
    return {"options": {"agent": "claude"}}


def own_program(tmp_path: Path, replay: Replay) -> Mapping[str, Any]:
    told = json.dumps({"type": "usage", "input_tokens": 111, "cost_usd": 0.6})
    code = f"import time; print({told!r}, flush=True); {WAITS}"
    return {"argv": [sys.executable, "-c", code], "options": {"format": "ndjson"}}


def acp(tmp_path: Path, replay: Replay) -> Mapping[str, Any]:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"prompt": [{"cost": 0.6}, {"hang_until_cancelled": True}]}))
    return {"performer": "acp", "argv": [sys.executable, str(ACP_AGENT), str(script)]}


@pytest.mark.parametrize(
    ("agent", "budget", "whose", "words"),
    [
        (opencode, {"cost_usd": 0.5}, "session", "The session's budget is spent ($0.60 of $0.50)"),
        (opencode, {"tokens": 100}, "persona", "Persona 'worker' has used up its budget (118 of 100 tokens)"),
        (claude, {"tokens": 100}, "session", "The session's budget is spent (111 of 100 tokens)"),
        (own_program, {"cost_usd": 0.5}, "phase", "The budget of phase 'a' is spent ($0.60 of $0.50)"),
        (acp, {"cost_usd": 0.5}, "session", "The session's budget is spent ($0.60 of $0.50)"),
    ],
)
async def test_an_agent_is_stopped_by_what_it_tells_on_the_way(
    tmp_path: Path,
    replay: Replay,
    agent: Callable[[Path, Replay], Mapping[str, Any]],
    budget: Mapping[str, Any],
    whose: str,
    words: str,
) -> None:
    context, log = await run(tmp_path, agent(tmp_path, replay), budget, whose)
    result = context.phase_results["a"]
    assert result.error is not None and words in result.error.message
    assert result.error.kind == "budget" and result.status == PhaseStatus.PENDING
    assert context.usage.cost_usd == 0.6 or context.usage.input_tokens == 111
    assert "only at its end" not in log and "does not tell" not in log


@pytest.mark.parametrize("program", ["codex", "gemini"])
async def test_an_agent_that_tells_only_at_its_end_is_checked_then_and_the_log_says_so_first(
    tmp_path: Path, replay: Replay, program: str
) -> None:
    replay(program, STREAMS[program])
    context, log = await run(
        tmp_path, {"options": {"agent": program}}, {"tokens": 10, "cost_usd": 2}, "session"
    )
    assert context.phase_results["a"].status == PhaseStatus.COMPLETED, "it is paid, and taken"
    first, second = [line for line in log.splitlines() if "the budget (here" in line]
    assert (
        f"{program} tells its tokens only at its end: the budget (here 10 tokens) can only be checked after it"
        in first
    )
    assert f"{program} does not tell its cost: the budget (here $2.00) cannot be checked" in second
    assert "b" not in context.phase_results or context.phase_results["b"].status == PhaseStatus.PENDING


async def test_an_agent_is_told_what_its_budgets_leave_after_what_was_spent(
    tmp_path: Path, replay: Replay
) -> None:
    folder = replay("claude", lines({"type": "nothing"}))
    flow = Workflow.model_validate(
        {
            "name": "w",
            "budget": {"cost_usd": 2},
            "phases": [
                {
                    "name": "a",
                    "personas": [
                        {
                            "name": "worker",
                            "performer": "agent_cli",
                            "options": {"agent": "claude"},
                            "budget": {"cost_usd": 5},
                        }
                    ],
                }
            ],
        }
    )
    (tmp_path / "work").mkdir()
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", flow, tmp_path / "work")
    await engine.execute_batch("x", session_id="s")
    words = (folder / "argv").read_text().split("\0")
    assert words[words.index("--max-budget-usd") + 1] == "2"
