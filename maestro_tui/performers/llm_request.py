"""Asks a language model one question and takes its answer in the form that was asked for; needs the extra `llm`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from openai import OpenAIError
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import AgentRunError, IncompleteToolCall, UsageLimitExceeded, UserError
from pydantic_ai.messages import (
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage, UsageLimits

from maestro_tui.model.context import Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean
from maestro_tui.performers.live_lines import LiveLines
from maestro_tui.performers.llm_failures import failure_of
from maestro_tui.performers.llm_options import LlmOptions
from maestro_tui.performers.port import PerformerFailed, Port

REASKS = 2
"""How often a model is told what is wrong with the form of its answer before the question counts as failed."""

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked(Generic[A]):
    """An answer in its form, and what it took."""

    answer: A
    usage: Usage


class _Endpoint(OpenAIProvider):
    """An OpenAI-compatible endpoint that is not OpenAI: other prices, other parameters."""

    @property
    def name(self) -> str:
        return "endpoint"


async def ask(
    persona: Persona,
    options: LlmOptions,
    *,
    instructions: str,
    prompt: str,
    answer: type[A],
    check: Callable[[A], str | None] = lambda _: None,
    port: Port | None = None,
    model: Model | None = None,
    budget: Budget | None = None,
) -> Asked[A]:
    """Ask, and ask again at most `REASKS` times when the answer has not its form or `check` names a fault, while
    the tokens of `budget` last.

    Lines go to `port` as they come, usage after each request. Nothing is retried here. Raises `PerformerFailed`
    with what was spent, or `asyncio.CancelledError`; either way the connections are closed.
    """
    spent = RunUsage()
    try:
        agent: Agent[object, A] = Agent(
            model or _model(options),
            output_type=_form(answer, options),
            instructions=instructions,
            retries=REASKS,
            model_settings=_settings(options),
        )

        @agent.output_validator
        def checked(given: A) -> A:
            fault = check(given)
            if fault is not None:
                raise ModelRetry(fault)
            return given

        async with agent:
            return await _run(agent, prompt, options, spent, port, budget.tokens if budget else None)
    except (AgentRunError, UserError, OpenAIError, ImportError, OSError) as error:
        if port is not None:
            port.spend(usage_of(spent))
            # Where that was a budget's last token, the engine ends this task here, with its own words.
            await asyncio.sleep(0)
        raise failure_of(error, persona, options, usage_of(spent), budget) from error
    except InputError as error:
        raise PerformerFailed(str(error), retry=False, usage=usage_of(spent)) from error


async def _run(
    agent: Agent[object, A],
    prompt: str,
    options: LlmOptions,
    spent: RunUsage,
    port: Port | None,
    tokens: int | None,
) -> Asked[A]:
    limits = UsageLimits(request_limit=REASKS + 1)
    async with agent.iter(prompt, usage=spent, usage_limits=limits) as run:
        async for node in run:
            if Agent.is_call_tools_node(node) and _is_cut_off(node.model_response):
                raise IncompleteToolCall("the token limit of one answer cut it off")
            if Agent.is_model_request_node(node) and spent.requests:
                # Before more is spent, and not when the answer is there: that is paid, and is taken.
                if port is not None:
                    port.spend(usage_of(spent))
                    await asyncio.sleep(0)
                if tokens is not None and spent.total_tokens >= tokens:
                    raise UsageLimitExceeded(f"{spent.total_tokens} of {tokens} tokens are spent")
            if port is None:
                continue
            if Agent.is_model_request_node(node) and options.stream:
                shown = _Shown(port, escaped=options.output_mode != "tool")
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        shown.take(event)
                shown.end()
            elif Agent.is_call_tools_node(node) and not options.stream:
                shown = _Shown(port, escaped=options.output_mode != "tool")
                for index, part in enumerate(node.model_response.parts):
                    shown.take(PartStartEvent(index=index, part=part))
                shown.end()
        assert run.result is not None
        return Asked(run.result.output, usage_of(spent))


def _is_cut_off(response: ModelResponse) -> bool:
    """True when the limit of one answer cut it off; asking again would cost as much and end the same way."""
    if response.finish_reason != "length" or not response.parts:
        return False
    last = response.parts[-1]
    text = last.content if isinstance(last, TextPart) else last.args if isinstance(last, ToolCallPart) else ""
    return isinstance(text, str) and not text.rstrip().endswith(("}", "```"))


class _Shown:
    """Writes the parts of an answer as lines; a model's reasoning goes to the side stream `err`."""

    def __init__(self, port: Port, *, escaped: bool) -> None:
        self._port, self._escaped = port, escaped
        self._lines: LiveLines | None = None

    def take(self, event: object) -> None:
        if isinstance(event, PartStartEvent):
            self.end()
            part = event.part
            if isinstance(part, TextPart):
                self._begin(part.content, escaped=self._escaped)
            elif isinstance(part, ThinkingPart):
                self._lines = LiveLines(lambda text: self._port.line(text, "err"))
                self._lines.feed(part.content)
            elif isinstance(part, ToolCallPart):
                self._begin(part.args_as_json_str() if part.args else "", escaped=True)
        elif isinstance(event, PartDeltaEvent) and self._lines is not None:
            delta = event.delta
            if isinstance(delta, TextPartDelta | ThinkingPartDelta):
                self._lines.feed(delta.content_delta or "")
            elif isinstance(delta, ToolCallPartDelta) and isinstance(delta.args_delta, str):
                self._lines.feed(delta.args_delta)

    def end(self) -> None:
        if self._lines is not None:
            self._lines.end()
            self._lines = None

    def _begin(self, text: str, *, escaped: bool) -> None:
        self._lines = LiveLines(self._port.line, escaped=escaped)
        self._lines.feed(text)


