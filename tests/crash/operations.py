"""Every operation of the store that changes something, as it is recorded and broken off at each step."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.context import Edit, Gate
from maestro_tui.store import receipts
from maestro_tui.store.beside import Beside
from maestro_tui.store.bundle import write_bundle
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.durable import TEMP_PREFIX
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_phase, hold_session, take_over
from maestro_tui.store.logs import PhaseLog
from maestro_tui.store.prune import prune_sessions
from maestro_tui.store.questions import Answer, answer_question, ask_question
from maestro_tui.store.receipts import Receipt, load_receipt, save_receipt
from maestro_tui.store.unbundle import unpack_bundle
from maestro_tui.store.workspace import FileChange, Workspace
from tests.crash.disk import Disk, Op, replayed
from tests.crash.facts import Committed, Dropped, Pruned, Written, promises_noted
from tests.crash.recording import Recording
from tests.crash.scene import (
    MOMENT,
    PHASES,
    SESSION,
    Scene,
    Work,
    clock,
    outcome,
    put,
    same_every_time,
)


@dataclass(frozen=True)
class Operation:
    """One thing that the store does: `prepare` makes what must be there before, `run` is recorded."""

    name: str
    prepare: Callable[[Scene], object]
    run: Callable[[Scene], object]
    covers: tuple[str, ...]
    """The store's public writing functions that it goes through."""
    with_engine: bool = False
    """Recovered by the real engine's resume, not only by the store."""
    damaged: bool = False
    """A commit is lost or damaged to begin with: it is there again only after mending."""
    trees: bool = False
    """Trees that were kept are read with git afterwards, and further ones are kept."""
    prunes: bool = False
    """The session may be gone afterwards, whole."""


def _nothing(scene: Scene) -> None:
    assert not scene.root.exists()


def _create(scene: Scene) -> None:
    scene.begin()


def _two_creates(scene: Scene) -> None:
    scene.begin()
    scene.begin("s2")


