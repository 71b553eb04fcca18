"""Codex without a screen: `codex exec --json`, and what its lines mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from maestro_tui.model.context import Usage
from maestro_tui.performers.agents.agent import Agent, Call, Invocation
from maestro_tui.performers.agents.events import (
    AgentEvent,
    Final,
    Notice,
    Spent,
    Text,
    ToolCalled,
    ToolFailed,
)
from maestro_tui.performers.agents.json_lines import count, listed, summary_of, table, text
from maestro_tui.performers.agents.trouble import trouble_from

_PROVIDER = "maestro"
_RECONNECTING = re.compile(r"Reconnecting\.\.\. \d+/\d+")


def invoke(call: Call) -> Invocation:
    """It may write in the workspace and nowhere else by default: codex's sandbox `workspace-write`."""
    options = call.options
    sandbox = "read-only" if call.read_only else options.permission_mode or "workspace-write"
    arguments = ["exec", "--json", "--ephemeral", "--skip-git-repo-check", "-s", sandbox]
    if options.model:
        arguments += ["-m", options.model]
    if options.base_url:
        # JSON's strings are TOML's basic strings.
        fields = {"name": _PROVIDER, "base_url": options.base_url, "wire_api": "responses"}
        if call.key_variable is not None:
            fields["env_key"] = call.key_variable
        provider = ", ".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
        arguments += ["-c", f"model_providers.{_PROVIDER}={{{provider}}}"]
        arguments += ["-c", f"model_provider={json.dumps(_PROVIDER)}", "-c", "analytics.enabled=false"]
    if options.schema_ is not None:
        schema = call.scratch / "answer.schema.json"
        schema.write_text(json.dumps(options.schema_), encoding="utf-8")
        arguments += ["--output-schema", str(schema)]
    return Invocation((*arguments, *options.extra_args, "-"))


class CodexStream:
    """One run's lines."""

    def __init__(self) -> None:
        self._said = ""
        self._started: set[str] = set()

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line."""
        kind = text(record, "type")
        if kind in ("item.started", "item.completed"):
            yield from self._item(table(record, "item"), kind == "item.completed")
        elif kind == "turn.completed":
            usage = table(record, "usage")
            # Its input tokens hold the cached ones, its output tokens the reasoning.
            yield Spent(
                Usage(input_tokens=count(usage, "input_tokens"), output_tokens=count(usage, "output_tokens"))
            )
            yield Final(self._said)
        elif kind == "turn.failed":
            yield Final(None, None, trouble_from(text(table(record, "error"), "message")))
        elif kind == "error":
            said = text(record, "message")
            trouble = trouble_from(said)
            stop = trouble if _RECONNECTING.match(said) and not trouble.retry else None
            yield Notice(f"codex: {said}", stop)

    def finish(self) -> Iterable[AgentEvent]:
        """The end of the stream means nothing by itself: a run without `turn.completed` was cut off."""
        return ()

    def _item(self, item: Mapping[str, Any], done: bool) -> Iterable[AgentEvent]:
        kind, number = text(item, "type"), text(item, "id")
        if kind == "agent_message":
            if done:
                self._said = text(item, "text")
                yield Text(self._said)
            return
        if kind == "error":
            yield Notice(f"codex: {text(item, 'message')}")
            return
        tool = _tool(kind, item)
        if tool is None:
            return
        if number not in self._started:
            self._started.add(number)
            yield tool
        if done and item.get("status") in ("failed", "declined"):
            code = item.get("exit_code")
            reason = text(item, "aggregated_output") or text(table(item, "error"), "message")
            yield ToolFailed(tool.tool, f"exit code {code}: {reason}" if code is not None else reason)


def _tool(kind: str, item: Mapping[str, Any]) -> ToolCalled | None:
    if kind == "command_execution":
        return ToolCalled("shell", summary_of(item))
    if kind == "file_change":
        changed = [f"{text(one, 'kind')} {text(one, 'path')}".strip() for one in listed(item, "changes")]
        return ToolCalled("apply_patch", summary_of(", ".join(changed[:10])))
    if kind == "mcp_tool_call":
        return ToolCalled(f"{text(item, 'server')}.{text(item, 'tool')}", summary_of(item.get("arguments")))
    if kind == "web_search":
        return ToolCalled("web_search", summary_of(item))
    return None


CODEX = Agent(
    name="codex",
    program="codex",
    package="@openai/codex",
    permission_modes=("read-only", "workspace-write", "danger-full-access"),
    keys=("OPENAI_API_KEY", "CODEX_API_KEY"),
    invoke=invoke,
    parser=CodexStream,
    permission_hint="permission_mode (its sandbox)",
    tells_ended=frozenset(["tokens"]),
    takes_schema=True,
)
