"""Begins a session from a commit of another one: a fork, or a session that comes from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from maestro_tui.engine.decisions import tell
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import Lineage, TeamExecutionContext
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import new_session_id

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine


def fork(engine: Engine, session_id: str, seq: int | None, new_id: str | None) -> str:
    """Begin a session from a commit of an old one, or from its newest. Raises `InputError` when there is none."""
    engine.require(session_id)
    if seq is not None and not engine.store.holds(session_id, seq):
        raise InputError(
            f"Session {session_id!r} has no commit {seq}; 'maestro-tui show {session_id}' tells of those that "
            "there are. Nothing was forked."
        )
    commit = engine.store.head(session_id) if seq is None else engine.store.load(session_id, seq)
    return _descend(engine, commit, new_id, "fork")


def _descend(
    engine: Engine, commit: Checkpoint, session_id: str | None, how: Literal["fork", "import"]
) -> str:
    """Begin a session from a checkpoint of another one, lineage recorded; the old one stays as it is."""
    name = session_id or new_session_id(commit.context.requirement, engine.team.now())
    lineage = Lineage(session_id=commit.session_id, seq=commit.seq, sha256=commit.sha256, how=how)
    begin(
        engine,
        commit.context.model_copy(update={"session_id": name, "lineage": lineage, "recovered": {}}),
        lineage,
    )
    return name


def begun_from(engine: Engine, commit: Checkpoint) -> str:
    """The session to go on with from a checkpoint, begun when this is the first time that it is asked for."""
    name = commit.session_id
    if not engine.store.exists(name):
        return _descend(engine, commit, name, "import")
    head = engine.store.head(name)
    if head.sha256 == commit.sha256 or _stems(head, commit):
        return name
    # A name that says where it came from is the same for whoever asks again.
    fork = f"{name[:100]}-at-{commit.seq}-{commit.sha256[:8]}"
    try:
        return _descend(engine, commit, fork, "fork")
    except InputError:
        if engine.store.exists(fork) and _stems(engine.store.head(fork), commit):
            return fork
        raise


def _stems(head: Checkpoint, commit: Checkpoint) -> bool:
    """True when a session was made from this very checkpoint."""
    return head.context.lineage is not None and head.context.lineage.sha256 == commit.sha256


def begin(engine: Engine, context: TeamExecutionContext, lineage: Lineage) -> None:
    """Write a session's first checkpoint from a state that came from elsewhere; the journal says whence."""
    engine.store.create(context)
    data = {"from": lineage.session_id, "seq": lineage.seq, "sha256": lineage.sha256, "how": lineage.how}
    tell(engine, context.session_id, "forked", None, None, data)
