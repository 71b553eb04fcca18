"""The linters and type checkers that a project may configure: where, how each is called, and how its findings are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.layout import Layout
from maestro_tui.performers.toolbox.source_files import FileList
from maestro_tui.performers.toolbox.tool_settings import FLAKE8, MYPY, RUFF, ToolPlaces, ToolSettings

_FLAKE8_LINE = re.compile(r"(?P<path>.+?):(?P<line>\d+):(?P<column>\d+): (?P<rule>[A-Z]+\d+) (?P<message>.*)")
_MYPY_LINE = re.compile(
    r"(?P<path>.+?):(?P<line>\d+)(?::(?P<column>\d+))?: error: (?P<message>.*?)(?:  \[(?P<rule>[\w-]+)\])?"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one linter."""

    path: str
    """Relative to the workspace where it lies in it."""
    line: int
    column: int
    rule: str
    message: str


class UnreadableFindings(Exception):
    """The linter's report is not what it writes; `str()` is the reason as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Linter:
    """One linter. None of them is ever called in a way that changes files."""

    name: str
    metric: str
    """`lint_findings` or `type_errors`."""
    places: ToolPlaces
    good_exits: tuple[int, ...]
    """Exit codes of a run that looked at everything."""
    arguments: Callable[[Path, Sequence[str]], list[str]]
    """Its arguments, from the file for its report (or folder for its cache) and what it is to look at."""
    targets: Callable[[ToolSettings, Layout, FileList], list[str]]
    """What it is to look at; empty when its own settings say so."""
    read: Callable[[str], list[Finding]]
    """Its findings. Raises `UnreadableFindings`."""
    in_output: bool = False
    """True when it writes its findings to its standard output, not to the report file."""


def _ruff_arguments(report: Path, targets: Sequence[str]) -> list[str]:
    return [
        *("check", "--no-fix", "--no-fix-only", "--no-cache", "--exit-zero"),
        *("--output-format", "json", "--output-file", str(report), *targets),
    ]


def _flake8_arguments(report: Path, targets: Sequence[str]) -> list[str]:
    form = "%(path)s:%(row)d:%(col)d: %(code)s %(text)s"
    return ["--exit-zero", "--format", form, "--output-file", str(report), *targets]


def _mypy_arguments(report: Path, targets: Sequence[str]) -> list[str]:
    return [
        *("--no-install-types", "--no-pretty", "--no-color-output", "--no-error-summary"),
        *("--hide-error-context", "--show-column-numbers", "--show-error-codes"),
        *("--cache-dir", str(report.with_suffix(".cache")), *targets),
    ]


def _here(settings: ToolSettings, layout: Layout, files: FileList) -> list[str]:
    return ["."]


def _top_level(settings: ToolSettings, layout: Layout, files: FileList) -> list[str]:
    # Beside them may lie environments full of other people's code, which flake8 would look at.
    names = {file.path.partition("/")[0] for file in files.ending(".py")}
    return sorted(f"./{name}" if name.startswith("-") else name for name in names)


def _importable(settings: ToolSettings, layout: Layout, files: FileList) -> list[str]:
    if any(settings.values.get(key) for key in ("files", "packages", "modules")):
        return []
    roots = {root for root in layout.roots if root != "."}
    loose = {
        path.partition("/")[0]
        for path in layout.modules.values()
        if not any(path.startswith(f"{root}/") for root in roots)
    }
    return sorted(roots | loose) if layout.modules else []


def _read_ruff(text: str) -> list[Finding]:
    try:
        found = json.loads(text)
        if not isinstance(found, list):
            raise TypeError("no list")
        return [_of_ruff(one) for one in found]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UnreadableFindings(f"its report is not what it writes ({clean(error, 120)})") from error


def _of_ruff(one: Mapping[str, Any]) -> Finding:
    place = one["location"] or {"row": 0, "column": 0}
    rule = one["code"] or "syntax-error"
    return Finding(
        str(one["filename"]), int(place["row"]), int(place["column"]), str(rule), str(one["message"])
    )


def _reader(pattern: re.Pattern[str], without_rule: str) -> Callable[[str], list[Finding]]:
    def read(text: str) -> list[Finding]:
        matches = (pattern.fullmatch(line) for line in text.splitlines())
        return [
            Finding(
                found["path"],
                int(found["line"]),
                int(found["column"] or 0),
                found["rule"] or without_rule,
                found["message"],
            )
            for found in matches
            if found is not None
        ]

    return read


LINTERS: tuple[Linter, ...] = (
    Linter("ruff", "lint_findings", RUFF, (0,), _ruff_arguments, _here, _read_ruff),
    Linter(
        "flake8", "lint_findings", FLAKE8, (0,), _flake8_arguments, _top_level, _reader(_FLAKE8_LINE, "error")
    ),
    Linter(
        "mypy",
        "type_errors",
        MYPY,
        (0, 1),
        _mypy_arguments,
        _importable,
        _reader(_MYPY_LINE, "misc"),
        in_output=True,
    ),
)
