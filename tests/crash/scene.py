"""The small world in which operations are recorded: a root with sessions, a workspace, an engine without commands."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from maestro_tui.engine import heartbeat
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.context import Artifact, Gate, PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.store import checkpoints
from maestro_tui.store.checkpoints import Change, CheckpointStore
from maestro_tui.store.lease import Hold, hold_session
from maestro_tui.store.workspace import FileChange

MOMENT = datetime(2026, 11, 23, 20, 36, 51, 123_000, UTC)
PHASES = ("requirements", "design", "testing")
FLOW = Workflow(
    name="three",
    phases=tuple(
        Phase(name=name, personas=(Persona(name="worker", argv=("in-process",)),)) for name in PHASES
    ),
)
SESSION = "s1"


def clock() -> float:
    """A clock that stands, so that equal work leaves equal bytes."""
    return MOMENT.timestamp()


class Scene:
    """The folders below one top folder, and short words for what is done there."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root = top / "kept" / "root"
        self.workspace = top / "work"
        self.store = CheckpointStore(self.root)
        self.told: Callable[[object], None] = lambda _: None
        """Takes a promise that only the operation itself knows of."""

    def folder(self, session: str = SESSION) -> Path:
        """A session's folder."""
        return self.store.session_dir(session)

    def begin(self, session: str = SESSION) -> None:
        """Create a session."""
        self.store.create(context(session, self.workspace))

    def commit(
        self,
        hold: Hold,
        phase: str,
        status: str = "completed",
        attempt: int = 1,
        left: Sequence[FileChange] = (),
    ) -> None:
        """Commit one outcome of the session, with the files that it left."""
        self.store.commit(SESSION, phase, attempt, outcome(phase, status, attempt, left=left), hold)

    def begun(self, *phases: str) -> None:
        """A session with these phases completed."""
        self.begin()
        with hold_session(self.folder(), clock=clock) as hold:
            for phase in phases:
                self.commit(hold, phase)

    def engine(self, work: Work | None = None) -> TeamExecutionEngineV2SplitMode:
        """The real engine; its phases are carried out in this process by `work`."""
        return engine_of(self.root, self.workspace, work or Work())


def context(session: str, workspace: Path) -> TeamExecutionContext:
    """The state before the first phase."""
    return TeamExecutionContext(
        session_id=session,
        requirement="Build it",
        workflow=FLOW,
        workspace=str(workspace),
        created_at=MOMENT,
    )


def outcome(
    phase: str,
    status: str = "completed",
    attempt: int = 1,
    gate: Gate | None = None,
    left: Sequence[FileChange] = (),
) -> Change:
    """A change that puts one phase's result in its place."""
    result = PhaseResult(
        status=PhaseStatus(status),
        attempt=attempt,
        outputs={"said": f"{phase} {attempt}"},
        gate=gate,
        artifacts=tuple(Artifact(**asdict(one), phase=phase, attempt=attempt) for one in left),
    )
    return lambda head: (head.context.with_result(phase, result), None)


# ── Work without commands ─────────────────────────────────────────────────────────────────────────────────


class Work:
    """Carries out phases in this process, and keeps count of what was begun.

    Each attempt writes a file of its own into a new folder, changes a common one and deletes one that was
    there; `fails` are the phases that report a failure.
    """

    def __init__(self, fails: tuple[str, ...] = ()) -> None:
        self.fails = fails
        self.begun: list[str] = []

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Do the work of one phase."""
        phase = task.phase.name
        self.begun.append(phase)
        port.line(f"{phase} begins")
        port.emit("persona_output", note="half done")
        folder = task.workspace / "out" / f"{phase}.{task.attempt}"
        for part in (folder.parent, folder):
            if not part.is_dir():
                os.mkdir(part)
        put(folder / "made.txt", f"{phase} {task.attempt}\n".encode())
        old = task.workspace / f"old-{phase}.txt"
        if old.exists():
            os.unlink(old)
        if phase in self.fails:
            raise PerformerFailed(f"{phase} did not work.")
        return PerformerResult(outputs={"said": f"{phase} {task.attempt}"}, summary=f"{phase} done")


def put(path: Path, data: bytes) -> None:
    """Write a file as programs do: no sync."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def engine_of(root: Path, workspace: Path, work: Work) -> TeamExecutionEngineV2SplitMode:
    """The real engine over a root, its phases carried out by `work`."""
    team = TeamExecutionEngineV2(performers=lambda _: work)
    return TeamExecutionEngineV2SplitMode(root, workflow=FLOW, workspace=workspace, team=team)


# ── Equal runs ────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def same_every_time(first: int = 1) -> Iterator[None]:
    """Names and times come out equal at each run, so that equal states are recognised as equal.

    A phase is named in the lease at once, however long it takes here.
    """
    numbers = itertools.count(first)
    with (
        mock.patch.object(secrets, "token_hex", lambda size=32: f"{next(numbers):0{2 * size}x}"),
        mock.patch.object(checkpoints, "_now", lambda: MOMENT),
        mock.patch.object(heartbeat, "NAMED_SECONDS", 0.0),
    ):
        yield


@contextmanager
def without_links() -> Iterator[None]:
    """A disk that has no hard links, as exFAT answers."""

    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with mock.patch.object(os, "link", link):
        yield
