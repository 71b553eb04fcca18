"""Writes a checkpoint directory of N valid sessions of every status, through the real store.

    python tests/bench/make_fleet.py DIR N

Waiting for the disk is left out (no fsync), so that ten thousand sessions take a minute and not an hour.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.checkpoint import Checkpoint, encode
from maestro_tui.model.context import (
    Artifact,
    Decision,
    Gate,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
    Usage,
)
from maestro_tui.model.fingerprint import fingerprint, inputs_of
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.logs import PhaseLog
from maestro_tui.store.runner_file import Holder, Lease, boot_id, host_name, start_ticks, write_lease

STATUSES = (
    "completed", "running", "failed", "waiting", "paused", "interrupted", "cancelled", "new", "stale", "damaged",
)  # fmt: skip
"""What sessions are made as, in turn: the eight statuses, and two that are special in other ways."""
SUBJECTS = (
    "payments", "search index", "docs site", "invoices", "know your customer", "login", "mobile sync",
    "price engine", "ledger export", "rate limits",
)  # fmt: skip
WISHES = (
    "must be idempotent",
    "must start in under a second",
    "must be covered by tests",
    "must say why it fails",
)
ALIVE_PID = 1
"""The runner of running sessions: a process that lives as long as the computer is up."""


def make_fleet(root: Path, count: int, now: float | None = None, seed: int = 7) -> list[str]:
    """Write `count` sessions under `root`; their ids. Each status comes in turn, see `STATUSES`."""
    chance = random.Random(seed)
    moment = time.time() if now is None else now
    store = CheckpointStore(root)
    durable.make_dir(store.root)
    ids = []
    with without_syncing():
        for number in range(count):
            status = STATUSES[number % len(STATUSES)]
            ids.append(make_session(store, f"s-{number:05d}-{status}", status, moment, chance))
    return ids


def make_new_sessions(root: Path, count: int, now: float | None = None) -> None:
    """Write `count` sessions that have only their first commit, as fast as can be: for very large fleets."""
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    durable.make_dir(root)
    flow = sdlc()
    for number in range(count):
        session_id = f"n-{number:06d}-new"
        requirement = f"{SUBJECTS[number % len(SUBJECTS)].capitalize()} {WISHES[number % len(WISHES)]}"
        context = TeamExecutionContext(
            session_id=session_id,
            requirement=requirement,
            workflow=flow,
            workspace="/srv/w",
            created_at=moment,
        )
        first = Checkpoint(
            seq=0, prev=None, session_id=session_id, phase="init", attempt=0, epoch=0, created_at=moment,
            workflow=flow, context=context,
        )  # fmt: skip
        history = root / session_id / "history"
        history.mkdir(0o700, parents=True)
        (history / "0000.json").write_bytes(encode(first)[0])


@contextmanager
def fleet(count: int, given: Path | None = None) -> Iterator[Path]:
    """A fleet of so many sessions for a bench: one that is given, or one in a temporary folder, removed afterwards."""
    if given is not None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="maestro-bench-"))
    try:
        make_fleet(folder / "fleet", count)
        yield folder / "fleet"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_session(
    store: CheckpointStore, session_id: str, status: str, now: float, chance: random.Random
) -> str:
    """One session that has the status when it is read on this computer."""
    return _Maker(store, session_id, status, now, chance).make()


class _Maker:
    def __init__(
        self, store: CheckpointStore, session_id: str, status: str, now: float, chance: random.Random
    ) -> None:
        self.store, self.id, self.status, self.chance = store, session_id, status, chance
        self.workflow = sdlc() if chance.random() < 0.8 else _branches()
        self.at = now - chance.uniform(2_000, 400_000)
        self.clock = lambda: self.at
        self.folder = store.session_dir(session_id)

    def make(self) -> str:
        names = self.workflow.order
        reached = 0 if self.status == "new" else self.chance.randrange(1, len(names))
        self._create()
        if self.status == "new":
            return self.id
        hold = hold_session(self.folder, clock=self.clock)
        self.journal = Journal(self.folder / "journal.jsonl", self.id, clock=self.clock)
        self.journal.append("runner_acquired", data={"epoch": hold.epoch, "mode": "exclusive"})
        self.journal.append("session_started", data={"workflow": self.workflow.name})
        self.hold = hold
        done = len(names) if self.status in ("completed", "stale") else reached
        for name in names[:done]:
            self._phase(name, 1, PhaseStatus.COMPLETED)
        if self.status == "stale":
            self._phase(names[0], 2, PhaseStatus.COMPLETED)
        if self.status in ("completed", "stale"):
            self.journal.append("session_completed", data={"phases": len(names)})
        elif self.status == "failed":
            for attempt in range(1, self.chance.randrange(2, 4)):
                self._phase(names[reached], attempt, PhaseStatus.FAILED)
            self.journal.append("session_failed", data={"phases": [names[reached]]})
        elif self.status == "waiting":
            self._phase(names[reached], 1, PhaseStatus.COMPLETED, waiting=True)
            self.journal.append("session_paused", data={"reason": "approval", "phases": [names[reached]]})
        elif self.status == "cancelled":
            self._phase(names[reached], 1, PhaseStatus.CANCELLED)
            self.journal.append("session_cancelled", data={"by": "operator"})
        elif self.status in ("running", "interrupted"):
            self._begin(names[reached], 1)
        else:
            self.journal.append("session_paused", data={"reason": "review"})
        self.journal.close()
        epoch = hold.epoch
        hold.release()
        if self.status in ("running", "interrupted"):
            self._leave_runner(epoch, names[reached], alive=self.status == "running")
        if self.status == "damaged":
            self._damage()
        return self.id

    def _create(self) -> None:
        requirement = f"{self.chance.choice(SUBJECTS).capitalize()} {self.chance.choice(WISHES)}"
        self.store.create(
            TeamExecutionContext(
                session_id=self.id,
                requirement=requirement,
                workflow=self.workflow,
                workspace=f"/srv/{requirement.split()[0].lower()}",
                created_at=self._moment(),
            )
        )

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def _begin(self, name: str, attempt: int) -> None:
        self.at += 1
        self.journal.append("phase_started", phase=name, attempt=attempt, data={"reason": "never ran"})
        self.journal.append("blueprint_selected", phase=name, attempt=attempt, data={"personas": ["analyst"]})
        self.journal.append("persona_started", phase=name, attempt=attempt, persona="analyst", data={})
        log = PhaseLog(self.folder / "logs" / f"{name}.{attempt}.log", clock=self.clock)
        for line in range(self.chance.randrange(3, 12)):
            log.write("analyst", "out", f"{name}: step {line} looks at {self.chance.choice(SUBJECTS)}")
        log.close()

    def _phase(self, name: str, attempt: int, status: PhaseStatus, waiting: bool = False) -> None:
        self._begin(name, attempt)
        started = self._moment()
        self.at += self.chance.uniform(5, 300)
        ok = status == PhaseStatus.COMPLETED
        self.journal.append(
            "persona_finished", phase=name, attempt=attempt, persona="analyst",
            data={"ok": ok, "summary": f"{name} looked at everything"},
        )  # fmt: skip
        error = (
            None
            if ok
            else PhaseError(kind="exit", message=f"{name} ended with exit code 1", tail=("no route",))
        )
        head = self.store.head(self.id).context
        inputs = inputs_of(self.workflow, head, name)
        result = PhaseResult(
            status=status,
            attempt=attempt,
            started_at=started,
            finished_at=self._moment(),
            inputs=inputs,
            inputs_fingerprint=fingerprint(inputs),
            outputs={"said": name, "attempt": attempt, "ratio": 0.5},
            summary=f"{name} done",
            artifacts=(Artifact(path=f"{name}.md", size=812, sha256="ab" * 32, phase=name, attempt=attempt),),
            decisions=(Decision(phase=name, about="team", choice="analyst", decided_by="rules"),),
            quality={"quality": 0.9, "coverage": None},
            gate=Gate(verdict="waiting" if waiting else "passed" if ok else "failed", score=0.9),
            usage=Usage(seconds=60.0, input_tokens=1200, output_tokens=300, cost_usd=0.01),
            error=error,
            personas=("analyst",),
        )
        made = self.store.commit(
            self.id,
            name,
            attempt,
            lambda head: (head.context.with_result(name, result), None),
            hold=self.hold,
        )
        kind = {"completed": "phase_committed", "cancelled": "phase_cancelled"}.get(status, "phase_failed")
        data = {
            "status": status,
            "seq": made.seq,
            "sha256": made.sha256,
            "error": error.message if error else None,
        }
        self.journal.append(kind, phase=name, attempt=attempt, data=data)
        if waiting:
            self.journal.append("gate_waiting", phase=name, attempt=attempt)

    def _leave_runner(self, epoch: int, phase: str, alive: bool) -> None:
        """The lease of a runner that lives as long as the computer, or of one that is gone."""
        leave_runner(self.folder, epoch, phase, self.at, ALIVE_PID, start_ticks(ALIVE_PID) if alive else 1)

    def _damage(self) -> None:
        newest = max((self.folder / "history").glob("*.json"))
        raw = newest.read_bytes()
        newest.write_bytes(raw[: len(raw) // 2])


def leave_runner(folder: Path, epoch: int, phase: str, at: float, pid: int, ticks: int | None) -> None:
    """Write a lease as a runner with that process id has it."""
    holder = Holder("fleet", pid, host_name(), boot_id(), ticks or 0, "operator", at, at, (phase,))
    write_lease(folder, Lease(epoch, "exclusive", (holder,)))


def _branches() -> Workflow:
    return Workflow(
        name="branches",
        phases=(
            Phase(name="collect", needs=()),
            Phase(name="backend", needs=("collect",)),
            Phase(name="frontend", needs=("collect",)),
            Phase(name="publish", needs=("backend", "frontend"), approval=True),
        ),
    )


@contextmanager
def without_syncing() -> Iterator[None]:
    """Let nothing wait for the disk meanwhile."""
    kept = os.fsync, os.fdatasync
    os.fsync = os.fdatasync = lambda descriptor: None  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync, os.fdatasync = kept


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit("usage: make_fleet.py DIR N")
    began = time.perf_counter()
    made = make_fleet(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{len(made)} sessions in {sys.argv[1]}, {time.perf_counter() - began:.1f} s")
