"""Says in a sentence why a model did not answer, and whether asking again can help; needs the extra `llm`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from openai import OpenAIError
from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ContentFilterError,
    IncompleteToolCall,
    ModelAPIError,
    ModelHTTPError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)

from maestro_tui.model.context import Usage
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean
from maestro_tui.performers.llm_options import LlmOptions
from maestro_tui.performers.port import PerformerFailed

_AGAIN = frozenset([408, 409, 425, 429])
"""Statuses below 500 that may pass by themselves."""
_SPENT = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
"""Codes of a 429 that no waiting helps against."""


def failure_of(
    error: Exception, persona: Persona, options: LlmOptions, usage: Usage, budget: Budget | None
) -> PerformerFailed:
    """The failure that the engine, its retries and the operator are to know; `budget` is what it might spend."""
    failure = _failure(error, persona, options, budget)
    return PerformerFailed(
        _without_key(str(failure), options),
        kind=failure.kind,
        retry=failure.retry,
        retry_after=failure.retry_after,
        usage=usage,
    )


def _failure(
    error: Exception, persona: Persona, options: LlmOptions, budget: Budget | None
) -> PerformerFailed:
    who = f"The model {clean(options.model, 120)!r} of persona {persona.name!r}"
    if isinstance(error, ModelHTTPError):
        return _by_status(error, who, options)
    if isinstance(error, ModelRequestTimeout | ModelTimeoutError):
        return PerformerFailed(
            f"{who} did not answer whole within {options.request_timeout_seconds:g} s "
            "(option request_timeout_seconds).",
            kind="timeout",
        )
    if isinstance(error, ModelAPIError):
        return PerformerFailed(
            f"{who} did not answer: the connection to {options.place} failed or its answer could not be read "
            f"({_cause(error)}).",
            retry_after=error.retry_after,
        )
    if isinstance(error, UsageLimitExceeded):
        tokens = budget.tokens if budget is not None else None
        spent = f"its budget of {tokens:,} tokens is spent" if tokens else clean(error, 200)
        return PerformerFailed(f"{who} was not asked any further: {spent}.", retry=False)
    if isinstance(error, IncompleteToolCall):
        return PerformerFailed(
            f"{who} came to the limit of one answer before it was whole; raise the option max_tokens.",
            kind="result",
            retry=False,
        )
    if isinstance(error, ContentFilterError):
        return PerformerFailed(f"{who} refused to answer, or a filter held its answer back.", kind="result")
    if isinstance(error, UnexpectedModelBehavior) and "maximum" not in error.message:
        return PerformerFailed(
            f"{who}: what {options.place} answered is no answer of a model ({_cause(error)}); if it always does, "
            "check the option base_url.",
            kind="result",
        )
    if isinstance(error, UnexpectedModelBehavior):
        return PerformerFailed(
            f"{who} did not give its answer the form that was asked for ({_cause(error)}). If that happens "
            'often, try another option output: "tool", "json_schema" or "prompted".',
            kind="result",
        )
    if isinstance(error, UserError | OpenAIError | ImportError):
        return PerformerFailed(f"{who} cannot be asked: {clean(error, 400)}", retry=False)
    return PerformerFailed(
        f"{who} did not answer: the connection to {options.place} failed ({_cause(error)})."
    )


def _by_status(error: ModelHTTPError, who: str, options: LlmOptions) -> PerformerFailed:
    status, said = error.status_code, _said(error)
    if status in (401, 403):
        key = (
            f"check the key in the variable {options.key_env}"
            if options.key_env
            else 'name the variable that holds the key: key_env = "…"'
        )
        return PerformerFailed(
            f"{who} was refused by {options.place} (status {status}){said}: {key}.", retry=False
        )
    if status == 404:
        return PerformerFailed(
            f"{options.place} does not know the model {clean(options.model, 120)!r} or has nothing at that "
            f"address (status 404){said}: check the options model and base_url.",
            retry=False,
        )
    if status in _AGAIN or status >= 500:
        spent = error.provider_error_code in _SPENT
        what = (
            "has no money left at" if spent else "was turned away by" if status == 429 else "met a fault of"
        )
        return PerformerFailed(
            f"{who} {what} {options.place} (status {status}){said}.",
            retry=not spent,
            retry_after=error.retry_after,
        )
    return PerformerFailed(
        f"{who}: {options.place} does not take the request (status {status}){said}. If it is about tools or "
        'response_format, set the option output = "prompted".',
        retry=False,
    )


def _said(error: ModelHTTPError) -> str:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error")
        body = body.get("message") or (inner.get("message") if isinstance(inner, dict) else inner)
    return f", which says {clean(body.strip(), 300)!r}" if isinstance(body, str) and body.strip() else ""


def _cause(error: BaseException) -> str:
    """What lies at the bottom, in one clean line."""
    *_, last = _chain(error)
    if isinstance(last, ValidationError):
        first = last.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return clean(f"{place}: {first['msg']}" if place else first["msg"], 400)
    return clean(str(last).strip().removesuffix(".") or type(last).__name__, 400)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _without_key(sentence: str, options: LlmOptions) -> str:
    key = os.environ.get(options.key_env, "").strip() if options.key_env else ""
    return sentence.replace(key, f"‹{options.key_env}›") if key else sentence