def usage_of(spent: RunUsage) -> Usage:
    """What a run has spent; None for what the other side did not tell, or has no known price."""
    told = spent.total_tokens > 0
    return Usage(
        input_tokens=spent.input_tokens if told else None,
        output_tokens=spent.output_tokens if told else None,
        cost_usd=float(spent.cost) if told and isinstance(spent.cost, Decimal) else None,
    )


def _model(options: LlmOptions) -> Model:
    key = options.key()
    if options.base_url is None:
        return infer_model(options.model, lambda name: _provider(name, key))
    # Without a key of its own an endpoint gets this word: OPENAI_API_KEY is never taken for a stranger's server.
    shown_key = key or "none"
    if options.provider is not None:
        return infer_model(
            options.model, lambda name: OpenAIProvider(base_url=options.base_url, api_key=shown_key)
        )
    profile = OpenAIModelProfile(
        openai_chat_supports_max_completion_tokens=False,
        # Asking by words alone is for endpoints that know no other way: no JSON mode then.
        supports_json_object_output=options.output_mode != "prompted",
    )
    provider = _Endpoint(base_url=options.base_url, api_key=shown_key)
    # The client would take OPENAI_ORG_ID and OPENAI_PROJECT_ID from the environment to a stranger's server.
    provider.client.organization = provider.client.project = ""
    return OpenAIChatModel(options.model, provider=provider, profile=profile)


def _provider(name: str, key: str | None) -> Provider[Any]:
    try:
        if key is None:
            return infer_provider(name)
        made: Any = infer_provider_class(name)
        provider: Provider[Any] = made(api_key=key)
        return provider
    except ValueError as error:
        raise InputError(
            f"There is no provider {clean(name, 80)!r}; for a server of your own add the option "
            'base_url = "http://127.0.0.1:11434/v1". Nothing was asked.'
        ) from error


def _settings(options: LlmOptions) -> ModelSettings:
    # Retries are the engine's, where the operator sees them.
    settings = ModelSettings(
        max_retries=0,
        timeout=options.request_timeout_seconds,
        request_timeout=options.request_timeout_seconds,
    )
    if options.temperature is not None:
        settings["temperature"] = options.temperature
    if options.max_tokens is not None:
        settings["max_tokens"] = options.max_tokens
    return settings


def _form(answer: type[A], options: LlmOptions) -> Any:
    name = answer.__name__
    if options.output_mode == "tool":
        return ToolOutput(answer, name="hand_in")
    if options.output_mode == "json_schema":
        return NativeOutput(answer, name=name)
    return PromptedOutput(answer, name=name)
