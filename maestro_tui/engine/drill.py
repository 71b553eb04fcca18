"""Tries a session on a copy: kills it at the boundaries of every phase, and shows that it always ends the same.

The copy begins at the session's first checkpoint and in a copy of the workspace as it is now; commands really run
there. Two runs without a kill tell which facts differ from run to run anyway: those are not compared.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.drill_child import TOLD
from maestro_tui.engine.estimates import usual_estimates
from maestro_tui.model.context import PhaseStatus, TeamExecutionContext
from maestro_tui.model.errors import HeldError, InputError, MaestroError, StoreError
from maestro_tui.model.plan import Action, Estimate, Request, plan
from maestro_tui.model.text import clean, format_bytes
from maestro_tui.model.usual import Together, together
from maestro_tui.performers.group_guard import GUARD
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import held_by
from maestro_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine

WORKSPACE_LIMIT = 2_000_000_000
"""Bytes; the workspace is copied once for each kill."""
BOUNDARIES = {
    ("phase_started",): "when it had begun",
    ("persona_finished",): "when work was done and nothing committed",
    ("phase_committed", "phase_failed"): "right after its commit",
}
"""Events → how their moment is called. After the second one work is done twice, as promised: at least once."""
_DRILLABLE = ("command", "toolbox")
_MOST_TOLD = 8
STOP_SECONDS = 15.0
"""How long a run of the copy may take to stop when the drill is stopped."""

Facts = Mapping[str, str]
"""How a run ended: status and outputs of each phase, and the digest of each file in the workspace."""


def drill(engine: Engine, session_id: str, on_step: Callable[[str], None]) -> dict[str, Any]:
    """`{session_id, ok, phases, trials: [{phase, killed, ok, problems}], not_compared}`; the session is only read.

    `on_step` hears what happens, a line at a time. Raises `InputError` for what cannot be drilled, `HeldError`
    while somebody runs it, `StoreError`.
    """
    context, workspace = _beginning(engine, session_id)
    trials: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="maestro-drill-", ignore_cleanup_errors=True) as top:
        bench = _Bench(Path(top), context, workspace, engine.store.root)
        on_step("runs twice without a kill, to learn what it ends with")
        first, second = bench.undisturbed(), bench.undisturbed()
        varying = frozenset(_differing(first, second))
        ran = bench.ran()
        for phase in ran:
            for events, words in BOUNDARIES.items():
                problems = list(bench.killed_at(events, phase, first, varying))
                trials.append({"phase": phase, "killed": words, "ok": not problems, "problems": problems})
                said = f"✗ {problems[0]}" if problems else "✓ resumed, ended the same"
                on_step(f"{phase}, killed {words}: {said}")
    return {
        "session_id": session_id,
        "ok": bool(trials) and all(trial["ok"] for trial in trials),
        "phases": ran,
        "trials": trials,
        "not_compared": sorted(varying),
    }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a drill will take, as far as that is known from earlier runs."""

    phases: int
    runs: int
    """As much work as so many whole runs of the session."""
    usual: Together
    """Of all of them."""

    def words(self) -> str:
        """`A drill of 2 phases does as much as 9 whole runs: about 4m (from 3 earlier runs)`."""
        return f"A drill of {self.phases} phases does as much as {self.runs} whole runs: {self.usual.words()}"


def forecast(engine: Engine, session_id: str) -> Forecast:
    """What `drill` would take. Raises as `drill` does; nothing is run."""
    context, _ = _beginning(engine, session_id)
    made = plan(context.workflow, context.model_copy(update={"pause_after": ()}), Request())
    waited = [one for one in made.phases if one.action in (Action.RUN, Action.BLOCKED)]
    usual = usual_estimates(engine.store.root, context.workflow.name)
    once = together(
        {one.phase: usual.get(one.phase, Estimate()) for one in waited},
        {one.phase: one.needs for one in waited},
    )
    # Two without a kill, one for each kill, and each phase once more whose work was done and not committed.
    runs = 2 + len(BOUNDARIES) * len(waited) + 1
    return Forecast(len(waited), runs, once.times(runs))


