"""Promises of the store that no power loss shows, each as one check: what is not kept, empty when all is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from maestro_tui.model.errors import FencedError, HeldError, InputError, MaestroError, StoreError
from maestro_tui.store import locks
from maestro_tui.store.bundle import write_bundle
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_path
from maestro_tui.store.journal import Journal, read_events
from maestro_tui.store.lease import Hold, hold_phase, hold_session, take_over
from maestro_tui.store.questions import Answer, answer_question, ask_question, read_answer
from maestro_tui.store.runner_file import LEASE
from maestro_tui.store.summaries import read_summary
from tests.crash.scene import SESSION, Scene, clock, outcome

Check = Callable[[Scene], Iterator[str]]


def a_flipped_byte_is_seen(scene: Scene) -> Iterator[str]:
    """A commit that is not what was written is never the head."""
    scene.begun("requirements", "design")
    path = commit_path(scene.folder(), 2)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"design 1", b"design 9"))
    head, damage = CheckpointStore(scene.root).head_with_damage(SESSION)
    if head.seq != 1 or len(damage) != 1:
        yield f"the head is commit {head.seq}, damage: {damage}"


def an_export_replaces_nothing(scene: Scene) -> Iterator[str]:
    """A file that has the name of a bundle to be written stays as it is."""
    scene.begun("requirements")
    target = scene.top / "mine.bundle"
    target.write_bytes(b"mine")
    try:
        write_bundle(scene.store, SESSION, target)
        yield "the export says nothing"
    except InputError:
        pass
    if target.read_bytes() != b"mine":
        yield "the file is another one"


def a_broken_chain_is_seen(scene: Scene) -> Iterator[str]:
    """A commit from elsewhere, intact in itself, is told from the one that was there."""
    scene.begun("requirements", "design")
    other = Scene(scene.top / "other")
    other.begun("testing")
    path = commit_path(scene.folder(), 1)
    path.unlink()
    path.write_bytes(commit_path(other.folder(), 1).read_bytes())
    store = CheckpointStore(scene.root)
    if not store.head_with_damage(SESSION)[1]:
        yield "head_with_damage says nothing"
    if not any("chain" in line for line in store.verify(SESSION)):
        yield "verify says nothing"


def a_late_runner_is_fenced(scene: Scene) -> Iterator[str]:
    """After a takeover the old runner neither commits nor renews its lease."""
    scene.begun("requirements")
    old = hold_session(scene.folder(), clock=clock)
    new = take_over(scene.folder(), clock=clock)
    for late in (lambda: scene.commit(old, "design"), lambda: old.beat(("design",))):
        try:
            late()
        except FencedError:
            continue
        yield "the late runner was not refused"
    new.release()


def a_second_driver_is_refused(scene: Scene) -> Iterator[str]:
    """Two drivers never have one session, two runners never one phase."""
    scene.begun("requirements")
    takes: tuple[Callable[[Path], Hold], ...] = (hold_session, lambda folder: hold_phase(folder, "design"))
    for take in takes:
        with take(scene.folder()):
            try:
                take(scene.folder()).release()
            except HeldError:
                continue
            yield "a second one was let in"


def each_exclusive_hold_has_a_new_epoch(scene: Scene) -> Iterator[str]:
    """Epochs rise, so that what is late can be told."""
    scene.begun("requirements")
    epochs = []
    for _ in range(3):
        with hold_session(scene.folder(), clock=clock) as hold:
            epochs.append(hold.epoch)
    if sorted(set(epochs)) != epochs:
        yield f"epochs were {epochs}"


def nothing_is_swept_while_a_commit_is_written(scene: Scene) -> Iterator[str]:
    """Whoever tidies temporary files waits for the commit lock."""
    scene.begun("requirements")
    real = os.link

    def link(source: Any, target: Any, **named: Any) -> None:
        if Path(target).parent.name == "history":
            try:
                CheckpointStore(scene.root).repair_views(SESSION)
            except StoreError:
                pass  # It is told that the lock is held: as it should be.
        real(source, target, **named)

    with (
        hold_session(scene.folder(), clock=clock) as hold,
        mock.patch.object(locks, "COMMIT_SECONDS", 0),
        mock.patch.object(os, "link", link),
    ):
        try:
            scene.commit(hold, "design")
        except StoreError as error:
            yield f"the commit failed: {error}"
    if CheckpointStore(scene.root).head(SESSION).seq != 2:
        yield "the commit is not there"


def a_commit_is_never_overwritten(scene: Scene) -> Iterator[str]:
    """Whoever comes second with a number is refused, and the first one's bytes stay."""
    scene.begun("requirements")
    path = commit_path(scene.folder(), 2)

    def meanwhile(head: Any) -> Any:
        path.write_bytes(b"of another runner")
        return outcome("design")(head)

    with hold_session(scene.folder(), clock=clock) as hold:
        try:
            scene.store.commit(SESSION, "design", 1, meanwhile, hold)
            yield "the second one was not refused"
        except FencedError:
            pass  # Refused, as promised.
    if path.read_bytes() != b"of another runner":
        yield "what the first one wrote is gone"


