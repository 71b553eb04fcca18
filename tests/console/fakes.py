"""Fleets, sources, hosts and clocks made up for tests of the console."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro_tui.console.app import MaestroApp
from maestro_tui.console.settings import Memory, Settings
from maestro_tui.engine.phase_team import PhaseTeam
from maestro_tui.model.budgets import Standing
from maestro_tui.model.phase import Mode, Phase
from maestro_tui.model.plan import Action, Estimate, Plan, PlannedPhase
from maestro_tui.model.policy import Budget
from maestro_tui.model.summary import FleetSnapshot, Owner, PhaseSummary, SessionStatus, SessionSummary
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.agents.detect import FoundAgent
from maestro_tui.store.checkpoints import CommitInfo
from maestro_tui.store.prune import Pruned
from maestro_tui.store.questions import Question
from tests.console.team_data import AGENTS_HERE, phase_team, standing

NOW = 1_795_442_580.0
"""2026-11-23 14:03:00 UTC."""
SDLC = ("requirements", "design", "implementation", "testing", "deployment")
ROOT = "/home/ann/shop/.maestro"
ABOUT = {
    "kyc-flow": "Ask for a second document when the first scan is blurred",
    "payments-refactor": "Refactor the payment flow so that refunds are idempotent",
    "search-index": "Rebuild the search index without taking the shop down",
    "docs-site": "A documentation site built from the docstrings",
    "invoices": "Invoices as PDF, numbered without holes",
    "stock-sync": "Stock levels follow the warehouse within a minute",
    "wishlist": "A wishlist that guests can share by link",
    "tax-rates": "Tax rates by country from the official table",
}


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeSource:
    """A source that posts what the test says, when it says."""

    def __init__(self, first: FleetSnapshot | None = None) -> None:
        self.first = first
        self.post: Callable[[FleetSnapshot], None] | None = None
        self.stopped = False

    def start(self, post: Callable[[FleetSnapshot], None]) -> None:
        self.post = post
        if self.first is not None:
            post(self.first)

    def stop(self) -> None:
        self.stopped = True


class FakeHost:
    """A host that records what it is asked for; `refuse` makes the next action fail with that error."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.own: tuple[str, ...] = ()
        self.refuse: Exception | None = None
        self.trusted: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.undeleted: tuple[str, ...] = ()
        self.generation = 0
        self.commits = [
            CommitInfo(
                seq, phase, int(seq > 0), "completed", "ab" * 32, datetime.fromtimestamp(NOW, UTC), Path()
            )
            for seq, phase in enumerate(("init", *SDLC[:2]))
        ]
        self.asked: list[Question] = []
        self.left: dict[str, Any] = {"version": "1.0", "files": ["a", "b"]}
        self.found: dict[str, Any] = {
            "session_id": "s",
            "status": "failed",
            "owner": None,
            "damage": [],
            "plan": {
                "phases": [
                    {"phase": name, "action": "run", "reason": reason, "approval": name == "deployment"}
                    for name, reason in (("design", "failed at attempt 2"), ("deployment", "never ran"))
                ]
            },
            "problem": None,
        }
        self.standing = standing()
        self.phase_team = phase_team()
        self.phase_now = Phase(
            name="deployment", threshold={"smoke": 0.9, "coverage": 0.8}, limits={"lint_findings": 0}
        )
        self.plan_of: Callable[[str, str, str | None], Plan] = self._plan

    def _plan(self, session_id: str, kind: str, phase: str | None) -> Plan:
        return plan_for(session_id, kind, phase, generation=self.generation)

    def _do(self, *call: Any) -> None:
        self.calls.append(call)
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error

    def plan_resume(self, session_id: str, from_phase: str | None = None) -> Plan:
        return self.plan_of(session_id, "rerun_from" if from_phase else "resume", from_phase)

    def plan_phase(self, session_id: str, phase: str) -> Plan:
        return self.plan_of(session_id, "phase", phase)

    def plan_decision(self, session_id: str, phase: str, verdict: str) -> Plan:
        if verdict == "pushed_back":
            return self.plan_of(session_id, "rerun_from", phase)
        done = self.plan_of(session_id, "rerun_from", phase)
        left = [one.model_copy(update={"action": Action.REUSE, "approval": False}) for one in done.phases]
        return done.model_copy(update={"phases": tuple(left)})

    def plan_launch(self, launch: Any) -> Plan:
        return self.plan_of("new", "resume", None)

    def plan_skip(self, session_id: str, phase: str) -> Plan:
        plan = self.plan_of(session_id, "rerun_from", phase)
        skip = {"action": Action.SKIP, "reason": "skipped", "estimate": Estimate(), "overwrites": ()}
        left = [one.model_copy(update=skip if one.phase == phase else {}) for one in plan.phases]
        return plan.model_copy(update={"phases": tuple(left)})

    def plan_fork(self, session_id: str, seq: int) -> Plan:
        return self.plan_of(session_id, "resume", None)

    def launch(self, launch: Any) -> str:
        self._do("launch", launch)
        return "20261123-140300-new-thing-aa01"

    def resume(
        self,
        session_id: str,
        plan_hash: str | None = None,
        from_phase: str | None = None,
    ) -> None:
        self._do("resume", session_id, plan_hash, from_phase)

    def trust(self, workflow: Workflow, source: str) -> None:
        self.trusted.append((workflow.content_hash(), source))

    def run_phase(self, session_id: str, phase: str, plan_hash: str | None = None) -> None:
        self._do("run_phase", session_id, phase, plan_hash)

    def approve(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        self._do("approve", session_id, phase, by, reason)

    def reject(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        self._do("reject", session_id, phase, by, reason)

    def push_back(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        self._do("push_back", session_id, phase, by, reason)

    def questions(self, session_id: str) -> list[Question]:
        return list(self.asked)

    def answer(self, session_id: str, number: int, choice: str, by: str | None = None) -> None:
        self._do("answer", session_id, number, choice)

    def skip(self, session_id: str, phase: str, by: str | None = None, reason: str = "") -> None:
        self._do("skip", session_id, phase, by, reason)

    def edit(
        self, session_id: str, phase: str, outputs: Mapping[str, Any], by: str | None = None, reason: str = ""
    ) -> None:
        self._do("edit", session_id, phase, dict(outputs), by, reason)

    def edit_files(
        self, session_id: str, phase: str, paths: Sequence[str], by: str | None = None, reason: str = ""
    ) -> None:
        self._do("edit_files", session_id, phase, tuple(paths), by, reason)

    def budgets(self, session_id: str) -> tuple[Standing, ...]:
        return self.standing

    def raise_budget(
        self, session_id: str, phase: str | None, more: Budget, by: str | None = None, reason: str = ""
    ) -> None:
        self._do("raise_budget", session_id, phase, more, by, reason)

    def team_of(self, session_id: str, phase: str) -> PhaseTeam:
        return dataclasses.replace(self.phase_team, phase=phase)

    def choose_blueprint(
        self,
        session_id: str,
        phase: str,
        personas: Sequence[str] | None,
        mode: Mode | None,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        self._do("choose_blueprint", session_id, phase, personas, mode, by, reason)

    def agents(self) -> tuple[FoundAgent, ...]:
        return AGENTS_HERE

    def definition(self, session_id: str, phase: str) -> Phase:
        return self.phase_now.model_copy(update={"name": phase})

    def fork(self, session_id: str, seq: int | None = None, new_id: str | None = None) -> str:
        self._do("fork", session_id, seq, new_id)
        return "20261123-140300-forked-bb02"

    def prune(self, session_ids: Sequence[str]) -> Pruned:
        self._do("prune", tuple(session_ids))
        return Pruned(tuple(session_ids), self.undeleted)

    def history(self, session_id: str) -> list[CommitInfo]:
        return self.commits

    def summary(self, session_id: str) -> SessionSummary:
        return session(session_id, "paused", at=1)

    def outputs(self, session_id: str, phase: str) -> dict[str, Any]:
        return dict(self.left)

    def dependents(self, session_id: str, phase: str) -> tuple[str, ...]:
        return SDLC[SDLC.index(phase) + 1 :]

    def examine(self, session_id: str) -> dict[str, Any]:
        return self.found

    def take_over(self, session_id: str, reason: str) -> None:
        self._do("take_over", session_id, reason)

    def stop_runner(self, session_id: str, owner: Owner, *, force: bool = False) -> None:
        self._do("stop_runner", session_id, owner.pid, force)

    def cancel(self, session_id: str) -> bool:
        self._do("cancel", session_id)
        return True

    def running(self) -> tuple[str, ...]:
        return self.own

    def problems(self) -> list[tuple[str, str]]:
        told, self.told = self.told, []
        return told

    def stop_all(self, timeout: float = 5.0) -> tuple[str, ...]:
        self.calls.append(("stop_all", timeout))
        return ()


def owner(pid: int = 4121, *, alive: bool | None = True, here: bool = True, since: float = 600) -> Owner:
    """A runner that began `since` seconds ago."""
    return Owner(
        pid=pid,
        host="build-7",
        user="ann",
        started_at=NOW - since,
        heartbeat_at=NOW - 2,
        here=here,
        alive=alive,
        epoch=1,
    )


def session(
    session_id: str,
    status: str,
    *,
    at: int = 2,
    age: float = 1_800,
    written: float = 60,
    took: float = 60,
    phases: Sequence[str] = SDLC,
    **changes: Any,
) -> SessionSummary:
    """A session of that status, at phase number `at`, begun `age` and last written `written` seconds ago."""
    begun, out = NOW - age, []
    for index, name in enumerate(phases):
        start = begun + index * took
        if index < at or status == "completed":
            out.append(PhaseSummary(name, "completed", 1, start, start + took))
        elif index > at or status in ("paused", "new"):
            out.append(PhaseSummary(name))
        elif status == "running" or status == "interrupted":
            out.append(PhaseSummary(name, "running", 1, NOW - changes.pop("spent", written)))
        elif status == "waiting":
            out.append(PhaseSummary(name, "completed", 1, NOW - written - took, NOW - written, waiting=True))
        else:
            error = changes.get("error")
            out.append(PhaseSummary(name, status, 1, NOW - written - took, NOW - written, error=error))
    changes.pop("spent", None)
    if status == "running":
        changes.setdefault("owner", owner())
    if status == "interrupted":
        changes.setdefault("owner", owner(alive=False))
    return SessionSummary(
        session_id=session_id,
        status=SessionStatus(status),
        requirement=changes.pop("requirement", ABOUT.get(session_id, f"What {session_id} must do")),
        workflow=changes.pop("workflow", "sdlc"),
        workspace=changes.pop("workspace", "/home/ann/shop"),
        created_at=begun,
        updated_at=NOW - written,
        phases=tuple(out),
        seq=changes.pop("seq", at),
        sha256=changes.pop("sha256", "ab" * 32),
        **changes,
    )


def asking_session(number: int = 1) -> SessionSummary:
    """A session whose running implementation has put a question to a person."""
    one = session(
        "kyc-flow", "running", at=2, spent=252, written=30, last_event="developer asks: Write refunds.py"
    )
    asking = dataclasses.replace(one.phases[2], asking=number)
    phases = (*one.phases[:2], asking, *one.phases[3:])
    return dataclasses.replace(one, status=SessionStatus.WAITING, phases=phases)


def question(number: int = 1, **changes: Any) -> Question:
    """What the developer of that session asks: as an ACP agent would, with the change that it wants to make."""
    text = (
        "Write refunds.py (edit)\nin /home/ann/shop/refunds.py\nrefunds.py:\n@@ -1,2 +1,3 @@\n"
        "-def refund(order):\n+def refund(order, key):\n+    if key in seen: return seen[key]\n     pay(order)"
    )
    asked = Question(
        number,
        "implementation",
        1,
        "developer",
        text,
        ("Allow once", "Always allow edits of refunds.py", "Reject"),
        "Reject",
        NOW - 20,
        NOW + 580,
    )
    return dataclasses.replace(asked, **changes)


def busy_fleet() -> FleetSnapshot:
    """Sessions of every kind, as on an ordinary afternoon."""
    failed = "attempt 2 failed: the model endpoint 10.0.0.7:8443 refused the connection, 3 tries"
    return fleet(
        session("stock-sync", "completed", at=4, age=90_000, written=10_800, took=360),
        session(
            "docs-site",
            "running",
            at=2,
            age=700,
            written=4,
            spent=252,
            last_event="implementation: wheel built",
        ),
        session("payments-refactor", "failed", at=1, age=480, written=180, error=failed, seq=1),
        session(
            "invoices", "running", at=0, age=9, written=1, spent=9, last_event="requirements: 12 statements"
        ),
        session(
            "kyc-flow", "waiting", at=4, age=4_000, written=720, last_event="deployment waits for approval"
        ),
        session(
            "search-index",
            "running",
            at=3,
            age=9_000,
            written=1_320,
            spent=1_400,
            owner=owner(5_220, here=False),
        ),
        session("wishlist", "interrupted", at=3, age=20_000, written=7_300),
        session("tax-rates", "paused", at=2, age=100_000, written=50_000),
    )


def failed_fleet() -> FleetSnapshot:
    """Only failures, and one file that is damaged."""
    return fleet(
        session(
            "payments-refactor",
            "failed",
            at=1,
            written=180,
            error="attempt 2 failed: the model endpoint refused the connection",
        ),
        session("search-index", "failed", at=3, written=4_000, error="testing: 3 of 214 tests failed"),
        session(
            "wishlist",
            "failed",
            at=0,
            written=90_000,
            error="requirements: exit code 127, python3: not found",
            damage=("history/0003.json is damaged: digest does not match; 0002.json is used",),
        ),
    )


def waiting_fleet() -> FleetSnapshot:
    """Three sessions that wait for a person, for a minute, an hour and three days."""
    return fleet(
        session("kyc-flow", "waiting", at=4, written=60),
        session("payments-refactor", "waiting", at=1, written=3_600),
        session("wishlist", "waiting", at=2, written=3 * 86_400),
    )


def strange_fleet() -> FleetSnapshot:
    """Texts with markup, actions, wide and right-to-left letters, as the boundary hands them over."""
    words = "[red]名前[/red] [@click=app.quit]שלום مرحبا 🎉 ␛[2J <U+202E>"
    return fleet(
        session("s-1", "failed", requirement=words, error=words, workflow=words, last_event=words),
        session("s-2", "running", requirement=words, phases=["名前", "[@click=app.quit]x", "שלום"], at=1),
        session("s-3", "waiting", requirement=words, at=2),
    )


def many(count: int) -> FleetSnapshot:
    """`count` sessions of all statuses."""
    kinds = ("completed",) * 6 + ("failed", "running", "waiting", "interrupted", "paused", "cancelled", "new")
    return fleet(
        *(
            session(
                f"s-{index:05d}",
                kinds[index % len(kinds)],
                at=index % 5,
                age=900 + index,
                written=10 + index % 200,
            )
            for index in range(count)
        )
    )


def fleet(*sessions: SessionSummary, root: str = ROOT, version: int = 1) -> FleetSnapshot:
    """A snapshot of these sessions."""
    return FleetSnapshot(root=root, sessions={one.session_id: one for one in sessions}, version=version)


def plan_for(session_id: str, kind: str, phase: str | None, *, generation: int = 0) -> Plan:
    """A plan such as the engine would make for a session that failed in design."""
    target = phase or "design"
    place = SDLC.index(target)
    planned = []
    for index, name in enumerate(SDLC):
        run = index == place or (kind != "phase" and index > place)
        planned.append(
            PlannedPhase(
                phase=name,
                action=Action.RUN if run else Action.REUSE if index < place else Action.SKIP,
                reason=(
                    ("failed at attempt 2 (network)" if index == place else "never ran")
                    if run
                    else "unchanged since 13:55"
                    if index < place
                    else "not asked for; stays as it is"
                ),
                needs=SDLC[index - 1 : index] if index else (),
                attempt=3 if index == place else 1 if run else None,
                goes_stale=kind == "phase" and index == place + 1,
                overwrites=("docs/design.md",) if run and name == "design" else (),
                approval=run and name == "deployment",
                estimate=Estimate(seconds=70.0 * (index + 1), cost_usd=0.12 if index == 1 else None, runs=11)
                if run
                else Estimate(),
            )
        )
    return Plan(
        session_id=session_id,
        basis=f"{generation:064x}",
        request={"phase": f"run {phase} alone", "rerun_from": f"rerun from {phase}"}.get(kind, "resume"),
        phases=tuple(planned),
        hash=f"hash-{kind}-{generation}",
    )


def console(
    snapshot: FleetSnapshot | None = None,
    *,
    clock: FakeClock | None = None,
    host: FakeHost | None = None,
    settings: Settings | None = None,
    root: str | Path = ROOT,
    **options: Any,
) -> MaestroApp:
    """The console over a made-up fleet."""
    app = MaestroApp(
        root,
        source=FakeSource(snapshot),
        host=host or FakeHost(),
        clock=clock or FakeClock(),
        settings=settings or Settings(),
        memory=Memory(None),
        **options,
    )
    app.own_pid = lambda: 999_999 if os.getpid() else 0  # type: ignore[method-assign]
    return app


async def post(app: MaestroApp, pilot: Any, snapshot: FleetSnapshot) -> None:
    """Let the source post a snapshot, and wait until it is shown."""
    source = app._source
    assert isinstance(source, FakeSource) and source.post is not None
    source.post(snapshot)
    await pilot.pause()
    await pilot.pause()
