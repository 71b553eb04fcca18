"""Makes the state of a session of ours from what Maestro Hive's files of one workflow tell. Reads only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from maestro_tui.model.context import (
    Artifact,
    Decision,
    Edit,
    Gate,
    Lineage,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
    Usage,
)
from maestro_tui.model.errors import DamagedFile, InputError, WorkflowError
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.text import clean, encodable, name_problem, slug
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.hive_folder import HiveGroup, open_phases
from maestro_tui.store.hive_format import HiveFile, HivePhase, NotHive, read_hive
from maestro_tui.store.workspace_files import hash_regular

BY = "Maestro Hive"
"""Who decided what its files tell of."""
BRANCHES = ("backend_development", "frontend_development")
"""Their two branches of implementation."""
ARTIFACTS_LIMIT = 5_000
ARTIFACT_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A session's state as it was taken over, and what could not be, one line each."""

    context: TeamExecutionContext
    notes: tuple[str, ...]


def whole_head(group: HiveGroup) -> HiveFile:
    """The newest file with all its outputs. Raises `InputError` when no file of the group can be read."""
    head = group.head
    if head is None:
        raise InputError(f"It cannot be read: {group.problems[0]}. Nothing was changed.")
    try:
        return read_hive(head.path)
    except (FileNotFoundError, NotHive, DamagedFile) as error:
        raise InputError(
            f"{clean(str(head.path), 200)} has changed since it was listed ({clean(error, 200)}). Nothing was changed."
        ) from error


def own_workflow(file: HiveFile) -> Workflow:
    """The file's phases under their own names, one after the other, and those of the five that are open."""
    names = [_valid(phase.name) for phase in file.phases]
    names = list(dict.fromkeys([*names, *open_phases(file)])) or ["requirements"]
    return Workflow(name="sdlc", phases=tuple(Phase(name=name) for name in names))


def workflow_for(file: HiveFile) -> Workflow:
    """The standard workflow; where the file has both branches of implementation, with both in its place."""
    there = {phase.name for phase in file.phases}
    standard = sdlc()
    if not there.issuperset(BRANCHES):
        return standard
    split = standard.phase("implementation")
    phases: list[Phase] = []
    for phase in standard.phases:
        if phase.name == split.name:
            phases += [split.model_copy(update={"name": name}) for name in BRANCHES]
        elif split.name in phase.needs:
            needs = tuple(need for need in phase.needs if need != split.name)
            phases.append(phase.model_copy(update={"needs": (*needs, *BRANCHES)}))
        else:
            phases.append(phase)
    return Workflow.model_validate(
        {
            "name": "sdlc-branches",
            "description": standard.description,
            "phases": [phase.model_dump(mode="json") for phase in phases],
        }
    )


def state_from(
    group: HiveGroup,
    file: HiveFile,
    workflow: Workflow,
    *,
    session_id: str,
    now: datetime,
    workspace: Path | None = None,
) -> Taken:
    """The state that a session of ours goes on from.

    What is completed and has passed its gate is *provided*, with its outputs as they are; what failed, or was
    completed without its gate, has failed and is tried again. Files that the outputs name are artifacts where
    they are really there, in `workspace` or beside the file.
    """
    notes = list(group.lines())
    places = _places(file, workflow, notes)
    bases = [base for base in (workspace, file.path.parent, file.path.parent.parent) if base is not None]
    seen: set[str] = set()
    results: dict[str, PhaseResult] = {}
    missing = 0
    for phase in file.phases:
        name = places[phase.name]
        artifacts, absent = _artifacts(name, phase.outputs, bases, workspace, seen)
        missing += absent
        result = _result(group, file, phase, artifacts, now)
        if result is None:
            continue
        if file.awaiting_review and phase.name == file.completed and result.status == PhaseStatus.PROVIDED:
            result = result.model_copy(update={"gate": Gate(verdict="waiting", score=phase.quality)})
        before = results.get(name)
        results[name] = result if before is None else _both(before, result, phase.name)
    if missing:
        notes.append(f"named and not there, so without a hash: {missing} of its files")
    if file.kind == "session" and not results:
        notes.append("a session file tells of no phase that is done with its outputs: all of them will run")
    ordered = [name for name in workflow.order if name in results]
    return Taken(
        TeamExecutionContext(
            session_id=session_id,
            requirement=file.requirement.strip() or "(Maestro Hive's file tells no requirement)",
            workflow=workflow,
            workspace=str(workspace) if workspace is not None else None,
            created_at=file.created_at or now,
            current_phase=places.get(file.completed or ""),
            phase_results={
                name: results[name] for name in [*ordered, *(n for n in results if n not in ordered)]
            },
            session_decisions=tuple(_session_decisions(file)),
            edits=tuple(_edits(file, places, results, now)),
            lineage=Lineage(
                session_id=encodable(file.workflow_id),
                seq=max(0, len(group.files) - 1),
                sha256=file.sha256,
                how="import",
            ),
            usage=_usage(results.values()),
        ),
        tuple(notes),
    )


