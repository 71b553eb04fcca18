"""Why a phase runs again, for those who work on it: the error or the comments, what was left, and its diff."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maestro_tui.model.context import PhaseResult
from maestro_tui.model.errors import StoreError
from maestro_tui.store.file_versions import FileVersion, file_versions, version_content

DIFF_LIMIT = 64_000
"""Characters of all diffs together; what does not fit is named."""
FILE_LIMIT = 400_000
"""Bytes of one file that is compared."""


def feedback_of(session_dir: Path, name: str, result: PhaseResult | None) -> Mapping[str, Any] | None:
    """What the next attempt of phase `name` is told of the last one; None when there is nothing to tell.

    `{verdict, attempt, …}`: pushed back or rejected with `comments`, `by`, `outputs`; failed with `kind`,
    `error`. Work that was judged (a gate, a contract, a person) comes with `diff` {path: unified diff} and
    `diff_left_out` [path]. Reads the disk: for a thread.
    """
    if result is None:
        return None
    told: dict[str, Any] = {"verdict": "failed", "attempt": result.attempt}
    if result.gate is not None and result.gate.verdict in ("pushed_back", "rejected"):
        told |= {
            "verdict": result.gate.verdict,
            "comments": result.gate.reason or "",
            "by": result.gate.by,
            "outputs": result.outputs,
        }
    elif result.error is None:
        return None
    else:
        told |= {"kind": result.error.kind, "error": result.error.message}
        if result.error.kind not in ("gate", "contract"):
            return told
        told["outputs"] = result.outputs
    diffs, left_out = _diffs(session_dir, name, result)
    if diffs:
        told["diff"] = diffs
    if left_out:
        told["diff_left_out"] = left_out
    return told


def _diffs(session_dir: Path, name: str, result: PhaseResult) -> tuple[dict[str, str], list[str]]:
    diffs: dict[str, str] = {}
    left_out: list[str] = []
    room = DIFF_LIMIT
    for artifact in result.artifacts:
        try:
            versions = file_versions(session_dir, artifact.path, [(name, result.attempt)])
            diff = _diff(session_dir, artifact.path, versions)
        except StoreError:
            # Without git, or of a tree that is gone: the files themselves are still there to be read.
            diff = None
        if diff is None or len(diff) > room:
            left_out.append(artifact.path)
        elif diff:
            diffs[artifact.path] = diff
            room -= len(diff)
    return diffs, left_out


def _diff(session_dir: Path, path: str, versions: list[FileVersion]) -> str | None:
    """The file's change as a unified diff; None when it cannot be told as one."""
    texts = []
    for moment in ("before", "after"):
        found = [one for one in versions if one.moment == moment]
        if not found:
            return None if moment == "before" else ""
        raw = version_content(session_dir, found[-1], FILE_LIMIT)
        if b"\0" in raw:
            return None
        texts.append(raw.decode("utf-8", "replace").splitlines(keepends=True))
    return "".join(difflib.unified_diff(texts[0], texts[1], f"a/{path}", f"b/{path}"))
