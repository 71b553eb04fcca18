"""Chooses the environment for a project's tests: its own, one that is made for it, or the one that is here."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.builds import build_environment, build_wheel
from maestro_tui.performers.toolbox.environments import (
    Interpreter,
    accepts,
    base_interpreter,
    current_interpreter,
    install,
    make_environment,
    probe,
    refreshed,
    workspace_interpreter,
)
from maestro_tui.performers.toolbox.implementation import sha256_of
from maestro_tui.performers.toolbox.layout import Layout
from maestro_tui.performers.toolbox.markdown import first
from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.scratch_copy import copy_project
from maestro_tui.performers.toolbox.source_files import checkpoint_root
from maestro_tui.performers.toolbox.suite import Suite

_LOCK_POLL_SECONDS = 0.2
_MADE = "an environment for the tests"


@dataclass(frozen=True, slots=True)
class SuiteEnvironment:
    """Where the tests run, what is put on their import path, and why."""

    interpreter: Interpreter
    import_path: tuple[Path, ...]
    why: str
    notes: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    """What may stand on the import path instead of the installed project: nothing of it would be missing."""


async def suite_environment(
    bench: Bench, project: Project, layout: Layout, suite: Suite, held: ExitStack
) -> SuiteEnvironment:
    """The first that has what the tests need. Raises `PerformerFailed` with every reason when none has.

    What `held` holds keeps other sessions from changing a cached environment; close it after the tests.
    """
    roots = tuple(bench.workspace / root for root in layout.roots) if layout.modules else ()
    reasons: list[str] = []
    own = await workspace_interpreter(bench)
    if own is not None:
        lacking = _lacking(own, project, suite)
        if not lacking:
            return _ready(own, roots, project, suite, f"Ran in {own.source} (Python {own.version}).")
        reasons.append(f"{own.source} lacks {first(lacking)}")
    try:
        return await _made_for_it(bench, project, layout, suite, roots, held)
    except PerformerFailed as error:
        reasons.append(str(error).rstrip("."))
        bench.say(f"No environment could be made for the tests: {error}")
    current = await current_interpreter(bench)
    lacking = _lacking(current, project, suite)
    if not lacking and accepts(project.requires_python, current.version):
        why = f"Ran in {current.source} (Python {current.version}), because {'; '.join(reasons)}."
        return _ready(current, roots, project, suite, why)
    lack = f"lacks {first(lacking)}" if lacking else f"is Python {current.version}"
    reasons.append(f"{current.source} {lack}")
    raise PerformerFailed(
        f"{project.label} has tests in {len(suite.files)} files, and they cannot be run: {'; '.join(reasons)}. "
        f"Make a .venv in the workspace with {first([*suite.requirements, *project.dependencies]) or 'the project'}, "
        "or make an index reachable, then resume.",
        kind="exit",
    )


def _lacking(found: Interpreter, project: Project, suite: Suite) -> list[str]:
    runner = ["pytest"] if suite.runner == "pytest" else []
    return found.missing([*runner, *project.dependencies])


def _ready(
    found: Interpreter, roots: tuple[Path, ...], project: Project, suite: Suite, why: str
) -> SuiteEnvironment:
    missing = [text for text in found.missing(suite.requirements) if text != "pytest"]
    notes = (f"{found.source} lacks {first(missing)}, which the tests ask for",) if missing else ()
    return SuiteEnvironment(found, roots, why, notes, roots)


async def _made_for_it(
    bench: Bench, project: Project, layout: Layout, suite: Suite, roots: tuple[Path, ...], held: ExitStack
) -> SuiteEnvironment:
    """A cached environment with the dependencies, and the project as it is now freshly installed into it."""
    base = await base_interpreter(bench, project.requires_python)
    wanted = [*project.dependencies, *suite.requirements]
    folder = _cache_folder(bench, base, wanted)
    await bench.off_loop(_make_folder, folder.parent)
    await _hold(bench, folder, held)
    environment, notes = await _prepared(bench, base, folder, wanted, project, suite)
    where, sources = roots, roots
    if project.buildable:
        where, sources = await _with_project(bench, project, layout, environment, roots, notes)
    listed = f" with {first(wanted)}" if wanted else ""
    why = f"Ran in an environment made for the tests (Python {environment.version}){listed}."
    return SuiteEnvironment(environment, where, why, tuple(notes), sources)


async def _prepared(
    bench: Bench, base: Interpreter, folder: Path, wanted: list[str], project: Project, suite: Suite
) -> tuple[Interpreter, list[str]]:
    """The environment with what is wanted; made when the cache has none that is whole."""
    ready = folder / "maestro-ready.json"
    if ready.is_file():
        cached = await probe(bench, folder / "bin" / "python", _MADE, "made")
        if cached is not None:
            bench.say(f"Using {_MADE} from the cache.")
            return cached, list(json.loads(ready.read_text(encoding="utf-8")))
    environment = await make_environment(bench, base, folder, _MADE)
    notes: list[str] = []
    if wanted:
        done, tail = await install(bench, environment, *wanted)
        if not done:
            needed = [*project.dependencies, *(["pytest"] if suite.runner == "pytest" else [])]
            if needed:
                done, tail = await install(bench, environment, *needed)
            else:
                done = True
            if not done:
                raise PerformerFailed(
                    f"{first(wanted)} could not be installed from an index", kind="exit", tail=tail
                )
            notes.append(f"not all of {first(wanted)} could be installed; the tests ran with less")
    environment = await refreshed(bench, environment)
    if not notes:
        ready.write_text(json.dumps(notes), encoding="utf-8")
    return environment, notes


async def _with_project(
    bench: Bench,
    project: Project,
    layout: Layout,
    environment: Interpreter,
    roots: tuple[Path, ...],
    notes: list[str],
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Install the project as it is now; what must be on the import path (when that cannot be done), or may be."""
    try:
        wheel = await bench.off_loop(_current_wheel, bench, layout)
        if wheel is None:
            bench.say(
                "The sources changed since the wheel was built, or there is none: building it for the tests."
            )
            source = bench.scratch / "source"
            outside = checkpoint_root(bench.scratch, bench.task.session_id)
            await bench.off_loop(copy_project, bench.workspace, source, outside, bench.stop)
            wheel = await build_wheel(bench, project, source, await build_environment(bench, project))
        done, _ = await install(bench, environment, "--no-deps", "--no-index", "--force-reinstall", wheel)
        if done:
            whole = await bench.off_loop(all_in_sources, wheel, roots)
            return (), roots if whole else ()
        reason = "the wheel could not be installed"
    except PerformerFailed as error:
        reason = str(error).rstrip(".")
    notes.append(f"the sources were put on the import path, because {reason}")
    return roots, roots


