"""Takes workflows over from Maestro Hive's files: each becomes a session of ours that resume goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from maestro_tui.config import find_workflow
from maestro_tui.engine.descent import begin
from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.text import clean, new_session_id
from maestro_tui.store.hive_context import Taken, state_from, whole_head, workflow_for
from maestro_tui.store.hive_folder import HiveGroup, groups_in

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of one workflow: its session here, or why there is none."""

    source: str
    """The name that it had."""
    session_id: str | None
    phases: Mapping[str, str]
    """Phase → status in the new session."""
    notes: tuple[str, ...] = ()
    problem: str | None = None


def adopt(
    engine: Engine,
    paths: Sequence[Path],
    *,
    workspace: Path,
    workflow: str | None = None,
    only: str | None = None,
    as_id: str | None = None,
) -> list[Adopted]:
    """Make a session of each workflow in these files and directories; nothing runs, and the files stay as they are.

    `workflow` is a name or file as for a launch, else the standard one; `only` takes one workflow alone, and
    `as_id` gives its session a name. Raises `InputError` when a path does not fit; a file that cannot be read
    is told in its `Adopted`.
    """
    root = engine.store.root.resolve()
    for path in paths:
        if (path if path.is_dir() else path.parent).resolve() == root:
            raise InputError(
                f"{clean(str(path), 300)} lies in the checkpoint directory itself, and Maestro Hive's files stay as "
                "they are: import into another one, for example with --checkpoint-dir .maestro. Nothing was imported."
            )
    groups = groups_in(paths)
    if only is not None:
        chosen = {name: group for name, group in groups.items() if only in (name, _workflow_id(group))}
        if not chosen:
            raise InputError(
                f"There is no workflow {clean(only, 130)!r} in what was named; there are: "
                f"{', '.join(groups) or 'none'}. Nothing was imported."
            )
        groups = chosen
    if not groups:
        raise InputError("No file of Maestro Hive is there. Nothing was imported.")
    if as_id is not None and len(groups) > 1:
        raise InputError(
            f"--as names one session, and there are {len(groups)} workflows; take one with --only. Nothing was imported."
        )
    return [_adopt_one(engine, group, workspace, workflow, as_id) for group in groups.values()]


def _workflow_id(group: HiveGroup) -> str | None:
    return group.head.workflow_id if group.head is not None else None


def _adopt_one(
    engine: Engine, group: HiveGroup, workspace: Path, named: str | None, as_id: str | None
) -> Adopted:
    source = clean(_workflow_id(group) or group.session_id, 130)
    if group.head is None:
        return Adopted(source, None, {}, problem=group.problems[0])
    try:
        session_id = as_id or _free_name(engine, group)
        taken = _taken(engine, group, session_id, workspace, named)
        lineage = taken.context.lineage
        assert lineage is not None
        begin(engine, taken.context, lineage)
    except InputError as error:
        return Adopted(source, None, {}, problem=str(error))
    phases = {name: str(result.status) for name, result in taken.context.results()}
    return Adopted(source, session_id, phases, taken.notes)


def _free_name(engine: Engine, group: HiveGroup) -> str:
    """The workflow's own name where it is free. Raises `InputError` when this very file was imported before."""
    assert group.head is not None
    name = group.session_id
    if not engine.store.exists(name):
        return name
    try:
        lineage = engine.store.head(name).context.lineage
    except DamagedFile:
        lineage = None
    if lineage is not None and lineage.sha256 == group.head.sha256:
        raise InputError(f"It was imported before, as session {name}; --as makes another one of it.")
    return new_session_id(group.head.requirement or name, engine.team.now())


def _taken(engine: Engine, group: HiveGroup, session_id: str, workspace: Path, named: str | None) -> Taken:
    file = whole_head(group)
    workflow, path = find_workflow(named, workspace) if named else (workflow_for(file), None)
    taken = state_from(
        group, file, workflow, session_id=session_id, now=engine.team.now(), workspace=workspace
    )
    if path is None:
        return taken
    return Taken(taken.context.model_copy(update={"workflow_path": str(path)}), taken.notes)