def _usage(results: Iterable[PhaseResult]) -> Usage:
    total = Usage()
    for result in results:
        total = total.plus(result.usage)
    return total


def _valid(name: str) -> str:
    return name if name_problem(name) is None and name != "init" else slug(name, 60) + "-phase"


def _places(file: HiveFile, workflow: Workflow, notes: list[str]) -> dict[str, str]:
    """Their name of a phase → ours."""
    places = {}
    for phase in file.phases:
        own = _valid(phase.name)
        try:
            places[phase.name] = workflow.resolve(own)
        except WorkflowError:
            places[phase.name] = own
            notes.append(
                f"its phase {clean(phase.name, 60)!r} is none of workflow {workflow.name!r}: kept beside it"
            )
    return places


def _result(
    group: HiveGroup, file: HiveFile, phase: HivePhase, artifacts: tuple[Artifact, ...], now: datetime
) -> PhaseResult | None:
    status = group.status_of(phase)
    if status == "pending":
        return None
    failed = status == "failed"
    why = group.why_failed(phase)
    return PhaseResult(
        status=PhaseStatus.FAILED
        if failed
        else PhaseStatus.SKIPPED
        if status == "skipped"
        else PhaseStatus.PROVIDED,
        attempt=1,
        started_at=phase.started_at,
        finished_at=phase.finished_at or phase.started_at or now,
        outputs=dict(phase.outputs),
        summary=clean(phase.outputs.get("summary") or "", 2_000),
        artifacts=artifacts,
        decisions=tuple(_phase_decisions(file, phase)),
        quality={"opinion": phase.quality} if phase.quality is not None else {},
        gate=Gate(verdict="failed", score=phase.quality, failures=(why,)) if failed else None,
        usage=Usage(seconds=max(0.0, phase.duration) if phase.duration is not None else None),
        error=PhaseError(kind="gate", message=why) if failed else None,
        personas=tuple(clean(name, 80) for name in phase.personas),
        source=None if failed else encodable(str(file.path)),
    )


def _both(one: PhaseResult, other: PhaseResult, name: str) -> PhaseResult:
    """Two of their phases that are one of ours: no outputs are lost, and it is done when both are."""
    outputs = dict(one.outputs)
    key = name if name not in outputs else f"{name}_outputs"
    outputs[key] = dict(other.outputs)
    worse = other if other.status == PhaseStatus.FAILED else one
    return worse.model_copy(
        update={
            "outputs": outputs,
            "artifacts": (*one.artifacts, *other.artifacts),
            "decisions": (*one.decisions, *other.decisions),
            "usage": one.usage.plus(other.usage),
        }
    )


# ── Decisions and edits ───────────────────────────────────────────────────────────────────────────────────


def _state(file: HiveFile) -> Mapping[str, Any]:
    state = file.data.get("team_execution_state")
    return state if isinstance(state, dict) else {}