def all_in_sources(wheel: Path, roots: tuple[Path, ...]) -> bool:
    """True when every file that the wheel installs for import lies in the sources too: nothing is generated."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    if any(f".data/{kind}/" in name for name in names for kind in ("purelib", "platlib")):
        return False
    wanted = [name for name in names if not name.partition("/")[0].endswith((".dist-info", ".data"))]
    return all(any((root / name).is_file() for root in roots) for name in wanted)


async def environments_here(
    bench: Bench, project: Project, suite: Suite | None, held: ExitStack
) -> list[Interpreter]:
    """Those that are there already: the workspace's own, the one made for its tests, the current one.

    Nothing is made or installed; `held` is that of `suite_environment`.
    """
    found = [await workspace_interpreter(bench)]
    if suite is not None:
        try:
            base = await base_interpreter(bench, project.requires_python)
        except PerformerFailed:
            base = None
        if base is not None:
            folder = _cache_folder(bench, base, [*project.dependencies, *suite.requirements])
            if (folder / "maestro-ready.json").is_file():
                await _hold(bench, folder, held)
                found.append(await probe(bench, folder / "bin" / "python", _MADE, "made"))
    found.append(await current_interpreter(bench))
    return [one for one in found if one is not None]


async def _hold(bench: Bench, folder: Path, held: ExitStack) -> None:
    lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    held.callback(os.close, lock)
    await _locked(bench, lock)


def _current_wheel(bench: Bench, layout: Layout) -> Path | None:
    """The wheel of the implementation phase, if it is whole and holds the modules exactly as they are now."""
    told = bench.earlier("implementation", "wheel").get("wheel")
    if not isinstance(told, dict) or not isinstance(told.get("path"), str):
        return None
    path: Path = bench.workspace / str(told["path"])
    if not path.is_file() or sha256_of(path) != told.get("sha256"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            for file in layout.modules.values():
                inner = next((name for name in _names_in_wheel(file, layout) if name in names), None)
                if inner is None or archive.read(inner) != (bench.workspace / file).read_bytes():
                    return None
    except (zipfile.BadZipFile, OSError):
        return None
    return path


def _names_in_wheel(file: str, layout: Layout) -> list[str]:
    return [file if root == "." else file.removeprefix(f"{root}/") for root in layout.roots]


def _cache_folder(bench: Bench, base: Interpreter, wanted: list[str]) -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(home) if home else Path.home() / ".cache") / "maestro-tui" / "test-environments"
    key = json.dumps([str(bench.workspace), str(base.path), base.version, sorted(wanted)])
    return cache / hashlib.sha256(key.encode()).hexdigest()[:24]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PerformerFailed(
            f"The cache {clean(str(folder), 200)} cannot be made: {error.strerror}."
        ) from error


async def _locked(bench: Bench, lock: int) -> None:
    """Wait until no other session uses this environment."""
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                bench.say(
                    "Another session runs these tests in the same environment; waiting until it has ended."
                )
            told = True
            await asyncio.sleep(_LOCK_POLL_SECONDS)
