"""Opencode without a screen: `opencode run --format json`, and what its lines mean."""

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
    Spent,
    Text,
    ToolCalled,
    ToolFailed,
)
from maestro_tui.performers.agents.json_lines import count, money, record_of, summary_of, table, text
from maestro_tui.performers.agents.trouble import trouble_from
from maestro_tui.performers.port import PerformerFailed

_PROVIDER = "maestro"
_CONFIG = "OPENCODE_CONFIG_CONTENT"
ADDRESS_VARIABLES: Mapping[str, str] = {"OPENCODE_DISABLE_MODELS_FETCH": "1"}
"""With an address of its own: the list of everybody's models is not needed there."""
_DENIALS = ("rejected permission", "unavailable tool", "permission denied", "prevents you from using")


def invoke(call: Call) -> Invocation:
    """Its own settings decide what it may do; a review forbids edits and commands on top of them."""
    options = call.options
    # Without its log it is silent about a provider that refuses, for as long as that lasts.
    arguments = ["run", "--format", "json", "--print-logs", "--log-level", "ERROR"]
    if options.permission_mode == "auto" and not call.read_only:
        arguments.append("--auto")
    model = options.model
    config = _own_config(call)
    given: dict[str, Any] = {"external_directory": {f"{call.given}/*": "allow"}}
    if call.read_only:
        given |= {"edit": "deny", "bash": "deny"}
    permission = config.get("permission", {})
    # Its short form is one word for all tools.
    config["permission"] = {**({"*": permission} if isinstance(permission, str) else permission), **given}
    config |= {"autoupdate": False, "share": "disabled"}
    environment: dict[str, str] = {}
    if options.base_url:
        model = add_address(config, model, options.base_url, call.key_variable)
        environment |= ADDRESS_VARIABLES
    if model:
        arguments += ["-m", model]
    environment[_CONFIG] = json.dumps(config)
    return Invocation((*arguments, *options.extra_args), environment)


def add_address(config: dict[str, Any], model: str | None, base_url: str, key_variable: str | None) -> str:
    """Add the model at another address to a configuration; returns its name there."""
    model = model or "default"
    address: dict[str, Any] = {"baseURL": base_url}
    if key_variable is not None:
        address["apiKey"] = f"{{env:{key_variable}}}"
    config["provider"] = {
        **config.get("provider", {}),
        _PROVIDER: {
            "npm": "@ai-sdk/openai-compatible",
            "name": _PROVIDER,
            "options": address,
            "models": {model: {"name": model}},
        },
    }
    return f"{_PROVIDER}/{model}"


def _own_config(call: Call) -> dict[str, Any]:
    """The operator's own configuration, where the persona names its variable; ours goes on top of it."""
    own = call.environment.get(_CONFIG)
    config = record_of(own) if own else {}
    if config is None or not isinstance(config.get("permission", {}), dict | str):
        raise PerformerFailed(
            f"The variable {_CONFIG} that the persona names holds no configuration in plain JSON, so nothing can be "
            "added to it. Mend it, or take it out of env. Nothing was run.",
            retry=False,
        )
    return config


class OpencodeStream:
    """One run's lines. It has no final event: the last step that ends with `stop` is one."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._usage = Usage()
        self._done = False

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line."""
        kind, part = text(record, "type"), table(record, "part")
        if kind == "text":
            self._said.append(text(part, "text"))
            yield Text(self._said[-1])
        elif kind == "tool_use":
            yield from self._tool(part)
        elif kind == "step_finish":
            self._usage = self._usage.plus(_usage(part))
            yield Spent(self._usage)
            if part.get("reason") not in ("tool-calls", "tool_calls"):
                yield self._final()
        elif kind == "error":
            error = table(record, "error")
            data = table(error, "data")
            said = text(data, "message") or text(error, "message") or text(error, "name")
            headers = table(data, "responseHeaders")
            yield Final(
                None,
                None,
                trouble_from(
                    said, status=count(data, "statusCode"), retry_after=_seconds(text(headers, "retry-after"))
                ),
            )
            self._done = True

    def finish(self) -> Iterable[AgentEvent]:
        """The end of the stream is its final event, once it has done a step."""
        if not self._done and (self._said or self._usage != Usage()):
            yield self._final()

    def _final(self) -> Final:
        self._done = True
        return Final("\n".join(self._said))

    def _tool(self, part: Mapping[str, Any]) -> Iterable[AgentEvent]:
        self._said.clear()
        self._done = False
        state = table(part, "state")
        given = table(state, "input")
        wrong = text(part, "tool") == "invalid"
        tool = (text(given, "tool") if wrong else text(part, "tool")) or "tool"
        summary = summary_of(given)
        yield ToolCalled(tool, summary)
        if wrong or state.get("status") == "error":
            reason = text(given, "error") if wrong else text(state, "error")
            if any(words in reason for words in _DENIALS):
                yield Denied(tool, summary)
            yield ToolFailed(tool, reason)


def _usage(part: Mapping[str, Any]) -> Usage:
    tokens = table(part, "tokens")
    cache = table(tokens, "cache")
    read, written = count(cache, "read") or 0, count(cache, "write") or 0
    given = count(tokens, "input")
    # It prices a model that it does not know at 0: that is unknown, not free.
    return Usage(
        input_tokens=None if given is None else given + read + written,
        output_tokens=count(tokens, "output", "reasoning"),
        cost_usd=money(part, "cost") or None,
    )


def _seconds(header: str) -> float | None:
    try:
        value = float(header)
    except ValueError:
        return None
    return value if 0 <= value <= 7 * 86_400 else None


OPENCODE = Agent(
    name="opencode",
    program="opencode",
    package="opencode-ai",
    permission_modes=("default", "auto"),
    keys=("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENCODE_API_KEY"),
    invoke=invoke,
    parser=OpencodeStream,
    tells_working=frozenset(["tokens", "cost"]),
    permission_hint='permission_mode = "auto", or "permission" in its own configuration',
)
