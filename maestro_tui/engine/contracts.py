"""Holds what a phase delivered against its contract, measures its quality, and judges its gate."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from maestro_tui.engine import schemas
from maestro_tui.engine.globs import matcher, matching
from maestro_tui.model.context import ContractCheck, Gate, GateVerdict
from maestro_tui.model.contract import Contract
from maestro_tui.model.phase import Phase
from maestro_tui.model.text import clean
from maestro_tui.performers.schemas import PROBLEMS_TOLD, BadSchema, problems_of

RATIOS = ("tests", "coverage")
"""Measured ratios that make up `quality` when no performer measured it directly. That files are there is
the contract's affair: it says nothing of how good they are."""

_SKIPPED_FOLDERS = frozenset([".git", "__pycache__", "node_modules", ".venv", "venv", ".tox", ".nox"])


def check_contract(
    workspace: Path,
    deliverables: Iterable[str],
    changed: Iterable[str],
    contracts: Sequence[Contract] = (),
    *,
    exclude: Path | None = None,
) -> ContractCheck:
    """Which deliverables (globs relative to the workspace) match a non-empty regular file that is there, and
    whether what `contracts` ask for beyond that is so.

    `changed` are the paths that this attempt left new or changed: they are looked at first, so that a large
    workspace is walked only for what is not among them. `exclude` is the checkpoint directory: wherever it lies,
    and under whatever name, nothing in it is a deliverable.
    """
    promised = [glob for contract in contracts for glob in contract.deliverables]
    wanted = tuple(dict.fromkeys((*deliverables, *promised)))
    made = list(changed)
    place = _Place(workspace, exclude)
    open_ones = {pattern: matcher(pattern) for pattern in wanted}
    fulfilled: dict[str, str] = {}
    seen: list[str] = []

    def take(path: str) -> None:
        for pattern in [p for p, match in open_ones.items() if match(path)]:
            if place.holds(path):
                fulfilled[pattern] = path
                del open_ones[pattern]

    for path in made:
        take(path)
    for pattern in list(open_ones):
        if not any(sign in pattern for sign in "*?["):
            take(pattern)
    if open_ones:
        for path in place.walk():
            seen.append(path)
            take(path)
            if not open_ones:
                break
    missing = tuple(pattern for pattern in wanted if pattern in open_ones)
    violations = [_missing_sentence(pattern, contracts, [*made, *seen]) for pattern in missing]
    good, checked = 0, 0
    for contract in contracts:
        if contract.json_schema is None:
            continue
        sentences, fine, count = _check_schema(place, contract, fulfilled)
        violations += sentences
        good, checked = good + fine, checked + count
    return ContractCheck(
        deliverables=wanted,
        fulfilled=tuple(pattern for pattern in wanted if pattern in fulfilled),
        missing=missing,
        violations=tuple(violations),
        schemas=(good, checked) if checked else None,
    )


class _Place:
    """The workspace without the checkpoint directory, which is known by its identity, not by its name."""

    def __init__(self, workspace: Path, exclude: Path | None) -> None:
        self.workspace = workspace
        self._excluded = _identity(exclude.stat()) if exclude is not None and exclude.is_dir() else None

    def walk(self) -> Iterator[str]:
        """Every file, by path; no link to a folder is followed."""
        for folder, folders, files in os.walk(self.workspace):
            here = Path(folder)
            folders[:] = sorted(
                name
                for name in folders
                if name not in _SKIPPED_FOLDERS and not self._is_excluded(here / name)
            )
            inside = here.relative_to(self.workspace)
            for name in sorted(files):
                yield (inside / name).as_posix()

    def holds(self, path: str) -> bool:
        """True for a regular file with content that lies in the workspace itself: no link leads to it."""
        inside = PurePosixPath(path)
        try:
            file, *folders = [(self.workspace / part).lstat() for part in (inside, *inside.parents[:-1])]
        except (OSError, ValueError):
            return False
        return (
            all(stat.S_ISDIR(one.st_mode) and _identity(one) != self._excluded for one in folders)
            and stat.S_ISREG(file.st_mode)
            and file.st_size > 0
        )

    def _is_excluded(self, folder: Path) -> bool:
        try:
            return self._excluded is not None and _identity(folder.lstat()) == self._excluded
        except OSError:
            return False


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _missing_sentence(pattern: str, contracts: Sequence[Contract], found: Sequence[str]) -> str:
    """Which file is missing, who owes it, and what is there under a similar name."""
    owed = next((one for one in contracts if pattern in one.deliverables), None)
    whose = "deliverable"
    if owed is not None:
        whose = _whose(owed) + ":"
    wanted = pattern.rsplit("/", 1)[-1]
    names: dict[str, str] = {}
    for path in found:
        names.setdefault(path.rsplit("/", 1)[-1], path)
    stem = wanted.partition(".")[0]
    close = [name for name in names if stem and "*" not in stem and name.partition(".")[0] == stem]
    close = close or difflib.get_close_matches(wanted, list(names), n=2, cutoff=0.7)
    instead = ", ".join(clean(names[name], 80) for name in close[:2])
    return f"{whose} {pattern!r} is missing" + (f"; found instead: {instead}" if instead else "")


