"""What follows from who needs whom: an order, what comes before and after, a circle. Names only, no phases."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

Needs = Mapping[str, tuple[str, ...]]
"""Name → the names that it needs itself, in the order of definition; every name that is needed is a key."""


def sorted_by_needs(needs: Needs) -> tuple[str, ...]:
    """The names, each after everything it needs; ties keep the order of definition."""
    names = tuple(needs)
    position = {name: index for index, name in enumerate(names)}
    waiting = {name: len(own) for name, own in needs.items()}
    heap = [position[name] for name, count in waiting.items() if count == 0]
    heapq.heapify(heap)
    out: list[str] = []
    while heap:
        name = names[heapq.heappop(heap)]
        out.append(name)
        for other, own in needs.items():
            if name in own:
                waiting[other] -= 1
                if waiting[other] == 0:
                    heapq.heappush(heap, position[other])
    return tuple(out)


def reached(needs: Needs, name: str) -> frozenset[str]:
    """Everything that a name needs, near and far."""
    out: set[str] = set()
    todo = list(needs[name])
    while todo:
        need = todo.pop()
        if need not in out:
            out.add(need)
            todo.extend(needs[need])
    return frozenset(out)


def turned(needs: Needs) -> Needs:
    """The graph the other way round: name → the names that need it."""
    out: dict[str, tuple[str, ...]] = dict.fromkeys(needs, ())
    for other, own in needs.items():
        for need in own:
            out[need] += (other,)
    return out


def circle(needs: Needs) -> list[str]:
    """Names that need each other in a circle, the first of them at both ends; empty when there is none."""
    state: dict[str, int] = {}
    for start in needs:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                state[name] = 2
                path.pop()
                continue
            if state.get(name) == 2:
                continue
            if state.get(name) == 1:
                return [*path[path.index(name) :], name]
            state[name] = 1
            path.append(name)
            stack.append((name, False))
            stack.extend((need, True) for need in needs[name])
    return []