def drill_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What is to say after the steps, for people."""
    for trial in found["trials"]:
        for problem in trial["problems"][1:_MOST_TOLD]:
            yield f"  {trial['phase']}, killed {trial['killed']}: {clean(problem, 300)}"
        if len(trial["problems"]) > _MOST_TOLD:
            yield f"  and {len(trial['problems']) - _MOST_TOLD:,} more (--json lists all)"
    if found["not_compared"]:
        some = ", ".join(clean(name, 60) for name in found["not_compared"][:4])
        more = f" and {len(found['not_compared']) - 4:,} more" if len(found["not_compared"]) > 4 else ""
        yield f"Not compared, since it differs without a kill too: {some}{more}"
    bad = sum(not trial["ok"] for trial in found["trials"])
    yield (
        f"{found['session_id']}: {len(found['trials'])} kills in {len(found['phases'])} phases of a copy, "
        f"{f'{bad} did not end the same' if bad else 'always the same end'}. The session itself was not touched."
    )


# ── What can be drilled ───────────────────────────────────────────────────────────────────────────────────


def _beginning(engine: Engine, session_id: str) -> tuple[TeamExecutionContext, Path]:
    """The session's first state, and its workspace. Raises for what cannot be drilled."""
    situation = engine.situation(session_id)
    holder = held_by(engine.store.session_dir(session_id), None, engine.team.clock())
    if holder is not None:
        raise HeldError(f"{holder} Drill it when it has stopped.")
    workspace = situation.workspace
    for place, persona in situation.workflow.people:
        if persona.performer not in _DRILLABLE:
            raise InputError(
                f"Session {session_id} cannot be drilled: {place} is carried out by "
                f"{clean(persona.performer, 60)!r}, which costs something and never does the same twice. Only "
                "tools and commands can be drilled. Nothing was run."
            )
        if any(str(workspace) in word for word in (*persona.argv, persona.shell or "")):
            raise InputError(
                f"Session {session_id} cannot be drilled: the command of {persona.name} names the workspace "
                f"{clean(str(workspace), 200)} itself, so that its copy would change the original. Write it "
                "relative to the workspace. Nothing was run."
            )
    size = _size_of(workspace, engine.store.root)
    if size > WORKSPACE_LIMIT or size * 2 > shutil.disk_usage(tempfile.gettempdir()).free:
        raise InputError(
            f"Session {session_id} cannot be drilled: its workspace has more than {format_bytes(size)}, which is "
            f"copied for each kill; at most {format_bytes(WORKSPACE_LIMIT)}, and half of what is free in "
            f"{clean(tempfile.gettempdir(), 100)}. Nothing was run."
        )
    first = engine.store.load(session_id, 0)
    return first.context.model_copy(update={"workflow": situation.workflow, "workflow_path": None}), workspace


def _size_of(folder: Path, left_out: Path) -> int:
    """Bytes of all files; more than the limit is not counted further."""
    total = 0
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(top, name) != left_out]
        for name in files:
            total += os.lstat(os.path.join(top, name)).st_size  # noqa: PTH118 - asked of very many
        if total > WORKSPACE_LIMIT:
            break
    return total


