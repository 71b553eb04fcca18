"""Builds sdist and wheel through the project's own PEP 517 backend, isolated where an index can be reached."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.environments import (
    Interpreter,
    accepts,
    base_interpreter,
    current_interpreter,
    install,
    make_environment,
    refreshed,
    workspace_interpreter,
)
from maestro_tui.performers.toolbox.markdown import first
from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.scratch_copy import unpack_sdist

_ERROR = re.compile(r"(?:[\w.]*(?:Error|Exception)|error)\b.*:")
HOOK = Path(__file__).with_name("backend_hook.py")


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """The Python that runs the backend, and whether it was made for this build alone."""

    interpreter: Interpreter
    isolated: bool
    why: str
    """A sentence for the record."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came out of a build."""

    sdist: Path | None
    wheel: Path
    environment: BuildEnvironment
    notes: tuple[str, ...] = ()


async def build(bench: Bench, project: Project, source: Path) -> Built:
    """Build from the copy at `source`: the sdist, and the wheel from what the sdist holds.

    Raises `PerformerFailed` with the backend's last lines when it cannot be built.
    """
    environment = await build_environment(bench, project)
    bench.say(environment.why)
    out = bench.scratch / "dist"
    out.mkdir(exist_ok=True)
    notes: list[str] = []
    environment = await _with_more(bench, project, environment, source, "get_requires_for_build_sdist")
    name = await _hook(bench, project, environment, source, "build_sdist", [str(out), {}], optional=False)
    sdist = _made(out, name, "sdist")
    tree = await bench.off_loop(unpack_sdist, sdist, bench.scratch / "from-sdist")
    if not any((tree / name).is_file() for name in ("pyproject.toml", "setup.py")):
        notes.append(
            "the sdist holds neither pyproject.toml nor setup.py; the wheel was built from the workspace"
        )
        tree = source
    environment = await _with_more(bench, project, environment, tree, "get_requires_for_build_wheel")
    name = await _hook(bench, project, environment, tree, "build_wheel", [str(out), {}, None], optional=False)
    return Built(sdist, _made(out, name, "wheel"), environment, tuple(notes))


async def build_wheel(bench: Bench, project: Project, source: Path, environment: BuildEnvironment) -> Path:
    """Only the wheel, from the copy at `source`. Raises `PerformerFailed`."""
    out = bench.scratch / "dist"
    out.mkdir(exist_ok=True)
    environment = await _with_more(bench, project, environment, source, "get_requires_for_build_wheel")
    name = await _hook(
        bench, project, environment, source, "build_wheel", [str(out), {}, None], optional=False
    )
    return _made(out, name, "wheel")


async def build_environment(bench: Bench, project: Project) -> BuildEnvironment:
    """An isolated environment with what the build requires; else one here that has it. Raises `PerformerFailed`."""
    requires = project.build_requires
    base = await base_interpreter(bench, project.requires_python)
    problem = ""
    tail: tuple[str, ...] = ()
    try:
        made = await make_environment(
            bench, base, bench.scratch / "build-env", "an isolated build environment"
        )
        done = True
        if requires:
            done, tail = await install(bench, made, *requires)
        if done:
            listed = f" with {first(requires)}" if requires else ", for the build requires nothing"
            why = f"Built in an isolated environment (Python {made.version}){listed}."
            return BuildEnvironment(await refreshed(bench, made), True, why)
        problem = "what it requires could not be installed from an index"
    except PerformerFailed as error:
        problem, tail = str(error).rstrip("."), error.tail
    bench.say(f"No isolated build: {problem}. Looking for an environment here that has {first(requires)}.")
    lacks: list[str] = []
    for found in (await workspace_interpreter(bench), await current_interpreter(bench)):
        if found is None or not accepts(project.requires_python, found.version):
            continue
        missing = found.missing(requires)
        if not missing:
            why = f"Built in {found.source} (Python {found.version}), not isolated: {problem}."
            return BuildEnvironment(found, False, why)
        lacks.append(f"{found.source} lacks {first(missing)}")
    raise PerformerFailed(
        f"{project.label} cannot be built: {problem}, and {'; '.join(lacks) or 'no Python here fits'}. "
        f"Make an index reachable, or install {first(requires)} into a .venv in the workspace, then resume.",
        kind="exit",
        tail=tail,
    )


