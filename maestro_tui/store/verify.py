"""Checks a session's files against each other, and mends what can be made again from what is intact."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.checkpoint_bytes import digest_problem
from maestro_tui.model.context import DONE, Artifact
from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.model.events import Event
from maestro_tui.model.text import clean
from maestro_tui.store import durable
from maestro_tui.store.history_files import (
    HISTORY,
    VIEW_PREFIX,
    commit_number,
    commit_numbers,
    commit_path,
    misnamed,
    place_of,
    read_commit,
    view_path,
)
from maestro_tui.store.journal import read_events
from maestro_tui.store.locks import CommitLock, make_lock_folder
from maestro_tui.store.questions import QUESTIONS, read_questions
from maestro_tui.store.receipts import RECEIPTS
from maestro_tui.store.redaction import REDACTED
from maestro_tui.store.runner_file import read_lease, read_owner
from maestro_tui.store.workspace_files import found_path
from maestro_tui.store.workspace_git import REPOSITORY, sweep_trees

if TYPE_CHECKING:
    from maestro_tui.store.checkpoints import CheckpointStore, CommitInfo

ASIDE = ".damaged"
JOURNAL = "journal.jsonl"

_PHASE = re.compile(rb'\n  "phase": "([A-Za-z0-9_-]{1,64})",\n')
_VIEW = re.compile(rf"{VIEW_PREFIX}([A-Za-z0-9][A-Za-z0-9_-]*)\.json\Z")
_ENVELOPE_BYTES = 2_000
_MOST_TOLD = 20
_COMMITS_TOLD = 1_000
_SEQ_END = 10**9
"""A commit's number has nine digits at most."""


# ── Checking ──────────────────────────────────────────────────────────────────────────────────────────────


def verify(store: CheckpointStore, session_id: str, *, artifacts: bool = False) -> list[str]:
    """One line for each thing that is not as it was written. Reads only."""
    folder = store.session_dir(session_id)
    other = misnamed(folder)
    if other is not None:
        return [f"{HISTORY}: {other}"]
    was_running = _is_running(folder)
    infos = store.history(session_id)
    views = _view_problems(folder, infos)
    problems = [info.problem for info in infos if info.problem is not None]
    if not infos:
        problems.append(f"{HISTORY}: it holds no commit")
    problems += _foreign_files(folder)
    # A runner makes the view a moment after its commit.
    newest = infos[-1].phase if infos and (was_running or _is_running(folder)) else None
    problems += [problem for phase, problem in views.items() if phase != newest]
    problems += _unknown_views(folder, infos)
    problems += _journal_problems(folder, infos)
    problems += read_questions(folder)[1]
    lease = read_lease(folder)
    if lease.damage is not None:
        problems.append(lease.damage)
    if artifacts and infos:
        problems += _artifact_problems(store.head(session_id))
    return list(dict.fromkeys(problems))


def _is_running(folder: Path) -> bool:
    owner = read_owner(folder, 0.0)
    return owner is not None and owner.alive is not False


def _foreign_files(folder: Path) -> Iterator[str]:
    try:
        names = sorted(durable.names_in(folder / HISTORY))
    except FileNotFoundError:
        return
    foreign = [
        name
        for name in names
        if commit_number(name) is None and not name.startswith(durable.TEMP_PREFIX) and ASIDE not in name
    ]
    for name in foreign[:_MOST_TOLD]:
        yield f"{HISTORY}/{clean(name, 100)}: it is no commit; left alone"
    if len(foreign) > _MOST_TOLD:
        yield f"{HISTORY}: {len(foreign) - _MOST_TOLD:,} more files are no commits; left alone"


def _view_problems(folder: Path, infos: list[CommitInfo]) -> dict[str, str]:
    """Phase → what is wrong with its view."""
    wanted = {"init": infos[0]} if infos and infos[0].seq == 0 and infos[0].sha256 else {}
    wanted |= {info.phase: info for info in infos if info.sha256 and info.status in DONE}
    out = {}
    for phase, info in wanted.items():
        view = view_path(folder, phase)
        try:
            if durable.same_file(view, info.path) or _is_newer(folder, view, info.seq):
                continue
            data = read_commit(view)
            if data != read_commit(info.path):
                out[phase] = f"{view.name}: it is not commit {info.seq}; the next run mends it"
        except FileNotFoundError:
            out[phase] = f"{view.name}: it is missing; the next run mends it"
        except DamagedFile as error:
            out[phase] = str(error)
    return out


