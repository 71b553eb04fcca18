"""The project surveyor: takes stock of the project in the workspace before any work is done on it."""

from __future__ import annotations

import ast
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean, format_bytes
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.environments import (
    Interpreter,
    accepts,
    current_interpreter,
    normalised,
    workspace_interpreter,
)
from maestro_tui.performers.toolbox.layout import Layout, read_layout
from maestro_tui.performers.toolbox.markdown import bullets, code, count, document, plain, table
from maestro_tui.performers.toolbox.project import LOOKED_FOR, Project, read_project
from maestro_tui.performers.toolbox.source_files import (
    FileList,
    checkpoint_root,
    lines_of,
    list_files,
    python_source,
)

MARKER_LIMIT = 500
_MARKER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b[:( ]?(.*)")
_COMMENT = {".py": "#", ".pyi": "#", ".toml": "#", ".cfg": "#", ".yml": "#", ".yaml": "#", ".sh": "#"}
_COMMENT |= {
    suffix: "//" for suffix in (".js", ".ts", ".tsx", ".jsx", ".c", ".h", ".cpp", ".rs", ".go", ".java")
}


@dataclass(slots=True)
class Stock:
    """What was counted in the files."""

    lines: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    markers: list[dict[str, Any]] = field(default_factory=list)
    marker_count: int = 0
    test_functions: int = 0
    unreadable: list[str] = field(default_factory=list)


async def survey(task: Task, port: Port) -> PerformerResult:
    """Write project.md and project.json."""
    bench = Bench(task, port, "requirements")
    outside = checkpoint_root(task.scratch, task.session_id)
    files = await bench.off_loop(list_files, task.workspace, outside, bench.stop)
    project = await bench.off_loop(read_project, task.workspace)
    layout = read_layout(project, files)
    stock = await bench.off_loop(take_stock, task.workspace, files, layout, bench.stop)
    is_python = bool(project.found or files.ending(".py"))
    environment: Interpreter | None = None
    dependencies: list[dict[str, str]] = []
    if is_python and project.dependencies:
        environment = await workspace_interpreter(bench) or await current_interpreter(bench)
        dependencies = [_dependency(text, environment) for text in project.dependencies]
    data = _as_json(project, layout, stock, files, environment, dependencies, is_python)
    bench.write_json("project.json", data)
    bench.write("project.md", _document(project, layout, stock, files, environment, dependencies, is_python))
    summary = _summary(project, layout, stock, dependencies, is_python)
    bench.say(summary)
    shown = {key: value for key, value in data.items() if key != "markers"}
    return PerformerResult(
        outputs={"project": {**shown, "markers": stock.marker_count, "report": f"{bench.folder}/project.md"}},
        decisions=[
            Decision(
                about="kind of project",
                choice=f"Python project, {layout.style}" if is_python else "no Python project",
                rationale=(
                    f"Found {', '.join(project.found) or 'no packaging file'} and "
                    f"{count(len(files.ending('.py')), 'Python file')}; looked for {', '.join(LOOKED_FOR)} and *.py."
                ),
                decided_by="rules",
            )
        ],
        metrics={"dependencies_met": _ratio_met(dependencies)},
        summary=summary,
    )


def take_stock(workspace: Path, files: FileList, layout: Layout, stop: threading.Event) -> Stock:
    """Count lines, bytes, open markers and test functions."""
    stock = Stock()
    for file in files.files:
        suffix = PurePosixPath(file.path).suffix.lower() or "(none)"
        stock.files[suffix] += 1
        stock.bytes[suffix] += file.size
    wanted = [file for file in files.files if PurePosixPath(file.path).suffix.lower() in _COMMENT]
    for path, lines in lines_of(workspace, wanted, stop):
        suffix = PurePosixPath(path).suffix.lower()
        stock.lines[suffix] += len(lines)
        for number, line in enumerate(lines, 1):
            _, sign, comment = line[:2_000].partition(_COMMENT[suffix])
            found = _MARKER.search(comment) if sign else None
            if found:
                stock.marker_count += 1
                if len(stock.markers) < MARKER_LIMIT:
                    text = clean(found[2].strip(), 200)
                    stock.markers.append({"file": path, "line": number, "marker": found[1], "text": text})
    for path in layout.test_files:
        if stop.is_set():
            break
        source, reason = python_source(workspace / path)
        try:
            stock.test_functions += _count_tests(source) if source is not None else 0
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = f"cannot be parsed ({clean(error, 100)})"
        if reason:
            stock.unreadable.append(f"{path} {reason}")
    return stock


def _count_tests(text: str) -> int:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(
        1 for node in ast.walk(ast.parse(text)) if isinstance(node, kinds) and node.name.startswith("test")
    )


def _dependency(text: str, environment: Interpreter) -> dict[str, str]:
    try:
        name = Requirement(text).name
    except InvalidRequirement:
        name = text
    return {
        "requirement": text,
        "installed": environment.installed.get(normalised(name), ""),
        "state": environment.state_of(text),
    }


def _ratio_met(dependencies: list[dict[str, str]]) -> float | None:
    needed = [entry for entry in dependencies if entry["state"] != "not needed here"]
    return round(sum(e["state"] == "met" for e in needed) / len(needed), 4) if needed else None


def _as_json(
    project: Project,
    layout: Layout,
    stock: Stock,
    files: FileList,
    environment: Interpreter | None,
    dependencies: list[dict[str, str]],
    is_python: bool,
) -> dict[str, Any]:
    return {
        "is_python": is_python,
        "found": list(project.found),
        "name": project.name,
        "version": project.version,
        "version_from_scm": project.version_from_scm,
        "description": project.description,
        "license": project.license,
        "requires_python": project.requires_python,
        "backend": project.backend,
        "extras": {name: list(needs) for name, needs in project.extras.items()},
        "groups": {name: list(needs) for name, needs in project.groups.items()},
        "scripts": dict(project.scripts),
        "layout": layout.style,
        "roots": list(layout.roots),
        "top_level": list(layout.top_level),
        "modules": len(layout.modules),
        "size": {
            "files": len(files.files),
            "bytes": sum(file.size for file in files.files),
            "python_lines": stock.lines[".py"],
        },
        "tests": {"files": len(layout.test_files), "functions": stock.test_functions},
        "environment": environment.source if environment else None,
        "python": environment.version if environment else None,
        "dependencies": dependencies,
        "marker_count": stock.marker_count,
        "markers": stock.markers,
        "problems": [*project.problems, *files.problems, *stock.unreadable],
    }


def _summary(
    project: Project, layout: Layout, stock: Stock, dependencies: list[dict[str, str]], is_python: bool
) -> str:
    if not is_python:
        return f"No Python project: found none of {', '.join(LOOKED_FOR)} and no .py file."
    unmet = sum(entry["state"] not in ("met", "not needed here") for entry in dependencies)
    needs = (
        f"{len(dependencies)} declared dependencies, {unmet} not met" if dependencies else "no dependencies"
    )
    return (
        f"{project.label}: {count(len(layout.modules), 'module')}, {count(stock.lines['.py'], 'Python line')}, "
        f"{needs}, {count(stock.marker_count, 'open marker')}, "
        f"{count(stock.test_functions, 'test function')} in {count(len(layout.test_files), 'file')}."
    )


def _document(
    project: Project,
    layout: Layout,
    stock: Stock,
    files: FileList,
    environment: Interpreter | None,
    dependencies: list[dict[str, str]],
    is_python: bool,
) -> str:
    if not is_python:
        return document(
            "Project",
            [
                f"No Python project was found: looked for {', '.join(LOOKED_FOR)} and for files ending in .py "
                f"among {count(len(files.files), 'file')}, and found none of them.",
                "",
            ],
            _sizes(stock),
            bullets([plain(problem) for problem in files.problems]),
        )
    said = [
        ["name", plain(project.name or "–")],
        ["version", plain(project.version or ("from version control" if project.version_from_scm else "–"))],
        ["needs Python", plain(project.requires_python or "–")],
        ["license", plain(project.license or "–", 120)],
        ["build backend", plain(project.backend or "–")],
        ["layout", f"{layout.style}: {plain(', '.join(layout.top_level) or '–')}"],
        ["console scripts", plain(", ".join(project.scripts) or "–")],
    ]
    if environment is not None and not accepts(project.requires_python, environment.version):
        said.append(["note", f"Python {environment.version} here does not meet it"])
    rows = [[code(e["requirement"]), plain(e["installed"] or "–"), e["state"]] for e in dependencies]
    where = f"Held against {plain(environment.source)} (Python {environment.version})." if environment else ""
    markers = [f"{code(m['file'])}:{m['line']} **{m['marker']}** {plain(m['text'])}" for m in stock.markers]
    problems = [*project.problems, *files.problems, *stock.unreadable]
    return document(
        "Project",
        table(["", "as declared"], said),
        ["## Dependencies", "", *([where, ""] if where else [])],
        table(["declared", "installed", "state"], rows) or ["None are declared.", ""],
        ["## Size", ""],
        _sizes(stock),
        ["## Tests", ""],
        [f"{count(stock.test_functions, 'test function')} in {count(len(layout.test_files), 'file')}.", ""],
        [f"## Open markers ({stock.marker_count})", ""],
        bullets(markers, "None."),
        *(
            [["## Could not be read", ""], bullets([plain(problem) for problem in problems])]
            if problems
            else []
        ),
    )


def _sizes(stock: Stock) -> list[str]:
    rows = [
        [plain(suffix), str(stock.files[suffix]), str(stock.lines[suffix] or "–"), format_bytes(size)]
        for suffix, size in stock.bytes.most_common(12)
    ]
    return table(["kind", "files", "lines", "size"], rows)
