"""Recovers a broken-off state with the real code, and says everything that is not as it was promised."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import DONE
from maestro_tui.model.errors import MaestroError
from maestro_tui.store import prune
from maestro_tui.store import workspace as workspace_store
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import JOURNAL, commit_numbers, commit_path, view_path
from maestro_tui.store.index import read_all
from maestro_tui.store.journal import Journal, read_events
from maestro_tui.store.lease import hold_session
from maestro_tui.store.questions import read_questions
from maestro_tui.store.runner_file import LEASE
from maestro_tui.store.summaries import read_summary
from maestro_tui.store.workspace import Workspace
from maestro_tui.store.workspace_git import REPOSITORY
from tests.crash.disk import CrashState
from tests.crash.facts import Committed, Dropped, Held, Kept, Noted, Pruned, Written
from tests.crash.operations import Recorded, no_temporary_files
from tests.crash.scene import (
    PHASES,
    SESSION,
    Scene,
    Work,
    clock,
    context,
    engine_of,
    outcome,
)

SPOILT_RECORD = re.compile(r"journal\.jsonl: the record at byte \d+ (breaks off|is not as it was written)")


def problems_after(recorded: Recorded, state: CrashState, *, engine: bool = False) -> list[str]:
    """Recover the state and go on to the end; what was not as promised, empty when all was.

    The state is made where the operation was recorded, so that the paths that it holds lead to itself.
    With `engine`, the real engine's resume goes on, which costs ten times as much.
    """
    top = Path(recorded.top)
    shutil.rmtree(top, ignore_errors=True)
    state.disk.write_to(top)
    try:
        return problems_found(recorded, state, engine=engine)
    finally:
        shutil.rmtree(top)


def problems_found(recorded: Recorded, state: CrashState, *, engine: bool = False) -> list[str]:
    """The same for what lies there already; of the state only its facts are asked."""
    workspace_store._memories.clear()
    try:
        return list(_problems(recorded, state, Scene(Path(recorded.top)), engine))
    except (MaestroError, OSError, ValueError, LookupError) as error:
        return [f"recovery broke off: {type(error).__name__}: {error}"]


def _problems(recorded: Recorded, state: CrashState, scene: Scene, engine: bool) -> Iterator[str]:
    operation = recorded.operation
    if operation.prunes:
        prune.finish_pruning(scene.root)
        if any(path.name.startswith(".") for path in scene.root.iterdir()):
            yield "what was pruned is still there"
    gone = {fact.session for fact in state.facts if isinstance(fact, Pruned)}
    for session in sorted({session for session, _ in recorded.known} | {SESSION}):
        promised = {
            fact.seq: fact.data
            for fact in state.facts
            if isinstance(fact, Committed) and fact.session == session
        }
        if operation.prunes and not scene.folder(session).exists():
            promised = {}
        elif session in gone:
            yield f"{session}: it was removed and is there again"
        if not operation.damaged:
            yield from _commits_as_promised(recorded, scene.store, session, promised)
        if not scene.store.exists(session):
            yield from _can_begin(scene, session)
            continue
        yield from _written_as_promised(state, scene.store, session)
        yield from _questions_readable(scene.store, session)
        yield from _readable_as_it_is(scene.store, session, operation.damaged)
        if operation.trees:
            yield from _trees_kept(state, scene, session)
        if engine and session == SESSION:
            yield from _goes_on_by_engine(state, scene, session)
        else:
            yield from files_as_committed(scene.store, session)
            yield from _goes_on_by_store(state, scene.store, session)
        yield from _commits_as_promised(recorded, scene.store, session, promised, later=True)
        # A record of no synced type may be spoilt: it is passed over, and said.
        lines = [line for line in scene.store.verify(session) if not SPOILT_RECORD.match(line)]
        yield from (f"{session}: verify still says: {line}" for line in lines)


def _commits_as_promised(
    recorded: Recorded, store: CheckpointStore, session: str, promised: dict[int, bytes], later: bool = False
) -> Iterator[str]:
    folder = store.session_dir(session)
    there = {seq: commit_path(folder, seq).read_bytes() for seq in commit_numbers(folder)}
    for seq, data in promised.items():
        if there.get(seq) != data:
            yield f"{session}: commit {seq} was acknowledged and is {'changed' if seq in there else 'gone'}"
    for seq, data in there.items():
        written = recorded.known.get((session, seq), set())
        if data not in written and not (later and seq not in promised):
            yield f"{session}: commit {seq} has bytes that nobody wrote ({len(data)} bytes)"
    views = folder.glob("checkpoint_*.json") if folder.is_dir() else ()
    every = set().union(
        *(data for (name, _), data in recorded.known.items() if name == session), there.values()
    )
    for view in views:
        data = view.read_bytes()
        if data not in every:
            yield f"{session}: {view.name} is half visible"
        elif data not in there.values() and not recorded.operation.damaged:
            yield f"{session}: {view.name} shows a commit that the history does not have"


def _written_as_promised(state: CrashState, store: CheckpointStore, session: str) -> Iterator[str]:
    """Questions, answers and receipts that were acknowledged are there, bit for bit."""
    folder = store.session_dir(session)
    dropped = {fact.path for fact in state.facts if isinstance(fact, Dropped) and fact.session == session}
    for fact in state.facts:
        if isinstance(fact, Written) and fact.session == session and fact.path not in dropped:
            path = folder / fact.path
            if not path.exists() or path.read_bytes() != fact.data:
                yield f"{session}: {fact.path} was acknowledged and is not there as it was"


def _questions_readable(store: CheckpointStore, session: str) -> Iterator[str]:
    """What was not acknowledged is there whole or not at all."""
    folder = store.session_dir(session)
    yield from (f"{session}: damage: {line}" for line in read_questions(folder)[1])


def _can_begin(scene: Scene, session: str) -> Iterator[str]:
    """What is left of a session that was never acknowledged is no session, and in nobody's way."""
    listed = {summary.session_id for summary in read_all(scene.root, clock())}
    if session in listed or session in scene.store.session_ids():
        yield f"{session}: it is listed though it has no commit"
    scene.store.create(context(session, scene.workspace))
    if scene.store.head(session).seq != 0:
        yield f"{session}: it cannot be begun anew"