def _unknown_views(folder: Path, infos: list[CommitInfo]) -> Iterator[str]:
    """A line for each view of a phase of which the history knows nothing good, or of a commit that it has not."""
    newest = max((info.seq for info in infos), default=-1)
    known = {info.phase for info in infos if info.sha256 and (info.status in DONE or info.seq == 0)}
    for name in sorted(durable.names_in(folder)):
        found = _VIEW.match(name)
        if found is None:
            continue
        try:
            seq = _seq_in(durable.read_start(folder / name, _ENVELOPE_BYTES))
        except (DamagedFile, FileNotFoundError):
            seq = None
        if seq is None:
            if found[1] not in known:
                yield f"{clean(name, 100)}: it is no checkpoint, and the history knows of none; left alone"
        elif seq > newest and not commit_path(folder, seq).exists():
            yield (
                f"{clean(name, 100)}: it is commit {seq}, and the history ends with {newest}; the next run brings it "
                "back if it belongs to the same course of events"
            )


def _is_newer(folder: Path, view: Path, seq: int) -> bool:
    """True for a view of a commit that was made after the history was read."""
    # Opened once: between two looks at its name it may have become that of yet another commit.
    start = durable.read_start(view, _ENVELOPE_BYTES)
    own = _seq_in(start)
    if own is None or own <= seq:
        return False
    try:
        return durable.read_start(commit_path(folder, own), _ENVELOPE_BYTES) == start
    except FileNotFoundError:
        return False


def _journal_problems(folder: Path, infos: list[CommitInfo]) -> Iterator[str]:
    there = {info.seq: info for info in infos}
    told: dict[str, None] = {}

    def compare(event: Event) -> None:
        seq, sha256 = event.data.get("seq"), event.data.get("sha256")
        if event.phase is None or not isinstance(seq, int) or not isinstance(sha256, str):
            return
        if not 0 <= seq < _SEQ_END:
            return
        commit = there.get(seq)
        if commit is None and not commit_path(folder, seq).exists():
            words = f"it is missing, though the journal tells of it ({clean(event.phase, 64)})"
        elif commit is not None and commit.sha256 not in ("", sha256):
            words = "it is not the commit that the journal tells of"
        else:
            return
        if len(told) >= _COMMITS_TOLD:
            told[f"{JOURNAL}: it tells of further commits that are not there as it says"] = None
        else:
            told[f"{place_of(seq)}: {words}"] = None

    part = read_events(folder / JOURNAL, take=compare)
    # A record that breaks off is what a killed runner leaves; the next one goes on after it.
    yield from (line for line in part.damage if line not in part.torn)
    yield from told


def _artifact_problems(head: Checkpoint) -> Iterator[str]:
    newest = {artifact.path: artifact for artifact in head.context.artifacts}
    workspace = Path(head.context.workspace) if head.context.workspace else None
    if workspace is None or not durable.leads_to_folder(workspace):
        if newest:
            yield f"artifacts: the workspace {clean(head.context.workspace, 200)} is not there; not checked"
        return
    for path, artifact in newest.items():
        problem = _artifact_problem(workspace, artifact)
        if problem is not None:
            yield f"artifact {clean(path, 200)} ({artifact.phase}): {problem}"


def _artifact_problem(workspace: Path, artifact: Artifact) -> str | None:
    relative = PurePosixPath(artifact.path)
    if ".." in relative.parts:
        return "its path leads out of the workspace; not read"
    file = found_path(workspace, artifact.path)
    try:
        if not relative.is_absolute() and not file.parent.resolve().is_relative_to(workspace.resolve()):
            return "its path leads out of the workspace; not read"
        if artifact.change == "deleted":
            return "it was deleted by its phase and is there again" if os.path.lexists(file) else None
        if file.is_symlink():
            # Links are recorded as what they point to, never followed.
            found = hashlib.sha256(os.fsencode(file.readlink())).hexdigest()
        else:
            found = _sha256_of(file)
    except FileNotFoundError:
        if REDACTED.search(artifact.path):
            return "its name held a secret, which is not recorded; not checked"
        return "it is missing"
    except DamagedFile as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"it cannot be read: {clean(getattr(error, 'strerror', None) or error, 100)}"
    return None if found == artifact.sha256 else "it was changed after its phase"


