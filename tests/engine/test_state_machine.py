"""Random lives of sessions, held against a small model: nothing committed is lost or runs again unasked."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from maestro_tui import Phase, PlanError, TeamExecutionEngineV2, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.engine.report import session_document
from maestro_tui.model.context import PhaseStatus
from maestro_tui.model.errors import FencedError, HeldError
from maestro_tui.model.persona import Persona
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.store.lease import take_over
from maestro_tui.store.prune import prune_sessions
from maestro_tui.store.summaries import read_summary

WORK = Persona(name="worker", shell="true")
NAMES = ("a", "b", "c", "d")
NEEDS = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
WORKFLOW = Workflow(
    name="diamond",
    phases=tuple(
        Phase(name=name, needs=NEEDS[name], personas=(WORK,), approval=name == "c") for name in NAMES
    ),
)
DONE, OPEN, FAILED, WAITING, SKIPPED = "done", "open", "failed", "waiting", "skipped"


class Crash(BaseException):
    """The process dies here: no outcome is written."""


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="maestro-states-"))
        (self.folder / "work").mkdir()
        self.now = 1_800_000_000.0
        self.orders: dict[str, str] = {}
        self.ran: list[str] = []
        self.model: dict[str, dict[str, str]] = {}
        self.again: dict[str, set[str]] = {}
        """Session → committed phases that were asked to run again and have not yet."""
        self.rivals: list[str] = []
        """What a second runner was told while the first was at work."""
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # ── The real thing ────────────────────────────────────────────────────────────────────────────────────

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        name = task.phase.name
        self.ran.append(name)
        # Everything that it needs really is there.
        for need in task.phase.needs:
            assert need in task.context["outputs"] or self.model[task.session_id][need] == SKIPPED
        order = self.orders.get(name)
        if order == "fail":
            raise PerformerFailed("as told", kind="exit")
        if order == "crash":
            raise Crash
        if order == "rival":
            await asyncio.to_thread(self.rival, task.session_id, name)
        if order == "taken":
            with take_over(self.folder / "root" / task.session_id):
                pass
        (task.workspace / f"{name}.txt").write_text(str(task.attempt))
        return PerformerResult(outputs={"attempt": task.attempt})

    def engine(self) -> TeamExecutionEngineV2SplitMode:
        # A new one for each act: nothing is remembered but what is on disk.
        self.now += 1.0
        performer = type("InProcess", (), {"perform": staticmethod(self.perform)})
        team = TeamExecutionEngineV2(performers=lambda persona: performer, clock=lambda: self.now)
        return TeamExecutionEngineV2SplitMode(self.folder / "root", WORKFLOW, self.folder / "work", team=team)

    def act(self, work: Callable[[TeamExecutionEngineV2SplitMode], object]) -> None:
        self.ran.clear()
        try:
            asyncio.run(work(self.engine()))  # type: ignore[arg-type]
        except Crash:
            self.crashed = True

    def rival(self, session: str, phase: str) -> None:
        """Everything that a second runner could try on a session that is being run."""
        for attempt in (
            lambda engine: asyncio.run(engine.resume(session)),
            lambda engine: asyncio.run(engine.execute_phase(phase, session_id=session, again=True)),
            lambda engine: engine.skip(session, phase, by="Bob", reason="so"),
            lambda engine: engine.edit(session, {"a": {"edited": 1}}, by="Bob"),
        ):
            try:
                attempt(self.engine())
            except HeldError as error:
                self.rivals.append(str(error))
            except PlanError:
                # Some acts make no sense here whoever asks; none of them may have changed anything.
                self.rivals.append("no sense")

    # ── The model ─────────────────────────────────────────────────────────────────────────────────────────

    def expect_run(self, session: str, wanted: set[str]) -> list[str]:
        """What a run does to the model: phases in order while what they need is there and none failed."""
        states, stopped, expected = self.model[session], False, []
        while not stopped:
            ready = [
                name
                for name in NAMES
                if name in wanted
                and all(states[need] in (DONE, SKIPPED) and need not in wanted for need in NEEDS[name])
            ]
            if not ready:
                break
            for name in ready:
                wanted.discard(name)
                self.again[session].discard(name)
                expected.append(name)
                order = self.orders.get(name)
                if order == "fail":
                    states[name], stopped = FAILED, True
                elif order == "crash":
                    # A crash of a rerun leaves the committed result; other tasks of the round may not finish.
                    states[name] = states[name] if states[name] in (DONE, WAITING) else OPEN
                    stopped = True
                else:
                    states[name] = WAITING if name == "c" else DONE
        return expected

    # ── Rules ─────────────────────────────────────────────────────────────────────────────────────────────

    @initialize()
    def first(self) -> None:
        self.launch({})

    @rule(orders=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["fail"]), max_size=2))
    def launch(self, orders: dict[str, str]) -> None:
        self.orders = orders
        self.count += 1
        session = f"s{self.count}"
        self.model[session], self.again[session] = dict.fromkeys(NAMES, OPEN), set()
        expected = self.expect_run(session, set(NAMES))
        self.act(lambda engine: engine.execute_batch("x", session_id=session))
        assert sorted(self.ran) == sorted(expected)

    @rule(
        data=st.data(), orders=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["fail"]), max_size=2)
    )
    def resume(self, data: st.DataObject, orders: dict[str, str]) -> None:
        self.orders = orders
        session = data.draw(st.sampled_from(sorted(self.model)))
        expected = self.expect_run(session, self.left_to_do(session))
        self.act(lambda engine: engine.resume(session))
        assert sorted(self.ran) == sorted(expected)

    def left_to_do(self, session: str) -> set[str]:
        """What a resume wants to run."""
        states = self.model[session]
        return {name for name, state in states.items() if state in (OPEN, FAILED)} | self.again[session]

    @rule(data=st.data(), begin=st.sampled_from(NAMES))
    def rerun(self, data: st.DataObject, begin: str) -> None:
        """A phase and all that depends on it run again; what waits or was skipped is left to other rules."""
        session = data.draw(st.sampled_from(sorted(self.model)))
        self.orders = {}
        behind = {begin} | WORKFLOW.dependents_of(begin)
        if any(self.model[session][name] in (WAITING, SKIPPED) for name in behind):
            return
        self.again[session] |= {name for name in behind if self.model[session][name] == DONE}
        expected = self.expect_run(session, self.left_to_do(session))
        self.act(lambda engine: engine.resume(session, from_phase=begin))
        assert sorted(self.ran) == sorted(expected)

    @rule(data=st.data())
    def a_second_runner_is_refused(self, data: st.DataObject) -> None:
        """While the first is at work whatever the second tries is refused, and the first goes on as if nothing were."""
        session = data.draw(st.sampled_from(sorted(self.model)))
        wanted = self.left_to_do(session)
        if not wanted:
            return
        self.orders = dict.fromkeys(NAMES, "rival")
        expected = self.expect_run(session, wanted)
        self.rivals = []
        self.act(lambda engine: engine.resume(session))
        assert sorted(self.ran) == sorted(expected)
        assert len(self.rivals) == 4 * len(expected)
        if expected:
            told = [words for words in self.rivals if words != "no sense"]
            assert len(told) >= len(expected)
            refused = ("is held by", "Nothing was run"), ("is running now", "Nothing was changed")
            assert all(any(a in words and b in words for a, b in refused) for words in told)

    @rule(data=st.data())
    def a_runner_that_was_replaced_commits_nothing(self, data: st.DataObject) -> None:
        """An operator takes the session over while a phase is at work: its late outcome is refused."""
        session = data.draw(st.sampled_from(sorted(self.model)))
        ready = self.ready(session)
        if len(ready) != 1 or self.again[session]:
            return
        before = self.engine().store.head(session).seq
        self.orders = {ready[0]: "taken"}
        with pytest.raises(FencedError, match="all commits are safe"):
            self.act(lambda engine: engine.resume(session))
        assert self.ran == ready
        assert self.engine().store.head(session).seq == before

    def ready(self, session: str) -> list[str]:
        """The phases that a resume would begin with."""
        states = self.model[session]
        return [
            name
            for name in NAMES
            if states[name] in (OPEN, FAILED) and all(states[n] in (DONE, SKIPPED) for n in NEEDS[name])
        ]

    @rule(data=st.data())
    def crash_and_resume(self, data: st.DataObject) -> None:
        """The runner dies within the first phase that is ready; the next resume runs just that again."""
        session = data.draw(st.sampled_from(sorted(self.model)))
        states, ready = self.model[session], self.ready(session)
        if len(ready) != 1 or self.again[session]:
            return
        self.orders = {ready[0]: "crash"}
        self.act(lambda engine: engine.resume(session))
        assert self.ran == ready
        assert session_document(self.engine(), session)["status"] in ("interrupted", "failed")
        self.orders = {}
        wanted = {name for name, state in states.items() if state in (OPEN, FAILED)}
        expected = self.expect_run(session, wanted)
        self.act(lambda engine: engine.resume(session))
        assert sorted(self.ran) == sorted(expected)

    @rule(data=st.data(), fails=st.booleans())
    def one_phase(self, data: st.DataObject, fails: bool) -> None:
        session, name = data.draw(st.sampled_from(sorted(self.model))), data.draw(st.sampled_from(NAMES))
        self.orders = {name: "fail"} if fails else {}
        states = self.model[session]
        if self.again[session]:
            return
        possible = all(states[need] in (DONE, SKIPPED) for need in NEEDS[name])
        try:
            self.act(lambda engine: engine.execute_phase(name, session_id=session, again=True))
        except PlanError:
            assert not possible
            assert self.ran == []
            return
        assert possible
        assert self.ran == [name]
        states[name] = FAILED if fails else WAITING if name == "c" else DONE

    @rule(data=st.data(), verdict=st.sampled_from(["approved", "rejected", "pushed_back"]))
    def decide(self, data: st.DataObject, verdict: str) -> None:
        session = data.draw(st.sampled_from(sorted(self.model)))
        waiting = self.model[session]["c"] == WAITING
        try:
            self.engine().decide(session, "c", verdict, by="Ann", reason="so")  # type: ignore[arg-type]
        except PlanError:
            assert not waiting
            return
        assert waiting
        self.model[session]["c"] = {"approved": DONE, "rejected": FAILED, "pushed_back": OPEN}[verdict]

    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        session, name = data.draw(st.sampled_from(sorted(self.model))), data.draw(st.sampled_from(NAMES))
        possible = self.model[session][name] not in (DONE, SKIPPED)
        try:
            self.engine().skip(session, name, by="Ann", reason="so")
        except PlanError:
            assert not possible
            return
        assert possible
        self.model[session][name] = SKIPPED

    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(sorted(self.model)))
        self.count += 1
        made = self.engine().fork(session, new_id=f"s{self.count}")
        self.model[made], self.again[made] = dict(self.model[session]), set(self.again[session])

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        session, name = data.draw(st.sampled_from(sorted(self.model))), data.draw(st.sampled_from(NAMES))
        try:
            self.engine().edit(session, {name: {"edited": self.count}}, by="Ann")
        except PlanError:
            assert self.model[session][name] not in (DONE, WAITING)
            return
        assert self.model[session][name] in (DONE, WAITING)

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(sorted(self.model)))
        status = session_document(self.engine(), session)["status"]
        removed = prune_sessions(self.engine().store, [session]).removed
        assert bool(removed) == (status in ("completed", "failed", "cancelled"))
        if removed:
            del self.model[session]

    @rule(by=st.floats(-1e6, 1e6))
    def clock_jumps(self, by: float) -> None:
        self.now += by

    # ── What always holds ─────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def disk_and_model_agree(self) -> None:
        store = self.engine().store
        assert sorted(store.session_ids()) == sorted(self.model)
        for session, states in self.model.items():
            results = store.head(session).context.phase_results
            for name, state in states.items():
                result = results.get(name)
                if state == DONE:
                    assert result is not None
                    assert result.done
                    assert result.status == PhaseStatus.COMPLETED
                elif state == SKIPPED:
                    assert result is not None
                    assert result.status == PhaseStatus.SKIPPED
                elif state == FAILED:
                    assert result is not None
                    assert result.status == PhaseStatus.FAILED
                elif state == WAITING:
                    assert result is not None
                    assert result.gate is not None
                    assert result.gate.verdict == "waiting"
                else:
                    assert result is None or not result.done
            assert store.verify(session) == []
            document = session_document(self.engine(), session)
            summary = read_summary(store.session_dir(session), time.time())
            assert summary.status == document["status"], (document, summary)
            assert [phase.stale is not None for phase in summary.phases] == [
                p["stale"] for p in document["phases"]
            ]


Sessions.TestCase.settings = settings(
    max_examples=int(os.environ.get("MAESTRO_LIVES", "15")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestSessions = Sessions.TestCase


class Drawn:
    """Stands for what Hypothesis draws."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)

    def draw(self, _: object) -> str:
        """The next one."""
        return self._values.pop(0)


def test_a_phase_is_skipped_after_its_runner_was_replaced_within_it() -> None:
    machine: Any = Sessions()
    try:
        machine.first()
        machine.one_phase(data=Drawn("s1", "a"), fails=True)
        machine.a_runner_that_was_replaced_commits_nothing(data=Drawn("s1"))
        machine.skip(data=Drawn("s1", "a"))
        machine.disk_and_model_agree()
        result = machine.engine().store.head("s1").context.phase_results["a"]
        assert (result.status, result.attempt) == (PhaseStatus.SKIPPED, 3)
    finally:
        machine.teardown()
