"""The work of the benches done by LangGraph over SQLite, each commit on the disk before the next step begins.

python -m tests.bench.langgraph_work DATABASE THREAD begin|resume    # five steps; the third fails at `begin`

Needs the extra `bench`. As a program it is what an operator would start anew after a failure.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from tests.bench.five_steps import GROWTH, NAMES, words


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Outputs of all steps so far."""
    return {**old, **new}


class State(TypedDict):
    """What is kept after each step: the outputs of all steps so far."""

    requirement: str
    outputs: Annotated[dict[str, Any], merged]


class LangGraph:
    """Five steps in a chain over one database; `work` makes the outputs of a step from its name."""

    def __init__(self, database: Path, work: Callable[[str], dict[str, Any]]) -> None:
        self._connection = sqlite3.connect(database, check_same_thread=False)
        saver = SqliteSaver(self._connection)
        saver.setup()
        self._connection.execute("PRAGMA synchronous=FULL")
        graph = StateGraph(State)
        for name in NAMES:
            graph.add_node(name, lambda _, name=name: {"outputs": {name: work(name)}})
        for before, after in zip((START, *NAMES), (*NAMES, END), strict=True):
            graph.add_edge(before, after)
        self._graph = graph.compile(checkpointer=saver)

    def run(self, thread: str, *, resume: bool = False) -> dict[str, Any]:
        """From the first step, or from the one that is not committed, to the last; the outputs."""
        first = None if resume else {"requirement": "cost", "outputs": {}}
        state = self._graph.invoke(first, {"configurable": {"thread_id": thread}}, durability="sync")
        outputs: dict[str, Any] = state["outputs"]
        return outputs

    def settings(self) -> str:
        """How the database is kept."""
        journal, synchronous = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        )
        return f"journal_mode={journal} synchronous={synchronous}"

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def main(database: str, thread: str, act: str) -> None:
    """Each step starts a command that says a line, as a phase of ours does."""
    chance = random.Random(1)

    def work(name: str) -> dict[str, Any]:
        if name == "three" and act == "begin":
            raise RuntimeError("three does not work yet")
        subprocess.run(["/bin/sh", "-c", f"echo {name} begins"], check=True)
        return words(GROWTH, chance)

    graph = LangGraph(Path(database), work)
    try:
        graph.run(thread, resume=act == "resume")
    finally:
        graph.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
