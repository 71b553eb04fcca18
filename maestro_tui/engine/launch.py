"""Turns what was asked of a new session into its first state: scope, provided results, recorded skips."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from maestro_tui.engine.classification import classify
from maestro_tui.engine.situation import Situation
from maestro_tui.model.context import (
    Artifact,
    Decision,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import InputError, PlanError
from maestro_tui.model.plan import Request
from maestro_tui.model.policy import Limits
from maestro_tui.model.text import clean, encodable, new_session_id, session_id_problem
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.redaction import Redactor
from maestro_tui.store.workspace_files import shown_path

TEXT_LIMIT = 200_000
"""Provided text up to this many characters is kept in the checkpoint itself; longer text by path and hash."""
FILE_LIMIT = 1_000_000_000
REQUIREMENT_LIMIT = 4_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """What an operator asks of a new session."""

    requirement: str
    workflow: str = ""
    """`sdlc`, a file, or empty: `maestro.toml` in the workspace, else `sdlc`."""
    workspace: str = "."
    phases: tuple[str, ...] | None = None
    """The phases to run; None means all."""
    start_from: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Phase → file that stands for its result."""
    pause_after: tuple[str, ...] = ()
    session_id: str | None = None
    team: str | None = None
    """Who works where the workflow names nobody, see `engine.teams`; None means the toolbox."""
    limits: Limits | None = None


def workspace_problem(folder: Path) -> str | None:
    """Why no session can work there, as the end of a sentence; None when one can."""
    if not folder.is_dir():
        return "is not a folder"
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        return "has a name that is no UTF-8 text, which a checkpoint cannot hold; rename the folder"
    return None


def first_context(
    launch: Launch, workflow: Workflow, workflow_path: Path | None, workspace: Path, now: datetime
) -> TeamExecutionContext:
    """The state of a new session before its first phase. Raises `InputError` on anything that does not fit."""
    requirement = _as_written(launch.requirement)
    if not requirement:
        raise InputError("The requirement is empty; say what must be true when the work is done.")
    if len(requirement) > REQUIREMENT_LIMIT:
        raise InputError(f"The requirement is longer than {REQUIREMENT_LIMIT:,} characters.")
    session_id = launch.session_id if launch.session_id is not None else new_session_id(requirement, now)
    problem = session_id_problem(session_id)
    if problem:
        raise InputError(f"{clean(session_id, 80)!r} is no session id: {problem}. Nothing was run.")
    wrong = workspace_problem(workspace)
    if wrong:
        raise InputError(f"The workspace {clean(shown_path(str(workspace)), 200)} {wrong}. Nothing was run.")
    scope = _resolve_all(workflow, launch.phases)
    if launch.phases is not None and not scope:
        raise InputError("No phase is selected; name at least one.")
    start = workflow.resolve(launch.start_from) if launch.start_from else None
    provided = {workflow.resolve(name): path for name, path in launch.inputs.items()}
    results = {name: provide(name, path, now) for name, path in provided.items()}
    if start is not None and start in provided:
        raise InputError(
            f"{start!r} is both the phase to start from and provided from a file; it can be only one."
        )
    if start is not None and scope is not None and start not in scope:
        raise InputError(
            f"The session is to start from {start!r}, a phase that is not selected to run ({', '.join(scope)} "
            f"{'is' if len(scope) == 1 else 'are'}). Select it, or start elsewhere. Nothing was run."
        )
    before = workflow.needs_of(start) if start is not None else frozenset[str]()
    decisions = []
    for name in workflow.order:
        if name in results:
            continue
        if name in before:
            reason = f"started from {start}; no file was given for {name}"
        elif scope is not None and name not in scope and _is_needed(workflow, name, scope):
            reason = "not selected"
        else:
            continue
        results[name] = PhaseResult(status=PhaseStatus.SKIPPED, attempt=0, finished_at=now, source=reason)
        decisions.append(
            Decision(
                phase=name, about="skip", choice="skipped", rationale=reason, decided_by="operator", at=now
            )
        )
    stops = _resolve_all(workflow, launch.pause_after) or ()
    for name in stops:
        why_not = (
            "its result comes from a file"
            if name in provided
            else f"it comes before {start!r}, where the session starts"
            if name in before
            else "it is not selected"
            if scope is not None and name not in scope
            else None
        )
        if why_not is not None:
            raise InputError(
                f"The session is to stop after the phase {name!r}, which does not run: {why_not}. Take one of the "
                "two back. Nothing was run."
            )
    if scope is not None:
        scope = tuple(name for name in scope if name not in results)
        if not scope:
            raise InputError("Every selected phase is provided or skipped; there is nothing to run.")
    return TeamExecutionContext(
        session_id=session_id,
        requirement=requirement,
        workflow=workflow,
        workflow_path=str(workflow_path) if workflow_path else None,
        workspace=str(workspace),
        created_at=now,
        team=launch.team,
        limits=launch.limits,
        scope=scope,
        pause_after=stops,
        phase_results={name: results[name] for name in workflow.order if name in results},
        session_decisions=(classify(requirement, now), *decisions),
    )


