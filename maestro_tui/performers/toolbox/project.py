"""Reads what a Python project says about itself, from its files alone; none of its code is run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.legacy_metadata import read_pkg_info, read_setup_cfg, read_setup_py
from maestro_tui.performers.toolbox.source_files import read_bytes

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
LEGACY_REQUIRES = ("setuptools>=40.8.0",)
LOOKED_FOR = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Project:
    """A project's own words about itself. Empty and None mean: not declared, or not readable without running it."""

    found: tuple[str, ...] = ()
    """Which of `LOOKED_FOR` are there."""
    name: str | None = None
    version: str | None = None
    description: str | None = None
    requires_python: str | None = None
    license: str | None = None
    dependencies: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    backend: str | None = None
    backend_path: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    version_from_scm: bool = False
    has_pkg_info: bool = False
    tool: Mapping[str, Any] = field(default_factory=dict)
    """The `[tool]` table of pyproject.toml."""
    problems: tuple[str, ...] = ()

    @property
    def buildable(self) -> bool:
        """True when there is something to build a package from."""
        return self.backend is not None

    @property
    def label(self) -> str:
        """Name and version for a sentence."""
        return clean(" ".join(part for part in (self.name or "the project", self.version) if part), 120)


def read_project(workspace: Path) -> Project:
    """What the project says in pyproject.toml, setup.cfg, setup.py and PKG-INFO, the first that says it wins."""
    found = tuple(name for name in LOOKED_FOR if (workspace / name).is_file())
    problems: list[str] = []
    data = _pyproject(workspace / "pyproject.toml", problems) if "pyproject.toml" in found else {}
    facts = _from_project_table(_dict(data.get("project")))
    tool = _dict(data.get("tool"))
    sources: list[dict[str, Any]] = [facts, _from_poetry(_dict(tool.get("poetry"))), _from_flit(tool)]
    if "setup.cfg" in found:
        sources.append(read_setup_cfg(workspace / "setup.cfg", problems))
    if "setup.py" in found:
        sources.append(read_setup_py(workspace / "setup.py", problems))
    info = read_pkg_info(workspace / "PKG-INFO")
    sources.append(info)
    build = _dict(data.get("build-system"))
    backend, requires = _backend(build, data, found)
    return Project(
        found=found,
        name=_text(sources, "name"),
        version=_text(sources, "version"),
        description=_text(sources, "description"),
        requires_python=_text(sources, "requires_python"),
        license=_text(sources, "license"),
        dependencies=_first(sources, "dependencies", ()),
        extras=_first(sources, "extras", {}),
        groups=_groups(_dict(data.get("dependency-groups")), problems),
        scripts=_first(sources, "scripts", {}),
        backend=backend,
        backend_path=_strings(build.get("backend-path")),
        build_requires=requires,
        dynamic=facts.get("dynamic", ()),
        version_from_scm=_scm(tool, requires, sources),
        has_pkg_info=bool(info),
        tool=tool,
        problems=tuple(problems),
    )


def _pyproject(path: Path, problems: list[str]) -> dict[str, Any]:
    raw = read_bytes(path, 1_000_000)
    if raw is None:
        problems.append("pyproject.toml cannot be read, or is larger than 1 MB")
        return {}
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(f"pyproject.toml is not valid TOML: {clean(error, 160)}")
        return {}


def _backend(
    build: Mapping[str, Any], data: Mapping[str, Any], found: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """The PEP 517 backend with its requirements; what PEP 517 says when none is named."""
    requires = _strings(build.get("requires"))
    named = build.get("build-backend")
    if isinstance(named, str) and named:
        return named, requires
    if build or "project" in data or "setup.py" in found or _cfg_is_a_package(found):
        return LEGACY_BACKEND, requires or LEGACY_REQUIRES
    return None, ()


def _cfg_is_a_package(found: tuple[str, ...]) -> bool:
    # A lone setup.cfg often only configures tools; setuptools needs setup.py or pyproject.toml beside it.
    return "setup.cfg" in found and "pyproject.toml" in found


def _from_project_table(table: Mapping[str, Any]) -> dict[str, Any]:
    license_ = table.get("license")
    if isinstance(license_, Mapping):
        license_ = license_.get("text") or license_.get("file")
    return {
        "name": table.get("name"),
        "version": table.get("version"),
        "description": table.get("description"),
        "requires_python": table.get("requires-python"),
        "license": license_,
        "dependencies": _strings(table.get("dependencies")),
        "extras": {
            str(key): _strings(value) for key, value in _dict(table.get("optional-dependencies")).items()
        },
        "scripts": {str(k): v for k, v in _dict(table.get("scripts")).items() if isinstance(v, str)},
        "dynamic": _strings(table.get("dynamic")),
    }


def _from_poetry(table: Mapping[str, Any]) -> dict[str, Any]:
    needs = _dict(table.get("dependencies"))
    python = needs.get("python")
    return {
        "name": table.get("name"),
        "version": table.get("version"),
        "description": table.get("description"),
        "license": table.get("license"),
        # Poetry's own constraint syntax is not PEP 440; the names alone are certain.
        "dependencies": tuple(str(name) for name in needs if name != "python"),
        "requires_python": python if isinstance(python, str) and python[:1] in "<>=" else None,
        "scripts": {str(k): v for k, v in _dict(table.get("scripts")).items() if isinstance(v, str)},
    }


def _from_flit(tool: Mapping[str, Any]) -> dict[str, Any]:
    table = _dict(_dict(tool.get("flit")).get("metadata"))
    return {
        "name": table.get("dist-name") or table.get("module"),
        "requires_python": table.get("requires-python"),
        "dependencies": _strings(table.get("requires")),
    }


def _groups(tables: Mapping[str, Any], problems: list[str]) -> dict[str, tuple[str, ...]]:
    """PEP 735 groups with their includes put in."""

    def expand(name: str, path: tuple[str, ...]) -> list[str]:
        if name in path:
            problems.append(f"the dependency groups include each other: {' → '.join((*path, name))}")
            return []
        out: list[str] = []
        entries = tables.get(name)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, str):
                out.append(entry)
            elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
                out.extend(expand(entry["include-group"], (*path, name)))
        return out

    return {name: tuple(dict.fromkeys(expand(name, ()))) for name in tables}


def _scm(tool: Mapping[str, Any], requires: tuple[str, ...], sources: list[dict[str, Any]]) -> bool:
    hatch = _dict(_dict(tool.get("hatch")).get("version")).get("source")
    pdm = _dict(_dict(tool.get("pdm")).get("version")).get("source")
    named = " ".join(requires).lower().replace("_", "-")
    tools = (
        "setuptools-scm",
        "hatch-vcs",
        "setuptools-git-versioning",
        "versioningit",
        "dunamai",
        "versioneer",
    )
    return (
        hatch == "vcs"
        or pdm == "scm"
        or any(name in named for name in tools)
        or any(source.get("use_scm_version") for source in sources)
    )


def _first(sources: list[dict[str, Any]], key: str, otherwise: Any) -> Any:
    return next((source[key] for source in sources if source.get(key)), otherwise)


def _text(sources: list[dict[str, Any]], key: str) -> str | None:
    return next((s[key] for s in sources if isinstance(s.get(key), str) and s[key].strip()), None)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> tuple[str, ...]:
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()
