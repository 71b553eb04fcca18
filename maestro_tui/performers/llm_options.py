"""The settings of a persona that a language model carries out, checked before anything is asked."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.prompt import PROMPT_LIMIT
from maestro_tui.performers.schemas import BadSchema, validator_for

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_PROVIDER = re.compile(r"[a-z][a-z0-9/-]*:.+\Z")
_OPENAI = ("openai", "openai-chat", "openai-responses")


class LlmOptions(BaseModel):
    """`options` of a persona with `performer = "llm"`.

    With `base_url` the model is asked at that OpenAI-compatible endpoint; its name goes there as it is, unless it
    begins with `openai:`, `openai-chat:` or `openai-responses:`, which says that the endpoint is OpenAI's own or
    a proxy to it. Without, `model` is `provider:model`, one of the providers that pydantic-ai knows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: str = Field(min_length=1, max_length=200)
    base_url: str | None = None
    key_env: str | None = None
    """The environment variable that holds the key. Left out: none for an endpoint, the usual one for a provider."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, gt=0)
    """Of one answer."""
    output: Literal["tool", "json_schema", "prompted"] | None = None
    """How the answer gets its form: by a tool call, by the endpoint's JSON-schema mode, or by asking for it."""
    outputs_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema (draft 2020-12 unless it names another) that the answer's `outputs` must hold to."""
    request_timeout_seconds: float = Field(default=600.0, gt=0)
    """For one request, to the last byte of its answer."""
    stream: bool = True
    prompt_characters: int = Field(default=PROMPT_LIMIT, ge=2_000)
    """What does not fit into so many characters is left out, and that is told."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.base_url is None:
            if not _PROVIDER.match(self.model):
                raise ValueError(
                    'without base_url, model must be "provider:model" (like "openai:gpt-5"); '
                    'for a server of your own add base_url = "http://127.0.0.1:11434/v1"'
                )
        else:
            parts = urlsplit(self.base_url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(
                    'base_url must begin with http:// or https:// and a host, and mostly ends in "/v1"'
                )
            if parts.username or parts.password or parts.query:
                raise ValueError("base_url must not hold a key; name the variable that holds it in key_env")
        if self.key_env is not None and not _VARIABLE.match(self.key_env):
            raise ValueError("key_env must be the name of an environment variable, never the key itself")
        if self.outputs_schema is not None:
            _check_schema(self.outputs_schema)
        return self

    @property
    def provider(self) -> str | None:
        """The part of `model` before the colon when it names a provider of pydantic-ai."""
        named = self.model.partition(":")[0] if _PROVIDER.match(self.model) else None
        return named if self.base_url is None or named in _OPENAI else None

    @property
    def output_mode(self) -> Literal["tool", "json_schema", "prompted"]:
        """`output`, else what works most widely: tool calls at providers, JSON-schema mode at other endpoints."""
        return self.output or ("tool" if self.provider else "json_schema")

    @property
    def place(self) -> str:
        """Where the model is asked, for sentences."""
        return clean(self.base_url or f"the provider {self.provider}", 200)

    def key(self) -> str | None:
        """The key of the variable that `key_env` names; None when it names none. Raises `InputError`."""
        if self.key_env is None:
            return None
        value = os.environ.get(self.key_env, "").strip()
        if not value:
            raise InputError(
                f"The environment variable {self.key_env} is not set; it must hold the key for "
                f"{self.place}. Nothing was asked."
            )
        return value


def read_options(persona: Persona) -> LlmOptions:
    """The persona's options. Raises `InputError`: what is wrong with them, which key or extra is missing."""
    name = clean(persona.name, 80)
    if any(importlib.util.find_spec(module) is None for module in ("pydantic_ai", "openai")):
        raise InputError(
            f"Persona {name!r} needs the extra 'llm', which is not installed. Install it with: "
            "pip install 'maestro-tui[llm]'. Nothing was run."
        )
    try:
        options = LlmOptions.model_validate(persona.options)
    except ValidationError as error:
        raise InputError(f"Persona {name!r}: {_problem(error)}. Nothing was run.") from error
    options.key()
    return options


def _check_schema(schema: dict[str, Any]) -> None:
    try:
        validator_for(schema)
    except BadSchema as error:
        raise ValueError(f"schema cannot be used: {error}") from error
    if schema.get("type") != "object":
        raise ValueError('schema must describe an object: type = "object"')
    if _has_reference(schema):
        raise ValueError("schema must not use $ref; write the parts where they are needed")


def _has_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key in ("$ref", "$dynamicRef") or _has_reference(part) for key, part in value.items())
    return isinstance(value, list) and any(map(_has_reference, value))


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = clean(first["loc"][0], 80) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in LlmOptions.model_fields.items()]
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return f"there is no option {key!r} for a model; {hint}"
    if first["type"] == "missing":
        return f"options.{key} is missing"
    reason = clean(first["msg"].removeprefix("Value error, "), 300)
    return f"options.{key}: {reason[0].lower()}{reason[1:]}" if key else f"options: {reason}"
