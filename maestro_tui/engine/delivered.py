"""Says which files belong to an attempt: what it left new, changed or deleted, and what it delivered as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.globs import matching
from maestro_tui.engine.receipts import with_reused
from maestro_tui.model.context import Artifact
from maestro_tui.store.workspace import FileChange, Tree
from maestro_tui.store.workspace_files import FileState

MOST_SAME = 200
"""Unchanged files that globs claim for one attempt; a glob over a whole source tree says nothing of who wrote it."""


async def snapshot(attempt: Attempt, moment: Literal["before", "after"]) -> Tree:
    """The workspace now, read in a thread where that takes long."""
    name = f"{attempt.phase.name}/{attempt.number}/{moment}"
    quick = attempt.workspace.quick_snapshot(name)
    return quick if quick is not None else await asyncio.to_thread(attempt.workspace.snapshot, name)


async def delivered(
    before: Tree,
    attempt: Attempt,
    globs: Sequence[str],
    reused: Mapping[str, FileChange],
    authors: Mapping[str, str],
    only: str | None,
) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """The attempt's files, safe on the disk, with both trees where it changed any; and what could not be read or
    kept, a line each.

    `globs` are what the phase must deliver. `authors` names who wrote which file, `only` who wrote the others.
    """
    workspace = attempt.workspace
    after = await snapshot(attempt, "after")
    earlier = {one.path: one for one in attempt.context.artifacts_of(attempt.phase.name)}
    idle = after.files == before.files and not reused
    if idle and not globs and not earlier:
        return (), after.problems

    def found() -> tuple[tuple[Artifact, ...], str | None]:
        changes = [] if idle else with_reused(workspace.changes(before, after), reused)
        problem = workspace.keep(before, after) if changes else None
        known = {one.path for one in changes}
        belongs = _belonging(after, globs, earlier)
        same = [one for one in workspace.unchanged(before, after, belongs) if one.path not in known]
        names = {one.path: authors.get(one.path, only) for one in (*changes, *same)}
        # Who wrote a file wrote it still when a later attempt finds it as it was.
        names.update({one.path: earlier[one.path].persona for one in same if one.path in earlier})
        return _artifacts([*changes, *same], attempt, globs, names), problem

    artifacts, problem = await asyncio.to_thread(found)
    return artifacts, after.problems if problem is None else (*after.problems, problem)


def _belonging(
    after: Tree, globs: Sequence[str], earlier: Mapping[str, Artifact]
) -> Callable[[str, FileState], bool]:
    """A test whether a file that did not change is this phase's: its earlier attempt left it so, or it must
    deliver it."""
    claimed, exact = matching(globs), frozenset(globs)
    if globs and sum(1 for path in after.files if claimed(path)) > MOST_SAME:
        claimed = exact.__contains__

    def belongs(path: str, state: FileState) -> bool:
        one = earlier.get(path)
        if one is not None and one.change != "deleted" and one.sha256 == state.sha256:
            return True
        return state.size > 0 and not state.link and claimed(path)

    return belongs


def _artifacts(
    files: Sequence[FileChange], attempt: Attempt, globs: Sequence[str], authors: Mapping[str, str | None]
) -> tuple[Artifact, ...]:
    """The files of this attempt, without what a phase running beside it has to deliver.

    A file that no contract claims and that changed while two phases ran is listed with both: which of them
    wrote it cannot be measured, and leaving it out would hide it.
    """
    is_mine, is_foreign = matching(globs), matching(attempt.foreign_globs)
    return tuple(
        Artifact(
            path=one.path,
            size=one.size,
            sha256=one.sha256,
            change=one.change,
            phase=attempt.phase.name,
            attempt=attempt.number,
            persona=authors.get(one.path),
        )
        for one in sorted(files, key=lambda one: one.path)
        if is_mine(one.path) or not is_foreign(one.path)
    )
