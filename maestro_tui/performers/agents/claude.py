"""Claude Code without a screen: `claude -p --output-format stream-json`, and what its lines mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
from maestro_tui.performers.agents.json_lines import count, listed, money, summary_of, table, text
from maestro_tui.performers.agents.trouble import Trouble, trouble_from

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MODEL_INPUT = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")


def invoke(call: Call) -> Invocation:
    """Edits are allowed by default, commands are not: that is claude's mode `acceptEdits`."""
    options = call.options
    mode = "plan" if call.read_only else options.permission_mode or "acceptEdits"
    arguments = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", mode]
    arguments += ["--add-dir", str(call.given)]
    if options.model:
        arguments += ["--model", options.model]
    if call.budget is not None and call.budget.cost_usd is not None:
        arguments += ["--max-budget-usd", f"{max(0.0001, round(call.budget.cost_usd, 4)):g}"]
    if options.schema_ is not None:
        arguments += ["--json-schema", json.dumps(options.schema_)]
    # An update in the middle of the work would exchange the program under it.
    environment = {"DISABLE_AUTOUPDATER": "1"}
    if options.base_url:
        environment |= address_variables(options.base_url)
    return Invocation((*arguments, *options.extra_args), environment)


def address_variables(base_url: str) -> dict[str, str]:
    """The variables with which it reaches its model at another address."""
    # Who has a model of their own does not expect reports and statistics to go elsewhere.
    return {"ANTHROPIC_BASE_URL": base_url, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}


class ClaudeStream:
    """One run's lines."""

    def __init__(self) -> None:
        self._tools: dict[str, str] = {}
        self._input: dict[str, int] = {}

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line."""
        kind = text(record, "type")
        if kind == "assistant":
            yield from self._assistant(table(record, "message"))
        elif kind == "user":
            for block in listed(table(record, "message"), "content"):
                if block.get("type") == "tool_result" and block.get("is_error") is True:
                    tool = self._tools.get(text(block, "tool_use_id"), "tool")
                    yield ToolFailed(tool, _content(block.get("content")))
        elif kind == "system" and record.get("subtype") == "api_retry":
            yield _retry(record)
        elif kind == "result":
            yield from self._result(record)

    def finish(self) -> Iterable[AgentEvent]:
        """The end of the stream means nothing by itself: a run without `result` was cut off."""
        return ()

    def _assistant(self, message: Mapping[str, Any]) -> Iterable[AgentEvent]:
        if message.get("model") == "<synthetic>":
            # The program's own words about an error; the result repeats them.
            return
        for block in listed(message, "content"):
            if block.get("type") == "text":
                yield Text(text(block, "text"))
            elif block.get("type") == "tool_use":
                self._tools[text(block, "id")] = text(block, "name")
                yield ToolCalled(text(block, "name"), summary_of(block.get("input")))
        spent = count(table(message, "usage"), *_INPUT)
        if spent is not None:
            # A message comes in several lines, each with the same usage; its output tokens are not final yet.
            self._input[text(message, "id")] = spent
            yield Spent(Usage(input_tokens=sum(self._input.values())))

    def _result(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        yield Spent(_usage(record))
        for denial in listed(record, "permission_denials"):
            yield Denied(text(denial, "tool_name") or "tool", summary_of(denial.get("tool_input")))
        said = text(record, "result")
        trouble = None
        if record.get("is_error") is True or record.get("subtype") not in (None, "success"):
            trouble = _trouble(record, said)
        yield Final(said, record.get("structured_output"), trouble)


def _retry(record: Mapping[str, Any]) -> Notice:
    status = count(record, "error_status")
    number, most = count(record, "attempt"), count(record, "max_retries")
    delay = money(record, "retry_delay_ms")
    words = text(record, "error") or "an error"
    trouble = trouble_from(words, status=status)
    wait = f"; it waits {delay / 1000:.1f} s" if delay is not None else ""
    of = f" ({number} of {most})" if number is not None and most is not None else ""
    shown = f"claude's provider answers {words}{f' ({status})' if status else ''}{wait} and tries again{of}"
    return Notice(shown, None if trouble.retry else trouble)


def _usage(record: Mapping[str, Any]) -> Usage:
    models = [one for one in table(record, "modelUsage").values() if isinstance(one, Mapping)]
    cost = money(record, "total_cost_usd")
    if models:
        # Per model it counts helpers and broken-off turns too, which `usage` leaves out.
        sums = [(count(one, *_MODEL_INPUT), count(one, "outputTokens")) for one in models]
        return Usage(
            input_tokens=sum(known for known, _ in sums if known is not None),
            output_tokens=sum(known for _, known in sums if known is not None),
            cost_usd=cost,
        )
    usage = table(record, "usage")
    return Usage(
        input_tokens=count(usage, *_INPUT), output_tokens=count(usage, "output_tokens"), cost_usd=cost
    )


def _trouble(record: Mapping[str, Any], said: str) -> Trouble:
    subtype = text(record, "subtype")
    errors = record.get("errors")
    words = said or "; ".join(str(one) for one in errors[:5]) if isinstance(errors, list) else said
    if subtype == "error_max_budget_usd":
        return Trouble("budget", trouble_from(words or subtype).said)
    if not words:
        words = subtype or "an error without words"
    return trouble_from(words, status=count(record, "api_error_status"))


def _content(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(text(part, "text") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


CLAUDE = Agent(
    name="claude",
    program="claude",
    package="@anthropic-ai/claude-code",
    permission_modes=("acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"),
    keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    invoke=invoke,
    parser=ClaudeStream,
    permission_hint='permission_mode, or single tools by extra_args = ["--allowedTools", "Bash(pytest:*)"]',
    tells_working=frozenset(["tokens"]),
    tells_ended=frozenset(["tokens", "cost"]),
    takes_schema=True,
)
