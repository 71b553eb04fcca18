"""The release engineer: installs the built wheel into a clean environment, smoke-tests it, writes the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean, format_bytes
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.catalogue import OUT_FOLDER
from maestro_tui.performers.toolbox.environments import (
    Interpreter,
    base_interpreter,
    install,
    make_environment,
    refreshed,
)
from maestro_tui.performers.toolbox.implementation import sha256_of
from maestro_tui.performers.toolbox.markdown import (
    NOT_MEASURED,
    bullets,
    code,
    count,
    document,
    first,
    plain,
    table,
)
from maestro_tui.performers.toolbox.project import Project, read_project
from maestro_tui.performers.toolbox.smoke_checks import Check, Installed, installed_contents, smoke_test

MANIFEST_LIMIT = 5_000


async def release(task: Task, port: Port) -> PerformerResult:
    """Write deployment.md and manifest.json. Raises `PerformerFailed` when the wheel cannot be installed."""
    bench = Bench(task, port, "deployment")
    project = await bench.off_loop(read_project, task.workspace)
    wheel, whence = await bench.off_loop(_wheel, bench)
    if wheel is None:
        return await _nothing_to_install(bench, project, whence)
    digest = await bench.off_loop(sha256_of, wheel)
    try:
        name = str(parse_wheel_filename(wheel.name)[0])
    except InvalidWheelFilename as error:
        raise PerformerFailed(
            f"{clean(wheel.name, 120)} is no name of a wheel: {clean(error, 120)}."
        ) from error
    base = await base_interpreter(bench, project.requires_python)
    environment = await make_environment(bench, base, task.scratch / "clean-env", "a clean environment")
    how, absent = await _install(bench, environment, wheel)
    environment = await refreshed(bench, environment)
    installed = await installed_contents(bench, environment, name)
    if not absent and how != "with its dependencies":
        absent = environment.missing(installed.requires)
    checks = await smoke_test(bench, environment, installed, absent)
    for check in checks:
        bench.say(f"{check.what}: {_verdict(check)}{f' ({check.said})' if check.said else ''}")
    failed = [check for check in checks if check.ok is False]
    measured = [check for check in checks if check.ok is not None]
    manifest = await bench.off_loop(
        _manifest, bench, installed, wheel, digest, environment, checks, how, absent
    )
    bench.write_json("manifest.json", manifest)
    bench.write("deployment.md", _document(manifest, checks, whence))
    summary = (
        f"Installed {clean(wheel.name, 120)} {how} into a clean environment (Python {environment.version}); "
        f"{sum(check.ok is True for check in checks)} of {count(len(measured), 'smoke test')} passed"
        f"{f', {len(checks) - len(measured)} {NOT_MEASURED}' if len(measured) < len(checks) else ''}; "
        f"{count(len(manifest['files']), 'file')} in the manifest."
    )
    bench.say(summary)
    return PerformerResult(
        outputs={
            "distribution": installed.name,
            "version": installed.version,
            "wheel": {"path": _relative(bench, wheel), "sha256": digest},
            "installed": how,
            "not_installed": absent,
            "checks": [asdict(check) for check in checks],
            "manifest": f"{bench.folder}/manifest.json",
        },
        decisions=[
            Decision(about="what is installed", choice=wheel.name, rationale=whence, decided_by="rules"),
            Decision(
                about="how it is installed",
                choice=how,
                rationale=f"Not installed: {first(absent)}."
                if absent
                else "All that it declares is installed.",
                alternatives=("with its dependencies", "without its dependencies"),
                decided_by="rules",
            ),
        ],
        metrics={"smoke": sum(check.ok is True for check in measured) / len(measured) if measured else None},
        summary=summary,
        failure=_failure(failed, measured, checks),
    )


def _failure(failed: list[Check], measured: list[Check], checks: list[Check]) -> str | None:
    if failed:
        return (
            f"{len(failed)} of {count(len(checks), 'smoke test')} failed on the installed package: "
            f"{'; '.join(f'{check.what} {check.said}' for check in failed[:3])}."
        )
    if checks and not measured:
        return (
            f"The package was installed, but nothing of it could be tried: {checks[0].what}: {checks[0].said}. "
            "Make an index reachable, then resume."
        )
    return None


def _wheel(bench: Bench) -> tuple[Path | None, str]:
    """The wheel to install, and where it was found. Raises `PerformerFailed` when it is not what was built."""
    told = bench.earlier("implementation", "wheel").get("wheel")
    if isinstance(told, Mapping) and isinstance(told.get("path"), str):
        path = bench.workspace / told["path"]
        shown = clean(told["path"], 200)
        if not path.is_file():
            raise PerformerFailed(
                f"The implementation phase built {shown}, and it is not there any more. "
                "Run the implementation phase again, then resume."
            )
        digest, known = sha256_of(path), told.get("sha256")
        if isinstance(known, str) and digest != known:
            raise PerformerFailed(
                f"{shown} is not the file that the implementation phase built: its SHA-256 is {digest}, and "
                f"{known} was recorded. Run the implementation phase again, then resume."
            )
        return (
            path,
            f"built by the implementation phase; its SHA-256 {'matches' if known else 'was not recorded'}",
        )
    for folder in (f"{OUT_FOLDER}/implementation/dist", "dist"):
        found = sorted((bench.workspace / folder).glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)
        if found:
            return found[
                -1
            ], f"the newest wheel in {folder}; no implementation phase of this session built one"
    return (
        None,
        f"looked for the implementation phase's wheel and for *.whl in {OUT_FOLDER}/implementation/dist and dist",
    )


async def _install(bench: Bench, environment: Interpreter, wheel: Path) -> tuple[str, list[str]]:
    """Install the wheel, with its dependencies where that can be done; how it was done, and what is lacking."""
    done, tail = await install(bench, environment, wheel)
    if done:
        return "with its dependencies", []
    bench.say("With its dependencies it cannot be installed; trying the wheel alone.")
    alone, alone_tail = await install(bench, environment, "--no-deps", "--no-index", wheel)
    if alone:
        return "without its dependencies", []
    raise PerformerFailed(
        f"{clean(wheel.name, 120)} cannot be installed into a clean environment (Python {environment.version}).",
        kind="exit",
        tail=alone_tail or tail,
    )


def _manifest(
    bench: Bench,
    installed: Installed,
    wheel: Path,
    digest: str,
    environment: Interpreter,
    checks: list[Check],
    how: str,
    absent: list[str],
) -> dict[str, Any]:
    """What is delivered: the packages and every report of this session, each with size and SHA-256."""
    tested = bench.earlier("testing", "passed")
    return {
        "format": "maestro-manifest/1",
        "session_id": bench.task.session_id,
        "distribution": installed.name,
        "version": installed.version,
        "installed_wheel": {"path": _relative(bench, wheel), "sha256": digest},
        "python": environment.version,
        "installed": how,
        "not_installed": absent,
        "environment": dict(sorted(environment.installed.items())),
        "tests": {key: tested.get(key) for key in ("passed", "failed", "errors", "skipped", "total")}
        if tested
        else None,
        "checks": [asdict(check) for check in checks],
        "files": _delivered(bench, wheel),
    }


def _delivered(bench: Bench, wheel: Path | None) -> list[dict[str, Any]]:
    """The files under maestro-out, without those that this phase is about to write."""
    out = bench.workspace / OUT_FOLDER
    paths = [path for path in out.rglob("*") if not path.is_relative_to(out / bench.kind)]
    if wheel is not None and wheel not in paths:
        paths.append(wheel)
    files = []
    for path in sorted(paths)[:MANIFEST_LIMIT]:
        if path.is_symlink() or not path.is_file():
            continue
        files.append({"path": _relative(bench, path), "size": path.stat().st_size, "sha256": sha256_of(path)})
    return files


def _relative(bench: Bench, path: Path) -> str:
    return path.relative_to(bench.workspace).as_posix() if path.is_relative_to(bench.workspace) else str(path)


async def _nothing_to_install(bench: Bench, project: Project, whence: str) -> PerformerResult:
    found = f"Nothing to install: {whence}, and found no wheel."
    files = await bench.off_loop(_delivered, bench, None)
    bench.say(found)
    manifest = {"format": "maestro-manifest/1", "installed_wheel": None, "note": found, "files": files}
    bench.write_json("manifest.json", manifest)
    bench.write(
        "deployment.md",
        document(
            "Deployment", [plain(found, 1_000), "", f"Smoke tests: {NOT_MEASURED}.", ""], *_files(files)
        ),
    )
    failure = None
    if project.buildable:
        failure = f"{project.label} can be built, but there is no wheel to install: {whence}. Run the implementation phase, then resume."
    return PerformerResult(
        outputs={"wheel": None, "manifest": f"{bench.folder}/manifest.json"},
        decisions=[
            Decision(about="what is installed", choice="nothing", rationale=found, decided_by="rules")
        ],
        metrics={"smoke": None},
        summary=found,
        failure=failure,
    )


def _verdict(check: Check) -> str:
    return NOT_MEASURED if check.ok is None else "passed" if check.ok else "failed"


def _files(files: list[dict[str, Any]]) -> list[list[str]]:
    rows = [[code(file["path"]), format_bytes(file["size"]), f"`{file['sha256']}`"] for file in files]
    return [["## Delivered files", ""], table(["file", "size", "SHA-256"], rows) or ["None.", ""]]


def _document(manifest: Mapping[str, Any], checks: list[Check], whence: str) -> str:
    rows = [[code(check.what), _verdict(check), plain(check.said)] for check in checks]
    absent = [code(name) for name in manifest["not_installed"]]
    return document(
        "Deployment",
        [
            f"{plain(manifest['distribution'])} {plain(manifest['version'])} was installed {manifest['installed']} into a "
            f"clean environment with Python {manifest['python']}. The wheel: {plain(whence)}.",
            "",
        ],
        *([["## Dependencies that are not installed", ""], bullets(absent)] if absent else []),
        ["## Smoke tests", ""],
        table(["check", "outcome", "what it said"], rows)
        or ["The wheel holds no module and no console script.", ""],
        *_files(list(manifest["files"])),
    )
