"""Commits are made once, follow each other, lose nothing of what others committed, and survive what befalls files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.context import (
    Artifact,
    BlueprintChoice,
    Edit,
    Gate,
    Lineage,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import DamagedFile, FencedError, InputError, PlanError, StoreError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_number, gap_lines
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold, hold_phase, hold_session
from maestro_tui.store.locks import CommitLock
from tests.store.runners import runners
from tests.store.small_sessions import MOMENT, changed, commit, context, outcome, session


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "root")


def newest(folder: Path) -> Path:
    return max((folder / "history").glob("*.json"))


def tree(folder: Path) -> dict[str, bytes]:
    """Every regular file below, without the locks and the lease."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "locks" and path.name != "runner.json"
    }


# ── Creating and committing ───────────────────────────────────────────────────────────────────────────────


def test_a_new_session_has_its_first_checkpoint_and_its_view(store: CheckpointStore) -> None:
    made = store.create(context())
    folder = store.session_dir("s1")
    assert store.exists("s1") and store.session_ids() == ["s1"]
    assert store.head("s1") == made == store.load("s1", 0)
    assert (made.seq, made.prev, made.phase, made.attempt) == (0, None, "init", 0)
    assert os.path.samefile(folder / "checkpoint_init.json", folder / "history" / "0000.json")
    assert store.verify("s1") == []


def test_everything_in_a_session_is_private(store: CheckpointStore) -> None:
    before = os.umask(0)
    try:
        folder = session(store, "requirements")
    finally:
        os.umask(before)
    for path in (store.root, folder, *folder.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_an_id_that_is_taken_is_refused_and_its_session_stays(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    before = tree(folder)
    with pytest.raises(InputError, match="exists already"):
        store.create(context(requirement="Another"))
    assert tree(folder) == before


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "../x", ".hidden", "a\0b", "a" * 129, "nul", "a..b", "-x", "ä"]
)
def test_an_id_that_is_none_is_refused_everywhere(store: CheckpointStore, name: str) -> None:
    for call in (
        store.session_dir,
        store.exists,
        store.head,
        store.history,
        store.verify,
        store.repair_views,
    ):
        with pytest.raises(InputError, match="is no session id"):
            call(name)
    assert not store.root.exists()


def test_what_is_not_there_is_said_not_to_be_there(store: CheckpointStore) -> None:
    assert store.session_ids() == [] and not store.exists("s1")
    with pytest.raises(InputError, match="There is no session 's1'"):
        store.head("s1")
    session(store)
    with pytest.raises(InputError, match=r"There is no checkpoint file .*0007\.json"):
        store.load("s1", 7)


def test_each_commit_follows_the_one_before(store: CheckpointStore) -> None:
    session(store, "requirements", "design")
    infos = store.history("s1")
    assert [(info.seq, info.phase, info.attempt, info.status) for info in infos] == [
        (0, "init", 0, ""),
        (1, "requirements", 1, "completed"),
        (2, "design", 1, "completed"),
    ]
    assert [store.load("s1", info.seq).prev for info in infos] == [None, infos[0].sha256, infos[1].sha256]
    assert all(info.problem is None for info in infos)
    assert store.verify("s1") == []


def test_the_view_shows_the_newest_good_checkpoint_of_a_phase(store: CheckpointStore) -> None:
    folder = session(store)
    view = folder / "checkpoint_design.json"
    with hold_session(folder) as hold:
        for status in ("failed", "cancelled"):
            commit(store, hold, "design", status)
            assert not view.exists()
        good = commit(store, hold, "design", "completed", 2)
        assert store.load_file(view) == good
        commit(store, hold, "design", "failed", 3)
        assert store.load_file(view) == good
        better = commit(store, hold, "design", "skipped", 4)
        assert store.load_file(view) == better
        store.commit("s1", "init", 0, lambda head: (head.context, None), hold)
    assert store.load_file(folder / "checkpoint_init.json").seq == 0
    assert store.verify("s1") == []


def test_a_change_receives_what_others_committed(store: CheckpointStore) -> None:
    folder = session(store)
    with hold_phase(folder, "requirements") as one, hold_phase(folder, "design") as two:
        commit(store, one, "requirements", said="one")
        commit(store, two, "design", said="two")
    results = store.head("s1").context.phase_results
    assert {name: result.outputs["said"] for name, result in results.items()} == {
        "requirements": "one",
        "design": "two",
    }


