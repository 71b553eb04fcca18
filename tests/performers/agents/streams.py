"""Streams in the shape that the real agents were seen to write, made by hand; and ways to read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maestro_tui.performers.agents.catalogue import AGENTS
from maestro_tui.performers.agents.events import AgentEvent, StreamParser
from maestro_tui.performers.agents.transcript import Transcript
from tests.performers.bench_fixtures import RememberingPort


def lines(*records: Any) -> str:
    """One JSON line each."""
    return "".join(json.dumps(record) + "\n" for record in records)


def claude_message(*blocks: dict[str, Any], id: str = "msg_1", tokens: int = 11) -> dict[str, Any]:
    usage = {"input_tokens": tokens, "output_tokens": 1, "cache_read_input_tokens": 100}
    return {
        "type": "assistant",
        "message": {"id": id, "role": "assistant", "model": "m", "content": list(blocks), "usage": usage},
        "session_id": "s",
    }


def claude_tool(name: str, id: str = "toolu_1", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def claude_result(said: str = "Done.", **changes: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": said,
        "total_cost_usd": 0.0125,
        "usage": {"input_tokens": 22, "output_tokens": 14, "cache_read_input_tokens": 200},
        "modelUsage": {
            "a": {"inputTokens": 22, "outputTokens": 14, "cacheReadInputTokens": 200},
            "b": {"inputTokens": 3, "outputTokens": 1},
        },
        "permission_denials": [],
        **changes,
    }


CLAUDE = lines(
    {"type": "system", "subtype": "init", "cwd": "/w", "tools": ["Write"], "model": "m"},
    claude_message({"type": "text", "text": "I begin.\nFirst the file."}),
    claude_message(claude_tool("Write", file_path="/w/made.txt", content="x")),
    {
        "type": "user",
        "message": {"content": [{"tool_use_id": "toolu_1", "type": "tool_result", "content": "created"}]},
    },
    claude_message({"type": "text", "text": "Done."}, id="msg_2"),
    claude_result(),
)

CODEX = lines(
    {"type": "thread.started", "thread_id": "t"},
    {"type": "turn.started"},
    {
        "type": "item.started",
        "item": {"id": "item_1", "type": "command_execution", "command": "make", "status": "in_progress"},
    },
    {
        "type": "item.completed",
        "item": {
            "id": "item_1",
            "type": "command_execution",
            "command": "make",
            "aggregated_output": "no rule",
            "exit_code": 2,
            "status": "failed",
        },
    },
    {
        "type": "item.completed",
        "item": {
            "id": "item_2",
            "type": "file_change",
            "status": "completed",
            "changes": [{"path": "/w/made.txt", "kind": "add"}],
        },
    },
    {"type": "item.completed", "item": {"id": "item_3", "type": "agent_message", "text": "Done."}},
    {
        "type": "turn.completed",
        "usage": {"input_tokens": 222, "cached_input_tokens": 200, "output_tokens": 14},
    },
)

GEMINI = lines(
    {"type": "init", "session_id": "s", "model": "auto"},
    {"type": "message", "role": "user", "content": "the whole prompt"},
    {"type": "message", "role": "assistant", "content": "I be", "delta": True},
    {"type": "message", "role": "assistant", "content": "gin.\nFirst", "delta": True},
    {
        "type": "tool_use",
        "tool_name": "write_file",
        "tool_id": "t1",
        "parameters": {"file_path": "/w/made.txt", "content": "x"},
    },
    {"type": "tool_result", "tool_id": "t1", "status": "success"},
    {"type": "message", "role": "assistant", "content": "Do", "delta": True},
    {"type": "message", "role": "assistant", "content": "ne.", "delta": True},
    {
        "type": "result",
        "status": "success",
        "stats": {"input_tokens": 222, "output_tokens": 14, "cached": 200},
    },
)


def opencode_step(reason: str, cost: float = 0.0) -> dict[str, Any]:
    tokens = {"input": 11, "output": 5, "reasoning": 2, "cache": {"read": 100, "write": 0}}
    return {
        "type": "step_finish",
        "part": {"type": "step-finish", "reason": reason, "tokens": tokens, "cost": cost},
    }


def opencode_tool(tool: str, **state: Any) -> dict[str, Any]:
    return {"type": "tool_use", "part": {"type": "tool", "tool": tool, "callID": "c", "state": state}}


OPENCODE = lines(
    {"type": "step_start", "part": {"type": "step-start"}},
    {"type": "text", "part": {"type": "text", "text": "I begin.\nFirst the file."}},
    opencode_tool(
        "write", status="completed", input={"filePath": "/w/made.txt", "content": "x"}, output="Wrote"
    ),
    opencode_step("tool-calls"),
    {"type": "text", "part": {"type": "text", "text": "Done."}},
    opencode_step("stop"),
)

STREAMS = {"claude": CLAUDE, "codex": CODEX, "gemini": GEMINI, "opencode": OPENCODE}


def parser(agent: str) -> StreamParser:
    """A fresh parser of that agent."""
    return AGENTS[agent].parser()


def events(agent: str, records: Iterable[dict[str, Any]]) -> list[AgentEvent]:
    """What the agent's parser makes of these records."""
    reading = parser(agent)
    out = [event for record in records for event in reading.feed(record)]
    return [*out, *reading.finish()]


def read(agent: str, stream: str, now: float = 0.0) -> tuple[Transcript, RememberingPort]:
    """The stream as it is followed, with all that was told on the way."""
    port = RememberingPort()
    transcript = Transcript(port, parser(agent), agent, lambda: now, Path("/w"))
    for line in stream.splitlines():
        transcript.take(line, "out")
    transcript.finish()
    return transcript, port
