"""The engine's public face: every call makes a request, plans it, and executes nothing but the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from maestro_tui.config import find_workflow, named_from_here
from maestro_tui.engine import decisions
from maestro_tui.engine.attempts import AttemptReader
from maestro_tui.engine.drive import Drive
from maestro_tui.engine.edits import edit
from maestro_tui.engine.launch import Launch, asked_of, files_in, first_context, names_in, require_same
from maestro_tui.engine.questions import answer
from maestro_tui.engine.sinks import Listener, listeners_of
from maestro_tui.engine.situation import Situation, cannot_run, check_words, operator_name
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.engine.teams import with_team
from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    PersonVerdict,
    TeamExecutionContext,
)
from maestro_tui.model.errors import HeldError, InputError, PlanError
from maestro_tui.model.plan import Plan, PlannedPhase, Request
from maestro_tui.model.plan import plan as make_plan
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Mode, Workflow
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.hive_folder import why_not_run
from maestro_tui.store.lease import Hold, held_by, hold_phase, hold_session
from maestro_tui.store.questions import Question, read_questions

MOST_FOLLOWED = 64
"""Sessions whose journals are followed at one time."""

Approve = Callable[[Workflow, str], None]
"""Called with a workflow and its source before anything of it runs; raises to refuse."""


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
        self._attempts: dict[str, AttemptReader] = {}
        self.store = CheckpointStore(Path(checkpoint_dir).expanduser().absolute())
        self.team = team or TeamExecutionEngineV2()
        self._workspace = Path(workspace).expanduser().absolute() if workspace is not None else None
        self._workflow = named_from_here(workflow)
        self.listeners = listeners_of(on_event)
        self._approve, self._remember = approve, remember

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
        workspace = self._workspace or Path(launch.workspace).expanduser().absolute()
        bare, path = self._find(launch.workflow or None, workspace)
        workflow = with_team(bare, launch.team).within(launch.limits)
        context = first_context(launch, workflow, path, workspace, self.team.now())
        self._allow(bare, str(path or "the workflow"))
        if workflow.commands and workflow != bare and self._remember is not None:
            # The operator named the team in this very launch; a copy elsewhere is asked about like any other.
            self._remember(workflow, f"team {launch.team}")
        self.team.check(workflow, make_plan(workflow, context, Request()).runs, context)
        return context

    def create(self, launch: Launch) -> str:
        """Write a new session's first checkpoint and return its id; nothing runs yet."""
        context = self.first_context(launch)
        self.store.create(context)
        return context.session_id

    async def drive_new(self, session_id: str) -> TeamExecutionContext:
        """Run a session that was just created. Raises as `resume`."""
        self._require(session_id)
        with hold_session(self.store.session_dir(session_id), clock=self.team.clock) as hold:
            head = self.store.own_head(session_id) or self.store.head(session_id)
            return await self._drive(session_id, hold, head.context.workflow).run(Request(), started=True)

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
        fresh = False
        if session_id is None or not self.store.exists(session_id):
            session_id, fresh = self._begin_with(request, requirement, session_id, given)
        situation = self.situation(session_id)
        name = situation.workflow.resolve(phase)
        if not fresh:
            require_same(situation, requirement, given)
            if situation.plan(request).phase(name).settled:
                holder = held_by(self.store.session_dir(session_id), name, self.team.clock())
                if holder is not None:
                    raise HeldError(holder)
                # Nothing is written for it; what a runner commits from now on comes after this answer.
                return situation.head.context
        with hold_phase(self.store.session_dir(session_id), name, clock=self.team.clock) as hold:
            # Mended first: a plan from a damaged history would run again what is committed.
            self.store.repair_views(session_id)
            situation = self.situation(session_id)
            planned = situation.plan(request).phase(name)
            self._require_runnable(planned, situation.head.context, situation.workflow)
            self._allow_of(situation)
            self._same_plan(situation, request, plan_hash)
            return await self._drive(session_id, hold, situation.workflow).run(request, started=fresh)

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
        self._require(session_id)
        with hold_session(self.store.session_dir(session_id), clock=self.team.clock) as hold:
            # Mended first: a plan from a damaged history would promise to run what is committed.
            self.store.repair_views(session_id, alone=True)
            if edits:
                self._same_plan(self.situation(session_id), request, plan_hash)
                edit(self, session_id, edits, hold, None, reason, {})
            situation = self.situation(session_id)
            made = situation.plan(request)
            if not edits:
                self._same_plan(situation, request, plan_hash)
            self._allow_of(situation)
            self.team.check(situation.workflow, made.runs, situation.head.context)
            if on_plan is not None:
                # Without estimates: they are read from up to a hundred sessions, and the work should not wait for them.
                on_plan(made)
            return await self._drive(session_id, hold, situation.workflow).run(request)

    async def resume_from_checkpoint(self, path: str | Path) -> TeamExecutionContext:
        """Go on from one checkpoint file, wherever it lies.

        The newest checkpoint of a session here resumes that session. An older one begins a fork, called
        SESSION-at-N-SHA. One of a session that is not here (a copied file) begins it here, under its own id. A
        call that is repeated goes on with the session that the first one began; `fork` begins another. Raises
        `InputError` when there is no such file, `DamagedFile` when it is not what was written, and as `resume`.
        """
        return await self.resume(decisions.begun_from(self, self.store.load_file(path)))

    def fork(self, session_id: str, *, seq: int | None = None, new_id: str | None = None) -> str:
        """Begin a new session from a commit of an old one (default: its newest), lineage recorded.

        Nothing runs and the old session stays as it is; the id of the new one is returned. Raises `InputError`
        when there is no such commit.
        """
        self._require(session_id)
        if seq is not None and not self.store.holds(session_id, seq):
            raise InputError(
                f"Session {session_id!r} has no commit {seq}; 'maestro-tui show {session_id}' tells of those that "
                "there are. Nothing was forked."
            )
        commit = self.store.head(session_id) if seq is None else self.store.load(session_id, seq)
        return decisions.descend(self, commit, new_id, "fork")

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
        from maestro_tui.engine.estimates import usual_estimates

        usual = usual_estimates(self.store.root, workflow.name)
        phases = [
            planned.model_copy(update={"estimate": usual[planned.phase]})
            if planned.attempt is not None and planned.phase in usual
            else planned
            for planned in made.phases
        ]
        return made.model_copy(update={"phases": tuple(phases)})

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
        check_words(by, reason)
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
        check_words(by, reason)
        if not isinstance(more, Budget):
            raise PlanError(f"more takes a Budget, not {type(more).__name__}; nothing was changed.")
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
        check_words(by, reason)
        if mode is not None and mode not in get_args(Mode):
            raise PlanError(
                f"A team works {', '.join(get_args(Mode))}, not {clean(repr(mode), 40)}; nothing was changed."
            )
        personas = names_in("personas", personas) if personas is not None else None
        return decisions.choose_blueprint(self, session_id, phase, personas, mode, by, reason)

    def answer(
        self, session_id: str, choice: str, question: int | None = None, *, by: str | None = None
    ) -> Question:
        """Answer an open question of a running session with one of its options, by text or number from 1.

        `question` may be left out when only one is open. The first answer counts: raises `PlanError` with who
        was first, when time is over, or when nobody waits for it any more.
        """
        self._require(session_id)
        return answer(
            self.store.session_dir(session_id), choice, question, by or operator_name(), self.team.clock()
        )

    def questions(self, session_id: str) -> list[Question]:
        """All questions of a session, with their answers; `open` are those that somebody waits for."""
        self._require(session_id)
        return read_questions(self.store.session_dir(session_id))[0]

    def skip(
        self, session_id: str, phase: str, *, by: str | None = None, reason: str = ""
    ) -> TeamExecutionContext:
        """Record that a phase will not be done, with the reason; what depends on it can go on without it.

        Raises `PlanError` when it is done already or no reason is given, `InputError` when there is no such session
        or phase, `HeldError` while somebody runs it or a phase that reads it (other phases may run).
        """
        check_words(by, reason)
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
        check_words(by, reason)
        self._require(session_id)
        named = [*edits, *(files or {})] if isinstance(edits, Mapping) else []
        with decisions.acting(self, session_id, *named) as hold:
            return edit(self, session_id, edits, hold, by, reason, files or {})

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
        if head is None:
            self._require(session_id)
            head = self.store.head(session_id)
        context = head.context
        workspace = self._workspace or (Path(context.workspace) if context.workspace else Path.cwd())
        if need_workspace and not durable.leads_to_folder(workspace):
            raise InputError(
                f"The workspace {clean(str(workspace), 200)} of session {session_id} is gone; bring it back or "
                "name another with --workspace. All commits are safe."
            )
        begun = self._attempts_of(session_id).read()
        # A commit may be newer than the journal: its outcome closes the attempt.
        unfinished = {
            name: number
            for name, number in begun.open.items()
            if name not in context.phase_results or context.phase_results[name].attempt < number
        }
        return Situation(
            head=head,
            workflow=workflow or self._workflow_now(context),
            workspace=workspace,
            open_attempts=unfinished,
            highest_attempts=begun.highest,
            now=self.team.now(),
        )

    def _attempts_of(self, session_id: str) -> AttemptReader:
        if session_id not in self._attempts:
            while len(self._attempts) >= MOST_FOLLOWED:
                self._attempts.pop(next(iter(self._attempts)), None)
            self._attempts[session_id] = AttemptReader(self.store.session_dir(session_id))
        return self._attempts[session_id]

    def allow_session(self, session_id: str) -> None:
        """Ask for approval of the workflow that a session would go on with. Raises to refuse."""
        self._allow_of(self.situation(session_id))

    def _allow_of(self, situation: Situation) -> None:
        head = situation.head
        self._allow(situation.workflow, head.context.workflow_path or f"session {head.session_id}")

    def _require(self, session_id: str) -> None:
        if not self.store.exists(session_id):
            raise InputError(
                why_not_run(self.store.root, session_id)
                or f"There is no session {clean(session_id, 80)!r} in {self.store.root}{self._meant(session_id)}"
            )

    def _meant(self, name: str) -> str:
        """The end of a sentence about a session that is not there: the console shows ids without their date."""
        ends = [one for one in self.store.session_ids() if name and one.endswith(f"-{name}")]
        if ends:
            return f"; did you mean {' or '.join(clean(one, 128) for one in ends[:3])}?"
        return "; 'maestro-tui list' shows those that are there."

    # ── Within ────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_with(
        self, request: Request, requirement: str | None, session_id: str | None, inputs: Mapping[str, str]
    ) -> tuple[str, bool]:
        """The id of a new session whose first phase is that of the request; False when it was begun meanwhile."""
        if requirement is None:
            raise InputError(
                f"There is no session {clean(session_id, 80)!r} in {self.store.root}; give a requirement to begin one."
                if session_id
                else "A new session needs a requirement. Nothing was run."
            )
        context = self.first_context(Launch(requirement=requirement, session_id=session_id, inputs=inputs))
        # Before the session is made: a phase that cannot begin it must leave nothing behind.
        name = context.workflow.resolve(request.phase or "")
        self._require_runnable(
            make_plan(context.workflow, context, request).phase(name), context, context.workflow
        )
        try:
            self.store.create(context)
        except InputError:
            # Another process of the same orchestrator began this session a moment ago.
            if not self.store.exists(context.session_id):
                raise
            return context.session_id, False
        return context.session_id, True

    def _drive(self, session_id: str, hold: Hold, workflow: Workflow) -> Drive:
        # The workflow that was approved, to the end of this run: a phase may write the file that it came from.
        def situation(head: Checkpoint | None) -> Situation:
            return self.situation(session_id, head=head, workflow=workflow)

        return Drive(self.store, self.team, session_id, hold, situation, self.listeners)

    def _find(self, named: str | None, workspace: Path) -> tuple[Workflow, Path | None]:
        if isinstance(self._workflow, Workflow):
            return self._workflow, None
        return find_workflow(str(self._workflow) if self._workflow is not None else named, workspace)

    def _workflow_now(self, context: TeamExecutionContext) -> Workflow:
        """The workflow as it is now: the engine's own, else the session's file, else as it was committed."""
        if isinstance(self._workflow, Workflow):
            bare = self._workflow
        elif self._workflow is not None:
            bare = find_workflow(str(self._workflow), Path(context.workspace or "."))[0]
        elif context.workflow_path and Path(context.workflow_path).is_file():
            bare = Workflow.load(context.workflow_path)
        else:
            return context.workflow
        return with_team(bare, context.team).within(context.limits)

    def _allow(self, workflow: Workflow, source: str) -> None:
        if self._approve is not None:
            self._approve(workflow, source)

    def _require_runnable(
        self, planned: PlannedPhase, context: TeamExecutionContext, workflow: Workflow
    ) -> None:
        if planned.settled:
            return
        if planned.action != "run":
            raise cannot_run(planned, context.session_id)
        self.team.check(workflow, [planned.phase], context)

    def _same_plan(self, situation: Situation, request: Request, plan_hash: str | None) -> None:
        if plan_hash is not None and situation.plan(request).hash != plan_hash:
            raise PlanError(
                f"Session {situation.head.session_id} has changed since the plan was made; look at the new "
                "plan. Nothing was run."
            )
