"""Performs a persona's task by running a command in the workspace."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.command_result import BadResult, read_result
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessNotStarted, ProcessOutcome, run_process

CONTEXT_FILE = "context.json"
RESULT_FILE = "result.json"
_MAKE = re.compile(r"g?make(\[\d+\])?: (\*\*\* |Leaving directory )")


class CommandPerformer:
    """Runs the persona's `argv`, or its `shell` line with `/bin/sh -c`.

    The command finds what earlier phases left in the JSON file `$MAESTRO_CONTEXT` and may write
    `{"outputs": {}, "decisions": [], "metrics": {}, "summary": ""}` to `$MAESTRO_RESULT`. It sees the
    variables of `child_environment`, those that the persona names in `env`, and `MAESTRO_SESSION_ID`,
    `MAESTRO_PHASE`, `MAESTRO_ATTEMPT`, `MAESTRO_PERSONA` and `MAESTRO_WORKSPACE`.
    """

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Run the command to its end. Raises `PerformerFailed` when it fails or its result is no good."""
        persona = task.persona
        argv = ["/bin/sh", "-c", persona.shell] if persona.shell is not None else list(persona.argv)
        shown = clean(persona.shell if persona.shell is not None else " ".join(argv), 80)
        who = f"{persona.name}'s command ({shown})"
        result_path = task.scratch / RESULT_FILE
        context_path = task.scratch / CONTEXT_FILE
        _write_private(context_path, json.dumps(dict(task.context), ensure_ascii=True, indent=2) + "\n")
        env = child_environment(
            persona.env,
            {
                "MAESTRO_CONTEXT": str(context_path),
                "MAESTRO_RESULT": str(result_path),
                "MAESTRO_SESSION_ID": task.session_id,
                "MAESTRO_PHASE": task.phase.name,
                "MAESTRO_ATTEMPT": str(task.attempt),
                "MAESTRO_PERSONA": persona.name,
                "MAESTRO_WORKSPACE": str(task.workspace),
            },
        )
        try:
            outcome = await run_process(
                [encodable(word) for word in argv],
                cwd=task.workspace,
                env=env,
                on_line=port.line,
                timeout=persona.timeout_seconds,
            )
        except ProcessNotStarted as error:
            raise PerformerFailed(f"Persona {persona.name!r}: {error}", kind="exit") from error
        if not outcome.ok:
            raise PerformerFailed(
                f"{who} {_ending(outcome)}",
                kind="timeout" if outcome.timed_out else "exit",
                tail=outcome.tail,
            )
        try:
            return read_result(result_path, persona.name)
        except BadResult as error:
            raise PerformerFailed(
                f"{who} ended well, but the result that it wrote to $MAESTRO_RESULT cannot be used: {error}.",
                kind="result",
                tail=outcome.tail,
            ) from error


def _ending(outcome: ProcessOutcome) -> str:
    lines = [line.strip() for line in reversed(outcome.tail) if line.strip()]
    # What make itself says last names only its target; what failed said why before that.
    telling = next((line for line in lines if not _MAKE.match(line)), lines[0] if lines else "")
    said = f": {clean(telling, 300)}" if telling else " without a word"
    return f"{outcome.sentence}{said}"


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text)
