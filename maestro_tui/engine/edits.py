"""A person's change of what a committed phase left: validated, held against its contract again, recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.contracts import check_contract, check_outputs
from maestro_tui.engine.decisions import Signature, acting, signed, tell
from maestro_tui.engine.situation import Situation
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import Artifact, ContractCheck, Edit, PhaseStatus, TeamExecutionContext
from maestro_tui.model.errors import PlanError
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.beside import Beside
from maestro_tui.store.lease import Hold
from maestro_tui.store.redaction import Redactor
from maestro_tui.store.workspace_files import hash_regular

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine


def edit(
    engine: Engine,
    session_id: str,
    edits: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, Sequence[str]],
    by: str | None,
    reason: str,
) -> TeamExecutionContext:
    """Record changed outputs and artifacts of committed phases; later phases become stale. Raises `PlanError`
    when an edit is no JSON, names no file, or breaks the phase's contract."""
    sign = signed(engine, by, reason)
    engine.require(session_id)
    named = [*edits, *files] if isinstance(edits, Mapping) else []
    with acting(engine, session_id, *named) as hold:
        return record_edits(engine, session_id, edits, files, sign, hold)


def record_edits(
    engine: Engine,
    session_id: str,
    edits: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, Sequence[str]],
    sign: Signature,
    hold: Hold | Beside,
) -> TeamExecutionContext:
    """The same for a caller that may commit to the session (`acting`), and has mended it."""
    situation = engine.situation(session_id, need_workspace=bool(files))
    if not isinstance(edits, Mapping) or any(isinstance(paths, str) for paths in files.values()):
        raise PlanError(
            "An edit maps phases to tables of outputs, or to lists of files. Nothing was recorded."
        )
    names = {situation.workflow.resolve(given): given for given in (*edits, *files)}
    made: list[Edit] = []
    for name in names:
        result = situation.head.context.phase_results.get(name)
        if result is None or result.status not in (PhaseStatus.COMPLETED, PhaseStatus.PROVIDED):
            raise PlanError(f"Phase {name!r} of session {session_id} has no committed outputs to edit.")
        outputs = _outputs(name, _of(edits, name, situation))
        # `./d.md` is `d.md`: one file has one name, as the phase recorded it.
        paths = dict.fromkeys(PurePosixPath(path).as_posix() for path in _of(files, name, situation) or ())
        artifacts = tuple(_artifact(situation, name, result.attempt, path) for path in paths)
        contract = _contract(situation, name, outputs, artifacts, engine.store.root)
        made.append(
            Edit(
                phase=name,
                attempt=result.attempt,
                outputs=outputs,
                artifacts=artifacts,
                contract=contract,
                by=sign.by,
                at=sign.at,
                reason=sign.reason,
            )
        )

    def add(head: Checkpoint) -> tuple[TeamExecutionContext, Workflow | None]:
        for one in made:
            if head.context.phase_results[one.phase].attempt != one.attempt:
                raise PlanError(
                    f"Phase {one.phase!r} of session {session_id} ran again meanwhile; look at its new outputs. "
                    "Nothing was recorded."
                )
        return head.context.model_copy(update={"edits": (*head.context.edits, *made)}), None

    commit = engine.store.commit(session_id, "init", 0, add, hold=hold)
    for one in made:
        data = {
            "by": sign.by,
            "keys": sorted(one.outputs),
            "files": [artifact.path for artifact in one.artifacts],
            "reason": sign.reason,
            "seq": commit.seq,
        }
        tell(engine, session_id, "edits_applied", one.phase, None, data)
    return commit.context


def _of(given: Mapping[str, Any], name: str, situation: Situation) -> Any:
    return next((value for key, value in given.items() if situation.workflow.resolve(key) == name), None)


def _outputs(name: str, change: Mapping[str, Any] | None) -> dict[str, Any]:
    if change is None:
        return {}
    if not isinstance(change, Mapping):
        raise PlanError(f"The edit of {name!r} must be a table of outputs, not {type(change).__name__}.")
    if "outputs" in change and len(change) > 1:
        others = ", ".join(clean(key, 40) for key in change if key != "outputs")
        raise PlanError(
            f"The edit of {name!r} has 'outputs' beside {others}: that could be the table of outputs, or one output "
            "called so. Put all of them into one table, {'outputs': {…}}. Nothing was recorded."
        )
    outputs = change.get("outputs", change)
    if not isinstance(outputs, Mapping):
        raise PlanError(f"The edit of {name!r} must be a table of outputs.")
    try:
        json.dumps(outputs, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise PlanError(f"The edit of {name!r} is not JSON: {clean(error, 200)}.") from error
    return dict(Redactor().data(outputs))


def _artifact(situation: Situation, name: str, attempt: int, path: str) -> Artifact:
    """The file as it is now. Raises `PlanError`."""
    shown, inside = clean(path, 200), PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts:
        raise PlanError(f"{shown} is not inside the workspace. Nothing was recorded.")
    file = situation.workspace / inside
    if not file.resolve().is_relative_to(situation.workspace.resolve()):
        raise PlanError(f"{shown} leads out of the workspace. Nothing was recorded.")
    try:
        size, sha256 = hash_regular(file)
    except OSError as error:
        raise PlanError(
            f"{shown} cannot be read ({error.strerror or error}); an edited artifact must be a file of the workspace "
            f"{clean(str(situation.workspace), 200)}. Nothing was recorded."
        ) from error
    known = {one.path: one for one in situation.head.context.artifacts_of(name)}
    if path in known and known[path].sha256 == sha256:
        raise PlanError(f"{shown} is as {name!r} left it; there is no edit to record.")
    return Artifact(
        path=path,
        size=size,
        sha256=sha256,
        change="changed" if path in known else "new",
        phase=name,
        attempt=attempt,
    )


def _contract(
    situation: Situation,
    name: str,
    outputs: Mapping[str, Any],
    artifacts: Sequence[Artifact],
    root: Path,
) -> ContractCheck | None:
    """The phase's contract with the edit in place. Raises `PlanError` when the edit breaks it."""
    if name not in situation.workflow.names:
        return None
    phase = situation.workflow.phase(name)
    broken: list[str] = []
    if outputs:
        whole = {**situation.head.context.outputs_of(name), **outputs}
        broken += check_outputs(phase, whole, situation.workspace)
    check = None
    if artifacts and phase.globs:
        changed = [one.path for one in artifacts]
        check = check_contract(
            situation.workspace, phase.deliverables, changed, phase.contracts, exclude=root
        )
        broken += check.violations
    if broken:
        raise PlanError(
            f"The edit would break the contract of {name!r}: {'; '.join(broken)}. Nothing was recorded."
        )
    return check