# ── Runs in the copy ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Bench:
    """One place in which every run happens in turn, so that paths are the same in all of them."""

    top: Path
    context: TeamExecutionContext
    original: Path
    left_out: Path

    @property
    def store(self) -> CheckpointStore:
        return CheckpointStore(self.top / "root")

    @property
    def workspace(self) -> Path:
        return self.top / "workspace"

    def undisturbed(self) -> Facts:
        """How a run ends that nobody kills. Raises `StoreError` when it cannot even come to an end."""
        self._begin()
        problem = self._run()
        if problem is not None:
            raise StoreError(f"The copy did not come to an end, even without a kill: {problem}")
        return self._end()

    def killed_at(
        self, events: tuple[str, ...], phase: str, wanted: Facts, varying: frozenset[str]
    ) -> Iterator[str]:
        """What was not as it should be when a run was killed there and resumed."""
        self._begin()
        child = self._child(phase, *events)
        if child.returncode != -signal.SIGKILL:
            yield f"it did not come there: exit code {child.returncode} {_last_line(child.stderr)}"
            return
        session = self.context.session_id
        before = self.store.head(session).context.phase_results
        committed = {name: result.attempt for name, result in before.items() if result.done}
        problem = self._run()
        if problem is not None:
            yield problem
            return
        after = self.store.head(session).context.phase_results
        for name, attempt in committed.items():
            if name not in after or after[name].attempt != attempt:
                yield f"{name} was committed and ran again"
        yield from self.store.verify(session)
        end = self._end()
        for name in _differing(wanted, end):
            if name not in varying:
                yield f"{name} is {_shown(end.get(name))}, without a kill {_shown(wanted.get(name))}"

    def ran(self) -> list[str]:
        """The phases that the last run really ran, in order."""
        context = self.store.head(self.context.session_id).context
        return [
            name
            for name, result in context.results()
            if result.attempt > 0 and result.status != PhaseStatus.SKIPPED
        ]

    def _begin(self) -> None:
        """The workspace and the first checkpoint, anew."""
        for folder in (self.workspace, self.top / "root", self.top / "measured"):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            shutil.copytree(self.original, self.workspace, symlinks=True, ignore=self._not_copied)
        except (OSError, shutil.Error) as error:
            raise StoreError(
                f"The workspace {clean(str(self.original), 200)} cannot be copied: {clean(error, 300)}. "
                "The session was not touched."
            ) from error
        update = {"workspace": str(self.workspace), "pause_after": ()}
        self.store.create(self.context.model_copy(update=update))

    def _not_copied(self, folder: str, names: list[str]) -> list[str]:
        """The checkpoint directory, and pipes, sockets and devices, which no copy can hold."""
        out = []
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            if path == self.left_out or not plain:
                out.append(name)
        return out

    def _run(self) -> str | None:
        """Resume to the end; what went wrong."""
        done = self._child()
        if done.returncode == 0:
            return None
        said = _last_line(done.stderr)
        return (
            said if done.returncode == TOLD else f"its runner broke with exit code {done.returncode}: {said}"
        )

    def _child(self, *kill_at: str) -> subprocess.CompletedProcess[bytes]:
        words = [str(self.store.root), self.context.session_id, str(self.workspace), *kill_at]
        # -P: what lies in the current folder, a stranger's repository perhaps, is no module of ours.
        # In a session of its own: what a terminal sends reaches it through us only, so that we see its end.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "maestro_tui.engine.drill_child", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        GUARD.watch(child.pid)
        try:
            _, said = child.communicate()
        except BaseException:
            _end(child)
            raise
        finally:
            GUARD.release(child.pid)
        return subprocess.CompletedProcess(words, child.returncode, stderr=said)

    def _end(self) -> Facts:
        try:
            context = self.store.head(self.context.session_id).context
            tree = Workspace(self.top / "measured", self.workspace).snapshot("end")
        except MaestroError as error:
            return {"the session": str(error)}
        facts = {f"file {path}": state.sha256 for path, state in tree.files.items()}
        for name, result in context.results():
            facts[f"{name}: status"] = str(result.status)
            facts |= dict(_leaves(result.outputs, f"{name}: outputs"))
        return facts


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let a run stop by itself, with all that it has started; end it when it does not."""
    child.terminate()
    try:
        child.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Each single value of JSON under its place."""
    todo = [(value, place)]
    while todo:
        item, at = todo.pop()
        if isinstance(item, dict) and item:
            todo += [(part, f"{at}.{key}") for key, part in item.items()]
        elif isinstance(item, list) and item:
            todo += [(part, f"{at}.{number}") for number, part in enumerate(item)]
        else:
            yield at, json.dumps(item)


def _differing(one: Facts, other: Facts) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _shown(text: str | None) -> str:
    return "not there" if text is None else clean(text, 80)


def _last_line(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return clean(lines[-1], 400) if lines else "without a word"
