"""The build engineer: builds the project's sdist and wheel and checks that every module is inside."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean, format_bytes
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.builds import Built, build
from maestro_tui.performers.toolbox.layout import Layout, read_layout
from maestro_tui.performers.toolbox.markdown import bullets, code, count, document, first, plain, table
from maestro_tui.performers.toolbox.project import LOOKED_FOR, Project, read_project
from maestro_tui.performers.toolbox.scratch_copy import copy_project
from maestro_tui.performers.toolbox.source_files import checkpoint_root, list_files

_PACKAGES = (".whl", ".tar.gz", ".zip")


async def build_packages(task: Task, port: Port) -> PerformerResult:
    """Write dist/, implementation.md and implementation.json. Raises `PerformerFailed` when the build fails."""
    bench = Bench(task, port, "implementation")
    project = await bench.off_loop(read_project, task.workspace)
    outside = checkpoint_root(task.scratch, task.session_id)
    files = await bench.off_loop(list_files, task.workspace, outside, bench.stop)
    layout = read_layout(project, files)
    if not project.buildable:
        return _nothing_to_build(bench, project, layout)
    if (
        project.problems
        and "pyproject.toml" in project.found
        and project.problems[0].startswith("pyproject.toml")
    ):
        raise PerformerFailed(
            f"{project.label} cannot be built: {project.problems[0]}. Mend the file, then resume."
        )
    source = task.scratch / "source"
    await bench.off_loop(copy_project, task.workspace, source, outside, bench.stop)
    built = await build(bench, project, source)
    packages = await bench.off_loop(_deliver, bench, built)
    inside = await bench.off_loop(wheel_modules, built.wheel)
    expected = sorted(layout.modules)
    missing = [name for name in expected if name not in inside]
    gone = _gone(bench.earlier("design", "modules").get("modules"), layout)
    data: dict[str, Any] = {
        "packages": packages,
        "environment": built.environment.why,
        "isolated": built.environment.isolated,
        "python": built.environment.interpreter.version,
        "backend": project.backend,
        "modules_in_wheel": len(inside),
        "modules_not_in_wheel": missing,
        "modules_gone_since_design": gone,
        "notes": list(built.notes),
    }
    bench.write_json("implementation.json", data)
    bench.write("implementation.md", _document(project, data))
    summary = (
        f"Built {' and '.join(clean(p['file'], 120) for p in packages)} with {clean(project.backend or '', 60)}, "
        f"{'isolated' if built.environment.isolated else 'not isolated'}; {count(len(inside), 'module')} in the wheel"
        f"{f', {len(missing)} of the sources not: {first(missing, 3)}' if missing else ''}."
    )
    bench.say(summary)
    by_kind = {package["kind"]: package for package in packages}
    return PerformerResult(
        outputs={
            "packages": packages,
            "wheel": by_kind.get("wheel"),
            "sdist": by_kind.get("sdist"),
            "build_environment": built.environment.why,
            "modules_not_in_wheel": missing[:200],
            "implementation_report": f"{bench.folder}/implementation.md",
        },
        decisions=[
            Decision(
                about="build environment",
                choice="isolated" if built.environment.isolated else built.environment.interpreter.source,
                rationale=built.environment.why,
                alternatives=(
                    "isolated",
                    "the workspace's own environment",
                    "the interpreter that runs maestro-tui",
                ),
                decided_by="rules",
            )
        ],
        metrics={"modules_packed": round(1 - len(missing) / len(expected), 4) if expected else None},
        summary=summary,
    )


def _gone(designed: object, layout: Layout) -> list[str]:
    """The modules that the design mapped and that are not in the sources any more."""
    names = designed if isinstance(designed, list) else []
    return sorted(name for name in names if isinstance(name, str) and name not in layout.modules)


def wheel_modules(wheel: Path) -> set[str]:
    """The dotted names of all modules in a wheel. Raises `PerformerFailed` when it is no zip file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise PerformerFailed(
            f"The wheel {clean(wheel.name, 120)} cannot be read: {clean(error, 120)}."
        ) from error
    return set(_module_names(names))


def _module_names(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        parts = name.split("/")
        if parts[0].endswith(".data"):
            parts = parts[2:] if len(parts) > 2 and parts[1] in ("purelib", "platlib") else []
        if not parts or parts[0].endswith(".dist-info"):
            continue
        stem, dot, suffix = parts[-1].partition(".")
        if dot and (suffix == "py" or suffix.endswith(("so", "pyd"))):
            yield ".".join(parts[:-1] if stem == "__init__" else [*parts[:-1], stem])


def _deliver(bench: Bench, built: Built) -> list[dict[str, Any]]:
    """Put the packages into the workspace in place of those of an earlier attempt."""
    folder = bench.out_dir("dist")
    for old in folder.iterdir():
        if old.name.endswith(_PACKAGES) and not old.is_dir():
            old.unlink()
    packages = []
    for kind, path in (("sdist", built.sdist), ("wheel", built.wheel)):
        if path is None:
            continue
        target = folder / path.name
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            raise PerformerFailed(f"Cannot write {clean(str(target), 200)}: {error.strerror}.") from error
        packages.append(
            {
                "kind": kind,
                "file": path.name,
                "path": f"{bench.folder}/dist/{path.name}",
                "size": target.stat().st_size,
                "sha256": sha256_of(target),
            }
        )
    return packages


def sha256_of(path: Path) -> str:
    """The SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing_to_build(bench: Bench, project: Project, layout: Layout) -> PerformerResult:
    looked = f"looked for {', '.join(LOOKED_FOR)}"
    if project.found:
        found = (
            f"Nothing to build: {looked}; {' and '.join(project.found)} "
            f"{'is' if len(project.found) == 1 else 'are'} there, but with neither [project] nor [build-system]."
        )
    else:
        found = f"Nothing to build: {looked}, and found none of them beside {count(len(layout.modules), 'Python module')}."
    for problem in project.problems:
        found += f" {problem[0].upper()}{problem[1:]}."
    bench.say(found)
    bench.write_json("implementation.json", {"packages": [], "note": found})
    bench.write(
        "implementation.md", document("Implementation", [plain(found, 2_000), "", "Build: not measured.", ""])
    )
    return PerformerResult(
        outputs={"packages": [], "wheel": None, "sdist": None, "buildable": False},
        decisions=[Decision(about="build", choice="not built", rationale=found, decided_by="rules")],
        metrics={"modules_packed": None},
        summary=found,
    )


def _document(project: Project, data: dict[str, Any]) -> str:
    rows = [
        [p["kind"], code(p["file"]), format_bytes(p["size"]), f"`{p['sha256']}`"] for p in data["packages"]
    ]
    missing = [code(name) for name in data["modules_not_in_wheel"][:100]]
    gone = data["modules_gone_since_design"][:100]
    return document(
        "Implementation",
        [
            f"{plain(project.label)} was built by {code(project.backend or '')}. {plain(data['environment'], 1_000)}",
            "",
        ],
        table(["", "file", "size", "SHA-256"], rows),
        ["The wheel was built from what the sdist holds.", ""]
        if not data["notes"]
        else bullets(data["notes"]),
        [f"## Modules of the sources that are not in the wheel ({len(data['modules_not_in_wheel'])})", ""],
        bullets(missing, "None: every module is inside."),
        *(
            [["## Modules that the design mapped and that are gone", ""], bullets([code(g) for g in gone])]
            if gone
            else []
        ),
    )
