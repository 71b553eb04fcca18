"""Gemini CLI without a screen: `gemini -o stream-json`, and what its lines mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Usage
from maestro_tui.performers.agents.agent import Agent, Call, Invocation
from maestro_tui.performers.agents.events import (
    AgentEvent,
    Denied,
    Final,
    Notice,
    Spent,
    Text,
    ToolCalled,
    ToolFailed,
)
from maestro_tui.performers.agents.json_lines import count, summary_of, table, text
from maestro_tui.performers.agents.trouble import trouble_from

_DENIALS = frozenset(["tool_not_registered", "policy_violation", "permission_denied", "execution_denied"])


def invoke(call: Call) -> Invocation:
    """Edits are allowed by default, commands are not: gemini's approval mode `auto_edit`."""
    options = call.options
    mode = "default" if call.read_only else options.permission_mode or "auto_edit"
    arguments = ["-o", "stream-json", "--approval-mode", mode, "--skip-trust"]
    arguments += ["--include-directories", str(call.given)]
    if options.model:
        arguments += ["-m", options.model]
    environment = address_variables(options.base_url, call.scratch) if options.base_url else {}
    return Invocation((*arguments, *options.extra_args), environment)


def address_variables(base_url: str, scratch: Path) -> dict[str, str]:
    """The variables with which it reaches its model at another address; its settings for that go into `scratch`."""
    # It needs a settings file that chooses the key. A folder of its own also keeps the user's Google login away
    # from that address.
    home = scratch / "gemini"
    (home / ".gemini").mkdir(mode=0o700, parents=True)
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"GOOGLE_GEMINI_BASE_URL": base_url, "GEMINI_CLI_HOME": str(home)}


class GeminiStream:
    """One run's lines."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._tools: dict[str, ToolCalled] = {}

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line."""
        kind = text(record, "type")
        if kind == "message" and record.get("role") == "assistant":
            self._said.append(text(record, "content"))
            yield Text(self._said[-1], whole=record.get("delta") is not True)
        elif kind == "tool_use":
            # Its last word is what it says after the last tool.
            self._said.clear()
            called = ToolCalled(text(record, "tool_name"), summary_of(record.get("parameters")))
            self._tools[text(record, "tool_id")] = called
            yield called
        elif kind == "tool_result" and record.get("status") == "error":
            called = self._tools.get(text(record, "tool_id"), ToolCalled("tool"))
            error = table(record, "error")
            if text(error, "type").lower() in _DENIALS:
                yield Denied(called.tool, called.summary)
            yield ToolFailed(called.tool, text(error, "message") or text(record, "output"))
        elif kind == "error":
            yield Notice(f"gemini: {text(record, 'message')}")
        elif kind == "result":
            stats = table(record, "stats")
            yield Spent(
                Usage(input_tokens=count(stats, "input_tokens"), output_tokens=count(stats, "output_tokens"))
            )
            said = "".join(self._said)
            failed = record.get("status") != "success"
            reason = text(table(record, "error"), "message")
            yield Final(said, None, trouble_from(reason) if failed else None)

    def finish(self) -> Iterable[AgentEvent]:
        """The end of the stream means nothing by itself: a run without `result` was cut off."""
        return ()


GEMINI = Agent(
    name="gemini",
    program="gemini",
    package="@google/gemini-cli",
    permission_modes=("default", "auto_edit", "yolo", "plan"),
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    invoke=invoke,
    parser=GeminiStream,
    permission_hint="permission_mode (its approval mode)",
    tells_ended=frozenset(["tokens"]),
)
