"""Performs a persona's task through an agent that speaks the Agent Client Protocol."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maestro_tui.model.context import Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean, encodable
from maestro_tui.model.workflow import Persona
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.conversation import Conversation
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessNotStarted
from maestro_tui.performers.prompt import build_prompt

if TYPE_CHECKING:
    from acp.connection import Connection
    from acp.schema import NewSessionResponse, PromptResponse

    from maestro_tui.performers.acp_client import AgentClient

CONTEXT_FILE = "context.json"
START_SECONDS = 120.0
"""How long the agent may take for each answer until its session has begun."""
CANCEL_SECONDS = 2.0
"""How long a cancelled agent may take to end its turn before its processes are ended."""
_AUTH_REQUIRED = -32_000

AGENTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "claude": (("claude-agent-acp",), "npm install -g @agentclientprotocol/claude-agent-acp"),
    "gemini": (("gemini", "--acp"), "npm install -g @google/gemini-cli"),
    "opencode": (("opencode", "acp"), "npm install -g opencode-ai"),
}
"""Agent → the words that start it, and the command that installs it."""

_STOPPED = {
    "max_tokens": "stopped at its limit of tokens before it had finished",
    "max_turn_requests": "stopped at its limit of requests before it had finished",
    "refusal": "refused the task",
    "cancelled": "cancelled its own turn",
}


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
    """The agent's own HOME, made when it is not there: its settings and sign-in, apart from the operator's."""
    model: str | None = None
    """One of the models that the agent offers for its session, by id or name."""
    auth: str | None = None
    """Id of the protocol's sign-in method to use before the session begins."""


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
                f"{clean(first['msg'], 200)}. It has {', '.join(AcpOptions.model_fields)}. Nothing was run."
            ) from error
        agent = self._options.agent
        if bool(persona.argv) == (agent is not None):
            raise InputError(
                f'Persona {name!r} needs either argv = ["program", …] or options = {{ agent = "…" }} with one of '
                f"{', '.join(AGENTS)}, one of the two. Nothing was run."
            )
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
        client_side = await asyncio.to_thread(importlib.import_module, "maestro_tui.performers.acp_client")
        client: AgentClient = client_side.AgentClient(
            port,
            permission=self._options.permission,
            ask_timeout=self._options.ask_timeout_seconds,
            look_only=task.role == "comment",
        )
        conversation = Conversation(client.line)
        turn = _Turn(self._options, self._argv, task, port, client, conversation)
        try:
            await conversation.start(
                [encodable(word) for word in self._argv], cwd=task.workspace, env=self._env(task)
            )
            return await turn.run()
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
        if self._options.home is not None:
            home = Path(self._options.home).expanduser()
            home = home if home.is_absolute() else task.workspace / home
            try:
                home.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise PerformerFailed(
                    f"The home of persona {task.persona.name!r}, {clean(str(home), 200)}, cannot be made: "
                    f"{error.strerror}.",
                    retry=False,
                ) from error
            values["HOME"] = str(home)
        return child_environment(task.persona.env, values)