def _sha256_of(file: Path) -> str:
    fd = durable.open_regular(file)
    with os.fdopen(fd, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# ── Mending ───────────────────────────────────────────────────────────────────────────────────────────────


def repair_views(store: CheckpointStore, session_id: str, *, alone: bool = False) -> None:
    """Make each view the newest good commit of its phase, and bring commits back that only a view still has.

    Takes the commit lock; nothing that is the only copy of something is removed. With `alone`, for those who hold
    the whole session, what dead runners left of unfinished trees and receipts is swept too. Raises `StoreError`.
    """
    folder = store.session_dir(session_id)
    make_lock_folder(folder)
    with CommitLock(folder):
        durable.make_dir(folder / HISTORY)
        durable.sweep(folder / HISTORY)
        durable.sweep(folder)
        if alone:
            sweep_trees(folder / REPOSITORY)
            if (folder / RECEIPTS).is_dir():
                durable.sweep(folder / RECEIPTS)
        if (folder / QUESTIONS).is_dir():
            durable.sweep(folder / QUESTIONS)
        _bring_back(store, session_id, folder)
        for phase, numbers in _commits_by_phase(folder).items():
            _mend_view(store, session_id, folder, phase, numbers)


def _commits_by_phase(folder: Path) -> dict[str, list[int]]:
    """Phase → numbers of its commits, newest first, from the first lines of each file."""
    out: dict[str, list[int]] = {}
    for seq in reversed(commit_numbers(folder)):
        try:
            found = _PHASE.search(durable.read_start(commit_path(folder, seq), _ENVELOPE_BYTES))
        except (DamagedFile, FileNotFoundError):
            continue
        if found is not None and (found[1] != b"init" or seq == 0):
            out.setdefault(found[1].decode(), []).append(seq)
    return out


def _mend_view(store: CheckpointStore, session_id: str, folder: Path, phase: str, numbers: list[int]) -> None:
    view = view_path(folder, phase)
    for seq in numbers:
        path = commit_path(folder, seq)
        if durable.same_file(view, path):
            # It was found good when the view was made; only its bytes may have suffered since.
            if _has_its_digest(path):
                return
        elif _is_good(store, session_id, phase, seq):
            if view.is_dir() and not view.is_symlink():
                raise StoreError(
                    f"{durable.shown(view)} is in the way: it is a folder. Move it elsewhere; all commits are safe."
                )
            if not _is_copy(view, path):
                durable.link_view(path, view)
            return


def _is_copy(view: Path, path: Path) -> bool:
    """True for the same bytes in a file of its own: what there is of a view where there are no hard links."""
    try:
        return read_commit(view) == read_commit(path)
    except (DamagedFile, FileNotFoundError):
        return False


def _has_its_digest(path: Path) -> bool:
    try:
        return digest_problem(read_commit(path)) is None
    except (DamagedFile, FileNotFoundError):
        return False


def _is_good(store: CheckpointStore, session_id: str, phase: str, seq: int) -> bool:
    try:
        commit = store.load(session_id, seq)
    except (DamagedFile, InputError):
        return False
    result = commit.context.phase_results.get(phase)
    return phase == "init" or (result is not None and result.status in DONE)


def _bring_back(store: CheckpointStore, session_id: str, folder: Path) -> None:
    """Link a commit into the history again that was deleted or damaged there and is intact as a view.

    Not one of another course of events: a history that was restored from an older copy may have gone on since.
    """
    numbers = commit_numbers(folder)
    newest = next((one for seq in reversed(numbers) if (one := _intact(store, session_id, seq))), None)
    lost: dict[int, tuple[Checkpoint, Path]] = {}
    for name in durable.names_in(folder):
        if not _VIEW.match(name):
            continue
        view = folder / name
        seq = _seq_of(view)
        if seq is None or durable.same_file(view, commit_path(folder, seq)):
            continue
        try:
            commit = store.load_file(view)
        except (DamagedFile, InputError):
            continue
        if commit.session_id == session_id and commit.seq == seq and _intact(store, session_id, seq) is None:
            lost[seq] = (commit, view)
    for seq, (commit, view) in sorted(lost.items()):
        before = _intact(store, session_id, seq - 1) if seq else None
        after = _intact(store, session_id, seq + 1)
        if before is not None and before.sha256 != commit.prev:
            continue
        if after is not None and after.prev != commit.sha256:
            continue
        if newest is not None and seq > newest.seq:
            known = before is not None or (commit.epoch, commit.created_at) >= (
                newest.epoch,
                newest.created_at,
            )
            if not known:
                continue
            newest = commit
        path = commit_path(folder, seq)
        with durable.told("bring back", path):
            if os.path.lexists(path):
                path.rename(_free_name(path))
            durable.write_new(path, read_commit(view))


def _free_name(path: Path) -> Path:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}{ASIDE}.{number}")):
        number += 1
    return aside


def _seq_of(view: Path) -> int | None:
    try:
        return _seq_in(durable.read_start(view, _ENVELOPE_BYTES))
    except (DamagedFile, FileNotFoundError):
        return None


def _seq_in(start: bytes) -> int | None:
    found = re.search(rb'\n  "seq": (\d{1,9}),\n', start)
    return int(found[1]) if found is not None else None


def _intact(store: CheckpointStore, session_id: str, seq: int) -> Checkpoint | None:
    try:
        return store.load(session_id, seq)
    except (DamagedFile, InputError):
        return None
