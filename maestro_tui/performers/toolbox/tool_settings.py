"""Reads where a project configures its own tools (pytest, coverage, linters), from its files alone."""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.source_files import read_text

_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """A tool's settings: the file that holds them, and the values of its main section."""

    file: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolPlaces:
    """Where a tool looks for its settings, in its own order: a file alone, then sections of shared files."""

    own: tuple[str, ...]
    """Files that configure nothing else."""
    own_section: str
    shared: tuple[tuple[str, str], ...] = ()
    """File and section; `tool.NAME` is a table of pyproject.toml."""

    @property
    def words(self) -> str:
        """The places, for a sentence."""
        return ", ".join((*self.own, *(f"{file} [{section}]" for file, section in self.shared)))


COVERAGE = ToolPlaces(
    (".coveragerc",),
    "run",
    (("setup.cfg", "coverage:run"), ("tox.ini", "coverage:run"), ("pyproject.toml", "tool.coverage")),
)
RUFF = ToolPlaces((".ruff.toml", "ruff.toml"), "", (("pyproject.toml", "tool.ruff"),))
FLAKE8 = ToolPlaces((".flake8",), "flake8", (("setup.cfg", "flake8"), ("tox.ini", "flake8")))
MYPY = ToolPlaces(("mypy.ini", ".mypy.ini"), "mypy", (("pyproject.toml", "tool.mypy"), ("setup.cfg", "mypy")))


def find_settings(workspace: Path, project: Project, places: ToolPlaces) -> ToolSettings | None:
    """The tool's settings; None when the project does not configure it."""
    for name in places.own:
        if (workspace / name).is_file():
            return ToolSettings(name, ini_sections(workspace / name).get(places.own_section, {}))
    for name, section in places.shared:
        if section.startswith("tool."):
            table = project.tool.get(section.removeprefix("tool."))
            if isinstance(table, Mapping):
                return ToolSettings(f"{name} [{section}]", table)
        else:
            found = ini_sections(workspace / name).get(section)
            if found is not None:
                return ToolSettings(f"{name} [{section}]", found)
    return None


def ini_sections(path: Path) -> dict[str, dict[str, str]]:
    """The sections of an INI file; empty when it is not there, or no INI file (its own tool will say so)."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_text(path, _LIMIT) or "")
    except configparser.Error:
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


def words_of(value: object) -> list[str]:
    """A setting as a list of words, whether it is written as text or as a list."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [part for part in value if isinstance(part, str)] if isinstance(value, Sequence) else []