def _readable_as_it_is(store: CheckpointStore, session: str, damaged: bool) -> Iterator[str]:
    """A viewer that comes before any runner sees the truth."""
    _, damage = store.head_with_damage(session)
    summary = read_summary(store.session_dir(session), clock())
    yield from (f"{session}: damage: {line}" for line in damage if not damaged)
    if not damaged:
        told = unpromised(summary.damage, store.session_dir(session))
        yield from (f"{session}: the summary tells damage: {line}" for line in told)
    head = store.head(session)
    if summary.session_id != session or {phase.name for phase in summary.phases} != set(PHASES):
        yield f"{session}: the summary is not of this session"
    done = {phase.name for phase in summary.phases if phase.status in DONE}
    wanted = _done(head) - set(head.context.rerun)
    if done != wanted:
        yield f"{session}: the summary says that {sorted(done)} are done, the head {sorted(wanted)}"


def unpromised(damage: Iterable[str], folder: Path) -> Iterator[str]:
    """What is told of damage and must not be there after a power loss. Of what is not synced, events and the lease, half
    may be there, and that is told; nothing of a lease is no damage."""
    half = bool((folder / LEASE).read_bytes().strip(b"\0")) if (folder / LEASE).exists() else False
    for line in damage:
        if not line.startswith(f"{JOURNAL}: a record is damaged") and not (half and line.startswith(LEASE)):
            yield line


def _done(head: Checkpoint) -> set[str]:
    return {name for name, result in head.context.phase_results.items() if result.status in DONE}


def _goes_on_by_store(state: CrashState, store: CheckpointStore, session: str) -> Iterator[str]:
    folder = store.session_dir(session)
    yield from noted(state, session, folder)
    before = store.head(session)
    with hold_session(folder, clock=clock) as hold:
        highest = max(
            (f.epoch for f in state.facts if isinstance(f, Held) and f.session == session), default=0
        )
        if hold.epoch <= before.epoch:
            yield f"{session}: epoch {hold.epoch} is not newer than that of the newest commit ({before.epoch})"
        yield from _mended(store, session, before)
        journal = Journal(folder / "journal.jsonl", session, clock=clock, seal=True)
        event = journal.append("runner_acquired", data={"epoch": hold.epoch, "after": highest})
        journal.close()
        if read_events(folder / "journal.jsonl").events[-1:] != [event]:
            yield f"{session}: the first event after the crash cannot be read"
        yield from noted(state, session, folder)
        for phase in PHASES:
            if phase not in _done(store.head(session)):
                store.commit(session, phase, 7, outcome(phase, attempt=7), hold)
    head, damage = store.head_with_damage(session)
    if _done(head) != set(PHASES) or damage:
        yield f"{session}: it could not be brought to its end ({sorted(_done(head))}; {damage})"
    if not _done(before) <= _done(head):
        yield f"{session}: phases were lost on the way to its end"


def _mended(store: CheckpointStore, session: str, before: Checkpoint) -> Iterator[str]:
    folder = store.session_dir(session)
    store.repair_views(session, alone=True)
    once = _picture(folder)
    head = store.head(session)
    if head.seq < before.seq:
        yield f"{session}: mending went back from commit {before.seq} to {head.seq}"
    store.repair_views(session, alone=True)
    if _picture(folder) != once:
        yield f"{session}: mending twice is not the same as mending once"
    left = no_temporary_files(folder)
    if left:
        yield f"{session}: temporary files are left: {left}"
    yield from views_right(store, session)


