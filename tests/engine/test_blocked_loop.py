"""A performer that blocks the loop: its runner goes on to live for others, and who blocks is told while it lasts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maestro_tui.engine import heartbeat, loop_watch
from maestro_tui.engine.heartbeat import Heartbeat
from maestro_tui.engine.loop_watch import Looks
from maestro_tui.model.context import TeamExecutionContext
from maestro_tui.model.errors import FencedError
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.event_words import event_words
from maestro_tui.store.journal import read_events
from maestro_tui.store.lease import Hold, hold_session, read_owner, take_over
from maestro_tui.store.locks import CommitLock
from tests.engine.scripted import Bench, Team, Work, said
from tests.waiting import wait_until

ONE = """
name = "one"
[[phases]]
name = "crunch"
[[phases.personas]]
name = "ann"
argv = ["true"]
"""
SIDE_BY_SIDE = (
    ONE
    + """
[[phases]]
name = "calm"
needs = []
[[phases.personas]]
name = "ben"
argv = ["true"]
"""
)

ENOUGH = 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other quickly, by a thread of this test's own; a loop that is slow is not blocked yet."""
    monkeypatch.setattr(loop_watch, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(heartbeat, "TOLD_LOOKS", ENOUGH)
    monkeypatch.setattr(heartbeat, "LOOKS", Looks())
    monkeypatch.setattr(heartbeat, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.01)


class Run:
    """A session in a thread of its own, whose performers the test holds up."""

    def __init__(self, tmp_path: Path, workflow: str, **work: Work) -> None:
        self.bench = Bench(tmp_path, workflow, Team(**work))
        self.folder = self.bench.root / "s"
        self.context: TeamExecutionContext | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.context = asyncio.run(self.bench.engine.execute_batch("x", session_id="s"))
        except Exception as error:
            self.error = error

    @contextmanager
    def going_on(self, *gates: threading.Event) -> Iterator[None]:
        """Within it the session runs; all gates are open after it, and its thread has ended."""
        self._thread.start()
        try:
            yield
        finally:
            for gate in gates:
                gate.set()
            self._thread.join(60)
            assert not self._thread.is_alive()

    def blockers(self) -> list[tuple[str | None, str | None, str]]:
        events = read_events(self.folder / "journal.jsonl").events
        return [
            (one.phase, one.persona, one.data["where"]) for one in events if one.type == "performer_blocks"
        ]

    def renewed(self) -> bool:
        """True when the lease is renewed at a later time than now."""
        self.bench.now += 100
        now = self.bench.now

        def later() -> bool:
            owner = read_owner(self.folder, now)
            return owner is not None and owner.heartbeat_at >= now

        wait_until(later, "the lease is renewed")
        return True


def blocking(gate: threading.Event) -> Work:
    def wait_here(task: Task, port: Port) -> PerformerResult:
        gate.wait(60)
        return said(task, port)

    return wait_here


def test_the_lease_tells_the_truth_of_a_runner_whose_loop_is_blocked(tmp_path: Path) -> None:
    gate = threading.Event()
    run = Run(tmp_path, ONE, ann=blocking(gate))
    with run.going_on(gate):
        wait_until(lambda: run.folder.joinpath("runner.json").exists(), "it began")
        assert run.renewed() and run.renewed()
        owner = read_owner(run.folder, run.bench.now)
        assert owner is not None and owner.alive and owner.phases == ("crunch",)
    assert run.context is not None and run.context.phase_results["crunch"].done
    assert run.bench.engine.store.verify("s") == []


def test_who_blocks_is_told_while_it_lasts_and_once_for_each_time(tmp_path: Path) -> None:
    gates = [threading.Event(), threading.Event()]
    beats: list[int] = []

    async def twice(task: Task, port: Port) -> PerformerResult:
        for gate in gates:
            gate.wait(60)
            before = len(beats)
            async with asyncio.timeout(60):
                while len(beats) < before + 2:
                    await asyncio.sleep(0.001)
        return said(task, port)

    run = Run(tmp_path, ONE, ann=twice)
    heard = run.bench.told
    with pytest.MonkeyPatch.context() as patch:
        real = Heartbeat._beat
        patch.setattr(Heartbeat, "_beat", lambda self: (beats.append(1), real(self))[1])
        with run.going_on(*gates):
            for number, gate in enumerate(gates, 1):
                wait_until(lambda n=number: len(heard("performer_blocks")) == n, "it is told")
                # Some more looks come: nothing more is told of this time.
                assert run.renewed() and run.renewed()
                assert len(run.blockers()) == number
                gate.set()
    assert [(phase, persona) for phase, persona, _ in run.blockers()] == [("crunch", "ann")] * 2
    assert all(where.startswith("twice (test_blocked_loop.py:") for _, _, where in run.blockers())
    words = event_words({"type": "performer_blocks", "persona": "ann", "data": {"where": "f (x.py:1)"}})
    assert words == "ann blocks its runner: time limits and cancel wait for it: f (x.py:1)"


@pytest.mark.parametrize("alone", [True, False])
def test_a_task_that_a_performer_made_is_its_own_where_it_can_be_known(tmp_path: Path, alone: bool) -> None:
    gate = threading.Event()
    both = asyncio.Event()

    async def child() -> None:
        gate.wait(60)

    async def parent(task: Task, port: Port) -> PerformerResult:
        if not alone:
            await both.wait()
        await asyncio.create_task(child())
        return said(task, port)

    async def calm(task: Task, port: Port) -> PerformerResult:
        both.set()
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return said(task, port)

    run = Run(tmp_path, ONE if alone else SIDE_BY_SIDE, ann=parent, ben=calm)
    with run.going_on(gate):
        wait_until(lambda: run.bench.told("performer_blocks"), "it is told")
    ((phase, persona, where),) = run.blockers()
    assert (phase, persona) == (("crunch", "ann") if alone else (None, None))
    assert where.startswith("child (test_blocked_loop.py:")
    words = event_words({"type": "performer_blocks", "data": {"where": where}})
    assert words.startswith("one of its performers blocks its runner")


def test_a_runner_that_was_taken_over_while_it_was_blocked_stops_as_soon_as_it_can(tmp_path: Path) -> None:
    gate = threading.Event()
    ended: list[str] = []

    async def long(task: Task, port: Port) -> PerformerResult:
        gate.wait(60)
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return said(task, port)

    run = Run(tmp_path, ONE, ann=long)
    with run.going_on(gate):
        wait_until(run.blockers, "it is blocked")
        with take_over(run.folder) as other:
            assert other.epoch == 2
            gate.set()
            wait_until(lambda: run.error is not None, "it stops")
    assert isinstance(run.error, FencedError) and ended == ["cancelled"]
    assert run.bench.engine.store.head("s").seq == 0


def test_nobody_is_blamed_while_the_engine_waits_for_its_own_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    real = Heartbeat.look
    monkeypatch.setattr(Heartbeat, "look", lambda self: (real(self), looks.append(self._missed))[0])
    gate, calm_works = threading.Event(), threading.Event()

    async def quick(task: Task, port: Port) -> PerformerResult:
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return said(task, port)

    async def calm(task: Task, port: Port) -> PerformerResult:
        calm_works.set()
        while not looks or max(looks) <= ENOUGH:
            await asyncio.sleep(0.001)
        return said(task, port)

    run = Run(tmp_path, SIDE_BY_SIDE, ann=quick, ben=calm)
    with run.going_on(gate):
        wait_until(calm_works.is_set, "both work")
        with CommitLock(run.folder):
            gate.set()
            wait_until(lambda: looks and max(looks) > ENOUGH, "its loop is blocked")
    assert run.blockers() == []
    assert run.context is not None and all(result.done for _, result in run.context.results())


async def test_looks_are_counted_not_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # While a process is stopped nobody looks; when it goes on, the first look finds an old beat and does nothing.
    (tmp_path / "s").mkdir()
    beats: list[tuple[str, ...]] = []
    monkeypatch.setattr(Hold, "beat", lambda self, phases=(), wait=None: beats.append(phases))
    monkeypatch.setattr(heartbeat, "LOOKS", Looks())
    monkeypatch.setattr(loop_watch, "LOOK_SECONDS", 5.0)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 600.0)
    unheard: Callable[[object], None] = pytest.fail
    with hold_session(tmp_path / "s") as hold:
        one = Heartbeat(hold, ("a",), unheard, unheard, unheard, "s")
        one.start()
        after = []
        for _ in range(7):
            one.look()
            after.append(len(beats))
        one._beat()
        one.look()
        one.stop()
        one.look()
    assert after == [0, 0, 1, 1, 2, 2, 3]
    assert beats == [("a",)] * 4


def test_one_thread_looks_at_all_runs_and_ends_when_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (begun.append(self.name), real(self))[1])
    looks = Looks()
    monkeypatch.setattr(loop_watch, "LOOK_SECONDS", 0.1)
    one, two = _Looked(), _Looked()
    looks.add(one)
    looks.remove(one)
    looks.add(two)
    wait_until(lambda: two.times, "it is looked at")
    assert (one.times, begun) == (0, ["heartbeat"])
    looks.remove(two)
    wait_until(lambda: looks._thread is None, "the thread ends")
    looks.add(one)
    wait_until(lambda: one.times, "it is looked at anew")
    looks.remove(one)


class _Looked:
    times = 0

    def look(self) -> None:
        self.times += 1
