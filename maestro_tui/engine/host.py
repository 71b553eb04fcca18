"""Runs several sessions at once for a console: each in its own thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_tui.config import TrustBook
from maestro_tui.engine.drive import BY_OPERATOR
from maestro_tui.engine.launch import Launch
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.context import PersonVerdict
from maestro_tui.model.errors import InputError, MaestroError
from maestro_tui.model.phase import Mode
from maestro_tui.model.plan import Plan
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.prune import Pruned, prune_sessions
from maestro_tui.store.questions import Question

DEFAULT_LIMIT = 4


class _Runner:
    """One session's thread. It waits for a free place, then drives the session in a loop of its own."""

    def __init__(
        self, session_id: str, work: Callable[[], Coroutine[Any, Any, Any]], host: EngineHost
    ) -> None:
        self.session_id = session_id
        self._work, self._host = work, host
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"session {session_id}", daemon=True)

    def _run(self) -> None:
        try:
            if self._host.take_place(self._cancelled):
                try:
                    asyncio.run(self._drive())
                finally:
                    self._host.free_place()
        except asyncio.CancelledError:
            pass  # the outcome is committed; whoever cancelled knows
        except MaestroError as error:
            self._host.report(self.session_id, str(error))
        except Exception as error:
            self._host.report(
                self.session_id,
                f"Session {self.session_id} stopped by a fault of maestro-tui: {type(error).__name__}: "
                f"{clean(error, 300)}. Committed phases are safe; resume goes on.",
            )
        finally:
            self._host.ended(self)

    async def _drive(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._cancelled.is_set():
            return
        await self._work()

    def cancel(self) -> None:
        """Ask the session to stop now; thread-safe, returns at once."""
        self._cancelled.set()
        self._host.wake()
        with self._lock:
            if self._loop is not None and self._task is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._task.cancel, BY_OPERATOR)


