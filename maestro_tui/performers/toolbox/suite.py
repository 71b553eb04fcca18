"""Finds a project's test suite: which runner it is written for, its files, and what it needs beyond the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from maestro_tui.performers.toolbox.layout import Layout, is_test_file
from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.source_files import FileList, python_source, read_text
from maestro_tui.performers.toolbox.tool_settings import COVERAGE, find_settings, ini_sections

_NAMES = ("test", "tests", "testing", "dev", "develop", "development")
"""Extras and groups that hold what tests need, the more exact ones first."""
_FILES = tuple(
    PurePosixPath(name)
    for name in (
        "requirements-test.txt requirements-tests.txt requirements-testing.txt test-requirements.txt "
        "requirements_test.txt tests/requirements.txt test/requirements.txt requirements/test.txt "
        "requirements/tests.txt requirements/testing.txt requirements-dev.txt dev-requirements.txt "
        "requirements_dev.txt requirements/dev.txt"
    ).split()
)
_OPTIONS = {
    "--cov": "pytest-cov",
    "-n": "pytest-xdist",
    "--numprocesses": "pytest-xdist",
    "--timeout": "pytest-timeout",
    "--benchmark": "pytest-benchmark",
    "--mypy": "pytest-mypy",
    "--reruns": "pytest-rerunfailures",
    "--randomly": "pytest-randomly",
    "--asyncio-mode": "pytest-asyncio",
}
_COVERAGE = ("pytest-cov", "coverage")
_SETTINGS = {
    "asyncio_mode": "pytest-asyncio",
    "timeout": "pytest-timeout",
    "DJANGO_SETTINGS_MODULE": "pytest-django",
}


@dataclass(frozen=True, slots=True)
class Suite:
    """A project's tests as far as their files tell."""

    runner: str
    """`pytest` or `unittest`."""
    why: str
    files: tuple[str, ...]
    functions: int
    """Test functions that the files define, before any parameters."""
    requirements: tuple[str, ...]
    requirement_sources: tuple[str, ...]
    config: Mapping[str, Any]
    """pytest's own settings."""
    config_file: str | None = None
    coverage: str | None = None
    """Why coverage is to be measured; None when the project does not declare it."""


def find_suite(workspace: Path, project: Project, layout: Layout, files: FileList) -> Suite | None:
    """The suite; None when no file is named like a test."""
    config, config_file = _pytest_config(workspace, project)
    patterns = _words(config.get("python_files"))
    paths = [PurePosixPath(file.path) for file in files.ending(".py")]
    found = [p for p in paths if is_test_file(p) or any(fnmatch(p.name, pattern) for pattern in patterns)]
    if not found:
        return None
    functions, with_pytest, plain = 0, False, False
    for path in found:
        count, uses, bare = _look_into(workspace / path)
        functions += count
        with_pytest, plain = with_pytest or uses, plain or bare
    conftest = next(
        (file.path for file in files.files if PurePosixPath(file.path).name == "conftest.py"), None
    )
    requirements, sources = _requirements(workspace, project, config)
    if config_file:
        runner, why = "pytest", f"{config_file} configures pytest"
    elif conftest:
        runner, why = "pytest", f"there is {conftest}"
    elif with_pytest:
        runner, why = "pytest", "test files import pytest"
    elif plain:
        runner, why = "pytest", "there are test functions outside of unittest's classes"
    else:
        runner, why = "unittest", "the test files use the standard library alone"
    measured = next(
        (
            f"{_name(text)} is among its test requirements"
            for text in requirements
            if _name(text) in _COVERAGE
        ),
        None,
    )
    settings = find_settings(workspace, project, COVERAGE)
    if settings is not None:
        if measured is None:
            requirements = (*requirements, "coverage")
        measured = f"{settings.file} configures it"
    if runner == "pytest" and not any(re.match(r"pytest\b(?!-)", text) for text in requirements):
        requirements = ("pytest", *requirements)
    shown = tuple(str(path) for path in found)
    return Suite(runner, why, shown, functions, requirements, sources, config, config_file, measured)


def _look_into(path: Path) -> tuple[int, bool, bool]:
    """Test functions, whether pytest is imported, whether there are test functions at module level."""
    text, _ = python_source(path)
    try:
        tree = ast.parse(text or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A file that cannot be parsed is told by the runner itself, with its line.
        return 0, "pytest" in (text or ""), False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    count = sum(1 for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test"))
    bare = any(isinstance(node, kinds) and node.name.startswith("test") for node in tree.body)
    names = {
        name.split(".", 1)[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    return count, "pytest" in names, bare


def _pytest_config(workspace: Path, project: Project) -> tuple[dict[str, Any], str | None]:
    """pytest's settings and their file, looked for in pytest's own order."""
    for name in ("pytest.ini", ".pytest.ini"):
        if (workspace / name).is_file():
            return dict(ini_sections(workspace / name).get("pytest", {})), name
    tool = project.tool.get("pytest")
    if isinstance(tool, Mapping):
        options = tool.get("ini_options", tool)
        return (dict(options) if isinstance(options, Mapping) else {}), "pyproject.toml"
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        found = ini_sections(workspace / name).get(section)
        if found:
            return dict(found), name
    return {}, None


def _requirements(
    workspace: Path, project: Project, config: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the tests need and where that is written: a group, an extra, or a requirements file; the best one."""
    found: list[str] = []
    sources: list[str] = []
    for kind, tables in (("dependency group", project.groups), ("extra", project.extras)):
        name = next((name for name in _NAMES if tables.get(name)), None)
        # A broad "dev" beside an exact "test" of the other kind would only bring more than is needed.
        if name is not None and not (name.startswith("dev") and sources):
            found += tables[name]
            sources.append(f"{kind} {name!r}")
    if not sources:
        for path in _FILES:
            lines = _requirement_lines(workspace / path)
            if lines:
                found += lines
                sources.append(str(path))
                break
    addopts = _words(config.get("addopts"))
    for option, plugin in _OPTIONS.items():
        if any(word == option or word.startswith((f"{option}=", f"{option}-")) for word in addopts):
            found.append(plugin)
    found += [plugin for setting, plugin in _SETTINGS.items() if setting in config]
    own = (project.name or "").lower().replace("_", "-")
    kept = [text for text in found if _name(text) != own or "[" not in text]
    for text in found:
        if text not in kept:
            for extra in re.findall(r"[\w.-]+", text.partition("[")[2].partition("]")[0]):
                kept += project.extras.get(extra, ())
    named: dict[str, str] = {}
    for text in kept:
        named.setdefault(_name(text) + text.partition(";")[2], text)
    return tuple(named.values()), tuple(sources)


def _requirement_lines(path: Path) -> list[str]:
    lines = [line.split(" #", 1)[0].strip() for line in (read_text(path, 200_000) or "").splitlines()]
    return [
        line for line in lines if re.match(r"[A-Za-z0-9]", line) and "://" not in line and " @ " not in line
    ]


def _name(text: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", text)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else text


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