class _Turn:
    """The requests of one turn, in their order, and what may go wrong with each."""

    def __init__(
        self,
        options: AcpOptions,
        argv: Sequence[str],
        task: Task,
        port: Port,
        client: AgentClient,
        conversation: Conversation,
    ) -> None:
        self._options, self._task, self._port = options, task, port
        self._client, self._conversation = client, conversation
        self._name = f"The agent of persona {task.persona.name!r} ({clean(' '.join(argv), 80)})"

    async def run(self) -> PerformerResult:
        """From the first greeting to the end of the turn."""
        from acp.connection import Connection
        from acp.meta import PROTOCOL_VERSION
        from acp.schema import InitializeResponse, NewSessionResponse, PromptResponse

        connection = Connection(self._client.handle, self._conversation)
        try:
            greeting = await self._request(
                connection,
                "initialize",
                {
                    "protocolVersion": PROTOCOL_VERSION,
                    "clientCapabilities": {
                        "fs": {"readTextFile": False, "writeTextFile": False},
                        "terminal": False,
                    },
                    "clientInfo": {
                        "name": "maestro-tui",
                        "version": importlib.metadata.version("maestro-tui"),
                    },
                },
                InitializeResponse,
                START_SECONDS,
            )
            if greeting.protocol_version != PROTOCOL_VERSION:
                self._fail(
                    f"speaks version {greeting.protocol_version} of the protocol, not {PROTOCOL_VERSION}",
                    retry=False,
                )
            if self._options.auth is not None:
                method = {"methodId": self._options.auth}
                await self._request(connection, "authenticate", method, None, START_SECONDS)
            begun = await self._request(
                connection,
                "session/new",
                {"cwd": str(self._task.workspace), "mcpServers": []},
                NewSessionResponse,
                START_SECONDS,
            )
            if self._options.model is not None:
                await self._choose_model(connection, begun, self._options.model)
            answer = await self._prompt(connection, begun.session_id, PromptResponse)
        finally:
            self._client.close()
            await connection.close()
        return self._result(answer)

    async def _prompt(self, connection: Connection, session_id: str, kind: Any) -> PromptResponse:
        text = await asyncio.to_thread(self._text)
        words = {"sessionId": session_id, "prompt": [{"type": "text", "text": encodable(text)}]}
        turn = asyncio.ensure_future(self._request(connection, "session/prompt", words, kind, None))
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            self._client.close()
            try:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await connection.send_notification("session/cancel", {"sessionId": session_id})
                    await asyncio.wait([turn])
            except (ConnectionError, TimeoutError):
                pass  # it has ended already, or its processes are ended now
            raise
        finally:
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)

    def _text(self) -> str:
        context = self._task.scratch / CONTEXT_FILE
        fd = os.open(context, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            json.dump(dict(self._task.context), file, indent=2)
        prompt = build_prompt(self._task, context_file=context)
        if prompt.left_out:
            left_out = [f"{one.what} ({one.size:,} characters)" for one in prompt.left_out]
            self._port.emit("context_trimmed", left_out=left_out, where=str(context))
        return prompt.text

    async def _choose_model(self, connection: Connection, begun: NewSessionResponse, wanted: str) -> None:
        offered: dict[str, str] = {}
        for option in begun.config_options or ():
            if option.type != "select" or option.category != "model":
                continue
            for entry in option.options:
                for one in getattr(entry, "options", [entry]):
                    offered |= {one.name: one.value, one.value: one.value}
            if wanted in offered:
                await self._request(
                    connection,
                    "session/set_config_option",
                    {"sessionId": begun.session_id, "configId": option.id, "value": offered[wanted]},
                    None,
                    START_SECONDS,
                )
                return
        there = (
            f"it offers {', '.join(clean(one, 60) for one in list(offered)[:20])}"
            if offered
            else "it offers none"
        )
        self._fail(f"has no model {clean(wanted, 80)!r}: {there}", retry=False)

    async def _request(
        self, connection: Connection, method: str, params: Mapping[str, Any], kind: Any, seconds: float | None
    ) -> Any:
        """The agent's answer, as `kind`; every way in which there is none is a sentence."""
        from acp.exceptions import RequestError

        sending = asyncio.ensure_future(connection.send_request(method, params))
        try:
            await asyncio.wait(
                [sending, self._client.problem], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if self._client.problem.done():
                self._client.problem.result()
            if not sending.done():
                self._fail(f"did not answer {method!r} within {seconds:g} s", self._is_no_agent())
            try:
                answer = sending.result()
                return answer if kind is None else kind.model_validate(answer)
            except ConnectionError:
                await self._ended(method)
            except RequestError as error:
                self._refused(method, error)
            except ValidationError as error:
                self._fail(
                    f"answered {method!r} with something that the protocol does not know: "
                    f"{clean(error.errors()[0]['msg'], 200)}"
                )
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _ended(self, method: str) -> NoReturn:
        try:
            outcome = await self._conversation.outcome()
        except ProcessNotStarted as error:
            raise PerformerFailed(f"Persona {self._task.persona.name!r}: {error}", kind="exit") from error
        last = next((line for line in reversed(self._conversation.tail) if line.strip()), "")
        said = f"; its last line: {clean(last.strip(), 300)}" if last else " without a word"
        self._fail(
            f"{outcome.sentence} before it had answered {method!r}{said}", self._is_no_agent(), kind="exit"
        )

    def _refused(self, method: str, error: Any) -> NoReturn:
        told = clean(error, 300)
        details = error.data.get("details") if isinstance(error.data, dict) else error.data
        if details and isinstance(details, str) and details not in told:
            told += f" ({clean(details, 300)})"
        if error.code == _AUTH_REQUIRED:
            self._fail(
                f"wants to be signed in: {told}",
                "Sign in with the agent itself, or name the variable that holds its key in the persona's env",
                retry=False,
            )
        self._fail(f"answered {method!r} with an error: {told}")

    def _is_no_agent(self) -> str:
        stray = self._conversation.stray
        if self._conversation.heard or stray is None:
            return ""
        return f"It may be no ACP agent: it wrote {stray!r}, which is no message of the protocol"

    def _fail(
        self,
        what: str,
        advice: str = "",
        *,
        kind: Literal["exit", "performer"] = "performer",
        retry: bool = True,
        usage: Usage | None = None,
    ) -> NoReturn:
        more = f" {advice}." if advice else ""
        tail = tuple(self._conversation.tail)
        raise PerformerFailed(f"{self._name} {what}.{more}", kind=kind, tail=tail, retry=retry, usage=usage)

    def _result(self, answer: PromptResponse) -> PerformerResult:
        if self._client.problem.done():
            self._client.problem.result()
        spent = answer.usage
        usage = Usage(
            input_tokens=spent.input_tokens if spent is not None else None,
            output_tokens=spent.output_tokens if spent is not None else None,
            cost_usd=self._client.cost_usd,
        )
        if usage != Usage():
            self._port.spend(usage)
        if answer.stop_reason != "end_turn":
            self._fail(_STOPPED[answer.stop_reason], retry=answer.stop_reason != "refusal", usage=usage)
        text = self._client.text
        outputs: dict[str, Any] = {"text": text}
        if self._client.refused:
            outputs["refused"] = list(self._client.refused)
        last = [part for part in text.split("\n\n") if part.strip()]
        return PerformerResult(
            outputs=outputs, summary=clean(last[-1].strip(), 400) if last else "", usage=usage
        )