def _commit(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.commit(hold, "design")
        hold.beat(("testing",))
        scene.commit(hold, "testing")


def _commit_failed(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.commit(hold, "design", "failed")
        scene.commit(hold, "design", "cancelled", attempt=2)


def _rerun(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.store.commit(
            SESSION,
            "init",
            0,
            lambda head: (head.context.model_copy(update={"rerun": PHASES[:1]}), None),
            hold,
        )
        scene.commit(hold, "requirements", attempt=2)


def _gate(scene: Scene) -> None:
    waiting, approved = Gate(verdict="waiting"), Gate(verdict="approved", by="ada", at=MOMENT, reason="good")
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.store.commit(SESSION, "design", 1, outcome("design", gate=waiting), hold)
        # By somebody else, while the runner goes on.
        beside = Beside(scene.folder())
        CheckpointStore(scene.root).commit(SESSION, "design", 1, outcome("design", gate=approved), beside)


def _edit(scene: Scene) -> None:
    edit = Edit(phase="requirements", outputs={"said": "otherwise"}, by="ada", at=MOMENT)
    with hold_session(scene.folder(), clock=clock) as hold:
        scene.store.commit(
            SESSION, "init", 0, lambda head: (head.context.model_copy(update={"edits": (edit,)}), None), hold
        )


def _fork(scene: Scene) -> None:
    scene.engine().fork(SESSION, new_id="s2")


def _skip(scene: Scene) -> None:
    scene.engine().skip(SESSION, "design", by="ada", reason="bought")


def _prune(scene: Scene) -> None:
    prune_sessions(scene.store, [SESSION])
    scene.told(Pruned(SESSION))


def _phase_alone(scene: Scene) -> None:
    with (
        hold_phase(scene.folder(), "design", clock=clock) as one,
        hold_phase(scene.folder(), "testing", clock=clock) as two,
    ):
        scene.commit(one, "design")
        one.beat(("design",))
        scene.commit(two, "testing")


def _ask_and_answer(scene: Scene) -> None:
    folder = scene.folder() / "questions"
    with hold_session(scene.folder(), clock=clock) as hold:
        for number, words in enumerate(("May I write?", "And this?"), 1):
            ask_question(
                scene.folder(),
                phase="design",
                attempt=1,
                persona="worker",
                text=words,
                options=("Allow once", "Deny"),
                default="Deny",
                asked_at=clock(),
                expires_at=clock() + 600,
                runner=hold.id,
            )
            name = f"{number:04d}.json"
            scene.told(Written(SESSION, f"questions/{name}", (folder / name).read_bytes()))
            answer_question(scene.folder(), number, Answer("Allow once", "ann", clock()))
            name = f"{number:04d}.answer.json"
            scene.told(Written(SESSION, f"questions/{name}", (folder / name).read_bytes()))


def _receipts(scene: Scene) -> None:
    """Personas of two phases finish, one of them in a second attempt too; then one phase is committed for good."""
    folder = scene.folder() / "receipts"
    finished = (
        ("design", 1, "first"),
        ("design", 1, "second"),
        ("design", 2, "first"),
        ("testing", 1, "first"),
    )
    with hold_session(scene.folder(), clock=clock) as hold:
        for phase, attempt, persona in finished:
            left = [FileChange("made.txt", "deleted", 9, "c" * 64)]
            one = Receipt(phase, attempt, persona, "work", "a" * 64, {"old.txt": "b" * 64}, left)
            save_receipt(scene.folder(), one)
            name = f"{phase}~{attempt}~{persona}~work.json"
            scene.told(Written(SESSION, f"receipts/{name}", (folder / name).read_bytes()))
            assert load_receipt(scene.folder(), phase, attempt, persona, "work") == one
        scene.commit(hold, "design")
        for path in folder.glob("design~*"):
            scene.told(Dropped(SESSION, f"receipts/{path.name}"))
        receipts.drop_receipts(scene.folder(), "design")


def _torn_journal(scene: Scene) -> None:
    scene.begun("requirements")
    journal = Journal(scene.folder() / "journal.jsonl", SESSION, clock=clock)
    journal.append("phase_started", phase="requirements", attempt=1)
    journal.close()
    with (scene.folder() / "journal.jsonl").open("ab") as file:
        file.write(b'{"crc":"00000000","seq":2,"w":"dead')


def _journal(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock):
        journal = Journal(scene.folder() / "journal.jsonl", SESSION, clock=clock, seal=True)
        for type_ in ("phase_started", "persona_output", "persona_output", "session_paused"):
            journal.append(type_, phase="design", attempt=1, data={"text": "x" * 40})
        journal.close()


def _lost_journal(scene: Scene) -> None:
    scene.begun("requirements")
    (scene.folder() / "journal.jsonl").unlink()


def _lease(scene: Scene) -> None:
    for phase in ("design", "testing"):
        with hold_session(scene.folder(), clock=clock) as hold:
            hold.beat((phase,))
            hold.beat(())


def _take_over(scene: Scene) -> None:
    stopped = hold_session(scene.folder(), clock=clock)
    with take_over(scene.folder(), clock=clock) as hold:
        scene.commit(hold, "design")
    stopped.release()


def _lost_views(scene: Scene) -> None:
    scene.begun("requirements", "design")
    folder = scene.folder()
    (folder / "history" / "0002.json").unlink()
    (folder / "checkpoint_requirements.json").unlink()
    for left in (folder, folder / "history"):
        (left / f"{TEMP_PREFIX}left").write_bytes(b"half")


def _damaged_newest(scene: Scene) -> None:
    scene.begun("requirements", "design")
    newest = scene.folder() / "history" / "0002.json"
    data = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(data.replace(b"design 1", b"design 9"))


def _repair(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock):
        scene.store.repair_views(SESSION, alone=True)


def _log(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        log = PhaseLog(scene.folder() / "logs" / "design.1.log", clock=clock)
        log.write("worker", "out", "one\ntwo")
        log.close()
        scene.commit(hold, "design")


def _files(scene: Scene) -> None:
    scene.workspace.mkdir(parents=True)
    for phase in PHASES:
        (scene.workspace / f"old-{phase}.txt").write_text(phase)


def _with_files(scene: Scene) -> None:
    _files(scene)
    scene.begun("requirements")


def _snapshot(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        workspace = Workspace(scene.folder(), scene.workspace, exclude=(scene.root,))
        before = workspace.snapshot("design/1/before")
        put(scene.workspace / "made.txt", b"made")
        after = workspace.snapshot("design/1/after")
        workspace.changes(before, after)
        assert workspace.keep(before, after) is None
        scene.commit(hold, "design")


def _write_again(scene: Scene) -> None:
    with hold_session(scene.folder(), clock=clock) as hold:
        workspace = Workspace(scene.folder(), scene.workspace, exclude=(scene.root,))
        before = workspace.snapshot("design/1/before")
        put(scene.workspace / "old-design.txt", b"design")
        after = workspace.snapshot("design/1/after")
        left = workspace.unchanged(before, after, lambda path, _: path == "old-design.txt")
        assert [(one.path, one.change) for one in left] == [("old-design.txt", "same")]
        scene.commit(hold, "design", left=left)


def _whole_session(scene: Scene) -> None:
    asyncio.run(scene.engine().execute_batch("Build it", session_id=SESSION))


def _fail_and_resume(scene: Scene) -> None:
    async def both() -> None:
        await scene.engine(Work(fails=("design",))).execute_batch("Build it", session_id=SESSION)
        await scene.engine().resume(SESSION)

    asyncio.run(both())


def _done(scene: Scene) -> None:
    _files(scene)
    _whole_session(scene)


def _rerun_from(scene: Scene) -> None:
    asyncio.run(scene.engine().resume(SESSION, from_phase="design"))


def _edit_and_resume(scene: Scene) -> None:
    asyncio.run(scene.engine().resume(SESSION, edits={"design": {"said": "otherwise"}}))


def _finished(scene: Scene) -> None:
    scene.begun(*PHASES)
    journal = Journal(scene.folder() / "journal.jsonl", SESSION, clock=clock)
    journal.append("session_completed", data={"phases": 3})
    journal.close()


BUNDLE = Path(__file__).parent.parent / "store" / "golden" / "s1.bundle"
"""A bundle of the session, with its first three commits."""


def _import_bundle(scene: Scene) -> None:
    unpack_bundle(scene.store, BUNDLE)
    for path in sorted((scene.folder() / "history").iterdir()):
        scene.told(Committed(SESSION, int(path.stem), path.read_bytes()))


def _export_bundle(scene: Scene) -> None:
    write_bundle(scene.store, SESSION, scene.top / "s1.bundle")


_COMMIT = ("CheckpointStore.commit", "write_new", "link_view", "replace", "write_lease", "sync", "sync_dir")
_HOLD = ("hold_session", "Hold.beat", "Hold.release", "Hold.__exit__", "replace")

OPERATIONS = (
    Operation(
        "create a session",
        _nothing,
        _create,
        (
            "CheckpointStore.create",
            "make_dir",
            "make_root",
            "enter_dir",
            "enter_file",
            "write_new",
            "link_view",
            "sync",
            "sync_dir",
        ),
    ),
    Operation("create two sessions", _nothing, _two_creates, ("CheckpointStore.create", "make_dir")),
    Operation("commit what was completed", lambda s: s.begun("requirements"), _commit, (*_COMMIT, *_HOLD)),
    Operation("commit what failed", lambda s: s.begun("requirements"), _commit_failed, _COMMIT),
    Operation("commit a rerun", lambda s: s.begun("requirements"), _rerun, _COMMIT),
    Operation("decide a gate", lambda s: s.begun("requirements"), _gate, _COMMIT),
    Operation("commit an edit", lambda s: s.begun("requirements"), _edit, _COMMIT),
    Operation(
        "fork",
        lambda s: s.begun("requirements", "design"),
        _fork,
        ("CheckpointStore.create", "Journal.append", "Journal.close"),
    ),
    Operation(
        "phases alone, side by side",
        lambda s: s.begun("requirements"),
        _phase_alone,
        ("hold_phase", *_COMMIT),
    ),
    Operation(
        "ask and answer",
        lambda s: s.begun("requirements"),
        _ask_and_answer,
        ("ask_question", "answer_question"),
    ),
    Operation(
        "keep and drop receipts",
        lambda s: s.begun("requirements"),
        _receipts,
        ("save_receipt", "drop_receipts"),
    ),
    Operation(
        "write the journal after a torn line", _torn_journal, _journal, ("Journal.append", "Journal.close")
    ),
    Operation("begin a lost journal anew", _lost_journal, _journal, ("Journal.append", "Journal.close")),
    Operation("take, renew and release the lease", lambda s: s.begun("requirements"), _lease, _HOLD),
    Operation("take a session over", lambda s: s.begun("requirements"), _take_over, ("take_over", *_COMMIT)),
    Operation(
        "mend lost views and a lost commit",
        _lost_views,
        _repair,
        ("CheckpointStore.repair_views", "repair_views", "sweep", "sweep_trees", "link_view"),
        damaged=True,
    ),
    Operation(
        "mend a damaged newest commit",
        _damaged_newest,
        _repair,
        ("CheckpointStore.repair_views",),
        damaged=True,
    ),
    Operation("prune", _finished, _prune, ("prune_sessions", "finish_pruning"), prunes=True),
    Operation(
        "import a bundle",
        _nothing,
        _import_bundle,
        ("unpack_bundle", "make_dir", "enter_dir", "write_new", "repair_views"),
    ),
    Operation(
        "export a bundle",
        lambda s: s.begun("requirements", "design"),
        _export_bundle,
        ("write_bundle", "write_new"),
    ),
    Operation("skip a phase", _with_files, _skip, _COMMIT),
    Operation("write a log", lambda s: s.begun("requirements"), _log, ("PhaseLog.write", "PhaseLog.close")),
    Operation(
        "keep trees of the workspace",
        _with_files,
        _snapshot,
        ("Workspace.changes", "Workspace.snapshot", "Workspace.keep", "TreeStore.keep"),
        trees=True,
    ),
    Operation("deliver the same bytes again", _with_files, _write_again, ("Workspace.unchanged", *_COMMIT)),
    Operation("a whole session", _files, _whole_session, ("Workspace.changes", *_COMMIT), with_engine=True),
    Operation("fail, then resume", _files, _fail_and_resume, _COMMIT, with_engine=True),
    Operation("rerun from a phase", _done, _rerun_from, _COMMIT, with_engine=True),
    Operation("edit, then resume", _done, _edit_and_resume, _COMMIT, with_engine=True),
)


@dataclass
class Recorded:
    """An operation as it was recorded."""

    operation: Operation
    base: Disk
    promised: tuple[object, ...]
    """What was promised before the recording began."""
    ops: tuple[Op, ...]
    known: dict[tuple[str, int], set[bytes]]
    """Session and number of a commit → bytes that its file may have."""
    top: str
    """Where it was recorded: paths within the recorded bytes lead there."""


def record(operation: Operation, top: Path) -> Recorded:
    """Run an operation once, in a fresh folder that is removed afterwards, and check that nothing was missed."""
    top.mkdir(parents=True)
    scene = Scene(top)
    with same_every_time():
        earlier: list[object] = []
        with promises_noted(earlier.append):
            operation.prepare(scene)
        before = commits_of(scene)
        recording = Recording(top)
        scene.told = recording.tell
        with promises_noted(recording.tell), recording.running():
            operation.run(scene)
    if replayed(recording.base, recording.ops).digest() != recording.as_it_is().digest():
        raise AssertionError(f"{operation.name}: the recording has missed a change")
    known = commits_of(scene)
    for place, contents in before.items():
        known.setdefault(place, set()).update(contents)
    shutil.rmtree(top)
    return Recorded(operation, recording.base, tuple(earlier), tuple(recording.ops), known, str(top))


def commits_of(scene: Scene) -> dict[tuple[str, int], set[bytes]]:
    """Session and number of each commit that is there, as history or as view → its bytes."""
    out: dict[tuple[str, int], set[bytes]] = {}
    for folder in sorted(scene.root.glob("*/history")):
        for path in folder.glob("*.json"):
            out.setdefault((folder.parent.name, int(path.stem)), set()).add(path.read_bytes())
        for path in folder.parent.glob("checkpoint_*.json"):
            data = path.read_bytes()
            seq = int(data.partition(b'\n  "seq": ')[2].partition(b",")[0])
            out.setdefault((folder.parent.name, seq), set()).add(data)
    return out


def no_temporary_files(folder: Path) -> list[str]:
    """The names of temporary files below a folder."""
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(TEMP_PREFIX)]
