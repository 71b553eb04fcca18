"""Makes the smallest sessions that the store's tests need, and files whose digest is right though they are not."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import Change, CheckpointStore
from maestro_tui.store.lease import Hold, hold_session

MOMENT = datetime(2026, 11, 23, 20, 36, 51, 123_000, UTC)
PHASES = ("requirements", "design", "testing")
FLOW = Workflow(name="three", phases=tuple(Phase(name=name) for name in PHASES))


def context(session_id: str = "s1", **changes: Any) -> TeamExecutionContext:
    """The state before the first phase."""
    facts = {"session_id": session_id, "requirement": "Build it", "workflow": FLOW, "created_at": MOMENT}
    return TeamExecutionContext(**{**facts, **changes})


def first(**changes: Any) -> Checkpoint:
    """Commit 0 of a session, not on disk."""
    state = context(**changes)
    return Checkpoint(
        seq=0,
        prev=None,
        session_id=state.session_id,
        phase="init",
        attempt=0,
        epoch=0,
        created_at=MOMENT,
        workflow=FLOW,
        context=state,
    )


def outcome(phase: str, status: str = "completed", attempt: int = 1, **outputs: Any) -> Change:
    """A change that puts one phase's result in its place."""
    result = PhaseResult(status=PhaseStatus(status), attempt=attempt, outputs=outputs)
    return lambda head: (head.context.with_result(phase, result), None)


def commit(
    store: CheckpointStore,
    hold: Hold,
    phase: str,
    status: str = "completed",
    attempt: int = 1,
    **outputs: Any,
) -> Checkpoint:
    """Commit one outcome of the session `s1`."""
    return store.commit("s1", phase, attempt, outcome(phase, status, attempt, **outputs), hold)


def session(store: CheckpointStore, *phases: str) -> Path:
    """Session `s1` with these phases completed, one commit each; its folder."""
    store.create(context())
    folder = store.session_dir("s1")
    with hold_session(folder) as hold:
        for phase in phases:
            commit(store, hold, phase, said=phase)
    return folder


def sealed(text: bytes | str) -> bytes:
    """The same bytes with the digest made right: what a forger or a faulty writer could leave."""
    raw = text.encode() if isinstance(text, str) else text
    start = raw.index(b'"sha256": "') + len(b'"sha256": "')
    zeroed = raw[:start] + b"0" * 64 + raw[start + 64 :]
    return zeroed[:start] + hashlib.sha256(zeroed).hexdigest().encode() + zeroed[start + 64 :]


def changed(raw: bytes, **envelope: Any) -> bytes:
    """A checkpoint's bytes with other values in the envelope, and the digest made right."""
    return sealed(json.dumps({**json.loads(raw), **envelope}, indent=2) + "\n")