async def _with_more(
    bench: Bench, project: Project, environment: BuildEnvironment, source: Path, hook: str
) -> BuildEnvironment:
    """The environment with what the backend asks for beyond the declared requirements."""
    more = await _hook(bench, project, environment, source, hook, [{}], optional=True)
    wanted = [part for part in more if isinstance(part, str)] if isinstance(more, list) else []
    missing = environment.interpreter.missing(wanted)
    if not missing:
        return environment
    if not environment.isolated:
        raise PerformerFailed(
            f"The backend {clean(project.backend or '', 80)!r} also needs {first(missing)}, which "
            f"{environment.interpreter.source} lacks; install it there, or make an index reachable."
        )
    done, tail = await install(bench, environment.interpreter, *missing)
    if not done:
        raise PerformerFailed(
            f"The backend also needs {first(missing)}, and that could not be installed.",
            kind="exit",
            tail=tail,
        )
    interpreter = await refreshed(bench, environment.interpreter)
    return BuildEnvironment(interpreter, environment.isolated, environment.why)


async def _hook(
    bench: Bench,
    project: Project,
    environment: BuildEnvironment,
    source: Path,
    hook: str,
    args: Sequence[Any],
    *,
    optional: bool,
) -> Any:
    result = bench.scratch / f"{hook}.result.json"
    request = bench.scratch / f"{hook}.request.json"
    result.unlink(missing_ok=True)
    data = {
        "source": str(source),
        "backend": project.backend,
        "backend_path": [part for part in project.backend_path if _inside(source, part)],
        "hook": hook,
        "args": args,
        "result": str(result),
    }
    request.write_text(json.dumps(data), encoding="utf-8")
    bench.say(f"{project.backend}: {hook}")
    python = environment.interpreter.path
    values = {
        # A repository further up is not this project's: its tags would give a wrong version.
        "GIT_CEILING_DIRECTORIES": str(source.parent),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    outcome = await bench.run([python, "-s", HOOK, request], cwd=source, values=values)
    if not outcome.ok:
        raise PerformerFailed(
            f"Building {project.label} failed: {hook} of {clean(project.backend or '', 80)} {outcome.sentence}"
            f"{_said(outcome.tail)}{_advice(project, source, outcome.tail)}",
            kind="exit",
            tail=outcome.tail,
        )
    try:
        answer = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PerformerFailed(f"The backend's hook {hook} ended without an answer.") from error
    if not answer["there"] and not optional:
        raise PerformerFailed(f"The backend {clean(project.backend or '', 80)!r} has no hook {hook}.")
    return answer["value"]


def _said(tail: Sequence[str]) -> str:
    """The backend's own reason: the last line that names an error, else the last line."""
    lines = [line.strip() for line in reversed(tail) if line.strip()]
    line = next((line for line in lines if _ERROR.match(line)), lines[0] if lines else "")
    return f": {clean(line, 300).rstrip('.')}." if line else "."


def _advice(project: Project, source: Path, tail: Sequence[str]) -> str:
    if project.version_from_scm and not project.has_pkg_info and not (source / ".git").exists():
        return (
            " Its version comes from version control, and the workspace holds neither .git nor PKG-INFO: work in a "
            "clone or an unpacked sdist, or set SETUPTOOLS_SCM_PRETEND_VERSION."
        )
    if any("ModuleNotFoundError" in line for line in tail):
        return " Something that the build imports is not among its declared requirements."
    return ""


def _inside(source: Path, part: str) -> bool:
    """PEP 517: backend folders lie in the source tree."""
    return (source / part).resolve().is_relative_to(source.resolve())


def _made(folder: Path, name: Any, kind: str) -> Path:
    path = folder / name if isinstance(name, str) and "/" not in name else None
    if path is None or not path.is_file() or path.is_symlink():
        raise PerformerFailed(
            f"The backend said that it built the {kind} {clean(name, 120)!r}, but there is none."
        )
    return path
