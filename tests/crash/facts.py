"""What the store promises each time one of its calls returns, noted by itself while real code runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from maestro_tui.model.events import SYNCED_TYPES
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_path
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold
from maestro_tui.store.workspace import Tree, Workspace


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit was acknowledged: it must be there, bit for bit, for ever."""

    session: str
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """An event was acknowledged as safe, by its own type or by that of a later one: it must be read again."""

    session: str
    writer: str
    seq: int
    type: str


@dataclass(frozen=True, slots=True)
class Held:
    """A runner was told that it holds the session: no later runner may have this epoch or a lower one."""

    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Trees of the workspace were acknowledged as kept: (name of the snapshot, id in git)."""

    session: str
    trees: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """A session was acknowledged as removed: it must stay away."""

    session: str


@dataclass(frozen=True, slots=True)
class Written:
    """A file of its own (a question, an answer, a receipt) was acknowledged: it must be there, bit for bit."""

    session: str
    path: str
    """Relative to the session's folder."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """From here on a file that was acknowledged may go."""

    session: str
    path: str


Tell = Callable[[object], None]


@contextmanager
def promises_noted(tell: Tell) -> Iterator[None]:
    """Hand each promise to `tell` at the moment in which the caller gets it."""

    def commit_of(store: CheckpointStore, *_: Any, result: Any, **__: Any) -> object:
        path = commit_path(store.session_dir(result.session_id), result.seq)
        return Committed(result.session_id, result.seq, path.read_bytes())

    waiting: dict[str, list[object]] = {}

    def event_of(journal: Journal, *_: Any, result: Any, **__: Any) -> object:
        before = waiting.setdefault(result.writer, [])
        before.append(Noted(result.session_id, result.writer, result.seq, result.type))
        if result.type not in SYNCED_TYPES:
            return None
        return waiting.pop(result.writer)

    def hold_of(hold: Hold, session_dir: Any, *_: Any, **__: Any) -> object:
        return Held(session_dir.name, hold.epoch)

    def trees_of(workspace: Workspace, *trees: Tree, result: Any) -> object:
        session = workspace._memory.trees.path.parent.name
        return Kept(session, tuple((tree.name, tree.id) for tree in trees)) if result is None else None

    watched: list[tuple[type, str, Callable[..., object]]] = [
        (CheckpointStore, "create", commit_of),
        (CheckpointStore, "commit", commit_of),
        (Journal, "append", event_of),
        (Hold, "__init__", hold_of),
        (Workspace, "keep", trees_of),
    ]
    before = [(kind, name, kind.__dict__[name]) for kind, name, _ in watched]
    try:
        for kind, name, fact_of in watched:
            setattr(kind, name, _telling(kind.__dict__[name], fact_of, tell))
        yield
    finally:
        for kind, name, real in before:
            setattr(kind, name, real)


def _telling(real: Callable[..., Any], fact_of: Callable[..., object], tell: Tell) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*words: Any, **named: Any) -> Any:
        result = real(*words, **named)
        known = {} if real.__name__ == "__init__" else {"result": result}
        fact = fact_of(*words, **known)
        for one in fact if isinstance(fact, list) else [fact]:
            if one is not None:
                tell(one)
        return result

    return call
