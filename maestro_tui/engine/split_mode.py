"""The engine's public face: every call makes a request, plans it, and executes nothing but the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_tui.engine import decisions, descent, running
from maestro_tui.engine.edits import edit
from maestro_tui.engine.launch import Launch, asked_of, files_in, first_context, names_in
from maestro_tui.engine.questions import answer
from maestro_tui.engine.sessions import Sessions
from maestro_tui.engine.sinks import Listener, listeners_of
from maestro_tui.engine.situation import Situation, operator_name
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.engine.teams import with_team
from maestro_tui.engine.workflow_source import Approve, WorkflowSource
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import PersonVerdict, TeamExecutionContext
from maestro_tui.model.errors import HeldError, InputError, PlanError
from maestro_tui.model.phase import Mode
from maestro_tui.model.plan import Plan, Request
from maestro_tui.model.plan import plan as make_plan
from maestro_tui.model.policy import Budget
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import held_by
from maestro_tui.store.questions import Question, read_questions


class TeamExecutionEngineV2SplitMode:
    """Runs workflows phase by phase over a checkpoint directory; any process may go on where one stopped.

    `checkpoint_dir` is the root of all sessions. `workflow` is a `Workflow`, a TOML file, or `"sdlc"`; None
    means `maestro.toml` in the workspace, else `sdlc` — and for an existing session its own workflow.
    `workspace` is the project's folder (default: the current one, and a session's own when it exists).
    `on_event` hears every `Event`. `approve` is asked before a workflow runs; None vouches for it. `remember`
    is told of a workflow that a launch approves by naming its team.

    The coroutines run in the caller's event loop. They return the newest committed context, whose
    `phase_results` tell what became of each phase; a failed phase is a result, not an exception. They raise
    `InputError` (with `WorkflowError`, `PlanError`) when a request does not fit, `HeldError` when another
    runner holds the session or phase, `StoreError` when the disk fails; committed phases are safe in each case.
    """

    def __init__(
        self,
        checkpoint_dir: str | Path,
        workflow: Workflow | str | Path | None = None,
        workspace: str | Path | None = None,
        *,
        team: TeamExecutionEngineV2 | None = None,
        on_event: Listener | Sequence[Listener] = (),
        approve: Approve | None = None,
        remember: Approve | None = None,
    ) -> None:
        self.store = CheckpointStore(Path(checkpoint_dir).expanduser().absolute())
        self.team = team or TeamExecutionEngineV2()
        self.listeners = listeners_of(on_event)
        self._source = WorkflowSource(workflow, workspace, approve, remember)
        self._sessions = Sessions(self.store, self._source, self.team.now)

    # ── New sessions ──────────────────────────────────────────────────────────────────────────────────────

    async def execute_batch(
        self,
        requirement: str,
        *,
        session_id: str | None = None,
        phases: Sequence[str] | None = None,
        start_from: str | None = None,
        inputs: Mapping[str, str | Path] | None = None,
    ) -> TeamExecutionContext:
        """Run a new session from its first phase to its last, or until a phase fails or waits.

        `phases` runs only these; `start_from` begins there, with earlier phases provided by `inputs`
        (phase → file) or recorded as skipped. A phase that failed is a result: `context.done` is False.

        Raises `InputError` when the request does not fit or `session_id` is taken (nothing is made), and once the
        session is there `HeldError`, `FencedError` and `StoreError` as `resume`. Cancelling it stops all work,
        resumably, and raises `asyncio.CancelledError`.
        """
        return await self.execute_mixed(
            requirement,
            pause_after=(),
            session_id=session_id,
            phases=phases,
            start_from=start_from,
            inputs=inputs,
        )

    async def execute_mixed(
        self,
        requirement: str,
        *,
        pause_after: Sequence[str],
        session_id: str | None = None,
        phases: Sequence[str] | None = None,
        start_from: str | None = None,
        inputs: Mapping[str, str | Path] | None = None,
    ) -> TeamExecutionContext:
        """Like `execute_batch`, and stop for review after each phase in `pause_after`; `resume` goes on. Raises
        as `execute_batch`."""
        launch = Launch(
            requirement=requirement,
            phases=names_in("phases", phases) if phases is not None else None,
            start_from=start_from,
            inputs=files_in(inputs),
            pause_after=names_in("pause_after", pause_after),
            session_id=session_id,
        )
        return await self.drive_new(self.create(launch))

    def first_context(self, launch: Launch) -> TeamExecutionContext:
        """The state that a launch would begin with; nothing is written. Raises `InputError`."""
        workspace = self._source.workspace_for(launch)
        bare, path = self._source.find(launch.workflow or None, workspace)
        workflow = with_team(bare, launch.team).within(launch.limits)
        context = first_context(launch, workflow, path, workspace, self.team.now())
        self._source.allow(bare, str(path or "the workflow"))
        if workflow.commands and workflow != bare:
            # The operator named the team in this very launch; a copy elsewhere is asked about like any other.
            self._source.remember(workflow, f"team {launch.team}")
        self.team.check(workflow, make_plan(workflow, context, Request()).runs, context)
        return context

    def create(self, launch: Launch) -> str:
        """Write a new session's first checkpoint and return its id; nothing runs yet."""
        context = self.first_context(launch)
        self.store.create(context)
        return context.session_id

    async def drive_new(self, session_id: str) -> TeamExecutionContext:
        """Run a session that was just created. Raises as `resume`."""
        return await running.run_new(self, session_id)

    # ── Sessions that exist ───────────────────────────────────────────────────────────────────────────────

    async def execute_phase(
        self,
        phase: str,
        requirement: str | None = None,
        *,
        session_id: str | None = None,
        inputs: Mapping[str, str | Path] | None = None,
        again: bool = False,
        plan_hash: str | None = None,
    ) -> TeamExecutionContext:
        """Run one phase alone, if it needs to run; a node of an outside orchestrator, safe to call again.

        A result that stands, or waits for a person's word, is returned as it is; a stale, failed or interrupted
        one is done anew. `again=True` runs the phase whatever it has left. Without an existing `session_id` a new
        session is made for `requirement`; with one, `requirement` and `inputs` may be left out and must else be
        those that it was begun with. Independent phases of one session may run in separate processes at the
        same time.

        Raises `PlanError` when what it needs is not completed (`WaitingError` when that waits for a person), or
        when the session was begun for something else; `HeldError` when the phase or session runs elsewhere.
        """
        given = files_in(inputs)
        request = asked_of("execute_phase", "phase", phase, again)
        return await running.run_phase(self, phase, request, requirement, session_id, given, plan_hash)

    async def resume(
        self,
        session_id: str,
        from_phase: str | None = None,
        edits: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        plan_hash: str | None = None,
        reason: str = "",
        on_plan: Callable[[Plan], None] | None = None,
    ) -> TeamExecutionContext:
        """Go on after the last committed phase; failed and interrupted phases are tried again.

        `from_phase` runs that phase and all that depends on it again. `edits` maps phases to changed outputs,
        recorded under the operator's name before anything runs. `plan_hash` refuses to run when the session
        has changed since that plan was made; `on_plan` hears what will run. A finished session is left as it is.

        Raises `InputError` when there is no such session, phase or workspace, `PlanError` when the session has
        changed or an edit does not fit, `HeldError` while another runner holds the session, `FencedError` when one
        took it over meanwhile, `StoreError` when a commit could not be written (`DamagedFile`: none could be read).
        """
        request = asked_of("from_phase", "rerun_from", from_phase) if from_phase else Request()
        return await running.go_on(self, session_id, request, edits, plan_hash, reason, on_plan)

    async def resume_from_checkpoint(self, path: str | Path) -> TeamExecutionContext:
        """Go on from one checkpoint file, wherever it lies.

        The newest checkpoint of a session here resumes that session. An older one begins a fork, called
        SESSION-at-N-SHA. One of a session that is not here (a copied file) begins it here, under its own id. A
        call that is repeated goes on with the session that the first one began; `fork` begins another. Raises
        `InputError` when there is no such file, `DamagedFile` when it is not what was written, and as `resume`.
        """
        return await self.resume(descent.begun_from(self, self.store.load_file(path)))

    def fork(self, session_id: str, *, seq: int | None = None, new_id: str | None = None) -> str:
        """Begin a new session from a commit of an old one (default: its newest), lineage recorded.

        Nothing runs and the old session stays as it is; the id of the new one is returned. Raises `InputError`
        when there is no such commit.
        """
        return descent.fork(self, session_id, seq, new_id)

    # ── What would happen ─────────────────────────────────────────────────────────────────────────────────

    def plan(
        self,
        session_id: str,
        *,
        from_phase: str | None = None,
        phase: str | None = None,
        again: bool = True,
    ) -> Plan:
        """What resume (or a rerun from a phase, or one phase alone) would do; nothing runs or changes.

        With `phase`, `again=False` leaves a result that stands as it is, as `execute_phase` does. Raises
        `InputError` when there is no such session, `PlanError` for a request that makes no sense, `HeldError`
        while another runner holds what would run.
        """
        if from_phase is not None and phase is not None:
            raise PlanError("Ask for a rerun from a phase or for one phase alone, not for both.")
        request = Request()
        if from_phase is not None:
            request = asked_of("from_phase", "rerun_from", from_phase)
        elif phase is not None:
            request = asked_of("phase", "phase", phase, again)
        situation = self.situation(session_id)
        name = situation.workflow.resolve(phase) if phase is not None else None
        holder = held_by(self.store.session_dir(session_id), name, self.team.clock())
        if holder is not None:
            raise HeldError(holder)
        return self.with_estimates(situation.plan(request), situation.workflow)

    def plan_launch(self, launch: Launch) -> Plan:
        """What a launch would do; nothing is written. The session's id is made anew at the real launch."""
        context = self.first_context(launch)
        if launch.session_id and self.store.exists(launch.session_id):
            raise InputError(
                f"Session {launch.session_id!r} exists already in {self.store.root}; resume it or choose "
                "another id. Nothing was run."
            )
        made = make_plan(context.workflow, context, Request()).model_copy(update={"request": "new session"})
        return self.with_estimates(made, context.workflow)

    def with_estimates(self, made: Plan, workflow: Workflow) -> Plan:
        """The plan with what its phases usually take here; for plans that are shown before anything runs."""
        from maestro_tui.engine.estimates import with_estimates

        return with_estimates(made, self.store.root, workflow.name)

    # ── What people say ───────────────────────────────────────────────────────────────────────────────────

    def decide(
        self,
        session_id: str,
        phase: str | None,
        verdict: PersonVerdict,
        *,
        by: str | None = None,
        reason: str = "",
    ) -> TeamExecutionContext:
        """Record a person's word on a phase that waits: `approved`, `rejected` or `pushed_back`.

        Nothing is started; `resume` goes on. While another branch runs it is recorded too, and the runner meets
        it when that has ended. Raises `PlanError` when the phase does not wait for approval, and for any other word.
        """
        return decisions.decide(self, session_id, phase, verdict, by, reason)

    def raise_budget(
        self,
        session_id: str,
        more: Budget,
        *,
        phase: str | None = None,
        persona: str | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> TeamExecutionContext:
        """Record that more may be spent, on the session, one phase or a persona of it; `resume` goes on, and what runs
        now does too. Raises `PlanError` when there is no such budget."""
        return decisions.raise_budget(self, session_id, phase, persona, more, by, reason)

    def choose_blueprint(
        self,
        session_id: str,
        phase: str,
        *,
        personas: Sequence[str] | None = None,
        mode: Mode | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> TeamExecutionContext:
        """Record a person's word on who works on a phase and how; with neither, the team decides again.

        A result that exists becomes stale; `resume(from_phase=…)` or `execute_phase` runs it anew. Raises
        `InputError` when nobody is called so, `HeldError` as `skip`.
        """
        personas = names_in("personas", personas) if personas is not None else None
        return decisions.choose_blueprint(self, session_id, phase, personas, mode, by, reason)

    def answer(
        self, session_id: str, choice: str, question: int | None = None, *, by: str | None = None
    ) -> Question:
        """Answer an open question of a running session with one of its options, by text or number from 1.

        `question` may be left out when only one is open. The first answer counts: raises `PlanError` with who
        was first, when time is over, or when nobody waits for it any more.
        """
        self.require(session_id)
        return answer(
            self.store.session_dir(session_id), choice, question, by or operator_name(), self.team.clock()
        )

    def questions(self, session_id: str) -> list[Question]:
        """All questions of a session, with their answers; `open` are those that somebody waits for."""
        self.require(session_id)
        return read_questions(self.store.session_dir(session_id))[0]

    def skip(
        self, session_id: str, phase: str, *, by: str | None = None, reason: str = ""
    ) -> TeamExecutionContext:
        """Record that a phase will not be done, with the reason; what depends on it can go on without it.

        Raises `PlanError` when it is done already or no reason is given, `InputError` when there is no such session
        or phase, `HeldError` while somebody runs it or a phase that reads it (other phases may run).
        """
        return decisions.skip(self, session_id, phase, by, reason)

    def edit(
        self,
        session_id: str,
        edits: Mapping[str, Mapping[str, Any]],
        *,
        files: Mapping[str, Sequence[str]] | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> TeamExecutionContext:
        """Record changed outputs of committed phases, and with `files` (phase → paths) artifacts that were changed
        in the workspace by hand; what depends on them becomes stale. Nothing runs.

        `edits` maps a phase to its new outputs, `{"rows": 5}` or `{"outputs": {"rows": 5}}`; outputs that are not
        named stay. The phase's contract is checked again. Raises `PlanError` with what an edit would break, when it
        is no JSON or could mean two things, `InputError` when there is no such session or phase, `HeldError` while
        somebody runs the phase or one that reads it (other phases may run).
        """
        return edit(self, session_id, edits, files or {}, by, reason)

    # ── Where a session stands ────────────────────────────────────────────────────────────────────────────

    def status(self, session_id: str) -> dict[str, Any]:
        """Where a session stands, as `maestro-tui show --json` tells it: `{format, session_id, status, phases, outputs, …}`.

        `status` is new, running, waiting, paused, failed, cancelled, interrupted or completed. Raises `InputError`
        when there is no such session, `DamagedFile` when no commit of it can be read.
        """
        from maestro_tui.engine.report import show_document

        return show_document(self, session_id)

    def situation(
        self,
        session_id: str,
        *,
        need_workspace: bool = True,
        head: Checkpoint | None = None,
        workflow: Workflow | None = None,
    ) -> Situation:
        """Where a session stands. Raises `InputError` when it does not exist or its workspace is gone.

        `head` is its newest commit when that is known already; `workflow` stands for the one of now.
        """
        return self._sessions.situation(session_id, need_workspace, head, workflow)

    def allow(self, situation: Situation) -> None:
        """Ask for approval of the workflow that a session is to go on with. Raises to refuse."""
        head = situation.head
        self._source.allow(situation.workflow, head.context.workflow_path or f"session {head.session_id}")

    def require(self, session_id: str) -> None:
        """Raise `InputError` when there is no such session to be run."""
        self._sessions.require(session_id)
