"""Holds what a phase delivered against its contract, measures its quality, and judges its gate."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from maestro_tui.model.context import ContractCheck, Gate, GateVerdict
from maestro_tui.model.workflow import Phase

RATIOS = ("tests", "coverage")
"""Measured ratios that make up `quality` when no performer measured it directly. That files are there is
the contract's affair: it says nothing of how good they are."""

_SKIPPED_FOLDERS = frozenset([".git", "__pycache__", "node_modules", ".venv", "venv", ".tox", ".nox"])


def check_contract(workspace: Path, deliverables: Iterable[str], changed: Iterable[str]) -> ContractCheck:
    """Which deliverables (globs relative to the workspace) match a non-empty regular file that is there.

    `changed` are the paths that this attempt left new or changed: they are looked at first, so that a large
    workspace is walked only for what is not among them.
    """
    wanted = tuple(dict.fromkeys(deliverables))
    open_ones = {pattern: _matcher(pattern) for pattern in wanted}
    fulfilled: list[str] = []

    def take(path: str) -> None:
        for pattern in [p for p, match in open_ones.items() if match(path)]:
            if _is_delivered(workspace / path):
                fulfilled.append(pattern)
                del open_ones[pattern]

    for path in changed:
        take(path)
    for pattern in list(open_ones):
        if not any(sign in pattern for sign in "*?["):
            take(pattern)
    if open_ones:
        for folder, folders, files in os.walk(workspace):
            folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
            inside = Path(folder).relative_to(workspace)
            for name in files:
                take((inside / name).as_posix())
            if not open_ones:
                break
    return ContractCheck(
        deliverables=wanted,
        fulfilled=tuple(pattern for pattern in wanted if pattern in fulfilled),
        missing=tuple(pattern for pattern in wanted if pattern in open_ones),
    )


def _matcher(pattern: str) -> Callable[[str], object]:
    """A test for one glob: `*` and `?` stay within a folder, `**` crosses folders."""
    parts = pattern.strip("/").removeprefix("./").split("/")
    regex = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            regex += ".*" if last else "(?:[^/]+/)*"
        else:
            regex += _segment(part) + ("" if last else "/")
    return re.compile(regex + r"\Z").match


def _segment(part: str) -> str:
    out, at = "", 0
    while at < len(part):
        sign = part[at]
        closing = part.find("]", at + 2) if sign == "[" else -1
        if sign == "*":
            out += "[^/]*"
        elif sign == "?":
            out += "[^/]"
        elif closing > 0:
            inside = part[at + 1 : closing].replace("\\", "\\\\")
            out += "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]"
            at = closing
        else:
            out += re.escape(sign)
        at += 1
    return out


def _is_delivered(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size > 0
    except OSError:
        return False


def measure_quality(
    contract: ContractCheck, metrics: Mapping[str, float | None], failed_work: bool
) -> dict[str, float | None]:
    """The table of measured metrics. `quality` is what a performer measured, else the mean of the ratios; None
    when there are none."""
    table: dict[str, float | None] = dict(metrics)
    if contract.deliverables:
        table["contract"] = round(len(contract.fulfilled) / len(contract.deliverables), 4)
    if table.get("quality") is None:
        measured = [value for name in RATIOS if (value := table.get(name)) is not None]
        table["quality"] = round(sum(measured) / len(measured), 4) if measured and not failed_work else None
    return table


def judge(phase: Phase, contract: ContractCheck, quality: Mapping[str, float | None]) -> Gate:
    """The gate: every deliverable there, every threshold met, then a person's word where it is asked for.

    A threshold that nothing was measured against is not met: not measured is never a pass.
    """
    failures = [f"deliverable {pattern!r} is missing" for pattern in contract.missing]
    tests = quality.get("tests")
    if tests is not None and tests < 1:
        failures.append(f"tests: {tests:.1%} passed; a red suite never passes")
    limits = phase.threshold if isinstance(phase.threshold, dict) else {}
    if isinstance(phase.threshold, float | int):
        limits = {"quality": float(phase.threshold)}
    for name, limit in limits.items():
        value = quality.get(name)
        if value is None:
            failures.append(f"{name} was not measured, and the gate asks for at least {limit:g}")
        elif value < limit:
            failures.append(f"{name} is {value:g}, and the gate asks for at least {limit:g}")
    verdict: GateVerdict = "failed" if failures else "waiting" if phase.approval else "passed"
    return Gate(
        verdict=verdict, score=quality.get("quality"), threshold=phase.threshold, failures=tuple(failures)
    )
