"""Lets a Maestro Hive user's engine carry out a persona's task, in a process of its own that can be stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean, encodable
from maestro_tui.model.workflow import ALIASES
from maestro_tui.performers import hive_child
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.hive_result import BadHiveResult, judge_hive
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessNotStarted, ProcessOutcome, run_process
from maestro_tui.performers.spending import tell_when_checked
from maestro_tui.store.durable import read_regular

RESULT_LIMIT = 64_000_000
"""Bytes of the result that the engine may return."""
EVENT_LIMIT = 20_000
"""Bytes of one event; a longer one is told without its data."""
EVENT_SECONDS = 0.1
"""How often the child's events are looked at."""
THRESHOLDS: Mapping[str, float] = {
    "requirements": 0.75,
    "design": 0.80,
    "implementation": 0.70,
    "testing": 0.85,
    "deployment": 0.90,
}
"""Maestro Hive's own, told to its engine where the phase has no threshold."""

_ENGINE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


class HiveOptions(BaseModel):
    """`options` of a persona with `performer = "hive"`. Paths that are not absolute count from the workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    """`package.module:Class`; anything with `execute(requirement, constraints, session_id)`, async or not."""
    pythonpath: tuple[str, ...] = ()
    """Folders in which its modules are looked for, before all others."""
    cwd: str = "."
    output_dir: str = "."
    """Where it writes what it makes; within the workspace, for nothing else is measured."""
    python: str = "python3"
    """The interpreter that has what the engine needs: a program on PATH or a path."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments for its constructor."""
    constraints: dict[str, Any] = Field(default_factory=dict)
    """Further constraints; those that come from the session itself have precedence."""

    @field_validator("engine")
    @classmethod
    def _module_and_class(cls, value: str) -> str:
        if not _ENGINE.match(value):
            raise ValueError('it must be "package.module:Class"')
        return value

    @field_validator("output_dir")
    @classmethod
    def _without_dots(cls, value: str) -> str:
        if ".." in PurePosixPath(value).parts:
            raise ValueError("it must not contain '..'")
        return value

    @field_validator("arguments", "constraints")
    @classmethod
    def _json(cls, value: dict[str, Any]) -> dict[str, Any]:
        json.dumps(value, allow_nan=False)
        return value