def asked_of(what: str, kind: Literal["phase", "rerun_from"], phase: object, again: bool = True) -> Request:
    """The request about one phase. Raises `InputError` when that is no text."""
    return Request(kind=kind, phase=_text(f"The phase of {what}", phase), again=again)


def names_in(what: str, given: object) -> tuple[str, ...]:
    """Several names as they were given. Raises `InputError` for one text, which is no list of names."""
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise InputError(f"{what} takes a list of names, not {clean(repr(given), 60)}. Nothing was run.")
    return tuple(_text(f"Each name in {what}", name) for name in given)


def files_in(inputs: object) -> dict[str, str]:
    """Phase → file, as text. Raises `InputError` for anything else."""
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping) or not all(
        isinstance(path, str | PathLike) for path in inputs.values()
    ):
        raise InputError(
            f"inputs maps phases to files that stand for their results, and is not {clean(repr(inputs), 60)}. "
            "Nothing was run."
        )
    return {_text("Each phase of inputs", name): str(path) for name, path in inputs.items()}


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{what} must be text, not {clean(repr(value), 60)}. Nothing was run.")
    return value


def require_same(situation: Situation, requirement: str | None, inputs: Mapping[str, str]) -> None:
    """Raise `PlanError` when a session that exists was begun for another requirement or other inputs."""
    session_id, context = situation.head.session_id, situation.head.context
    if requirement is not None and _as_written(requirement) != context.requirement:
        raise PlanError(
            f"Session {session_id} was begun for another requirement ({clean(context.requirement, 80)!r}). Leave the "
            "requirement out to go on with it, or begin another session. Nothing was run."
        )
    for given, path in inputs.items():
        name = situation.workflow.resolve(given)
        result = context.phase_results.get(name)
        known = result.artifacts[0].sha256 if result and result.status == PhaseStatus.PROVIDED else None
        if provide(name, path, situation.now).artifacts[0].sha256 != known:
            raise PlanError(
                f"Phase {name!r} of session {session_id} is not provided from a file with the content of "
                f"{clean(path, 200)}. Inputs count when a session begins: leave them out to go on with this one, "
                "or begin another. Nothing was run."
            )


def _as_written(requirement: object) -> str:
    """The requirement as a session keeps it: without secrets. Raises `InputError` when it is no text."""
    return Redactor().text(encodable(_text("The requirement", requirement).strip()))


def _resolve_all(workflow: Workflow, names: Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    wanted = {workflow.resolve(name) for name in names}
    return tuple(name for name in workflow.order if name in wanted)


def _is_needed(workflow: Workflow, name: str, scope: Sequence[str]) -> bool:
    return any(name in workflow.needs_of(chosen) for chosen in scope)


def provide(phase: str, path: str, now: datetime) -> PhaseResult:
    """A result from outside: JSON becomes the outputs, text is kept with them, all is hashed.

    Raises `InputError` when the file cannot be read or is broken JSON.
    """
    file = Path(path).expanduser()
    shown = clean(str(file), 200)
    if not file.is_file():
        raise InputError(f"There is no file {shown} to provide {phase!r} from. Nothing was run.")
    size = file.stat().st_size
    if size > FILE_LIMIT:
        raise InputError(f"{shown} has {size:,} bytes; a provided file may have at most {FILE_LIMIT:,}.")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {shown} for {phase!r}: {error.strerror}. Nothing was run.") from error
    digest = hashlib.sha256(data).hexdigest()
    outputs = Redactor().data(_outputs_from(data, file, phase))
    return PhaseResult(
        status=PhaseStatus.PROVIDED,
        attempt=0,
        finished_at=now.astimezone(UTC),
        outputs=outputs,
        summary=f"provided from {shown}",
        artifacts=(
            Artifact(
                path=encodable(str(file.resolve())),
                size=size,
                sha256=digest,
                change="provided",
                phase=phase,
                attempt=0,
            ),
        ),
        source=encodable(str(file.resolve())),
    )


def _outputs_from(data: bytes, file: Path, phase: str) -> dict[str, Any]:
    text: str | None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if file.suffix.lower() == ".json":
        if text is None:
            raise InputError(f"{clean(str(file), 200)} for {phase!r} is not UTF-8 text. Nothing was run.")
        value = parse_json(text, f"{clean(str(file), 200)} for {phase!r}")
        return value if isinstance(value, dict) else {"value": value}
    outputs: dict[str, Any] = {"document": encodable(file.name)}
    if text is not None and len(text) <= TEXT_LIMIT and "\0" not in text:
        outputs["text"] = text
    return outputs


def parse_json(text: str, what: str) -> Any:
    """Strict JSON: no NaN, no infinities, no bottomless nesting. Raises `InputError` naming `what`."""

    def refuse(word: str) -> float:
        raise ValueError(f"{word} is not JSON")

    def number(word: str) -> float:
        value = float(word)
        if not math.isfinite(value):
            raise ValueError(f"the number {clean(word, 40)} is too large")
        return value

    try:
        value = json.loads(text, parse_constant=refuse, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else clean(error, 200)
        raise InputError(f"{what} is not valid JSON: {reason}. Nothing was run.") from error
    return value