class EngineHost:
    """Starts, cancels and decides on sessions of one checkpoint directory; safe to call from any thread.

    At most `limit` sessions run at once, further ones wait their turn. The host owns its threads. What went
    wrong in one of them is told by `problems`; everything else is seen on disk.
    """

    def __init__(
        self, root: str | Path, *, limit: int = DEFAULT_LIMIT, trust: TrustBook | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self._limit = limit
        self._trust = trust or TrustBook()
        self._runners: dict[str, _Runner] = {}
        self._problems: deque[tuple[str, str]] = deque(maxlen=100)
        self._places = threading.Condition()
        self._taken = 0
        self._closing = False

    # ── Plans (they read the disk for milliseconds) ──────────────────────────────────────────────────────

    def plan_launch(self, launch: Launch) -> Plan:
        """What a launch would do; nothing runs, so nothing needs trust. Raises `InputError`."""
        return self._engine().plan_launch(launch)

    def plan_resume(self, session_id: str, from_phase: str | None = None) -> Plan:
        """What resume, or a rerun from a phase, would do."""
        return self._engine().plan(session_id, from_phase=from_phase)

    def plan_phase(self, session_id: str, phase: str) -> Plan:
        """What running one phase alone would do."""
        return self._engine().plan(session_id, phase=phase)

    # ── Actions ───────────────────────────────────────────────────────────────────────────────────────────

    def launch(self, launch: Launch) -> str:
        """Begin a new session and return its id; its first checkpoint is on disk when this returns."""
        engine = self._engine(starts=True)
        session_id = engine.create(launch)
        self._start(session_id, lambda: engine.drive_new(session_id))
        return session_id

    def resume(
        self,
        session_id: str,
        plan_hash: str | None = None,
        from_phase: str | None = None,
    ) -> None:
        """Go on with a session as planned. Raises before anything runs when it cannot."""
        engine = self._engine(starts=True)
        self._vouch(engine, session_id)
        self._start(session_id, lambda: engine.resume(session_id, from_phase, plan_hash=plan_hash))

    def run_phase(self, session_id: str, phase: str, plan_hash: str | None = None) -> None:
        """Run one phase alone as planned."""
        engine = self._engine(starts=True)
        self._vouch(engine, session_id)
        self._start(
            session_id,
            lambda: engine.execute_phase(phase, session_id=session_id, again=True, plan_hash=plan_hash),
        )

    def trust(self, workflow: Workflow, source: str) -> None:
        """Record the operator's approval of the commands of exactly this workflow."""
        self._trust.remember(workflow, source)

    def approve(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record an approval; `resume` goes on."""
        self._decide(session_id, phase, "approved", by, reason)

    def reject(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record a rejection: the phase has failed."""
        self._decide(session_id, phase, "rejected", by, reason)

    def push_back(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record comments with which the phase is to be done again."""
        self._decide(session_id, phase, "pushed_back", by, reason)

    def _decide(
        self, session_id: str, phase: str | None, verdict: PersonVerdict, by: str | None, reason: str
    ) -> None:
        self._engine().decide(session_id, phase, verdict, by=by, reason=reason)

    def questions(self, session_id: str) -> list[Question]:
        """All questions of a session, with their answers."""
        return self._engine().questions(session_id)

    def answer(self, session_id: str, number: int, choice: str, by: str | None = None) -> None:
        """Answer an open question of a running session with one of its options."""
        self._engine().answer(session_id, choice, number, by=by)

    def skip(self, session_id: str, phase: str, by: str | None = None, reason: str = "") -> None:
        """Record that a phase will not be done."""
        self._engine().skip(session_id, phase, by=by, reason=reason)

    def edit(
        self, session_id: str, phase: str, outputs: Mapping[str, Any], by: str | None = None, reason: str = ""
    ) -> None:
        """Record changed outputs of a committed phase."""
        self._engine().edit(session_id, {phase: {"outputs": outputs}}, by=by, reason=reason)

    def edit_files(
        self, session_id: str, phase: str, paths: Sequence[str], by: str | None = None, reason: str = ""
    ) -> None:
        """Record files of a committed phase that were changed in the workspace by hand."""
        self._engine().edit(session_id, {}, files={phase: tuple(paths)}, by=by, reason=reason)

    def raise_budget(
        self, session_id: str, phase: str | None, more: Budget, by: str | None = None, reason: str = ""
    ) -> None:
        """Record that more may be spent, on the session (None) or one phase; `resume` goes on."""
        self._engine().raise_budget(session_id, more, phase=phase, by=by, reason=reason)

    def choose_blueprint(
        self,
        session_id: str,
        phase: str,
        personas: Sequence[str] | None,
        mode: Mode | None,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        """Record who is to work on a phase and how; with neither, the team decides again."""
        self._engine().choose_blueprint(session_id, phase, personas=personas, mode=mode, by=by, reason=reason)

    def fork(self, session_id: str, seq: int | None = None, new_id: str | None = None) -> str:
        """Begin a new session from a commit of an old one; its id."""
        return self._engine().fork(session_id, seq=seq, new_id=new_id)

    def prune(self, session_ids: Sequence[str]) -> Pruned:
        """Remove sessions that are over and that nobody holds; which, and what could not be deleted."""
        return prune_sessions(CheckpointStore(self.root), session_ids)

    def cancel(self, session_id: str) -> bool:
        """Stop a session that runs here, resumably; False when it does not run here. Returns at once."""
        with self._places:
            runner = self._runners.get(session_id)
        if runner is None:
            return False
        runner.cancel()
        return True

    # ── State ─────────────────────────────────────────────────────────────────────────────────────────────

    def running(self) -> tuple[str, ...]:
        """Ids of the sessions that run or wait for a place here."""
        with self._places:
            return tuple(self._runners)

    def problems(self) -> list[tuple[str, str]]:
        """What went wrong since the last call, as (session id, sentence)."""
        out = []
        while self._problems:
            out.append(self._problems.popleft())
        return out

    def stop_all(self, timeout: float = 5.0) -> tuple[str, ...]:
        """Cancel every session and wait; the ids of those that had not stopped after `timeout` seconds."""
        with self._places:
            self._closing = True
            runners = list(self._runners.values())
        for runner in runners:
            runner.cancel()
        for runner in runners:
            runner.thread.join(timeout)
        return tuple(runner.session_id for runner in runners if runner.thread.is_alive())

    # ── Within ────────────────────────────────────────────────────────────────────────────────────────────

    def _engine(self, *, starts: bool = False) -> TeamExecutionEngineV2SplitMode:
        """An engine; one that `starts` commands asks whether they are approved each time, as they are by then."""
        if not starts:
            return TeamExecutionEngineV2SplitMode(self.root)
        return TeamExecutionEngineV2SplitMode(
            self.root, approve=self._trust.require, remember=self._trust.remember
        )

    def _vouch(self, engine: TeamExecutionEngineV2SplitMode, session_id: str) -> None:
        """Raise here, not in a thread, when the session is missing or its workflow is not trusted."""
        engine.allow(engine.situation(session_id))

    def _start(self, session_id: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        with self._places:
            if self._closing:
                raise InputError("The console is closing; nothing was started.")
            if session_id in self._runners:
                raise InputError(f"Session {session_id} runs here already.")
            runner = _Runner(session_id, work, self)
            self._runners[session_id] = runner
        runner.thread.start()

    def take_place(self, cancelled: threading.Event) -> bool:
        """Wait for a free place; False when cancelled while waiting."""
        with self._places:
            self._places.wait_for(lambda: self._taken < self._limit or cancelled.is_set())
            if cancelled.is_set():
                return False
            self._taken += 1
            return True

    def free_place(self) -> None:
        """Give the place back."""
        with self._places:
            self._taken -= 1
            self._places.notify_all()

    def wake(self) -> None:
        """Let waiting runners look whether they were cancelled."""
        with self._places:
            self._places.notify_all()

    def report(self, session_id: str, sentence: str) -> None:
        """Keep a problem for `problems`."""
        self._problems.append((session_id, sentence))

    def ended(self, runner: _Runner) -> None:
        """Forget a runner whose thread is about to end."""
        with self._places:
            self._runners.pop(runner.session_id, None)
