"""A JSON value as a tree of lines: lazy, bounded, searchable, clean."""

from __future__ import annotations

from typing import Any

import pytest

from maestro_tui.console import json_tree
from tests.console.hostile import HOSTILE, NEVER_RAW

ROOT = {"a": 1, "b": {"c": ["x", {"d": "needle"}], "e": {}}, "f": "Needle"}


def texts(root: Any, *opened: tuple[str | int, ...]) -> list[str]:
    return [one.text.rstrip() for one in json_tree.tree_lines(root, frozenset(opened))]


def test_only_what_is_open_is_made() -> None:
    assert texts(ROOT) == ["  a  1", "▸ b  2 entries", '  f  "Needle"']
    assert texts(ROOT, ("b",)) == [
        "  a  1",
        "▾ b  2 entries",
        "  ▸ c  2 items",
        "    e  no entries",
        '  f  "Needle"',
    ]


def test_each_line_stands_for_its_path() -> None:
    keys = [one.key for one in json_tree.tree_lines(ROOT, frozenset([("b",), ("b", "c")]))]
    assert keys == [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1), ("b", "e"), ("f",)]
    assert json_tree.at(ROOT, ("b", "c", 1, "d")) == "needle"
    with pytest.raises(KeyError):
        json_tree.at(ROOT, ("b", "c", 7))


def test_search_looks_into_what_is_folded_and_minds_capitals_only_when_typed() -> None:
    assert json_tree.find(ROOT, "needle") == [("b", "c", 1, "d"), ("f",)]
    assert json_tree.find(ROOT, "Needle") == [("f",)]
    assert json_tree.ancestors(("b", "c", 1, "d")) == {("b",), ("b", "c"), ("b", "c", 1)}


def test_many_children_are_told_by_number_and_long_texts_are_cut() -> None:
    lines = texts({"list": list(range(10_000)), "text": "x" * 1_000_000}, ("list",))
    assert len(lines) == json_tree.PAGE + 3
    assert lines[-2].strip() == f"… {10_000 - json_tree.PAGE} more, not shown"
    assert len(lines[-1]) < 400


def test_deep_nesting_does_not_recurse() -> None:
    deep: Any = "end"
    for _ in range(20_000):
        deep = [deep]
    opened = frozenset((0,) * depth for depth in range(1, 400))
    assert len(json_tree.tree_lines(deep, opened)) <= json_tree.DEEPEST + 2
    assert json_tree.find(deep, "end") == []


def test_hostile_keys_and_values_are_clean() -> None:
    root = {HOSTILE: {HOSTILE: HOSTILE}, "n": 10**9000}
    shown = "".join(texts(root, (HOSTILE,)))
    assert not NEVER_RAW & set(shown)


def test_a_plain_value_is_a_tree_of_one_line() -> None:
    assert texts("x") == ['  value  "x"']
    assert texts([]) == ["  value  no items"]
