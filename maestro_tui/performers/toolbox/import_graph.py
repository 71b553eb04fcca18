"""The graph of a project's imports, read from its syntax trees: cycles, layers and hot spots."""

from __future__ import annotations

import ast
import sys
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.source_files import python_source

Edge = tuple[str, str]
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.match_case,
)


@dataclass(frozen=True, slots=True)
class Module:
    """One module as its source shows it."""

    name: str
    path: str
    lines: int = 0
    branches: int = 0
    """Decision points: if, for, while, except, match cases."""
    names: frozenset[str] = frozenset()
    """Functions and classes that it defines."""
    summary: str = ""
    """The first line of its docstring."""


@dataclass(slots=True)
class ImportGraph:
    """Modules and edges (importer, imported). An edge is `runtime`, `deferred` (in a function) or `typing`."""

    modules: dict[str, Module] = field(default_factory=dict)
    edges: dict[Edge, str] = field(default_factory=dict)
    outside: Counter[str] = field(default_factory=Counter)
    """Top-level names that are imported from other distributions, with how many modules do."""
    unreadable: list[str] = field(default_factory=list)

    def kind(self, *kinds: str) -> list[Edge]:
        """The edges of these kinds."""
        return [edge for edge, kind in self.edges.items() if kind in kinds]


@dataclass(frozen=True, slots=True)
class HotSpot:
    """A module that much depends on, or that depends on much."""

    name: str
    fan_in: int
    fan_out: int
    lines: int
    branches: int

    @property
    def score(self) -> float:
        """Changes here reach far and come from many sides: (fan in + 1) × (fan out + 1) × lines, in thousands."""
        return round((self.fan_in + 1) * (self.fan_out + 1) * max(1, self.lines) / 1000, 2)


def read_graph(workspace: Path, modules: Mapping[str, str], stop: threading.Event) -> ImportGraph:
    """Parse every module (dotted name → file) and resolve its imports."""
    graph = ImportGraph()
    for name, path in modules.items():
        if stop.is_set():
            break
        source, reason = python_source(workspace / path)
        tree = None
        if source is not None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(source)
                    module = _module(name, path, source, tree)
                    imports = _Imports(name, path.endswith("__init__.py"), modules)
                    imports.visit(tree)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                reason = f"cannot be parsed ({clean(error, 120)})"
                tree = None
        if tree is None:
            graph.unreadable.append(f"{path} {reason}")
            graph.modules[name] = Module(name, path)
            continue
        graph.modules[name] = module
        for target, kind in imports.found.items():
            graph.edges[(name, target)] = kind
        graph.outside.update(imports.outside)
    return graph


def _module(name: str, path: str, source: str, tree: ast.Module) -> Module:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = list(ast.walk(tree))
    docstring = ast.get_docstring(tree) or ""
    return Module(
        name=name,
        path=path,
        lines=source.count("\n") + 1,
        branches=sum(isinstance(node, _BRANCHES) for node in nodes),
        names=frozenset(node.name for node in nodes if isinstance(node, kinds)),
        summary=clean(docstring.split("\n", 1)[0], 200),
    )


_RANK = {"runtime": 0, "deferred": 1, "typing": 2}


class _Imports(ast.NodeVisitor):
    """Collects what one module imports; the strongest kind of an import wins."""

    def __init__(self, name: str, is_package: bool, known: Mapping[str, str]) -> None:
        self._name = name
        self._package = name if is_package else name.rpartition(".")[0]
        self._known = known
        self._tops = {module.split(".", 1)[0] for module in known}
        self._kind = "runtime"
        self.found: dict[str, str] = {}
        self.outside: set[str] = set()

    def _within(self, node: ast.AST, kind: str) -> None:
        before = self._kind
        self._kind = kind if _RANK[kind] > _RANK[before] else before
        self.generic_visit(node)
        self._kind = before

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within(node, "deferred")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._within(node, "deferred")

    def visit_If(self, node: ast.If) -> None:
        test = node.test
        named = (
            test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
        )
        if named != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        before, self._kind = self._kind, "typing"
        for child in node.body:
            self.visit(child)
        self._kind = before
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._take(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self._package.split(".") if self._package else []
            keep = len(parts) - (node.level - 1)
            if keep < 0:
                return
            base = ".".join([*parts[:keep], *([base] if base else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}" if base else alias.name
            self._take(inner if inner in self._known else base)

    def _take(self, name: str) -> None:
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            candidate = ".".join(parts[:length])
            if candidate in self._known:
                if candidate != self._name:
                    known = self.found.get(candidate, "typing")
                    self.found[candidate] = min(known, self._kind, key=_RANK.__getitem__)
                return
        top = parts[0]
        if top and top not in self._tops and top not in sys.stdlib_module_names and top != "__future__":
            self.outside.add(top)


def cycles(nodes: Iterable[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Groups of modules that import each other in a circle (Tarjan's strongly connected components)."""
    after: dict[str, list[str]] = defaultdict(list)
    for start, end in edges:
        after[start].append(end)
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for root in nodes:
        if root in number:
            continue
        work = [(root, iter(after[root]))]
        number[root] = low[root] = len(number)
        path.append(root)
        on_path.add(root)
        while work:
            node, rest = work[-1]
            child = next(rest, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    group: list[str] = []
                    while not group or group[-1] != node:
                        group.append(path.pop())
                        on_path.discard(group[-1])
                    if len(group) > 1:
                        found.append(sorted(group))
            elif child not in number:
                number[child] = low[child] = len(number)
                path.append(child)
                on_path.add(child)
                work.append((child, iter(after[child])))
            elif child in on_path:
                low[node] = min(low[node], number[child])
    return sorted(found, key=lambda group: (-len(group), group))


def layers(nodes: Iterable[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Modules by height: layer 0 imports nothing of the project; a circle shares one layer."""
    names = list(nodes)
    pairs = list(edges)
    group_of = {name: name for name in names}
    for group in cycles(names, pairs):
        group_of.update(dict.fromkeys(group, group[0]))
    below: dict[str, set[str]] = defaultdict(set)
    for start, end in pairs:
        if group_of[start] != group_of[end]:
            below[group_of[start]].add(group_of[end])
    height: dict[str, int] = {}
    for root in dict.fromkeys(group_of.values()):
        todo = [root]
        while todo:
            node = todo[-1]
            if node in height:
                todo.pop()
                continue
            waiting = [other for other in below[node] if other not in height]
            if waiting:
                todo.extend(waiting)
                continue
            height[node] = 1 + max((height[other] for other in below[node]), default=-1)
            todo.pop()
    out: dict[int, list[str]] = defaultdict(list)
    for name in names:
        out[height[group_of[name]]].append(name)
    return [sorted(out[level]) for level in sorted(out)]


def hot_spots(graph: ImportGraph, limit: int = 10) -> list[HotSpot]:
    """The modules where a change costs most, the hottest first."""
    pairs = graph.kind("runtime", "deferred")
    fan_in, fan_out = Counter(end for _, end in pairs), Counter(start for start, _ in pairs)
    spots = [
        HotSpot(name, fan_in[name], fan_out[name], module.lines, module.branches)
        for name, module in graph.modules.items()
    ]
    ranked = sorted(spots, key=lambda s: (-((s.fan_in + 1) * (s.fan_out + 1) * max(1, s.lines)), s.name))
    return ranked[:limit]


def by_package(edges: Iterable[Edge], depth: int) -> Counter[Edge]:
    """The edges between packages, names cut to `depth` parts, each with how many imports it stands for."""

    def cut(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    return Counter((cut(start), cut(end)) for start, end in edges if cut(start) != cut(end))