def the_first_answer_counts(scene: Scene) -> Iterator[str]:
    """Whoever answers second is told of the first answer, and its bytes stay."""
    scene.begun("requirements")
    folder, now = scene.folder(), clock()
    words = {"phase": "design", "attempt": 1, "persona": "worker", "text": "May I?", "default": "Deny"}
    ask_question(folder, **words, options=("Allow", "Deny"), asked_at=now, expires_at=None, runner="r")
    first, second = Answer("Deny", "ann", now), Answer("Allow", "bob", now)
    for given in (first, second):
        if answer_question(folder, 1, given) != first:
            yield f"{given} was taken for the answer that counts"
    if read_answer(folder, 1) != first:
        yield "what the first one answered is gone"


def what_others_committed_is_kept(scene: Scene) -> Iterator[str]:
    """A commit is made from the newest one, whoever made that."""
    scene.begun("requirements")
    other = CheckpointStore(scene.root)
    with hold_phase(scene.folder(), "design") as one, hold_phase(scene.folder(), "testing") as two:
        scene.commit(one, "design")
        other.commit(SESSION, "testing", 1, outcome("testing"), two)
        scene.commit(one, "design", attempt=2)
    there = set(CheckpointStore(scene.root).head(SESSION).context.phase_results)
    if there != {"requirements", "design", "testing"}:
        yield f"the head has only {sorted(there)}"


def a_record_is_one_write(scene: Scene) -> Iterator[str]:
    """Another writer's line never comes between."""
    scene.begun("requirements")
    journal = Journal(scene.folder() / "journal.jsonl", SESSION, clock=clock)
    with _counted("write") as calls:
        journal.append("persona_output", data={"text": "x" * 5_000})
    journal.close()
    if len(calls) != 1:
        yield f"a record took {len(calls)} writes"


def a_changed_record_is_passed_over(scene: Scene) -> Iterator[str]:
    """A record that is not as it was written is reported and not believed."""
    scene.begun("requirements")
    path = scene.folder() / "journal.jsonl"
    journal = Journal(path, SESSION, clock=clock)
    journal.append("gate_decided", phase="design", data={"verdict": "rejected"})
    journal.close()
    path.write_bytes(path.read_bytes().replace(b"rejected", b"approved"))
    part = read_events(path)
    if part.events or not part.damage:
        yield "it was believed"


