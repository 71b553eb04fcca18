"""The real claude, codex, gemini and opencode from npm, working against a model server of ours."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.agent_cli import AgentCliPerformer
from maestro_tui.performers.agents.detect import find_agents
from maestro_tui.performers.port import PerformerFailed, PerformerResult
from tests.model_server.server import CallTool, Refuse, Say, Silence
from tests.performers.agents.real import AGENTS, CONTENT, KEYS, SAID, persona, serving, writes
from tests.performers.bench_fixtures import RememberingPort, make_task
from tests.waiting import wait_until

pytestmark = pytest.mark.agents


@pytest.fixture(autouse=True)
def installed(real_agents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{real_agents}{os.pathsep}{os.environ['PATH']}")
    for name in set(KEYS.values()):
        monkeypatch.setenv(name, "a-key-for-loopback")


async def perform(
    tmp_path: Path, who: Persona, port: RememberingPort | None = None, **changes: Any
) -> PerformerResult:
    task = replace(make_task(tmp_path, who), **changes)
    return await AgentCliPerformer(who).perform(task, port or RememberingPort())


def test_each_agent_says_its_version() -> None:
    assert [(one.name, one.version is not None) for one in find_agents()] == [(name, True) for name in AGENTS]


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_writes_a_file_with_its_own_tool_and_tells_text_tool_and_usage(
    tmp_path: Path, agent: str
) -> None:
    file, port = tmp_path / "workspace" / "made.txt", RememberingPort()
    with serving(agent, [writes(agent, file), Say(SAID)]) as server:
        result = await perform(tmp_path, persona(agent, server), port)
        asked = str([request.body for request in server.requests])
    assert file.read_text() == CONTENT
    assert result.outputs == {"text": SAID} and result.summary == SAID
    assert SAID in port.text.splitlines()
    tools = [data for type, data in port.events if type == "tool_called"]
    assert len(tools) == 1 and "made.txt" in tools[0]["summary"] and "denied" not in tools[0]
    # Two turns of 11 and 7 tokens; an agent may ask its model aside as well.
    assert (result.usage.input_tokens or 0) >= 22 and (result.usage.output_tokens or 0) >= 14
    assert "The list must show 20 rows." in asked


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_reviewer_cannot_write_a_file_even_when_its_model_wants_to(
    tmp_path: Path, agent: str
) -> None:
    file = tmp_path / "workspace" / "made.txt"
    with serving(agent, [writes(agent, file), Say("Two things are missing.")]) as server:
        result = await perform(tmp_path, persona(agent, server), role="comment")
    assert not file.exists() and result.outputs == {"text": "Two things are missing."}


async def test_claude_that_may_not_write_fails_although_it_exits_well_and_claims_success(
    tmp_path: Path,
) -> None:
    file, port = tmp_path / "workspace" / "made.txt", RememberingPort()
    with serving("claude", [writes("claude", file), Say(SAID)]) as server:
        who = persona("claude", server, permission_mode="default")
        with pytest.raises(
            PerformerFailed, match=r"not allowed to use Write \(made\.txt\) and changed nothing"
        ):
            await perform(tmp_path, who, port)
    assert SAID in port.text and not file.exists()


@pytest.mark.parametrize("agent", ["claude", "codex", "opencode"])
async def test_a_refused_key_fails_with_a_sentence_and_is_not_tried_again(tmp_path: Path, agent: str) -> None:
    with serving(agent, [Refuse(401, "invalid x-api-key")]) as server:
        with pytest.raises(PerformerFailed, match="its provider refused the login or key") as caught:
            await perform(tmp_path, persona(agent, server))
        assert server.turns_served <= 2
    assert not caught.value.retry and KEYS[agent] in str(caught.value)


SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number"}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("agent", "turn"),
    [("claude", CallTool("StructuredOutput", {"score": 0.5})), ("codex", Say('{"score": 0.5}'))],
)
async def test_a_schema_is_handed_to_the_agent_and_its_object_becomes_the_outputs(
    tmp_path: Path, agent: str, turn: Say | CallTool
) -> None:
    with serving(agent, [turn, Say("done")]) as server:
        result = await perform(tmp_path, persona(agent, server, schema=SCHEMA))
        asked = str([request.body for request in server.requests])
    assert result.outputs == {"score": 0.5} and result.metrics == {"opinion": 0.5}
    assert "additionalProperties" in asked


@pytest.mark.parametrize("agent", ["claude", "gemini"])
async def test_cancelling_an_agent_in_the_middle_of_a_turn_leaves_no_process(
    tmp_path: Path, agent: str
) -> None:
    with serving(agent, [Silence()]) as server:
        work = asyncio.create_task(perform(tmp_path, persona(agent, server)))
        await asyncio.to_thread(wait_until, lambda: server.turns_served, "the agent asks its model")
        assert _working_in(tmp_path)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert _working_in(tmp_path) == []


def _working_in(folder: Path) -> list[str]:
    """The processes whose working directory is in this folder (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(entry.name)
        except OSError:
            continue
    return found