def _whose(contract: Contract) -> str:
    return f"contract {contract.name!r}" + (f", owed by {contract.provider}" if contract.provider else "")


def _check_schema(
    place: _Place, contract: Contract, fulfilled: Mapping[str, str]
) -> tuple[list[str], int, int]:
    """Sentences about files that break the schema, how many satisfy it, and how many there are.

    What fulfilled a deliverable is held against the schema wherever it lies, even where no walk goes.
    """
    assert contract.json_schema is not None
    whose = _whose(contract)
    matches = matching(contract.deliverables)
    found = [path for path in place.walk() if matches(path)]
    delivered = [fulfilled[pattern] for pattern in contract.deliverables if pattern in fulfilled]
    files = list(dict.fromkeys(PurePosixPath(path).as_posix() for path in (*found, *delivered)))
    try:
        validator = schemas.validator_of(contract.json_schema, place.workspace)
    except BadSchema as error:
        return [f"{whose}: {error}"], 0, max(1, len(files))
    sentences = []
    for path in files:
        problems = schemas.problems_of_file(place.workspace / path, path, validator)
        if problems:
            more = f" and {len(problems) - PROBLEMS_TOLD} more" if len(problems) > PROBLEMS_TOLD else ""
            told = "; ".join(problems[:PROBLEMS_TOLD])
            sentences.append(f"{whose}: {clean(path, 120)} breaks its schema: {told}{more}")
    return sentences, len(files) - len(sentences), len(files)


def measure_quality(
    contract: ContractCheck, metrics: Mapping[str, float | None], failed_work: bool
) -> dict[str, float | None]:
    """The table of measured metrics. `quality` is what a performer measured, else the mean of the ratios; None
    when there are none."""
    table: dict[str, float | None] = dict(metrics)
    if contract.deliverables:
        table["contract"] = round(len(contract.fulfilled) / len(contract.deliverables), 4)
    if contract.schemas is not None:
        table["schema"] = round(contract.schemas[0] / contract.schemas[1], 4)
    if table.get("quality") is None:
        measured = [value for name in RATIOS if (value := table.get(name)) is not None]
        table["quality"] = round(sum(measured) / len(measured), 4) if measured and not failed_work else None
    return table


def check_outputs(phase: Phase, outputs: Mapping[str, Any], workspace: Path) -> list[str]:
    """Sentences about what breaks the phase's `outputs_schema`; empty when it has none or all fits."""
    if phase.outputs_schema is None:
        return []
    try:
        validator = schemas.validator_of(phase.outputs_schema, workspace)
    except BadSchema as error:
        return [f"outputs: {error}"]
    problems = problems_of(dict(outputs), validator)
    return [f"outputs break their schema: {problem}" for problem in problems[:PROBLEMS_TOLD]]


def judge(phase: Phase, contract: ContractCheck, quality: Mapping[str, float | None]) -> Gate:
    """The gate: every deliverable there, every threshold met, then a person's word where it is asked for.

    A threshold that nothing was measured against is not met: not measured is never a pass.
    """
    failures = list(contract.violations)
    failures += [
        f"deliverable {pattern!r} is missing"
        for pattern in contract.missing
        if not any(repr(pattern) in sentence for sentence in contract.violations)
    ]
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
    for name, most in phase.limits.items():
        value = quality.get(name)
        if value is None:
            failures.append(f"{name} was not measured, and the gate allows at most {most:g}")
        elif value > most:
            failures.append(f"{name} is {value:g}, and the gate allows at most {most:g}")
    verdict: GateVerdict = "failed" if failures else "waiting" if phase.approval else "passed"
    return Gate(
        verdict=verdict, score=quality.get("quality"), threshold=phase.threshold, failures=tuple(failures)
    )
