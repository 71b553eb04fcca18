"""A JSON value as a tree of lines: only what is open is made, long texts are cut, and search looks everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maestro_tui.console.lines import Line, line
from maestro_tui.console.structural_diff import brief
from maestro_tui.model.text import clean

NodePath = tuple[str | int, ...]
"""Keys and places from the root; empty for the root itself."""

PAGE = 500
"""Children shown of one node; the rest is told in a line."""
TEXT_LIMIT = 300
MOST_SEARCHED = 400_000
MOST_FOUND = 2_000
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A visible place of the tree."""

    path: NodePath
    value: Any
    depth: int
    open: bool


def is_branch(value: Any) -> bool:
    """True when a node can be opened."""
    return isinstance(value, dict | list) and len(value) > 0


def children(value: Any) -> Iterator[tuple[str | int, Any]]:
    """Keys and values of an object, places and values of a list."""
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list):
        yield from enumerate(value)


def at(root: Any, path: NodePath) -> Any:
    """The value at a path; KeyError when it is not there."""
    value = root
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            raise KeyError(path) from error
    return value


def visible(root: Any, opened: frozenset[NodePath]) -> Iterator[Node | tuple[NodePath, int, int]]:
    """The open part of the tree in order; a tuple stands for children that are left out: path, depth, count."""
    stack: list[tuple[NodePath, Any, int, int]] = []

    def push(path: NodePath, value: Any, depth: int) -> None:
        shown = [((*path, key), item, depth, 0) for key, item in _first(value)]
        if len(value) > PAGE:
            stack.append((path, None, depth, len(value) - PAGE))
        stack.extend(reversed(shown))

    if is_branch(root):
        push((), root, 0)
    else:
        yield Node((), root, 0, False)
    while stack:
        path, value, depth, left_out = stack.pop()
        if left_out:
            yield path, depth, left_out
            continue
        is_open = path in opened and is_branch(value)
        yield Node(path, value, depth, is_open)
        if is_open and depth < DEEPEST:
            push(path, value, depth + 1)


def _first(value: Any) -> Iterator[tuple[str | int, Any]]:
    for index, pair in enumerate(children(value)):
        if index >= PAGE:
            return
        yield pair


def tree_lines(root: Any, opened: frozenset[NodePath]) -> list[Line]:
    """The open part of the tree as lines; each line's key is the node's path."""
    lines: list[Line] = []
    for node in visible(root, opened):
        if isinstance(node, tuple):
            path, depth, left_out = node
            lines.append(line((*path, None), "  " * depth, (f"  … {left_out} more, not shown", "muted")))
            continue
        indent = "  " * node.depth
        sign = ("▾ " if node.open else "▸ ") if is_branch(node.value) else "  "
        name = node.path[-1] if node.path else "value"
        label = f"[{name}]" if isinstance(name, int) else clean(name, 120)
        if isinstance(node.value, dict | list):
            lines.append(
                line(node.path, indent, (sign, "muted"), label, ("  " + size_words(node.value), "muted"))
            )
        else:
            style = "literal" if not isinstance(node.value, str) else ""
            lines.append(
                line(
                    node.path,
                    indent,
                    (sign, ""),
                    (f"{label}  ", "muted"),
                    (brief(node.value, TEXT_LIMIT), style),
                )
            )
    return lines


def size_words(value: Any) -> str:
    """`3 entries`, `no items`: how much a container holds."""
    one, many = ("entry", "entries") if isinstance(value, dict) else ("item", "items")
    return f"{len(value)} {one if len(value) == 1 else many}" if value else f"no {many}"


def find(root: Any, query: str) -> list[NodePath]:
    """Paths of the nodes whose key or plain value holds the query, in order; bounded."""
    exact = query != query.lower()
    found: list[NodePath] = []
    stack: list[tuple[NodePath, Any]] = [((), root)]
    looked = 0
    while stack and looked < MOST_SEARCHED and len(found) < MOST_FOUND:
        path, value = stack.pop()
        looked += 1
        text = str(path[-1]) if path and isinstance(path[-1], str) else ""
        if not isinstance(value, dict | list):
            text += "\n" + (value if isinstance(value, str) else brief(value))
        if query in (text if exact else text.lower()):
            found.append(path)
        if isinstance(value, dict | list) and len(path) < DEEPEST:
            stack.extend(reversed([((*path, key), item) for key, item in children(value)]))
    return found


def ancestors(path: NodePath) -> frozenset[NodePath]:
    """The nodes that must be open for a path to be visible."""
    return frozenset(path[:length] for length in range(1, len(path)))


def pretty(value: Any, limit: int = 200_000) -> str:
    """A value as indented JSON or, for a text, as it is; cut at `limit` characters."""
    if isinstance(value, str):
        return value[:limit]
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)[:limit]
    except (RecursionError, ValueError):
        return brief(value)