def test_a_new_workflow_is_kept_with_the_commit(store: CheckpointStore) -> None:
    folder = session(store)
    flow = Workflow(name="other", phases=(Phase(name="design"),))
    with hold_session(folder) as hold:
        store.commit("s1", "init", 0, lambda head: (head.context, flow), hold)
        commit(store, hold, "design")
    head = store.head("s1")
    assert head.workflow == flow == head.context.workflow
    assert store.load("s1", 0).workflow.name == "three"


def test_a_change_that_refuses_leaves_everything_as_it_was(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    before = tree(folder)

    def refuse(_: Checkpoint) -> tuple[TeamExecutionContext, None]:
        raise PlanError("decided meanwhile")

    with hold_session(folder) as hold:
        with pytest.raises(PlanError, match="decided meanwhile"):
            store.commit("s1", "design", 1, refuse, hold)
        assert tree(folder) == before
        commit(store, hold, "design")


def test_a_result_that_json_cannot_hold_is_refused_and_the_session_goes_on(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    with hold_session(folder) as hold:
        with pytest.raises(StoreError, match="the result of 'design' cannot be written as JSON"):
            commit(store, hold, "design", said=object())
        assert store.head("s1").seq == 1
        assert commit(store, hold, "design").seq == 2


def every_word() -> TeamExecutionContext:
    """A context with a value in each field that takes one of a few words."""
    file = Artifact(path="a.md", size=1, sha256="0" * 64, phase="design")
    result = PhaseResult(
        status=PhaseStatus.FAILED,
        artifacts=(file,),
        gate=Gate(verdict="failed"),
        error=PhaseError(kind="gate", message="too few"),
    )
    phase = Phase(name="design", mode="parallel", personas=(Persona(name="p", argv=("true",)),))
    return context(
        workflow=Workflow(name="words", phases=(phase,), advice=("blueprint",)),
        phase_results={"design": result},
        edits=(Edit(phase="design", artifacts=(file,), by="me", at=MOMENT),),
        lineage=Lineage(session_id="s0", seq=1, sha256="0" * 64),
        blueprints={"design": BlueprintChoice(mode="sequential", by="me", at=MOMENT)},
    )


def wrong_ones(value: Any) -> Iterator[tuple[str, Any]]:
    """`Model.field` and a copy of the value with a word there that it cannot take, for every such field within."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            part = getattr(value, name)
            if takes_words(field.annotation) and part is not None:
                wrong = ("maybe",) if isinstance(part, tuple) else "maybe"
                yield f"{type(value).__name__}.{name}", value.model_copy(update={name: wrong})
            for place, changed_part in wrong_ones(part):
                yield place, value.model_copy(update={name: changed_part})
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from ((place, {**value, key: one}) for place, one in wrong_ones(part))
    elif isinstance(value, tuple):
        for at, part in enumerate(value):
            yield from ((place, (*value[:at], one, *value[at + 1 :])) for place, one in wrong_ones(part))


def takes_words(annotation: Any) -> bool:
    """True for a `Literal` or an enumeration, alone or among others."""
    is_enum = isinstance(annotation, type) and issubclass(annotation, Enum)
    return is_enum or get_origin(annotation) is Literal or any(map(takes_words, get_args(annotation)))


def fields_of_words(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """`Model.field` for each such field of a model and of those within it."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if takes_words(field.annotation):
            yield f"{model.__name__}.{name}"
        todo = [field.annotation]
        while todo:
            part: Any = todo.pop()
            todo += get_args(part)
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from fields_of_words(part, seen)


WRONG = dict(wrong_ones(every_word()))


def test_every_field_that_takes_one_of_a_few_words_is_tried() -> None:
    assert set(WRONG) == set(fields_of_words(TeamExecutionContext, set()))


@pytest.mark.parametrize("place", WRONG)
def test_a_commit_that_could_not_be_read_again_is_not_written(store: CheckpointStore, place: str) -> None:
    wrong = WRONG[place]
    with pytest.raises(StoreError, match="cannot be written"):
        store.create(wrong)
    assert not store.exists("s1")
    folder = session(store, "requirements")
    before = tree(folder)
    with hold_session(folder) as hold:
        with pytest.raises(StoreError, match="cannot be written as ") as told:
            store.commit("s1", "design", 1, lambda head: (wrong, wrong.workflow), hold)
        assert tree(folder) == before and store.verify("s1") == []
        assert commit(store, hold, "design").seq == 2
    assert "\n" not in str(told.value) and "pydantic" not in str(told.value)


def test_the_text_of_others_is_kept_as_it_came(store: CheckpointStore) -> None:
    folder = session(store)
    with hold_session(folder) as hold:
        commit(store, hold, "design", said="\x1b[31m[/red]\u202e\r\n\0 ä", bad="a\ud800")
    outputs = store.head("s1").context.phase_results["design"].outputs
    assert outputs == {"said": "\x1b[31m[/red]\u202e\r\n\0 ä", "bad": "a?"}


def test_a_number_that_another_runner_took_is_not_overwritten(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    elsewhere = folder.parent.parent / "copy"
    shutil.copytree(folder, elsewhere)

    def overtaken(head: Checkpoint) -> tuple[TeamExecutionContext, None]:
        shutil.copy(elsewhere / "history" / "0001.json", folder / "history" / "0002.json")
        return head.context, None

    with hold_session(folder) as hold, pytest.raises(FencedError, match="written by another runner"):
        store.commit("s1", "design", 1, overtaken, hold)
    assert (folder / "history" / "0002.json").read_bytes() == (folder / "history" / "0001.json").read_bytes()


def test_a_commit_of_a_newer_runner_fences_the_older(store: CheckpointStore) -> None:
    folder = session(store)
    with hold_session(folder) as hold:
        hold.epoch -= 1
        lease = json.loads((folder / "runner.json").read_text())
        (folder / "runner.json").write_text(json.dumps({**lease, "epoch": hold.epoch}))
        path = folder / "history" / "0000.json"
        path.write_bytes(changed(path.read_bytes(), epoch=hold.epoch + 1))
        with pytest.raises(FencedError, match="committed by a newer runner"):
            commit(store, hold, "design")


def test_what_another_process_committed_in_between_is_built_upon(store: CheckpointStore) -> None:
    folder = session(store)
    with runners(folder) as [other], hold_phase(folder, "requirements") as hold:
        other.do("hold", "design")
        for attempt in (1, 2, 3):
            commit(store, hold, "requirements", attempt=attempt)
            other.do("commit", "design", str(attempt))
    results = store.head("s1").context.phase_results
    assert (results["requirements"].attempt, results["design"].attempt) == (3, 3)
    assert store.head("s1").seq == 6 and store.verify("s1") == []


@pytest.mark.parametrize("name", ["0099.json", "12345.json", "0002.json.damaged.1", "zzz"])
def test_a_file_that_appears_between_two_commits_is_seen(store: CheckpointStore, name: str) -> None:
    folder = session(store)
    with hold_session(folder) as hold:
        commit(store, hold, "requirements")
        (folder / "history" / name).write_bytes(b"")
        made = commit(store, hold, "design")
    number = commit_number(name)
    assert made.seq == (2 if number is None else number + 1)
    assert store.head("s1") == made


def test_a_commit_that_is_damaged_right_after_it_was_made_is_not_followed(store: CheckpointStore) -> None:
    folder = session(store)
    with hold_session(folder) as hold:
        good = commit(store, hold, "requirements")
        commit(store, hold, "design")
        _flip(folder / "history" / "0002.json")
        made = commit(store, hold, "testing")
    assert (made.seq, made.prev) == (3, good.sha256)
    assert "design" not in store.head("s1").context.phase_results


def test_a_dictionary_that_is_changed_after_its_commit_changes_no_commit(store: CheckpointStore) -> None:
    folder = session(store)
    deep = {"list": [1]}
    with hold_session(folder) as hold:
        made = commit(store, hold, "requirements", deep=deep)
        deep["list"].append(2)
        made.context.phase_results["requirements"].outputs["deep"]["more"] = 3
        commit(store, hold, "design")
    assert store.head("s1").context.phase_results["requirements"].outputs == {"deep": {"list": [1]}}


def test_one_store_serves_many_sessions(store: CheckpointStore) -> None:
    for number in range(20):
        store.create(context(f"s{number}"))
    for phase in ("requirements", "design"):
        for number in range(20):
            with hold_session(store.session_dir(f"s{number}")) as hold:
                store.commit(f"s{number}", phase, 1, outcome(phase, n=number), hold)
    for number in range(20):
        results = store.head(f"s{number}").context.phase_results
        assert [result.outputs for result in results.values()] == [{"n": number}] * 2


# ── Many at once ──────────────────────────────────────────────────────────────────────────────────────────


def test_processes_that_commit_at_once_lose_nothing(store: CheckpointStore) -> None:
    names = [f"p{n}" for n in range(4)]
    flow = Workflow(name="wide", phases=tuple(Phase(name=name, needs=()) for name in names))
    store.create(context(workflow=flow))
    folder = store.session_dir("s1")
    attempts = 10
    with runners(folder, len(names)) as workers:
        for worker, name in zip(workers, names, strict=True):
            worker.do("hold", name)
        for attempt in range(1, attempts + 1):
            for worker, name in zip(workers, names, strict=True):
                worker.tell("commit", name, str(attempt))
        seqs = [worker.answer()["ok"] for worker in workers for _ in range(attempts)]
    assert sorted(seqs) == list(range(1, len(names) * attempts + 1))  # type: ignore[type-var]
    infos = store.history("s1")
    assert [info.problem for info in infos] == [None] * (len(names) * attempts + 1)
    for name in names:
        assert [info.attempt for info in infos if info.phase == name] == list(range(1, attempts + 1))
    results = store.head("s1").context.phase_results
    assert {name: results[name].attempt for name in names} == dict.fromkeys(names, attempts)
    assert store.verify("s1") == []


def test_of_those_who_create_one_session_at_once_one_wins(store: CheckpointStore) -> None:
    barrier, won, lost = threading.Barrier(6), [], []

    def create(number: int) -> None:
        barrier.wait()
        try:
            won.append(store.create(context(requirement=f"number {number}")))
        except InputError:
            lost.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(lost) == 5
    assert store.head("s1") == won[0]
    assert store.verify("s1") == []


def test_readers_of_a_busy_session_see_no_damage_and_never_go_backwards(store: CheckpointStore) -> None:
    folder = session(store)
    done, problems = threading.Event(), []

    def read() -> None:
        last = -1
        while not done.is_set():
            head, damage = store.head_with_damage("s1")
            if damage or head.seq < last:
                problems.append((last, head.seq, damage))
            last = head.seq
            problems.extend(store.verify("s1"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    with hold_session(folder) as hold:
        journal = Journal(folder / "journal.jsonl", "s1", seal=True)
        for attempt in range(1, 41):
            made = commit(store, hold, "design", "completed", attempt)
            data = {"seq": made.seq, "sha256": made.sha256}
            journal.append("phase_committed", phase="design", attempt=attempt, data=data)
        journal.close()
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []


# ── The disk ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_commit_that_the_disk_refuses_leaves_the_last_one_and_can_be_tried_again(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    folder = session(store, "requirements")
    with hold_session(folder) as hold:
        before = tree(folder)

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(StoreError) as caught:
                commit(store, hold, "design")
        assert os.strerror(number) in str(caught.value) and "the last commit is safe" in str(caught.value)
        assert tree(folder) == before
        assert commit(store, hold, "design").seq == 2
    assert store.verify("s1") == []


def test_a_session_that_could_not_be_created_can_be_created_again(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.create(context())
    assert not store.exists("s1")
    assert store.create(context()).seq == 0


def test_the_folders_of_a_new_session_are_synced_up_to_the_root(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    # Left over from a process that died before it had synced anything.
    (store.root / "s1" / "history").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", fsync)
    store.create(context())
    folder = store.session_dir("s1")
    wanted = [folder / "history", folder, store.root, store.root.parent]
    assert [path for path in synced if path in wanted] == wanted


def test_the_roots_own_name_is_synced_once_and_again_when_it_is_another_folder(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = durable.sync_dir
    monkeypatch.setattr(durable, "sync_dir", lambda folder: (synced.append(folder), real(folder))[1])

    def above() -> int:
        return synced.count(store.root.parent)

    store.create(context("s1"))
    store.create(context("s2"))
    once = above()
    store.create(context("s3"))
    assert above() == once
    store.root.rename(store.root.parent / "elsewhere")
    store.root.mkdir()
    store.create(context("s4"))
    assert above() == once + 1


def test_a_commit_costs_two_syncs(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = session(store, "requirements")
    synced: list[int] = []
    real = os.fsync
    with hold_session(folder) as hold:
        monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(fd), real(fd))[1])
        commit(store, hold, "design")
        hold.beat()
        assert len(synced) == 2


def test_a_root_that_cannot_be_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = CheckpointStore(tmp_path / "file")
    with pytest.raises(InputError, match="it is not a folder"):
        store.create(context())
    with pytest.raises(StoreError, match="Not a directory"):
        store.session_ids()


# ── Damage ────────────────────────────────────────────────────────────────────────────────────────────────


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    path.write_bytes(raw)


def _zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _zero_tail(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:500] + b"\0" * (len(raw) - 500))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _link_to_good(path: Path) -> None:
    path.unlink()
    path.symlink_to("0000.json")


def _older(path: Path) -> None:
    path.write_bytes((path.parent / "0000.json").read_bytes())


def _other_session(path: Path) -> None:
    path.write_bytes(changed(path.read_bytes(), session_id="s2"))


def _other_context(path: Path) -> None:
    value = json.loads(path.read_bytes())["context"]
    path.write_bytes(changed(path.read_bytes(), context={**value, "session_id": "s2"}))


def _newer_format(path: Path) -> None:
    path.write_bytes(changed(path.read_bytes(), format="maestro-checkpoint/9"))


DAMAGE: list[Callable[[Path], None]] = [
    _cut,
    _flip,
    _zero,
    _zero_tail,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"{}"),
    lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" * 50),
    _folder,
    _pipe,
    _link,
    _link_to_good,
    _older,
    _other_session,
    _other_context,
    _newer_format,
]
NAMES = [
    "cut off",
    "a flipped bit",
    "zeros",
    "a tail of zeros",
    "empty",
    "foreign JSON",
    "foreign bytes",
    "a folder",
    "a pipe",
    "a link outside",
    "a link to a good commit",
    "an older commit",
    "a commit of another session",
    "the context of another session",
    "a newer format",
]


@pytest.mark.parametrize("damage", DAMAGE, ids=NAMES)
def test_damage_of_the_newest_commit_is_told_in_a_line_and_the_one_before_is_used(
    store: CheckpointStore, damage: Callable[[Path], None]
) -> None:
    folder = session(store, "requirements", "design")
    # Without the view, which would bring the commit back.
    (folder / "checkpoint_design.json").unlink()
    damage(folder / "history" / "0002.json")
    names = sorted(os.listdir(folder / "history"))

    head, told = store.head_with_damage("s1")
    assert head.seq == 1
    assert len(told) == 1 and "0002.json" in told[0] and "\n" not in told[0]
    assert store.history("s1")[2].problem == told[0]
    assert store.verify("s1") == [told[0]]

    with hold_session(folder) as hold:
        store.repair_views("s1")
        again = commit(store, hold, "design", attempt=2)
    assert (again.seq, again.prev) == (3, head.sha256)
    assert store.head_with_damage("s1") == (again, ())
    assert sorted(os.listdir(folder / "history")) == [*names, "0003.json"]
    assert store.verify("s1") == [told[0]]


@pytest.mark.parametrize("damage", DAMAGE, ids=NAMES)
def test_damage_of_an_older_commit_is_told_and_does_no_harm(
    store: CheckpointStore, damage: Callable[[Path], None]
) -> None:
    folder = session(store, "requirements", "design")
    (folder / "checkpoint_requirements.json").unlink()
    damage(folder / "history" / "0001.json")
    assert store.head_with_damage("s1")[0].seq == 2
    [problem] = store.verify("s1")
    assert "0001.json" in problem


def test_when_no_commit_is_intact_the_session_says_so_and_stays(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    for path in (folder / "history").glob("*.json"):
        _flip(path)
    before = tree(folder)
    with pytest.raises(DamagedFile, match=r"has no intact commit: .*0000\.json"):
        store.head("s1")
    with hold_session(folder) as hold:
        store.repair_views("s1")
        with pytest.raises(DamagedFile, match="has no intact commit"):
            commit(store, hold, "design")
    assert store.exists("s1") and store.session_ids() == ["s1"]
    assert tree(folder) == before


def test_two_commits_in_each_other_s_place_are_both_told(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design", "testing")
    one, two = folder / "history" / "0002.json", folder / "history" / "0003.json"
    for path in (*folder.glob("checkpoint_[dt]*.json"),):
        path.unlink()
    one.rename(folder / "aside")
    two.rename(one)
    (folder / "aside").rename(two)
    head, told = store.head_with_damage("s1")
    assert head.seq == 1 and len(told) == 2 and all("misplaced" in line for line in told)


def test_a_commit_that_does_not_follow_is_told(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    path = folder / "history" / "0002.json"
    path.write_bytes(changed(path.read_bytes(), prev="0" * 64))
    head, told = store.head_with_damage("s1")
    assert head.seq == 2
    assert told == ("history/0002.json: it does not follow commit 1 (broken chain)",)
    assert store.verify("s1") == list(told)


def test_an_older_commit_that_was_forged_breaks_the_chain(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    path = folder / "history" / "0001.json"
    path.write_bytes(changed(path.read_bytes(), attempt=7))
    assert store.verify("s1") == ["history/0002.json: it does not follow commit 1 (broken chain)"]


def test_gaps_are_told(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design", "testing")
    for name in ("0001.json", "0002.json"):
        (folder / "history" / name).unlink()
    head, told = store.head_with_damage("s1")
    assert head.seq == 3
    assert told == ("history/0001.json to 0002.json are missing",)
    assert gap_lines([2, 3, 5]) == [
        "history/0000.json to 0001.json are missing",
        "history/0004.json is missing",
    ]
    assert "history/0003.json: commit 2 before it is missing" in store.verify("s1")


def test_names_that_no_commit_has_are_left_alone(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    history = folder / "history"
    foreign = ["00001.json", "1.json", "0005.json.bak", "0005", ".DS_Store", "١٢٣٤.json", "0001.json "]
    for name in foreign:
        (history / name).write_bytes(b"")
    (history / "0009.json.d").mkdir()
    assert [info.seq for info in store.history("s1")] == [0, 1]
    assert len(store.verify("s1")) == len(foreign) + 1
    with hold_session(folder) as hold:
        assert commit(store, hold, "design").seq == 2
    assert set(foreign) < set(os.listdir(history))


@pytest.mark.parametrize(
    ("name", "number"),
    [("0000.json", 0), ("12345.json", 12345), ("012345.json", None), ("000.json", None), ("0001.JSON", None)],
)
def test_a_commit_has_one_name_only(name: str, number: int | None) -> None:
    assert commit_number(name) == number


def test_a_foreign_file_with_a_high_number_is_passed_over_or_said_to_be_in_the_way(
    store: CheckpointStore,
) -> None:
    folder = session(store, "requirements")
    (folder / "history" / "50000.json").write_bytes(b"x")
    with hold_session(folder) as hold:
        made = commit(store, hold, "design")
        assert made.seq == 50_001 and store.head("s1") == made
        (folder / "history" / "999999999.json").mkdir()
        with pytest.raises(StoreError, match="is in the way"):
            commit(store, hold, "testing")
    assert store.head("s1") == made


def test_a_link_to_a_session_is_not_one_of_ours(store: CheckpointStore, tmp_path: Path) -> None:
    folder = session(store)
    (store.root / "linked").symlink_to(folder)
    (store.root / "loop").symlink_to(store.root / "loop")
    (store.root / "file").write_text("")
    (store.root / "empty").mkdir()
    (store.root / "index.json").write_text("{}")
    assert store.session_ids() == ["s1"]


def test_a_checkpoint_file_is_loaded_wherever_it_lies(store: CheckpointStore, tmp_path: Path) -> None:
    folder = session(store, "requirements")
    shutil.copy(folder / "checkpoint_requirements.json", tmp_path / "copy.json")
    assert store.load_file(tmp_path / "copy.json") == store.head("s1")
    with pytest.raises(InputError, match="There is no checkpoint file"):
        store.load_file(tmp_path / "none.json")
    with pytest.raises(DamagedFile, match="it is a folder"):
        store.load_file(tmp_path)


def test_an_outcome_is_made_from_the_newest_commit_under_the_commit_lock(store: CheckpointStore) -> None:
    folder = session(store)

    def locked(head: Checkpoint) -> tuple[TeamExecutionContext, None]:
        with pytest.raises(StoreError, match="has been held"), CommitLock(folder, 0.0):
            pytest.fail("a commit was made without the lock")
        return outcome("design")(head)[0], None

    with hold_session(folder) as hold:
        assert isinstance(hold, Hold)
        store.commit("s1", "design", 1, locked, hold)
    assert store.head("s1").phase == "design"


def test_without_its_locks_a_commit_says_that_nothing_was_committed(store: CheckpointStore) -> None:
    folder = session(store)
    hold = hold_session(folder)
    shutil.rmtree(folder / "locks")
    with pytest.raises(
        StoreError, match=r"No such file or directory\. Nothing was committed; all commits are safe"
    ):
        commit(store, hold, "requirements")
