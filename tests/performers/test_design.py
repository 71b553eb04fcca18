"""The import graph: resolved from syntax trees, with cycles, layers and hot spots, also on hostile sources."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

from maestro_tui.performers.toolbox.design import diagram
from maestro_tui.performers.toolbox.import_graph import ImportGraph, cycles, hot_spots, layers, read_graph
from maestro_tui.performers.toolbox.layout import read_layout
from maestro_tui.performers.toolbox.project import read_project
from maestro_tui.performers.toolbox.source_files import list_files
from tests.performers.bench_fixtures import sample_project, use_tool, write_files


def graph_of(folder: Path, files: dict[str, str]) -> ImportGraph:
    write_files(folder, files)
    layout = read_layout(read_project(folder), list_files(folder))
    return read_graph(folder, layout.modules, threading.Event())


def test_absolute_relative_deferred_and_typing_imports_are_told_apart(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        {
            "src/shop/__init__.py": "from . import orders\n",
            "src/shop/orders.py": (
                "import os, click\nfrom typing import TYPE_CHECKING\nfrom ..shop.money import Euro\n"
                "if TYPE_CHECKING:\n    from shop import pages\n"
                "def late():\n    import shop.pages.home as home\n"
            ),
            "src/shop/money.py": "class Euro: pass\n",
            "src/shop/pages/__init__.py": "",
            "src/shop/pages/home.py": "from ..orders import late\nfrom .missing import nothing\n",
        },
    )
    assert graph.edges == {
        ("shop", "shop.orders"): "runtime",
        ("shop.orders", "shop.pages"): "typing",
        ("shop.orders", "shop.pages.home"): "deferred",
        ("shop.pages.home", "shop.orders"): "runtime",
        ("shop.pages.home", "shop.pages"): "runtime",
    } | {("shop.orders", "shop.money"): "runtime"}
    assert dict(graph.outside) == {"click": 1}


def test_cycles_are_found_as_whole_groups() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "f"), ("f", "e"), ("g", "g")]
    assert cycles("abcdefg", edges) == [["a", "b", "c"], ["e", "f"]]


def test_layers_rest_on_what_they_import_and_a_cycle_shares_one() -> None:
    edges = [("app", "core"), ("core", "base"), ("core", "helper"), ("helper", "core"), ("app", "base")]
    assert layers(["app", "core", "helper", "base"], edges) == [["base"], ["core", "helper"], ["app"]]


def test_a_chain_of_ten_thousand_modules_needs_no_recursion() -> None:
    names = [f"m{number}" for number in range(10_000)]
    edges = list(itertools.pairwise(names))
    assert len(layers(names, edges)) == 10_000 and cycles(names, edges) == []


def test_the_hottest_module_is_large_and_much_used(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        {
            "core.py": "x = 1\n" * 50 + "import base\n",
            "base.py": "",
            "a.py": "import core\n",
            "b.py": "import core\n",
        },
    )
    first = hot_spots(graph)[0]
    assert (first.name, first.fan_in, first.fan_out) == ("core", 2, 1)


def test_hostile_sources_are_named_and_the_rest_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "huge.py").write_bytes(b"x = 1\n" * 500_000)
    graph = graph_of(
        tmp_path,
        {
            "broken.py": "def (\n",
            "deep.py": "x = " + "(" * 5_000 + ")" * 5_000,
            "minus.py": "x = " + "-" * 100_000 + "1",
            "fine.py": "import broken\n",
        },
    )
    named = {problem.split(" ", 1)[0] for problem in graph.unreadable}
    assert named == {"latin.py", "nul.py", "huge.py", "broken.py", "deep.py", "minus.py"}
    assert graph.edges == {("fine", "broken"): "runtime"}


def test_a_large_graph_is_drawn_by_packages(tmp_path: Path) -> None:
    files = {f"src/big/p{p}/m{m}.py": f"import big.p{(p + 1) % 3}.m0\n" for p in range(3) for m in range(20)}
    mermaid, drawn = diagram(graph_of(tmp_path, files), [])
    assert "packages" in drawn and mermaid.count("[") == 3 and mermaid.count("-->") == 3


async def test_the_map_names_modules_that_share_words_with_the_requirement(tmp_path: Path) -> None:
    space = sample_project(
        tmp_path / "workspace",
        files={"src/sample/left.py": "import sample.right\n", "src/sample/right.py": "import sample.left\n"},
    )
    outputs = {"requirements": {"statements": [{"id": "R1", "text": "Sums must be exact"}, "odd", {"id": 2}]}}
    result = await use_tool(tmp_path, "software_architect", workspace=space, outputs=outputs)
    assert result.outputs["traces"][0] == {"statement": "R1", "modules": ["sample.sums"], "words": ["sum"]}
    assert result.outputs["cycles"] == [["sample.left", "sample.right"]]
    assert result.metrics["modules_parsed"] == 1 and result.metrics["modules_without_cycle"] == 0.6
    data = json.loads((space / "maestro-out/design/design.json").read_text())
    assert {"from": "sample", "to": "sample.sums", "kind": "runtime"} in data["imports"]
    assert "```mermaid\ngraph TD" in (space / "maestro-out/design/design.md").read_text()
