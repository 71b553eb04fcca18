"""The real claude, gemini and opencode over the Agent Client Protocol, with a model server of ours behind them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.port import PerformerFailed, PerformerResult
from maestro_tui.performers.registry import performer_for
from tests.model_server.server import ModelServer, Refuse, Say
from tests.performers.acp.talking import AnsweringPort
from tests.performers.agents.install import (
    ACP_PACKAGES,
    NotInstalled,
    cache_folder,
    installed_agents,
)
from tests.performers.agents.real import CONTENT, SAID, serving, writes
from tests.performers.bench_fixtures import make_task

pytestmark = pytest.mark.agents
AGENTS = ("claude", "gemini", "opencode")
# Before any test has a home of its own: the cache is the user's.
_CACHES = {"claude": (cache_folder("node-acp"), ACP_PACKAGES)}
_COMMON = cache_folder()


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the agents, on PATH; skips by a sentence when it cannot be had."""
    name = str(request.param)
    try:
        programs = installed_agents(*_CACHES.get(name, (_COMMON,)))
    except NotInstalled as error:
        pytest.skip(f"{error}.")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return name


def persona(agent: str, server: ModelServer, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Persona:
    """A persona that the agent carries out with this server as its model, in an empty home."""
    given = {
        "claude": {"ANTHROPIC_API_KEY": "sk-for-loopback", "ANTHROPIC_BASE_URL": server.url},
        "gemini": {"GEMINI_API_KEY": "key-for-loopback", "GOOGLE_GEMINI_BASE_URL": server.url},
        "opencode": {"OPENCODE_CONFIG_CONTENT": _opencode(server), "OPENCODE_DISABLE_MODELS_FETCH": "1"},
    }[agent]
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    options = {"agent": agent, "home": "private", **options}
    if agent == "gemini":
        # Left to itself it asks its model first which model to ask.
        options["model"] = "gemini-2.5-pro"
    return Persona.model_validate(
        {"name": "writer", "performer": "acp", "options": options, "env": list(given), "timeout_seconds": 150}
    )


def _opencode(server: ModelServer) -> str:
    local = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{server.url}/v1", "apiKey": "key-for-loopback"},
        "models": {"a-model": {"name": "a-model"}},
    }
    return json.dumps({"provider": {"local": local}, "model": "local/a-model", "autoupdate": False})


async def perform(folder: Path, who: Persona, port: AnsweringPort, role: str = "work") -> PerformerResult:
    task = replace(make_task(folder, who), role=role)  # type: ignore[arg-type]
    return await performer_for(who).perform(task, port)


async def test_an_agent_asks_before_it_writes_and_writes_when_it_may(
    tmp_path: Path, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workspace" / "made.txt"
    port = AllowingPort()
    with serving(agent, [writes(agent, file), Say(SAID)]) as server:
        result = await perform(tmp_path, persona(agent, server, monkeypatch), port)
        asked = str([request.body for request in server.requests])
    [(question, options, default, timeout)] = port.asked
    assert "made.txt" in question and f"+{CONTENT.strip()}" in question
    assert len(options) >= 2 and default == options[-1] and timeout == 600
    assert file.read_text() == CONTENT
    assert result.outputs == {"text": SAID} and SAID in port.text.splitlines()
    [tool] = [data for type, data in port.events if type == "tool_called"]
    assert tool["kind"] == "edit" and tool["paths"] == ["made.txt"]
    # opencode tells of its last turn only; an agent may ask its model aside as well.
    assert (result.usage.input_tokens or 0) >= 11 and (result.usage.output_tokens or 0) >= 7
    assert "The list must show 20 rows." in asked


class AllowingPort(AnsweringPort):
    """Answers every question with its first option."""

    async def ask(self, question: str, options: Any, default: str, timeout: float | None = None) -> str:
        self.answers.append(options[0])
        return await super().ask(question, options, default, timeout)


async def test_an_agent_that_is_refused_writes_nothing_and_its_claim_is_a_failure(
    tmp_path: Path, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workspace" / "made.txt"
    with (
        serving(agent, [writes(agent, file), Say(SAID)]) as server,
        pytest.raises(PerformerFailed) as told,
    ):
        await perform(tmp_path, persona(agent, server, monkeypatch, permission="deny"), AnsweringPort())
    assert not file.exists()
    # After a refusal an agent may also end its turn by itself.
    assert "changed nothing in the workspace" in str(told.value) or "cancelled its own turn" in str(
        told.value
    )


async def test_a_reviewer_cannot_write_whatever_is_permitted(
    tmp_path: Path, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workspace" / "made.txt"
    port = AnsweringPort()
    with serving(agent, [writes(agent, file), Say(SAID)]) as server:
        try:
            await perform(tmp_path, persona(agent, server, monkeypatch, permission="allow"), port, "comment")
        except PerformerFailed as error:
            assert "cancelled its own turn" in str(error)
    assert not file.exists() and port.asked == []


@pytest.mark.parametrize("agent", ["gemini", "opencode"], indirect=True)
async def test_a_key_that_the_provider_refuses_is_a_sentence_and_not_tried_again(
    tmp_path: Path, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(agent, [Refuse(401, "invalid api key")]) as server,
        pytest.raises(PerformerFailed, match=r"is not signed in: .*invalid api key") as told,
    ):
        await perform(tmp_path, persona(agent, server, monkeypatch), AnsweringPort())
    assert told.value.retry is False