class HivePerformer:
    """Runs `execute` of the engine that the persona's options name, in a child process with their own Python.

    Both streams of the child go to the log, its events and progress are told on the way. What it returns is
    judged by our rules (`judge_hive`): its `success` alone counts for nothing. On cancellation and timeout the
    child's whole process group is ended. Their engine may start its command-line client with permission checks
    off: it can change whatever this user can.
    """

    def __init__(self, persona: Persona) -> None:
        """Check the options. Raises `InputError`."""
        try:
            self.options = HiveOptions.model_validate(persona.options)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"Persona {clean(persona.name, 80)!r}: its option {clean(key, 80)!r} is wrong "
                f'({clean(first["msg"], 200)}). performer = "hive" takes {", ".join(HiveOptions.model_fields)}; '
                'engine = "package.module:Class" is required. Nothing was run.'
            ) from error
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Persona {clean(persona.name, 80)!r}: its options are not JSON values ({clean(error, 200)}). "
                "Nothing was run."
            ) from error

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Execute the phase. Raises `PerformerFailed` with a sentence when there is no result to judge."""
        options = self.options
        output_dir = self._output_dir(task)
        call_path, events_path = task.scratch / "call.json", task.scratch / "events.jsonl"
        result_path = task.scratch / "result.json"
        call = {
            "engine": options.engine,
            "pythonpath": [str(task.workspace / folder) for folder in options.pythonpath],
            "output_dir": str(output_dir),
            "arguments": options.arguments,
            "requirement": task.requirement,
            "constraints": constraints_of(task, output_dir, options.constraints),
            "session_id": f"{task.session_id}_{task.phase.name}",
            "events": str(events_path),
            "result": str(result_path),
        }
        _write_private(call_path, json.dumps(call, ensure_ascii=True))
        _write_private(events_path, "")
        persona = task.persona
        env = child_environment(
            persona.env,
            {"MAESTRO_SESSION_ID": task.session_id, "MAESTRO_PHASE": task.phase.name},
        )
        # It logs emoji: in a plain C locale that alone would end it.
        env.setdefault("PYTHONIOENCODING", "utf-8:backslashreplace")
        argv = [encodable(options.python), hive_child.__file__, str(call_path)]
        port.line(
            f"{clean(options.engine, 120)} works as this user; the agents that it starts may ask for no permission."
        )
        tell_when_checked(port, task.budget, clean(options.engine, 120), working=(), ended=())
        telling = asyncio.create_task(_tell_events(events_path, port))
        try:
            outcome = await run_process(
                argv,
                cwd=task.workspace / options.cwd,
                env=env,
                on_line=port.line,
                timeout=persona.timeout_seconds,
            )
        except ProcessNotStarted as error:
            raise PerformerFailed(f"Persona {persona.name!r}: {error}", kind="exit", retry=False) from error
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return self._result(task, port, outcome, result_path)

    def _output_dir(self, task: Task) -> Path:
        home = task.workspace / task.own_folder if task.own_folder else task.workspace
        folder = home / self.options.output_dir
        if not folder.resolve().is_relative_to(task.workspace.resolve()):
            raise PerformerFailed(
                f"output_dir of persona {task.persona.name!r} ({clean(str(folder), 200)}) lies outside the workspace, "
                "where nothing is measured; name a folder within it. Nothing was run.",
                retry=False,
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _result(self, task: Task, port: Port, outcome: ProcessOutcome, path: Path) -> PerformerResult:
        name = f"The engine of persona {task.persona.name!r} ({clean(self.options.engine, 120)})"
        try:
            answer = json.loads(read_regular(path, RESULT_LIMIT)) if outcome.ok else {}
        except FileNotFoundError:
            raise PerformerFailed(f"{name} ended without a result.", kind="exit", tail=outcome.tail) from None
        except (DamagedFile, ValueError, RecursionError) as error:
            raise PerformerFailed(
                f"The result of {name[0].lower()}{name[1:]} cannot be read: {clean(error, 300)}.",
                kind="result",
                tail=outcome.tail,
            ) from error
        if not outcome.ok:
            last = next((line for line in reversed(outcome.tail) if line.strip()), "without a word")
            raise PerformerFailed(
                f"{name} {outcome.sentence}; its last line: {clean(last.strip(), 300)}",
                kind="timeout" if outcome.timed_out else "exit",
                tail=outcome.tail,
            )
        if "problem" in answer:
            raise PerformerFailed(f"{name}: {clean(answer['problem'], 1_000)}", tail=outcome.tail)
        for place in answer["replaced"]:
            port.line(
                f"In the result, {clean(place, 200)} is nothing that JSON holds; its text stands for it.",
                "err",
            )
        try:
            return judge_hive(answer["result"])
        except BadHiveResult as error:
            raise PerformerFailed(
                f"{name} returned {clean(error, 300)}.", kind="result", tail=outcome.tail
            ) from error


def constraints_of(task: Task, output_dir: Path, own: Mapping[str, Any]) -> dict[str, Any]:
    """What Maestro Hive's split mode sends: `{phase, quality_threshold, previous_phase_outputs {phase: outputs},
    artifact_paths {phase: [absolute path]}, previous_phase_contracts [contract], workflow_id, output_dir}`, filled
    with what this session really has; `own` are further ones, and `feedback` is there when the phase runs again.
    """
    context = task.context
    phase = task.phase.name
    outputs = {name: found for name, found in context.get("outputs", {}).items() if name != phase}
    paths: dict[str, list[str]] = {}
    for artifact in context.get("artifacts", ()):
        if artifact.get("change") != "deleted":
            paths.setdefault(artifact["phase"], []).append(str(task.workspace / artifact["path"]))
    more = {"feedback": context["feedback"]} if context.get("feedback") else {}
    return {
        **own,
        **more,
        "phase": phase,
        "quality_threshold": _threshold(task),
        "previous_phase_outputs": outputs,
        "artifact_paths": paths,
        "previous_phase_contracts": _contracts(phase, outputs, paths),
        "workflow_id": task.session_id,
        "output_dir": str(output_dir),
    }


def _threshold(task: Task) -> float | None:
    own = task.phase.threshold
    if isinstance(own, dict):
        return own.get("quality", max(own.values(), default=None))
    if own is not None:
        return own
    name = task.phase.name
    return THRESHOLDS.get(ALIASES.get(name, name))


def _contracts(
    phase: str, outputs: Mapping[str, Any], paths: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """The contracts that earlier phases told of, and for each of them what it has really handed over."""
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys([*outputs, *paths]):
        told = outputs[name].get("contracts") if isinstance(outputs.get(name), dict) else None
        found += [dict(one) for one in told or () if isinstance(one, dict) and one.get("id")]
        found.append(
            {
                "id": f"{name}-{phase}",
                "name": f"{name} hands over to {phase}",
                "version": "1.0",
                "contract_type": "phase_boundary",
                "deliverables": [
                    {
                        "name": name,
                        "description": f"what {name} left",
                        "artifacts": paths.get(name, []),
                        "acceptance_criteria": [],
                    }
                ],
                "dependencies": [],
                "provider_persona_id": name,
                "consumer_persona_ids": [phase],
                "acceptance_criteria": [],
                "estimated_effort_hours": 0.0,
            }
        )
    return found


async def _tell_events(path: Path, port: Port) -> None:
    """Tell each event that the child appends to its file, until cancelled; then what is left."""
    with path.open("rb") as file:
        rest = b""
        try:
            while True:
                rest = _tell_lines(rest + file.read(1_000_000), port)
                await asyncio.sleep(EVENT_SECONDS)
        except asyncio.CancelledError:
            _tell_lines(rest + file.read(), port)
            raise


def _tell_lines(data: bytes, port: Port) -> bytes:
    """Tell the whole lines; what comes after the last one."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue  # somebody else wrote into this file; it holds no event of ours
        if not isinstance(event, dict):
            continue
        details = event.get("data") if len(line) <= EVENT_LIMIT else {"left_out_bytes": len(line)}
        port.emit("sub_step", step=clean(event.get("type"), 100), of=_short(details))
    return rest


def _short(data: Any) -> Any:
    if isinstance(data, dict):
        return {clean(key, 80): _short(value) for key, value in list(data.items())[:30]}
    if isinstance(data, list):
        return [_short(value) for value in data[:30]]
    return clean(data, 400) if isinstance(data, str) else data


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text)
