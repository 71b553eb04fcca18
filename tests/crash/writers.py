"""Finds, in the store's source, every public function and method that changes something on disk."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import maestro_tui.store

STORE = Path(maestro_tui.store.__file__).parent

_OF_OS = frozenset(
    "write pwrite writev fsync fdatasync sync link rename replace unlink remove mkdir makedirs rmdir truncate "
    "ftruncate symlink chmod fchmod mkfifo mknod utime".split()
)
_OF_PATHS = frozenset("unlink rename mkdir rmdir touch write_bytes write_text hardlink_to symlink_to".split())
_OF_SHUTIL = frozenset("rmtree move copy copy2 copyfile copytree".split())


def writing_functions(folder: Path = STORE) -> dict[str, str]:
    """Name (`function` or `Class.method`) of each public one that writes, by itself or through others → module."""
    paths = sorted(folder.glob("*.py"))
    modules = {path.stem for path in paths}
    calls: dict[str, set[str]] = {}
    module_of: dict[str, str] = {}
    writes: set[str] = set()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        foreign = _foreign_names(tree)
        for name, function in _functions(tree):
            module_of[name] = path.stem
            called = _called(function, name.rpartition(".")[0], modules) - foreign
            calls.setdefault(name, set()).update(called)
            if _writes_itself(function):
                writes.add(name)
    while True:
        made = {name.partition(".")[0] for name in writes if name.endswith((".__init__", ".__enter__"))}
        more = {name for name, called in calls.items() if called & (writes | made)} - writes
        if not more:
            break
        writes |= more
    return {
        name: module_of[name]
        for name in sorted(writes)
        if not any(p.startswith("_") for p in name.split("."))
    }


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    yield f"{node.name}.{part.name}", part


def _foreign_names(tree: ast.Module) -> set[str]:
    """Names that come from other packages: `replace` of dataclasses is not that of the store."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("maestro_tui.store")
        for alias in node.names
    }


def _called(function: ast.FunctionDef, of_class: str, modules: set[str]) -> set[str]:
    """Functions, classes, own methods and functions of the store's modules that are called by their names."""
    out = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            out.add(node.func.id)
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            if node.func.value.id == "self" and of_class:
                out.add(f"{of_class}.{node.func.attr}")
            elif node.func.value.id in modules:
                out.add(node.func.attr)
    return out


def _writes_itself(function: ast.FunctionDef) -> bool:
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        if owner == "os":
            if node.func.attr in _OF_OS or (node.func.attr == "open" and "O_CREAT" in ast.unparse(node)):
                return True
        elif owner == "shutil":
            if node.func.attr in _OF_SHUTIL:
                return True
        elif node.func.attr in _OF_PATHS:
            return True
    return False
