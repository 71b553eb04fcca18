"""An agent of the Agent Client Protocol that does what a script says; run as a program: agent.py SCRIPT.

The script is a JSON object: moment (`initialize`, `session/new`, `prompt`) → list of steps, each one of
`{"say": text}`, `{"think": text}`, `{"plan": [[text, status], …]}`, `{"tool": {title, kind, path?, status?}}`,
`{"ask": {title, kind, options, path?, diff?, raw?, announced?, then_write?}}`, `{"write": [path, text]}`,
`{"tokens": [in, out]}`, `{"cost": dollars}`, `{"raw": line}`, `{"err": line}`, `{"touch": path}`,
`{"wait_for": path}`, `{"hang": true}`, `{"hang_until_cancelled": true}`, `{"die": code}`,
`{"error": [code, message]}`, `{"child": path}`, `{"reason": stop reason}`. What it was told goes to files in a
folder beside the script, named as it: `prompt.txt`, `answers` (one a line), `greeting.json`, `model`, `signed-in`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import acp
from acp.schema import (
    Cost,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    ToolCallLocation,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)

MODELS = {
    "id": "model",
    "name": "Model",
    "type": "select",
    "category": "model",
    "currentValue": "small",
    "options": [{"value": "small", "name": "Small One"}, {"value": "big", "name": "Big One"}],
}


def note(name: str, text: str) -> None:
    """Keep what we were told, outside the workspace."""
    folder = Path(sys.argv[1]).with_suffix("")
    folder.mkdir(exist_ok=True)
    with (folder / name).open("a") as file:
        file.write(text)


class ScriptedAgent(acp.Agent):
    """Carries the script out."""

    def __init__(self, script: dict[str, Any]) -> None:
        self._script = script
        self._ids = itertools.count(1)
        self._cancelled = asyncio.Event()
        self._session = "sess-1"
        self._usage: Usage | None = None
        self._stop = "end_turn"

    def on_connect(self, conn: Any) -> None:
        self._conn = conn

    async def initialize(self, protocol_version: int, **kwargs: Any) -> InitializeResponse:
        note("greeting.json", json.dumps(kwargs, default=lambda one: one.model_dump(by_alias=True)))
        await self._steps("initialize")
        return InitializeResponse(protocol_version=self._script.get("version", protocol_version))

    async def authenticate(self, method_id: str, **kwargs: Any) -> None:
        note("signed-in", method_id)

    async def new_session(self, cwd: str, **kwargs: Any) -> NewSessionResponse:
        await self._steps("session/new")
        options = [MODELS] if self._script.get("models") else None
        return NewSessionResponse.model_validate({"sessionId": self._session, "configOptions": options})

    async def set_config_option(self, config_id: str, session_id: str, value: Any, **kwargs: Any) -> Any:
        note("model", f"{config_id}={value}")
        return acp.schema.SetSessionConfigOptionResponse.model_validate({"configOptions": [MODELS]})

    async def prompt(self, prompt: list[Any], session_id: str, **kwargs: Any) -> PromptResponse:
        note("prompt.txt", "".join(part.text for part in prompt))
        await self._steps("prompt")
        return PromptResponse.model_validate({"stopReason": self._stop, "usage": self._usage})

    async def cancel(self, session_id: str, **kwargs: Any) -> None:
        note("was-cancelled", "")
        self._cancelled.set()

    async def _steps(self, moment: str) -> None:
        for step in self._script.get(moment, ()):
            [(what, value)] = step.items()
            await getattr(self, f"_{what}")(value)

    async def _tell(self, update: Any) -> None:
        await self._conn.session_update(self._session, update)

    async def _say(self, text: str) -> None:
        await self._tell(acp.update_agent_message_text(text))

    async def _think(self, text: str) -> None:
        await self._tell(acp.update_agent_thought_text(text))

    async def _plan(self, entries: list[list[str]]) -> None:
        await self._tell(acp.update_plan([acp.plan_entry(text, status=status) for text, status in entries]))

    async def _tool(self, tool: dict[str, Any]) -> None:
        name = f"call-{next(self._ids)}"
        places = [ToolCallLocation(path=tool["path"])] if "path" in tool else None
        await self._tell(acp.start_tool_call(name, tool["title"], kind=tool["kind"], locations=places))
        await self._tell(acp.update_tool_call(name, status=tool.get("status", "completed")))

    async def _ask(self, ask: dict[str, Any]) -> None:
        name = f"call-{next(self._ids)}"
        if ask.get("announced"):
            await self._tell(acp.start_tool_call(name, ask["title"], kind=ask["kind"]))
        call = ToolCallUpdate(
            tool_call_id=name,
            title=None if ask.get("announced") else ask["title"],
            kind=ask["kind"],
            locations=[ToolCallLocation(path=ask["path"])] if "path" in ask else None,
            content=[acp.tool_diff_content(*ask["diff"])] if "diff" in ask else None,
            raw_input=ask.get("raw"),
        )
        options = [PermissionOption(option_id=kind, name=name, kind=kind) for kind, name in ask["options"]]
        answer = await self._conn.request_permission(self._session, call, options)
        outcome = answer.outcome
        chosen = outcome.option_id if outcome.outcome == "selected" else "cancelled"
        note("answers", chosen + "\n")
        if chosen.startswith("allow") and "then_write" in ask:
            await self._write(ask["then_write"])

    async def _write(self, what: list[str]) -> None:
        Path(what[0]).write_text(what[1])

    async def _cost(self, dollars: float) -> None:
        update = UsageUpdate(
            session_update="usage_update", used=10, size=100, cost=Cost(amount=dollars, currency="USD")
        )
        await self._tell(update)

    async def _raw(self, line: str) -> None:
        sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()

    async def _err(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    async def _touch(self, path: str) -> None:
        Path(path).touch()

    async def _wait_for(self, path: str) -> None:
        while not Path(path).exists():
            await asyncio.sleep(0.02)

    async def _hang(self, _: Any) -> None:
        await asyncio.Event().wait()

    async def _hang_until_cancelled(self, _: Any) -> None:
        await self._cancelled.wait()
        self._stop = "cancelled"

    async def _die(self, code: int) -> None:
        os._exit(code)

    async def _error(self, what: list[Any]) -> None:
        raise acp.RequestError(*what)

    async def _child(self, path: str) -> None:
        child = subprocess.Popen(["sleep", "600"])
        Path(path).write_text(str(child.pid))

    async def _tokens(self, counts: list[int]) -> None:
        taken, given = counts
        self._usage = Usage(total_tokens=taken + given, input_tokens=taken, output_tokens=given)

    async def _reason(self, reason: str) -> None:
        self._stop = reason


if __name__ == "__main__":
    asyncio.run(acp.run_agent(ScriptedAgent(json.loads(Path(sys.argv[1]).read_text()))))
