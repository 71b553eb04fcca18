"""Performs a persona's task by an agent on the command line, and reports what it says, does and spends."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.agents.agent import Agent, Call, Invocation
from maestro_tui.performers.agents.answer import NoAnswer, opinion_of, schema_request, structured_answer
from maestro_tui.performers.agents.catalogue import AGENTS
from maestro_tui.performers.agents.changes import changed_since, moment
from maestro_tui.performers.agents.detect import program_path
from maestro_tui.performers.agents.events import StreamParser
from maestro_tui.performers.agents.home import home_variables
from maestro_tui.performers.agents.json_lines import LINE_LIMIT
from maestro_tui.performers.agents.options import AgentOptions, checked_options
from maestro_tui.performers.agents.template import PROMPT, PROMPT_FILE, WORD_LIMIT, NdjsonStream, filled
from maestro_tui.performers.agents.transcript import Transcript
from maestro_tui.performers.agents.trouble import Trouble
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessNotStarted, ProcessOutcome, run_process
from maestro_tui.performers.prompt import PROMPT_LIMIT, build_prompt, tell_left_out
from maestro_tui.performers.spending import tell_when_checked


class AgentCliPerformer:
    """Runs claude, codex, gemini, opencode or the program of the persona's `argv`, without a screen.

    `sleep` and `clock` (epoch seconds) can be exchanged. Raises `InputError` when the persona's options are
    wrong or the agent is not installed.
    """

    def __init__(
        self,
        persona: Persona,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._persona = persona
        self._options = checked_options(persona)
        self._agent = AGENTS[self._options.agent] if self._options.agent is not None else None
        self._sleep = sleep
        self._clock = clock
        if self._agent is not None:
            _check_agent(self._agent, self._options, persona)

    @property
    def _name(self) -> str:
        return self._agent.name if self._agent is not None else Path(self._persona.argv[0]).name

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Run the agent to its end. Raises `PerformerFailed` with a sentence, what it said last, what it spent."""
        transcript = Transcript(port, self._parser(), self._name, self._clock, task.workspace)
        argv, env, prompt_file = self._prepare(task, port)
        self._tell_when_checked(task, port)
        since = await asyncio.to_thread(moment, task.scratch / "started")
        with prompt_file.open("rb") as prompt:
            run = asyncio.create_task(
                run_process(
                    argv,
                    cwd=task.workspace,
                    env=env,
                    on_line=transcript.take,
                    line_limit=LINE_LIMIT,
                    stdin=asyncio.subprocess.DEVNULL if self._prompt_in_argv else prompt,
                )
            )
            try:
                outcome = await self._watched(run, transcript)
            except ProcessNotStarted as error:
                raise PerformerFailed(
                    f"Persona {task.persona.name!r}: {error}", kind="exit", retry=False
                ) from error
        transcript.finish()
        self._check_ending(task, transcript, outcome)
        await self._check_denials(task, transcript, since)
        return self._result(transcript)

    def _tell_when_checked(self, task: Task, port: Port) -> None:
        if self._agent is not None:
            told, ended = self._agent.tells_working, self._agent.tells_ended
            tell_when_checked(port, task.budget, self._name, working=told, ended=ended)
        elif self._options.format != "ndjson":
            tell_when_checked(port, task.budget, self._name, working=(), ended=())

    async def _watched(
        self, run: asyncio.Task[ProcessOutcome], transcript: Transcript
    ) -> ProcessOutcome | None:
        """The run's outcome; None when it was ended from here, because it is over or cannot succeed."""
        watch = asyncio.create_task(self._until_over(transcript))
        try:
            await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            run.cancel()
            await _gone(run, watch)
        if not watch.cancelled():
            watch.result()
        return None if run.cancelled() else run.result()

    async def _until_over(self, transcript: Transcript) -> None:
        """Return once the agent has said its last word and is silent, or has met what no patience mends."""
        while True:
            await transcript.over.wait()
            if transcript.hopeless is not None:
                return
            heard = transcript.heard
            await self._sleep(self._options.linger_seconds)
            if transcript.heard == heard:
                transcript.line(
                    f"{self._name} did not end within {self._options.linger_seconds:g} s of its final event; "
                    "it was ended, its result is taken",
                    "err",
                )
                return

    @property
    def _prompt_in_argv(self) -> bool:
        return any(PROMPT in word or PROMPT_FILE in word for word in self._persona.argv)

    def _parser(self) -> StreamParser | None:
        if self._agent is not None:
            return self._agent.parser()
        return NdjsonStream() if self._options.format == "ndjson" else None

    def _prepare(self, task: Task, port: Port) -> tuple[list[str], dict[str, str], Path]:
        """The program with its arguments, its environment, and the file that holds the prompt."""
        given = task.scratch / "given"
        given.mkdir(mode=0o700)
        context_file = given / "context.json"
        _write_private(context_file, json.dumps(dict(task.context), ensure_ascii=True, indent=2) + "\n")
        inline = any(PROMPT in word for word in task.persona.argv)
        limit = WORD_LIMIT // 4 if inline else PROMPT_LIMIT
        made = build_prompt(task, context_file=context_file, limit=limit)
        text = made.text
        schema = self._options.schema_
        if schema is not None and not (self._agent is not None and self._agent.takes_schema):
            text += schema_request(schema)
        tell_left_out(made, port)
        prompt_file = task.scratch / "prompt.md"
        _write_private(prompt_file, encodable(text))
        key = self._options.key_env
        names = (*task.persona.env, *((key,) if key is not None else ()))
        env = child_environment(names, home_variables(self._options.home, task))
        argv, values = self._command(task, text, given, prompt_file, env)
        return argv, {**env, **values}, prompt_file

    def _command(
        self, task: Task, prompt: str, given: Path, prompt_file: Path, env: Mapping[str, str]
    ) -> tuple[list[str], Mapping[str, str]]:
        if self._agent is None:
            argv = filled(task.persona.argv, prompt, prompt_file)
            if max(len(word.encode()) for word in argv) > WORD_LIMIT:
                raise PerformerFailed(
                    f"The prompt of persona {task.persona.name!r} has {len(prompt):,} characters, too many for one "
                    f"argument; use {PROMPT_FILE} instead of {PROMPT}, or neither: then it comes on standard input.",
                    retry=False,
                )
            return argv, {}
        keys = [name for name in task.persona.env if name in self._agent.keys]
        call = Call(
            options=self._options,
            given=given,
            scratch=task.scratch,
            environment=env,
            read_only=task.role == "comment",
            budget=task.budget,
            key_variable=self._options.key_env or (keys[0] if keys else None),
        )
        made: Invocation = self._agent.invoke(call)
        return [encodable(word) for word in (self._agent.program, *made.arguments)], made.environment

    def _check_ending(self, task: Task, transcript: Transcript, outcome: ProcessOutcome | None) -> None:
        who = f"The agent {self._name!r} of persona {task.persona.name!r}"
        trouble = transcript.hopeless or (transcript.final.trouble if transcript.final is not None else None)
        ended_badly = outcome is not None and not outcome.ok
        if trouble is None and ended_badly:
            found = transcript.trouble_in_errors()
            trouble = found if found.kind != "other" else None
        if trouble is not None:
            raise PerformerFailed(
                f"{who} failed: {trouble.what}; it said: {trouble.said.rstrip('.')}.{self._advice(trouble)}",
                tail=transcript.tail,
                retry=trouble.retry,
                retry_after=trouble.retry_after,
                usage=transcript.usage,
            )
        if outcome is not None and ended_badly:
            last = (
                f"; its last line: {transcript.tail[-1].rstrip('.')}"
                if transcript.tail
                else " without a word"
            )
            raise PerformerFailed(
                f"{who} {outcome.sentence}{last}.", kind="exit", tail=transcript.tail, usage=transcript.usage
            )
        if transcript.final is None:
            raise PerformerFailed(
                f"{who} ended without its final event, so what it did is not known; the files that it left are "
                "still there.",
                kind="result",
                tail=transcript.tail,
                usage=transcript.usage,
            )

    def _advice(self, trouble: Trouble) -> str:
        if trouble.kind != "auth" or self._agent is None:
            return ""
        key = self._agent.keys[0]
        return (
            f" Log in with {self._agent.program!r} yourself, or set {key} and name it in the persona's env."
        )

    async def _check_denials(self, task: Task, transcript: Transcript, since: int) -> None:
        """An agent that was denied its tools and changed nothing has failed, whatever it says."""
        if not transcript.denied or task.role == "comment":
            return
        place = task.workspace / task.own_folder if task.own_folder else task.workspace
        if await asyncio.to_thread(changed_since, place, since):
            return
        hint = f" Allow more with {self._agent.permission_hint}." if self._agent is not None else ""
        raise PerformerFailed(
            f"The agent {self._name!r} of persona {task.persona.name!r} was not allowed to use "
            f"{transcript.denials} and changed nothing in the workspace; its own word that it is done counts for "
            f"nothing.{hint}",
            kind="result",
            tail=transcript.tail,
            retry=False,
            usage=transcript.usage,
        )

    def _result(self, transcript: Transcript) -> PerformerResult:
        final = transcript.final
        said = (final.text if final is not None else None) or ""
        structured = final.structured if final is not None else None
        if self._options.schema_ is None and structured is None:
            outputs: Mapping[str, object] = {"text": said}
        else:
            try:
                outputs = structured_answer(structured, said, self._options.schema_)
            except NoAnswer as error:
                raise PerformerFailed(
                    f"The agent {self._name!r} of persona {self._persona.name!r} {error}.",
                    kind="result",
                    tail=transcript.tail,
                    usage=transcript.usage,
                ) from error
        decisions: tuple[Decision, ...] = ()
        told = outputs.get("summary")
        lines = (told if isinstance(told, str) else said).splitlines()
        summary = clean(next((line for line in lines if line.strip()), ""), 300)
        if transcript.denied:
            summary = f"{summary} (not allowed: {transcript.denials})".strip()
            decisions = (
                Decision(
                    about="permissions",
                    choice=f"denied: {transcript.denials}",
                    rationale="outside of what the agent may do in this mode",
                    decided_by=self._name,
                ),
            )
        return PerformerResult(
            outputs=outputs,
            decisions=decisions,
            metrics=opinion_of(outputs) if self._options.schema_ is not None else {},
            summary=summary,
            usage=transcript.usage,
        )


async def _gone(*tasks: asyncio.Task[Any]) -> None:
    """Wait for their end even when cancelled in between; the cancellation is delivered afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while waiting := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _check_agent(agent: Agent, options: AgentOptions, persona: Persona) -> None:
    who = f"Persona {clean(persona.name, 80)!r} (performer agent_cli)"
    mode = options.permission_mode
    if mode is not None and mode not in agent.permission_modes:
        raise InputError(
            f"{who}: {agent.name} has no permission_mode {clean(mode, 80)!r}; it has "
            f"{', '.join(agent.permission_modes)}. Nothing was run."
        )
    if program_path(agent) is None:
        raise InputError(
            f"{who} needs the program {agent.program!r}, which is not on PATH. Install it with "
            f"`{agent.install_command}`, then try again. Nothing was run."
        )


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