def views_right(store: CheckpointStore, session: str) -> Iterator[str]:
    folder = store.session_dir(session)
    wanted = {"init": 0}
    for info in store.history(session):
        if info.phase != "init" and info.sha256 and info.status in DONE:
            wanted[info.phase] = info.seq
    for phase, seq in wanted.items():
        view = view_path(folder, phase)
        # Where there are no hard links it is a copy.
        if not view.exists() or view.read_bytes() != commit_path(folder, seq).read_bytes():
            yield f"{session}: {view.name} is not commit {seq}"
    extra = {path.name for path in folder.glob("checkpoint_*.json")} - {
        f"checkpoint_{p}.json" for p in wanted
    }
    if extra:
        yield f"{session}: {sorted(extra)} show phases that are not done"


def _picture(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path → inode and bytes of everything in the session but the lease, which knows the time."""
    out = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            if name != "runner.json":
                out[str(path)] = (path.stat().st_ino, path.read_bytes())
    return out


def noted(state: CrashState, session: str, folder: Path) -> Iterator[str]:
    there = {(event.writer, event.seq, event.type) for event in read_events(folder / "journal.jsonl").events}
    for fact in state.facts:
        if (
            isinstance(fact, Noted)
            and fact.session == session
            and (fact.writer, fact.seq, fact.type) not in there
        ):
            yield f"{session}: event {fact.seq} ({fact.type}) was acknowledged and is gone"


def _goes_on_by_engine(state: CrashState, scene: Scene, session: str) -> Iterator[str]:
    """The same through the engine: what is committed is not run again, and its files are what they were."""
    folder = scene.folder(session)
    before = scene.store.head(session)
    yield from noted(state, session, folder)
    yield from files_as_committed(scene.store, session)
    wanted = [
        name
        for name in PHASES
        if name not in before.context.phase_results
        or not before.context.phase_results[name].done
        or name in before.context.rerun
    ]
    work = Work()
    after = asyncio.run(engine_of(scene.root, scene.workspace, work).resume(session))
    if not set(wanted) <= set(work.begun):
        yield f"{session}: resume ran {work.begun}, not {wanted}"
    again = [name for name in work.begun if name not in wanted and not _stale_from(name, wanted)]
    if again:
        yield f"{session}: committed phases ran again: {again}"
    if len(set(work.begun)) != len(work.begun):
        yield f"{session}: a phase ran twice: {work.begun}"
    if {name for name, result in after.phase_results.items() if result.done} != set(PHASES):
        yield f"{session}: resume did not bring it to its end"
    summary = read_summary(folder, clock())
    if summary.status != "completed":
        yield f"{session}: it is {summary.status} after resume"
    yield from noted(state, session, folder)
    yield from views_right(scene.store, session)
    yield from files_as_committed(scene.store, session)
    work = Work()
    asyncio.run(engine_of(scene.root, scene.workspace, work).resume(session))
    if work.begun:
        yield f"{session}: resuming a finished session ran {work.begun}"


def _stale_from(name: str, wanted: list[str]) -> bool:
    """A phase may run again after one that it needs (here: an earlier one) has run again."""
    return any(PHASES.index(other) < PHASES.index(name) for other in wanted)


def _trees_kept(state: CrashState, scene: Scene, session: str) -> Iterator[str]:
    """Kept trees can be read by git itself, whole; so can those that the next attempt keeps."""
    folder = scene.folder(session)
    promised = {name: tree for fact in state.facts if isinstance(fact, Kept) for name, tree in fact.trees}
    if promised or (folder / REPOSITORY / "refs" / "maestro").exists():
        yield from readable_by_git(folder / REPOSITORY, promised)
    workspace = Workspace(folder, scene.workspace, exclude=(scene.root,))
    tree = workspace.snapshot("design/2/before")
    problem = workspace.keep(tree)
    if problem is not None:
        yield f"{session}: {problem}"
    yield from readable_by_git(folder / REPOSITORY, promised | {tree.name: tree.id})


def readable_by_git(repository: Path, trees: dict[str, str]) -> Iterator[str]:
    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "--git-dir", str(repository), *words], capture_output=True, text=True)

    named = dict(
        line.split()[::-1]
        for line in git("for-each-ref", "--format=%(objectname) %(refname)").stdout.splitlines()
    )
    for name, tree in trees.items():
        if named.get(f"refs/maestro/{name}") != tree:
            yield f"tree {name} is not named as promised"
    # All that any name leads to, promised or not.
    checked = git("fsck", "--full", "--strict", "--no-dangling")
    if checked.returncode != 0:
        yield f"git fsck: {checked.stderr.strip() or checked.stdout.strip()}"


def files_as_committed(store: CheckpointStore, session: str) -> Iterator[str]:
    for line in store.verify(session, artifacts=True):
        if (
            line.startswith("artifact")
            or "though the journal tells of it" in line
            or "is not the commit that the journal" in line
        ):
            yield f"{session}: {line}"
