"""Finds where a project keeps its importable modules and its tests: src layout, flat layout, or loose files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.source_files import FileList

_NOT_PACKAGES = frozenset(
    """
    test tests testing doc docs documentation example examples sample samples bench benchmark benchmarks
    tool tools script scripts tasks ci requirements notebooks changelog typings stubs
    """.split()
)
_NOT_MODULES = frozenset("setup conftest noxfile fabfile tasks dodo versioneer".split())


@dataclass(frozen=True, slots=True)
class Layout:
    """`modules`: dotted name → file, relative to the workspace, of the project's own importable code."""

    roots: tuple[str, ...]
    """Folders that must be on the import path, relative to the workspace; `.` is the workspace itself."""
    modules: Mapping[str, str]
    top_level: tuple[str, ...]
    test_files: tuple[str, ...]
    style: str
    """`src layout`, `flat layout`, `configured layout`, or `no importable code`."""


def read_layout(project: Project, files: FileList) -> Layout:
    """The layout, by what the project configures, else by where packages are found."""
    paths = [PurePosixPath(file.path) for file in files.ending(".py")]
    tests = tuple(str(path) for path in paths if is_test_file(path))
    configured = _configured_roots(project)
    roots = [root for root in configured if any(_under(path, root) for path in paths)]
    style = "src layout" if roots == ["src"] else "configured layout" if roots else ""
    if not roots and any(len(path.parts) > 1 and path.parts[0] == "src" for path in paths):
        roots, style = ["src"], "src layout"
    if not roots:
        roots, style = ["."], "flat layout"
    modules: dict[str, str] = {}
    for root in roots:
        modules.update(_modules_under(root, paths))
    if not modules and style != "flat layout":
        roots, style = ["."], "flat layout"
        modules = _modules_under(".", paths)
    top = tuple(dict.fromkeys(name.split(".", 1)[0] for name in modules))
    return Layout(tuple(roots), modules, top, tests, style if modules else "no importable code")


def is_test_file(path: PurePosixPath) -> bool:
    """True for files that pytest and unittest collect by their names."""
    return path.suffix == ".py" and (
        path.stem.startswith("test_")
        or path.stem.endswith("_test")
        or (path.stem in ("test", "tests") and len(path.parts) <= 2)
    )


def _under(path: PurePosixPath, root: str) -> bool:
    return root == "." or path.is_relative_to(root)


def _modules_under(root: str, paths: Iterable[PurePosixPath]) -> dict[str, str]:
    inside = {path: path.relative_to(root) if root != "." else path for path in paths if _under(path, root)}
    regular = {inner.parent for inner in inside.values() if inner.name == "__init__.py"}
    out: dict[str, str] = {}
    for path, inner in inside.items():
        if not _importable(inner, regular, flat=root == "."):
            continue
        parts = inner.parent.parts if inner.name == "__init__.py" else (*inner.parent.parts, inner.stem)
        if parts:
            out[".".join(parts)] = str(path)
    return out


def _importable(inner: PurePosixPath, regular: set[PurePosixPath], *, flat: bool) -> bool:
    folders = inner.parent.parts
    if not all(part.isidentifier() for part in (*folders, inner.stem)):
        return False
    if not folders:
        return not (flat and (inner.stem in _NOT_MODULES or is_test_file(inner))) and inner.stem != "__init__"
    if not flat:
        return True
    # In a flat layout only regular packages count: any folder could otherwise be a namespace package.
    return folders[0] not in _NOT_PACKAGES and PurePosixPath(folders[0]) in regular


def _configured_roots(project: Project) -> list[str]:
    tool = project.tool
    found: list[str] = []
    setuptools = _table(tool, "setuptools")
    where = _table(setuptools, "packages", "find").get("where")
    if isinstance(where, list):
        found += [part for part in where if isinstance(part, str)]
    directory = _table(setuptools, "package-dir").get("")
    if isinstance(directory, str):
        found.append(directory)
    packages = _table(tool, "hatch", "build", "targets", "wheel").get("packages")
    if isinstance(packages, list):
        found += [str(PurePosixPath(part).parent) for part in packages if isinstance(part, str)]
    poetry = _table(tool, "poetry").get("packages")
    for entry in poetry if isinstance(poetry, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("from"), str):
            found.append(entry["from"])
    for table, key in (("maturin", "python-source"), ("pdm", "package-dir")):
        value = _table(tool, table).get(key)
        if isinstance(value, str):
            found.append(value)
    clean_roots = [str(PurePosixPath(root)) for root in found]
    return list(
        dict.fromkeys(root for root in clean_roots if not root.startswith(("/", "..")) and root != ".")
    )


def _table(data: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    node: Any = data
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}