def _phase_decisions(file: HiveFile, phase: HivePhase) -> Iterator[Decision]:
    chosen = _state(file).get("blueprint_selections")
    facts = chosen.get(phase.name) if isinstance(chosen, dict) else None
    name = facts.get("blueprint_name") if isinstance(facts, dict) else None
    if isinstance(facts, dict) and isinstance(name, str):
        yield Decision(
            phase=_valid(phase.name),
            about="blueprint",
            choice=clean(name, 200),
            rationale=clean(facts.get("rationale") or "", 1_000),
            score=_score(facts.get("match_score")),
            decided_by=BY,
        )


def _session_decisions(file: HiveFile) -> Iterator[Decision]:
    facts = _state(file).get("classification")
    if isinstance(facts, dict) and isinstance(facts.get("requirement_type"), str):
        yield Decision(
            about="classification",
            choice=clean(facts["requirement_type"], 200),
            rationale=clean(facts.get("rationale") or "", 1_000),
            score=_score(facts.get("confidence_score")),
            decided_by=BY,
        )
    personas = file.data.get("completed_personas")
    if file.kind == "session" and isinstance(personas, list):
        names = dict.fromkeys(clean(one, 80) for one in personas)
        yield Decision(
            about="personas that had worked", choice=clean(", ".join(names) or "none", 2_000), decided_by=BY
        )


def _score(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _edits(
    file: HiveFile, places: Mapping[str, str], results: Mapping[str, PhaseResult], now: datetime
) -> Iterator[Edit]:
    for name, outputs in file.edits.items():
        place = places.get(name)
        if place is not None and place in results:
            yield Edit(
                phase=place,
                attempt=results[place].attempt,
                outputs=dict(outputs),
                by=BY,
                at=now,
                reason="edited in Maestro Hive",
            )


# ── Files ─────────────────────────────────────────────────────────────────────────────────────────────────


def _artifacts(
    phase: str, outputs: Mapping[str, Any], bases: list[Path], workspace: Path | None, seen: set[str]
) -> tuple[tuple[Artifact, ...], int]:
    """The files that a phase's outputs name and that are there, each once, and how many are not."""
    found, absent = [], 0
    for named in dict.fromkeys(_named_files(outputs)):
        if named in seen or len(seen) >= ARTIFACTS_LIMIT:
            continue
        seen.add(named)
        file = _file_of(named, bases)
        if file is None:
            absent += 1
            continue
        try:
            size, sha256 = hash_regular(file)
        except OSError:
            absent += 1
            continue
        inside = workspace is not None and file.is_relative_to(workspace)
        path = str(file.relative_to(workspace)) if inside and workspace is not None else str(file)
        found.append(
            Artifact(
                path=encodable(path), size=size, sha256=sha256, change="provided", phase=phase, attempt=1
            )
        )
    return tuple(found), absent


def _named_files(outputs: Mapping[str, Any]) -> Iterator[str]:
    paths = outputs.get("artifact_paths")
    yield from (path for path in (paths if isinstance(paths, list) else ()) if isinstance(path, str))
    made = outputs.get("deliverables")
    for facts in made.values() if isinstance(made, dict) else ():
        files = facts.get("files_created") if isinstance(facts, dict) else None
        yield from (path for path in (files if isinstance(files, list) else ()) if isinstance(path, str))


def _file_of(named: str, bases: list[Path]) -> Path | None:
    """The regular file of that name in one of the folders; never one that lies outside of them."""
    if not named or "\0" in named or ".." in PurePosixPath(named).parts:
        return None
    for base in bases:
        file = base / named
        try:
            facts = os.lstat(file)
            inside = file.parent.resolve().is_relative_to(base.resolve())
        except OSError:
            continue
        if inside and stat.S_ISREG(facts.st_mode) and facts.st_size <= ARTIFACT_BYTES:
            return file
    return None