def dying_again_and_again_is_no_damage(scene: Scene) -> Iterator[str]:
    """Each death may leave a line that breaks off; none of them is shown as damage."""
    scene.begun("requirements")
    path = scene.folder() / "journal.jsonl"
    for part in (0.3, 0.6, 0.9):
        journal = Journal(path, SESSION, clock=clock, seal=True)
        before = path.stat().st_size
        journal.append("phase_started", phase="design", attempt=1, data={"reason": {"first": "time"}})
        journal.close()
        os.truncate(path, before + int((path.stat().st_size - before) * part))
    journal = Journal(path, SESSION, clock=clock, seal=True)
    journal.append("gate_decided", phase="requirements", attempt=1)
    journal.close()
    yield from read_summary(scene.folder(), clock()).damage
    yield from scene.store.verify(SESSION)


def no_file_is_synced_again_after_a_failed_sync(scene: Scene) -> Iterator[str]:
    """The kernel forgets what it could not write: a second fsync would lie."""
    scene.begun("requirements")
    with hold_session(scene.folder(), clock=clock) as hold, _counted("fsync", failing=errno.EIO) as calls:
        try:
            scene.commit(hold, "design")
            yield "a failed fsync went unnoticed"
        except MaestroError:
            pass  # Told, as promised.
    if len(calls) != 1:
        yield f"fsync was called {len(calls)} times"
    if CheckpointStore(scene.root).head(SESSION).seq != 1:
        yield "what could not be made safe is there"


def short_writes_are_continued(scene: Scene) -> Iterator[str]:
    """The system may take a part of the bytes; the rest is handed over again."""
    scene.begun("requirements")
    real = os.write
    with (
        hold_session(scene.folder(), clock=clock) as hold,
        mock.patch.object(os, "write", lambda fd, data: real(fd, bytes(data)[:7])),
    ):
        scene.commit(hold, "design")
    head, damage = CheckpointStore(scene.root).head_with_damage(SESSION)
    if head.seq != 2 or damage:
        yield f"the head is commit {head.seq}, damage: {damage}"


def the_lease_is_never_half_there(scene: Scene) -> Iterator[str]:
    """A viewer sees the old lease or the new one at each moment."""
    scene.begun("requirements")
    path = scene.folder() / LEASE
    seen: list[bytes] = []
    with hold_session(scene.folder(), clock=clock) as hold:
        before = path.read_bytes()
        with _counted("write", also=lambda: seen.append(path.read_bytes())):
            hold.beat(("design",))
        after = path.read_bytes()
    half = [data for data in seen if data not in (before, after)]
    if half:
        yield f"a viewer could see {half[0][:40]!r}"


CHECKS: tuple[Check, ...] = (
    a_flipped_byte_is_seen,
    an_export_replaces_nothing,
    a_broken_chain_is_seen,
    a_late_runner_is_fenced,
    a_second_driver_is_refused,
    each_exclusive_hold_has_a_new_epoch,
    nothing_is_swept_while_a_commit_is_written,
    a_commit_is_never_overwritten,
    the_first_answer_counts,
    what_others_committed_is_kept,
    a_record_is_one_write,
    a_changed_record_is_passed_over,
    dying_again_and_again_is_no_damage,
    no_file_is_synced_again_after_a_failed_sync,
    short_writes_are_continued,
    the_lease_is_never_half_there,
)


@contextmanager
def _counted(
    name: str, failing: int | None = None, also: Callable[[], object] = lambda: None
) -> Iterator[list[int]]:
    """The descriptors with which a system call is made; `also` runs after each, and each may fail."""
    calls: list[int] = []
    real = getattr(os, name)

    def call(fd: int, *words: Any) -> Any:
        calls.append(fd)
        if failing is not None:
            raise OSError(failing, os.strerror(failing))
        try:
            return real(fd, *words)
        finally:
            also()

    with mock.patch.object(os, name, call):
        yield calls


def problems_of(check: Check, top: Path) -> list[str]:
    """Run one check in a fresh folder; an error that it did not expect is a problem too."""
    top.mkdir(parents=True)
    try:
        return list(check(Scene(top)))
    except (MaestroError, OSError, ValueError, LookupError) as error:
        return [f"{type(error).__name__}: {error}"]
