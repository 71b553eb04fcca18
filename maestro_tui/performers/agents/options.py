"""What a persona may say about its agent in `options`, checked before anything runs."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.schemas import BadSchema, validator_for

AgentName = Literal["claude", "codex", "gemini", "opencode"]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"


def checked_address(value: str | None) -> str | None:
    """The address of a model, or None. Raises `ValueError`."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if value is not None and "@" in value:
        raise ValueError("must not hold a key; name the variable that holds it in key_env")
    return value


def checked_schema(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """A JSON schema that can be used, or None. Raises `ValueError`."""
    if value is not None:
        try:
            validator_for(value)
        except BadSchema as error:
            raise ValueError(f"cannot be used: {error}") from error
    return value


class AgentOptions(BaseModel):
    """The settings of an agent on the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    agent: AgentName | None = None
    """One of the known agents; left out where the persona's `argv` names a program of its own."""
    model: str | None = Field(default=None, min_length=1)
    permission_mode: str | None = None
    """The agent's own word: claude's permission mode, codex's sandbox, gemini's approval mode."""
    base_url: str | None = None
    """Where the agent reaches its model, beyond the provider's own address."""
    key_env: str | None = Field(default=None, pattern=VARIABLE)
    """The variable with the key for `base_url`; the agent may see it."""
    home: str | None = Field(default=None, min_length=1)
    """A HOME of the agent's own: a folder, or `private` for an empty one in each try."""
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema of the object that the agent answers with; it is held to it and becomes the persona's outputs."""
    extra_args: tuple[str, ...] = Field(default=(), strict=False)
    """Further arguments, handed to the agent as they are."""
    format: Literal["text", "ndjson"] | None = None
    """How a program of your own (`argv`) speaks."""
    linger_seconds: float = Field(default=5.0, ge=0, le=600, strict=False)
    """How long the agent may stay silent after its final event before it is ended."""

    _is_http = field_validator("base_url")(checked_address)
    _is_schema = field_validator("schema_")(checked_schema)

    @field_validator("extra_args")
    @classmethod
    def _no_nul(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in word for word in words):
            raise ValueError("must not contain NUL characters")
        return words


def checked_options(persona: Persona) -> AgentOptions:
    """The persona's options. Raises `InputError` with what is wrong and what is known."""
    who = f"Persona {clean(persona.name, 80)!r} (performer agent_cli)"
    try:
        options = AgentOptions.model_validate(persona.options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = clean(".".join(str(part) for part in first["loc"]), 80)
        known = ", ".join(field.alias or name for name, field in AgentOptions.model_fields.items())
        reason = (
            f"is not known (known: {known})"
            if first["type"] == "extra_forbidden"
            else clean(str(first.get("ctx", {}).get("error", first["msg"])), 200).lower().rstrip(".")
        )
        raise InputError(f"{who}: the option {key!r} {reason}. Nothing was run.") from error
    if (options.agent is None) == (not persona.argv):
        raise InputError(
            f'{who} needs either options = {{ agent = "claude" }} (or codex, gemini, opencode), or an argv of its '
            'own such as ["myagent", "--ask", "{prompt}"], one of the two. Nothing was run.'
        )
    if options.agent is None:
        for key in ("model", "permission_mode", "base_url", "key_env", "extra_args"):
            if getattr(options, key):
                raise InputError(
                    f"{who}: the option {key!r} belongs to a known agent; put it into argv yourself. Nothing was run."
                )
    elif options.format is not None:
        raise InputError(f"{who}: the option 'format' belongs to an argv of its own. Nothing was run.")
    require_key(who, options.key_env, options.base_url)
    return options


def require_key(who: str, key_env: str | None, base_url: str | None) -> None:
    """Raises `InputError` when the variable that is named for the key is not set; `who` begins its sentence."""
    if key_env is not None and not os.environ.get(key_env):
        raise InputError(
            f"{who}: the environment variable {clean(key_env, 80)} is not set; it must hold the key for "
            f"{clean(base_url or 'the model', 200)}. Nothing was run."
        )
