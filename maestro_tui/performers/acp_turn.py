"""One turn of an agent of the Agent Client Protocol: its requests in their order, and what may go wrong with each."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.meta import PROTOCOL_VERSION
from acp.schema import InitializeResponse, PromptResponse
from pydantic import BaseModel, Field, ValidationError

from maestro_tui.model.context import Usage
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.acp_client import AgentClient
from maestro_tui.performers.agents.answer import NoAnswer, opinion_of, schema_request, structured_answer
from maestro_tui.performers.agents.changes import changed_since, moment
from maestro_tui.performers.agents.trouble import trouble_from
from maestro_tui.performers.conversation import Conversation
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessNotStarted
from maestro_tui.performers.prompt import build_prompt

CONTEXT_FILE = "context.json"
START_SECONDS = 120.0
"""How long the agent may take for each answer until its session has begun."""
CANCEL_SECONDS = 2.0
"""How long a cancelled agent may take to end its turn before its processes are ended."""
_AUTH_REQUIRED = -32_000

_STOPPED = {
    "max_tokens": "stopped at its limit of tokens before it had finished",
    "max_turn_requests": "stopped at its limit of requests before it had finished",
    "refusal": "refused the task",
    "cancelled": "cancelled its own turn",
}


class _Begun(BaseModel):
    """What is needed of the answer to `session/new`: agents offer models in the protocol's way or in its draft's."""

    session_id: str = Field(alias="sessionId")
    config_options: list[dict[str, Any]] | None = Field(default=None, alias="configOptions")
    models: dict[str, Any] | None = None

    def models_offered(self) -> Iterator[tuple[str, str, str, dict[str, str]]]:
        """Each as its id, its name, and the request that chooses it: method and parameters."""
        for option in self.config_options or ():
            if option.get("category") == "model" and option.get("type") == "select":
                for entry in option.get("options") or ():
                    for one in entry.get("options", [entry]):
                        params = {"configId": str(option.get("id")), "value": str(one.get("value"))}
                        yield params["value"], str(one.get("name")), "session/set_config_option", params
        for one in (self.models or {}).get("availableModels") or ():
            value = str(one.get("modelId"))
            yield value, str(one.get("name")), "session/set_model", {"modelId": value}


class Turn:
    """Made for one task, with a conversation that was started."""

    def __init__(
        self,
        argv: Sequence[str],
        task: Task,
        port: Port,
        client: AgentClient,
        conversation: Conversation,
        schema: Mapping[str, Any] | None,
    ) -> None:
        self._task, self._port, self._schema = task, port, schema
        self._client, self._conversation = client, conversation
        self._name = f"The agent of persona {task.persona.name!r} ({clean(' '.join(argv), 80)})"

    async def run(self, auth: str | None, model: str | None) -> PerformerResult:
        """From the first greeting to the end of the turn; `auth` and `model` as in the options.

        Raises `PerformerFailed`, and what the client could not go on with.
        """
        since = await asyncio.to_thread(moment, self._task.scratch / "started")
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
            if auth is not None:
                method = {"methodId": auth}
                await self._request(connection, "authenticate", method, None, START_SECONDS)
            place = {"cwd": str(self._task.workspace), "mcpServers": []}
            begun = await self._request(connection, "session/new", place, _Begun, START_SECONDS)
            if model is not None:
                await self._choose_model(connection, begun, model)
            answer = await self._prompt(connection, begun.session_id, PromptResponse)
        finally:
            self._client.close()
            await connection.close()
        result = self._result(answer)
        await self._check_refusals(since, result.usage)
        return result

    async def _check_refusals(self, since: int, usage: Usage) -> None:
        """An agent that was refused its tools and changed nothing has failed, whatever it says."""
        refused, task = self._client.refused, self._task
        if not refused or task.role == "comment":
            return
        place = task.workspace / task.own_folder if task.own_folder else task.workspace
        if not await asyncio.to_thread(changed_since, place, since):
            named = ", ".join(dict.fromkeys(clean(one, 80) for one in refused[:5]))
            self._fail(
                f"was refused what it asked for ({named}) and changed nothing in the workspace",
                "Its own word that it is done counts for nothing",
                kind="result",
                retry=False,
                usage=usage,
            )

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
        return prompt.text + (schema_request(self._schema) if self._schema is not None else "")

    async def _choose_model(self, connection: Connection, begun: _Begun, wanted: str) -> None:
        offered: dict[str, tuple[str, dict[str, str]]] = {}
        for value, name, method, params in begun.models_offered():
            offered |= {name: (method, params), value: (method, params)}
        if wanted not in offered:
            there = (
                f"offers {', '.join(clean(one, 60) for one in list(offered)[:20])}"
                if offered
                else "offers none"
            )
            self._fail(f"has no model {clean(wanted, 80)!r}; it {there}", retry=False)
        method, params = offered[wanted]
        await self._request(
            connection, method, {"sessionId": begun.session_id, **params}, None, START_SECONDS
        )

    async def _request(
        self, connection: Connection, method: str, params: Mapping[str, Any], kind: Any, seconds: float | None
    ) -> Any:
        """The agent's answer, as `kind`; every way in which there is none is a sentence."""
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

    def _refused(self, method: str, error: RequestError) -> NoReturn:
        told = clean(error, 300)
        details = error.data.get("details") if isinstance(error.data, dict) else error.data
        if details and isinstance(details, str) and details not in told:
            told += f" ({clean(details, 300)})"
        trouble = trouble_from(told)
        if error.code == _AUTH_REQUIRED or trouble.kind == "auth":
            self._fail(
                f"is not signed in: {trouble.said.rstrip('.')}",
                "Sign in with the agent itself, or name the variable that holds its key in the persona's env",
                retry=False,
            )
        self._fail(
            f"answered {method!r} with an error: {trouble.said.rstrip('.')}",
            "" if trouble.kind == "other" else trouble.what[0].upper() + trouble.what[1:],
            retry=trouble.retry,
            retry_after=trouble.retry_after,
        )

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
        kind: Literal["exit", "result", "performer"] = "performer",
        retry: bool = True,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> NoReturn:
        more = f" {advice}." if advice else ""
        tail = tuple(self._conversation.tail)
        raise PerformerFailed(
            f"{self._name} {what}.{more}",
            kind=kind,
            tail=tail,
            retry=retry,
            retry_after=retry_after,
            usage=usage,
        )

    def _result(self, answer: PromptResponse) -> PerformerResult:
        if self._client.problem.done():
            self._client.problem.result()
        usage = _usage(answer).model_copy(update={"cost_usd": self._client.cost_usd})
        if answer.stop_reason != "end_turn":
            self._fail(_STOPPED[answer.stop_reason], retry=answer.stop_reason != "refusal", usage=usage)
        text = self._client.text
        outputs: dict[str, Any] = {"text": text}
        if self._schema is not None:
            try:
                outputs = structured_answer(None, text, self._schema)
            except NoAnswer as error:
                self._fail(str(error), kind="result", usage=usage)
        if self._client.refused:
            outputs["refused"] = list(self._client.refused)
        last = [part for part in text.split("\n\n") if part.strip()]
        return PerformerResult(
            outputs=outputs,
            metrics=opinion_of(outputs) if self._schema is not None else {},
            summary=clean(last[-1].strip(), 400) if last else "",
            usage=usage,
        )


def _usage(answer: PromptResponse) -> Usage:
    """The tokens of a turn, where the agent tells them: in the protocol's field, or as gemini does."""
    if answer.usage is not None:
        return Usage(input_tokens=answer.usage.input_tokens, output_tokens=answer.usage.output_tokens)
    found: Any = answer.field_meta
    for key in ("quota", "token_count"):
        found = found.get(key) if isinstance(found, dict) else None
    counts = [
        found.get(key) if isinstance(found, dict) else None for key in ("input_tokens", "output_tokens")
    ]
    taken, given = (count if type(count) is int and count >= 0 else None for count in counts)
    return Usage(input_tokens=taken, output_tokens=given)
