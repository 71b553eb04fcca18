"""Performs a persona's task through an agent that speaks the Agent Client Protocol."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import shutil
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.agents import claude, gemini, opencode
from maestro_tui.performers.agents.home import home_variables
from maestro_tui.performers.agents.options import VARIABLE, checked_address, checked_schema, require_key
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.conversation import Conversation
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.spending import tell_when_checked

_OPENCODE = "OPENCODE_CONFIG_CONTENT"
AGENTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "claude": (("claude-agent-acp",), "npm install -g @agentclientprotocol/claude-agent-acp"),
    "gemini": (("gemini", "--acp"), "npm install -g @google/gemini-cli"),
    "opencode": (("opencode", "acp"), "npm install -g opencode-ai"),
}
"""Agent → the words that start it, and the command that installs it."""


class AcpOptions(BaseModel):
    """`options` of a persona with `performer = "acp"`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Literal["claude", "gemini", "opencode"] | None = None
    """Stands for the words that start it; any other agent is named by the persona's `argv`."""
    permission: Literal["ask", "allow", "deny"] = "ask"
    """What to do when the agent asks whether it may: ask the operator, allow it once, or refuse."""
    ask_timeout_seconds: float = Field(default=600, gt=0)
    """After this time without an answer the request is refused."""
    home: str | None = None
    """The agent's own HOME, made when it is not there: a folder, or `private` for an empty one in each try."""
    model: str | None = None
    """One of the models that the agent offers for its session, by id or name."""
    base_url: str | None = None
    """Where a known agent reaches its model, beyond the provider's own address."""
    key_env: str | None = Field(default=None, pattern=VARIABLE)
    """The variable with the key for `base_url`; the agent may see it."""
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """JSON Schema of the object that the agent answers with; it is held to it and becomes the persona's outputs."""
    auth: str | None = None
    """Id of the protocol's sign-in method to use before the session begins."""

    _is_http = field_validator("base_url")(checked_address)
    _is_schema = field_validator("schema_")(checked_schema)


class AcpPerformer:
    """Starts the agent in the workspace, gives it the task as one prompt, and follows its turn to the end.

    It gets the variables of `child_environment` and those that the persona names in `env` (its key, too), no
    file system and no terminal of ours. What it claims counts for nothing; the engine measures what it left.
    """

    def __init__(self, persona: Persona) -> None:
        """Check the persona's options. Raises `InputError` when they, the extra or the agent are missing."""
        name = clean(persona.name, 80)
        try:
            self._options = AcpOptions.model_validate(persona.options)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"Persona {name!r}: option {clean(place, 80)!r} of the performer 'acp' is wrong: "
                f"{clean(first['msg'], 200)}. It has {', '.join(_option_names())}. Nothing was run."
            ) from error
        agent = self._options.agent
        if bool(persona.argv) == (agent is not None):
            raise InputError(
                f'Persona {name!r} needs either argv = ["program", …] or options = {{ agent = "…" }} with one of '
                f"{', '.join(AGENTS)}, one of the two. Nothing was run."
            )
        if agent is None:
            for key in ("base_url", "key_env"):
                if getattr(self._options, key) is not None:
                    raise InputError(
                        f"Persona {name!r}: the option {key!r} belongs to a known agent; tell your own by argv and "
                        "name its variables in env. Nothing was run."
                    )
        require_key(f"Persona {name!r} (performer acp)", self._options.key_env, self._options.base_url)
        if importlib.util.find_spec("acp") is None:
            raise InputError(
                f"Persona {name!r} needs the extra 'acp': pip install 'maestro-tui[acp]'. Nothing was run."
            )
        self._argv = persona.argv
        if agent is not None:
            self._argv, install = AGENTS[agent]
            if shutil.which(self._argv[0]) is None:
                raise InputError(
                    f"Persona {name!r} needs the program {self._argv[0]!r}, which is not on PATH: {install}. "
                    "Nothing was run."
                )

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """One turn of the agent. Raises `PerformerFailed` with a sentence when it does not end it by itself."""
        # It takes seconds to import, in which the session must go on to give signs of life.
        await asyncio.to_thread(importlib.import_module, "maestro_tui.performers.acp_turn")
        from maestro_tui.performers.acp_client import AgentClient
        from maestro_tui.performers.acp_turn import Turn

        # What it costs is told on the way, by agents that know it.
        name = self._argv[0].rpartition("/")[2]
        tell_when_checked(port, task.budget, clean(name, 80), working=["cost"], ended=["tokens"])
        client = AgentClient(
            port,
            task.workspace,
            permission=self._options.permission,
            ask_timeout=self._options.ask_timeout_seconds,
            look_only=task.role == "comment",
        )
        conversation = Conversation(client.line)
        turn = Turn(self._argv, task, port, client, conversation, self._options.schema_)
        try:
            await conversation.start(
                [encodable(word) for word in self._argv], cwd=task.workspace, env=self._env(task)
            )
            # Of the model at an address of ours opencode is told by its configuration.
            own = self._options.agent == "opencode" and self._options.base_url is not None
            return await turn.run(self._options.auth, None if own else self._options.model)
        finally:
            await conversation.close()
            client.settle()

    def _env(self, task: Task) -> dict[str, str]:
        values = {
            "MAESTRO_SESSION_ID": task.session_id,
            "MAESTRO_PHASE": task.phase.name,
            "MAESTRO_ATTEMPT": str(task.attempt),
            "MAESTRO_PERSONA": task.persona.name,
            "MAESTRO_WORKSPACE": str(task.workspace),
        }
        values |= home_variables(self._options.home, task)
        options = self._options
        key = options.key_env
        env = child_environment((*task.persona.env, *((key,) if key is not None else ())), values)
        if options.agent == "opencode":
            config = _asking(env.get(_OPENCODE), task)
            if options.base_url is not None:
                config["model"] = opencode.add_address(config, options.model, options.base_url, key)
                env |= opencode.ADDRESS_VARIABLES
            env[_OPENCODE] = json.dumps(config)
        elif options.agent == "claude" and options.base_url is not None:
            env |= claude.address_variables(options.base_url)
        elif options.agent == "gemini" and options.base_url is not None:
            env |= gemini.address_variables(options.base_url, task.scratch)
        return env


def _option_names() -> list[str]:
    return [field.alias or name for name, field in AcpOptions.model_fields.items()]


def _asking(own: str | None, task: Task) -> dict[str, Any]:
    """opencode's configuration with which it asks before it edits or runs anything, where `own` says nothing else."""
    try:
        config = json.loads(own or "{}")
        permission = config.get("permission", {})
        permission = {"*": permission} if isinstance(permission, str) else dict(permission)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PerformerFailed(
            f"The variable {_OPENCODE} that persona {task.persona.name!r} names holds no configuration in plain "
            "JSON, so nothing can be added to it. Mend it, or take it out of env. Nothing was run.",
            retry=False,
        ) from error
    if task.role == "comment":
        permission |= {"edit": "deny", "bash": "deny"}
    elif "*" not in permission:
        permission = {"edit": "ask", "bash": "ask", **permission}
    return {**config, "permission": permission}
