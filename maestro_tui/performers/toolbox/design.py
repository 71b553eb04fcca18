"""The software architect: maps how the project's modules depend on each other, as a diagram and as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.import_graph import (
    Edge,
    ImportGraph,
    by_package,
    cycles,
    hot_spots,
    layers,
    read_graph,
)
from maestro_tui.performers.toolbox.layout import Layout, read_layout
from maestro_tui.performers.toolbox.markdown import bullets, code, count, document, first, plain, table
from maestro_tui.performers.toolbox.project import read_project
from maestro_tui.performers.toolbox.source_files import checkpoint_root, list_files
from maestro_tui.performers.toolbox.wording import shared_words

DIAGRAM_NODES = 40
"""A diagram with more boxes is read by nobody: then packages are drawn instead of modules."""
OUTPUT_NAMES = 2_000
_NO_LABEL = re.compile(r"[^\w.]")


async def map_structure(task: Task, port: Port) -> PerformerResult:
    """Write design.md and design.json."""
    bench = Bench(task, port, "design")
    files = await bench.off_loop(
        list_files, task.workspace, checkpoint_root(task.scratch, task.session_id), bench.stop
    )
    project = await bench.off_loop(read_project, task.workspace)
    layout = read_layout(project, files)
    if not layout.modules:
        return _nothing_there(bench, len(files.files), len(files.ending(".py")))
    graph = await bench.off_loop(read_graph, task.workspace, layout.modules, bench.stop)
    runtime = graph.kind("runtime")
    circles = await bench.off_loop(cycles, graph.modules, runtime)
    both = await bench.off_loop(cycles, graph.modules, graph.kind("runtime", "deferred"))
    wider = [circle for circle in both if circle not in circles]
    levels = await bench.off_loop(layers, graph.modules, runtime)
    spots = hot_spots(graph)
    statements = bench.earlier("requirements", "statements").get("statements")
    traces = await bench.off_loop(trace, statements, graph)
    mermaid, drawn = diagram(graph, circles)
    data: dict[str, Any] = {
        "roots": list(layout.roots),
        "layout": layout.style,
        "modules": [
            {"name": m.name, "path": m.path, "lines": m.lines, "branches": m.branches, "summary": m.summary}
            for m in graph.modules.values()
        ],
        "imports": [{"from": a, "to": b, "kind": kind} for (a, b), kind in sorted(graph.edges.items())],
        "cycles": circles,
        "cycles_through_deferred_imports": wider,
        "layers": levels,
        "hot_spots": [
            {"module": s.name, "fan_in": s.fan_in, "fan_out": s.fan_out, "lines": s.lines, "score": s.score}
            for s in spots
        ],
        "outside": dict(graph.outside.most_common()),
        "traces": traces,
        "mermaid": mermaid,
        "unreadable": graph.unreadable,
    }
    bench.write_json("design.json", data)
    bench.write("design.md", _document(layout, graph, data, drawn))
    parsed = len(graph.modules) - len(graph.unreadable)
    summary = (
        f"{count(len(graph.modules), 'module')}, {count(len(graph.edges), 'import')} among them, "
        f"{count(len(circles), 'cycle')}, {count(len(levels), 'layer')}; hottest: {first([s.name for s in spots], 3)}."
    )
    if graph.unreadable:
        summary += f" {count(len(graph.unreadable), 'module')} could not be parsed."
    bench.say(summary)
    kept = {key: data[key] for key in ("roots", "cycles", "hot_spots", "outside", "traces")}
    return PerformerResult(
        outputs={
            **kept,
            "modules": list(graph.modules)[:OUTPUT_NAMES],
            "module_count": len(graph.modules),
            "import_count": len(graph.edges),
            "layer_count": len(levels),
            "design_report": f"{bench.folder}/design.md",
        },
        decisions=[_decision(layout, circles, drawn)],
        metrics={
            "modules_parsed": round(parsed / len(graph.modules), 4),
            "modules_without_cycle": round(1 - sum(map(len, circles)) / len(graph.modules), 4),
        },
        summary=summary,
    )


def trace(statements: object, graph: ImportGraph) -> list[dict[str, Any]]:
    """Which modules share words with each statement of the requirement: a hint where to look, no more."""
    texts = {name: " ".join([name, module.summary, *module.names]) for name, module in graph.modules.items()}
    return [
        {"statement": number, "modules": list(hits), "words": sorted(set().union(*hits.values()))}
        for number, hits in shared_words(statements, texts)
    ]


def diagram(graph: ImportGraph, circles: list[list[str]]) -> tuple[str, str]:
    """The graph in Mermaid, and what its boxes are: modules, or packages where modules would be too many."""
    runtime = graph.kind("runtime")
    drawn: Iterable[Edge]
    if len(graph.modules) <= DIAGRAM_NODES:
        names, drawn, what = sorted(graph.modules), sorted(runtime), "modules"
    else:
        deepest = max(name.count(".") for name in graph.modules) + 1
        depth = 1
        for candidate in range(1, deepest + 1):
            if len({tuple(n.split(".")[:candidate]) for n in graph.modules}) <= DIAGRAM_NODES:
                depth = candidate
        names = sorted({".".join(name.split(".")[:depth]) for name in graph.modules})
        drawn, what = sorted(by_package(runtime, depth)), f"packages (names to {count(depth, 'part')})"
        if len(names) > DIAGRAM_NODES:
            weight = by_package(runtime, depth)
            busy = sorted(names, key=lambda n: (-sum(c for e, c in weight.items() if n in e), n))
            names = sorted(busy[:DIAGRAM_NODES])
            what = f"the {DIAGRAM_NODES} most connected {what}"
    box = {name: f"m{number}" for number, name in enumerate(names)}
    circular = {name for circle in circles for name in circle}
    lines = ["graph TD"]
    lines += [f'    {box[name]}["{_NO_LABEL.sub("_", name)}"]' for name in names]
    lines += [f"    {box[a]} --> {box[b]}" for a, b in drawn if a in box and b in box]
    marked = [box[name] for name in names if name in circular]
    if marked:
        lines += ["    classDef cycle stroke:#c00,stroke-width:3px", f"    class {','.join(marked)} cycle"]
    return "\n".join(lines), what


def _decision(layout: Layout, circles: list[list[str]], drawn: str) -> Decision:
    return Decision(
        about="how the code is mapped",
        choice=f"{layout.style} with {', '.join(layout.roots)} on the import path; {drawn} are drawn",
        rationale=(
            "Imports at module level make layers and cycles; those inside functions and under TYPE_CHECKING are "
            f"listed apart, for they do not run at import. {count(len(circles), 'cycle')} at import time."
        ),
        decided_by="rules",
    )


def _nothing_there(bench: Bench, files: int, python_files: int) -> PerformerResult:
    found = (
        f"No importable Python module was found among {count(files, 'file')}: looked for packages under src/ and at "
        f"the top of the workspace and for single modules; there are {count(python_files, 'Python file')} outside them."
    )
    bench.say(found)
    bench.write_json("design.json", {"modules": [], "imports": [], "note": found})
    bench.write("design.md", document("Design", [found, "", "Structure: not measured.", ""]))
    return PerformerResult(
        outputs={"modules": [], "module_count": 0, "design_report": f"{bench.folder}/design.md"},
        decisions=[
            Decision(about="how the code is mapped", choice="not at all", rationale=found, decided_by="rules")
        ],
        metrics={"modules_parsed": None, "modules_without_cycle": None},
        summary=found,
    )


def _document(layout: Layout, graph: ImportGraph, data: Mapping[str, Any], drawn: str) -> str:
    spots = [
        [code(s["module"]), str(s["fan_in"]), str(s["fan_out"]), str(s["lines"]), str(s["score"])]
        for s in data["hot_spots"]
    ]
    circles = [" → ".join(code(name) for name in circle[:12]) for circle in data["cycles"]]
    deferred = [
        " → ".join(code(name) for name in circle[:12]) for circle in data["cycles_through_deferred_imports"]
    ]
    levels = [
        [
            str(number),
            str(len(names)),
            ", ".join(code(name) for name in names[:12]) + (" …" if names[12:] else ""),
        ]
        for number, names in enumerate(data["layers"])
    ]
    traces = [
        [
            entry["statement"],
            ", ".join(code(name) for name in entry["modules"]) or "none",
            plain(", ".join(entry["words"])),
        ]
        for entry in data["traces"]
    ]
    outside = [f"{code(name)} in {count(number, 'module')}" for name, number in data["outside"].items()]
    return document(
        "Design",
        [
            f"{count(len(graph.modules), 'module')} in {layout.style} ({plain(', '.join(layout.roots))}), "
            f"{count(len(graph.edges), 'import')} among them. Drawn: {drawn}.",
            "",
        ],
        ["```mermaid", data["mermaid"], "```", ""],
        ["## Cycles at import time", ""],
        bullets(circles, "None."),
        *([["## Cycles through imports inside functions", ""], bullets(deferred)] if deferred else []),
        ["## Layers", "", "Layer 0 imports nothing of the project; each layer rests on those below it.", ""],
        table(["layer", "modules", "names"], levels),
        ["## Hot spots", "", "Score: (fan in + 1) × (fan out + 1) × lines ÷ 1000.", ""],
        table(["module", "fan in", "fan out", "lines", "score"], spots),
        ["## Imported from outside", ""],
        bullets(outside, "Only the standard library."),
        *(
            [
                [
                    "## Where the requirement's words appear",
                    "",
                    "Shared words are a hint where to look, no proof.",
                    "",
                ],
                table(["statement", "modules", "words"], traces),
            ]
            if traces
            else []
        ),
        *(
            [["## Could not be parsed", ""], bullets([plain(p) for p in graph.unreadable])]
            if graph.unreadable
            else []
        ),
    )
