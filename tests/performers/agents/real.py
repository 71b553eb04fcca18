"""The real agents against the model server: what each needs to be called, and the tool by which it writes a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_tui.model.persona import Persona
from tests.model_server.gemini import Gemini
from tests.model_server.messages import Messages
from tests.model_server.opencode_chat import OpencodeChat
from tests.model_server.responses import Responses
from tests.model_server.server import CallTool, Dialect, ModelServer, Silence, Turn

AGENTS = ("claude", "codex", "gemini", "opencode")
KEYS: Mapping[str, str] = {
    "claude": "ANTHROPIC_API_KEY",
    "codex": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "opencode": "OPENAI_API_KEY",
}
SAID = "I wrote the file."
CONTENT = "written by the agent's own tool\n"
_DIALECTS: Mapping[str, type[Dialect]] = {
    "claude": Messages,
    "codex": Responses,
    "gemini": Gemini,
    "opencode": OpencodeChat,
}


def serving(agent: str, turns: Sequence[Turn | Silence]) -> ModelServer:
    """A model server in the dialect that the agent speaks."""
    return ModelServer(_DIALECTS[agent](), turns)


def writes(agent: str, file: Path) -> CallTool:
    """The model asks this agent to write `file`."""
    if agent == "claude":
        return CallTool("Write", {"file_path": str(file), "content": CONTENT})
    if agent == "codex":
        return CallTool("exec_command", {"cmd": f'printf "%s\\n" "{CONTENT.strip()}" > {file.name}'})
    if agent == "gemini":
        return CallTool("write_file", {"file_path": str(file), "content": CONTENT})
    return CallTool("write", {"filePath": str(file), "content": CONTENT})


def options(agent: str, server: ModelServer) -> dict[str, Any]:
    """The persona's options for this server."""
    path = "" if agent in ("claude", "gemini") else "/v1"
    return {"agent": agent, "model": "a-model", "base_url": f"{server.url}{path}"}


def persona(agent: str, server: ModelServer, **words: Any) -> Persona:
    """A persona that the agent carries out with this server as its model."""
    return Persona.model_validate(
        {
            "name": "writer",
            "performer": "agent_cli",
            "options": {**options(agent, server), **words},
            "env": [KEYS[agent]],
        }
    )
