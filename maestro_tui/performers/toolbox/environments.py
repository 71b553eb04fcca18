"""Finds interpreters, makes virtual environments, and installs into them, with or without a package index."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.bench import Bench

PROBE = Path(__file__).with_name("probe.py")
_OWN_FOLDERS = (".venv", "venv", "env")
_OTHER_PYTHONS = tuple(f"python3.{minor}" for minor in (14, 13, 12, 11, 10, 9, 8))
_PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs, and what is installed in it (normalised name → version)."""

    path: Path
    version: str
    source: str
    """Where it comes from, for a sentence."""
    installed: Mapping[str, str]
    kind: str = "current"
    """`workspace`, `current`, `path` or `made`."""

    def missing(self, requirements: Sequence[str], extras: Sequence[str] = ()) -> list[str]:
        """Those requirements that this environment does not meet; what cannot be parsed is missing."""
        return [
            text for text in requirements if self.state_of(text, extras) not in ("met", "not needed here")
        ]

    def state_of(self, text: str, extras: Sequence[str] = ()) -> str:
        """`met`, `not needed here`, `missing`, `other version` or `not parsable`."""
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return "not parsable"
        marker = requirement.marker
        if marker is not None:
            surroundings = {"python_full_version": self.version, "python_version": _minor(self.version)}
            if not any(marker.evaluate({**surroundings, "extra": extra}) for extra in (*extras, "")):
                return "not needed here"
        have = self.installed.get(normalised(requirement.name))
        if have is None:
            return "missing"
        return "met" if requirement.specifier.contains(have, prereleases=True) else "other version"


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


async def probe(bench: Bench, path: Path, source: str, kind: str) -> Interpreter | None:
    """The interpreter at `path`; None when it does not run."""
    lines: list[str] = []
    try:
        outcome = await bench.run(
            [path, "-I", PROBE],
            quiet=True,
            timeout=_PROBE_SECONDS,
            listen=lambda text, stream: lines.append(text) if stream == "out" else None,
        )
        data = json.loads("".join(lines)) if outcome.ok else None
    except (PerformerFailed, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    return Interpreter(
        path=path,
        version=str(data["version"]),
        source=source,
        installed={normalised(name): str(version) for name, version in data["installed"].items()},
        kind=kind,
    )


async def workspace_interpreter(bench: Bench) -> Interpreter | None:
    """The Python of the workspace's own virtual environment, if there is one that runs."""
    for name in _OWN_FOLDERS:
        folder = bench.workspace / name
        python = folder / "bin" / "python"
        if not (folder / "pyvenv.cfg").is_file():
            continue
        found = await probe(bench, python, f"the workspace's own environment {name}", "workspace")
        if found is not None:
            return found
        bench.say(f"{name}/bin/python does not run; the environment is passed over.")
    return None


async def current_interpreter(bench: Bench) -> Interpreter:
    """The Python that runs maestro-tui. Raises `PerformerFailed` when it cannot be started."""
    found = await probe(bench, Path(sys.executable), "the interpreter that runs maestro-tui", "current")
    if found is None:
        raise PerformerFailed(f"The interpreter {clean(sys.executable, 200)} cannot be started.")
    return found


async def base_interpreter(bench: Bench, requires_python: str | None) -> Interpreter:
    """A Python that the project accepts: the workspace's, the current one, or another on PATH.

    Raises `PerformerFailed` when none satisfies `requires_python`.
    """
    tried: list[str] = []
    for found in (await workspace_interpreter(bench), await current_interpreter(bench)):
        if found is not None:
            if accepts(requires_python, found.version):
                return found
            tried.append(found.version)
    for name in _OTHER_PYTHONS:
        path = shutil.which(name)
        other = await probe(bench, Path(path), f"{name} on PATH", "path") if path else None
        if other is not None and accepts(requires_python, other.version):
            return other
        if other is not None:
            tried.append(other.version)
    raise PerformerFailed(
        f"The project needs Python {clean(requires_python, 60)}, and there are only "
        f"{', '.join(dict.fromkeys(tried))} here. Install one that fits, or make a .venv with it in the "
        "workspace, then resume."
    )


def accepts(requires_python: str | None, version: str) -> bool:
    """True when the version satisfies `Requires-Python`; what cannot be parsed does not hinder."""
    if not requires_python:
        return True
    try:
        return SpecifierSet(requires_python).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


async def make_environment(bench: Bench, base: Interpreter, folder: Path, purpose: str) -> Interpreter:
    """A fresh virtual environment at `folder`. Raises `PerformerFailed`."""
    bench.say(f"Making {purpose} with Python {base.version}.")
    with_pip = not _pip_here() and shutil.which("uv") is None
    choice = [] if with_pip else ["--without-pip"]
    outcome = await bench.run([base.path, "-I", "-m", "venv", "--clear", *choice, folder])
    if not outcome.ok:
        hint = " On Debian and Ubuntu install python3-venv." if with_pip else ""
        raise PerformerFailed(f"Making {purpose} {outcome.sentence}.{hint}", kind="exit", tail=outcome.tail)
    made = await probe(bench, folder / "bin" / "python", purpose, "made")
    if made is None:
        raise PerformerFailed(f"The Python of {purpose} does not run.")
    return made


async def install(bench: Bench, into: Interpreter, *words: str | Path) -> tuple[bool, tuple[str, ...]]:
    """Install with pip (or uv where there is no pip); whether it went well, and the last lines."""
    if _pip_here():
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            into.path,
            "install",
            *_pip_manners(),
        ]
    elif (into.path.parent / "pip").exists():
        argv = [into.path, "-m", "pip", "install", *_pip_manners()]
    elif uv := shutil.which("uv"):
        argv = [uv, "pip", "install", "--python", into.path]
    else:
        return False, ("There is neither pip nor uv here to install with.",)
    outcome = await bench.run([*argv, *words], installs=True)
    return outcome.ok, outcome.tail


async def refreshed(bench: Bench, environment: Interpreter) -> Interpreter:
    """The environment as it is now, after something was installed."""
    return await probe(bench, environment.path, environment.source, environment.kind) or environment


def _pip_here() -> bool:
    return importlib.util.find_spec("pip") is not None


def _pip_manners() -> list[str]:
    # An index that cannot be reached is told within seconds: the fallbacks wait for that.
    patience = [] if os.environ.get("PIP_DEFAULT_TIMEOUT") else ["--timeout", "15"]
    return [
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--retries",
        "1",
        "--no-warn-script-location",
        "--root-user-action",
        "ignore",
        *patience,
    ]
