"""Broken versions of the store, each with one of its safeguards taken out: the suite must catch every one."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from maestro_tui.model import checkpoint as checkpoint_form
from maestro_tui.store import (
    checkpoints,
    durable,
    journal,
    lease,
    prune,
    receipts,
    unbundle,
    verify,
    workspace,
)
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import Hold
from maestro_tui.store.locks import FileLock
from maestro_tui.store.workspace import Workspace
from maestro_tui.store.workspace_git import TreeStore
from tests.crash import checks
from tests.crash.checks import Check
from tests.crash.scene import without_links

Patch = AbstractContextManager[Any]


@dataclass(frozen=True)
class Mutant:
    """One safeguard taken out."""

    name: str
    apply: Callable[[], Patch]
    of: tuple[str, ...]
    """The store's public writing functions that it breaks."""
    operation: str | None = None
    """The operation whose crash states must show it …"""
    check: Check | None = None
    """… or the check that must."""


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _without(owner: Any, name: str, instead: Callable[..., Any] = _nothing) -> Callable[[], Patch]:
    return lambda: mock.patch.object(owner, name, instead)


# ── What is made safe, and when ───────────────────────────────────────────────────────────────────────────


def _folders_not_synced(*names: str) -> Callable[[], Patch]:
    real = durable.sync_dir
    return _without(durable, "sync_dir", lambda folder: None if Path(folder).name in names else real(folder))


def _linked_before_it_is_safe() -> Patch:
    def write_new(path: Path, data: bytes) -> None:
        temp = durable._write_temp(path.parent, data, synced=False)
        os.link(temp, path)
        temp.unlink()
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        durable.sync_dir(path.parent)

    return mock.patch.object(durable, "write_new", write_new)


def _written_in_place() -> Patch:
    def write_new(path: Path, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        durable.sync_dir(path.parent)

    return mock.patch.object(durable, "write_new", write_new)


def _replaced_in_place() -> Patch:
    def replace(path: Path, data: bytes, *, synced: bool = True) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        half = len(data) // 2
        os.write(fd, data[:half])
        os.write(fd, data[half:])
        os.close(fd)

    return mock.patch.object(durable, "replace", replace)


def _view_copied_in_place() -> Patch:
    def link_view(source: Path, target: Path) -> None:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, source.read_bytes())
        os.close(fd)

    return mock.patch.object(durable, "link_view", link_view)


def _overwritten() -> Patch:
    def write_new(path: Path, data: bytes) -> None:
        durable.replace(path, data)

    return mock.patch.object(durable, "write_new", write_new)


@contextmanager
def _renamed_without_a_claim() -> Iterator[None]:
    with without_links(), mock.patch.object(durable, "_rename_new", os.rename):
        yield


def _short_writes_believed() -> Patch:
    def write_temp(folder: Path, data: bytes, synced: bool) -> Path:
        temp = folder / f"{durable.TEMP_PREFIX}{len(data)}"
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        durable.sync(fd)
        os.close(fd)
        return temp

    return mock.patch.object(durable, "_write_temp", write_temp)


def _synced_again_after_an_error() -> Patch:
    def sync(fd: int) -> None:
        try:
            os.fsync(fd)
        except OSError:
            os.fsync(fd)

    return mock.patch.object(durable, "sync", sync)


def _trees_named_before_they_are_safe() -> Patch:
    real = TreeStore.keep

    def keep(self: TreeStore, trees: Any) -> None:
        named = list(trees)
        for name, tree in named:
            ref = self.path / "refs" / "maestro" / name
            durable.make_dir(ref.parent)
            durable.replace(ref, f"{tree}\n".encode())
        real(self, named)

    return mock.patch.object(TreeStore, "keep", keep)


def _packs_left_to_the_system() -> Patch:
    def write_new(path: Path, data: Any) -> None:
        if path.parent.name != "pack":
            return real(path, data)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        for part in (data,) if isinstance(data, bytes) else data:
            os.write(fd, part)
        os.close(fd)

    real = durable.write_new
    return mock.patch.object(durable, "write_new", write_new)


# ── In which order ────────────────────────────────────────────────────────────────────────────────────────


def _before_each_commit(do: Callable[[Path, bytes], None]) -> Patch:
    real = durable.write_new

    def write_new(path: Path, data: bytes) -> None:
        if path.parent.name == "history":
            do(path, data)
        real(path, data)

    return mock.patch.object(durable, "write_new", write_new)


def _view_before_history() -> Patch:
    def do(path: Path, data: bytes) -> None:
        durable.replace(path.parent.parent / f"checkpoint_{json.loads(data)['phase']}.json", data)

    return _before_each_commit(do)


def _journal_before_commit() -> Patch:
    def do(path: Path, data: bytes) -> None:
        facts = json.loads(data)
        early = Journal(path.parent.parent / "journal.jsonl", facts["session_id"])
        told = {"seq": facts["seq"], "sha256": facts["sha256"]}
        early.append("phase_committed", phase=facts["phase"], attempt=facts["attempt"], data=told)
        early.close()

    return _before_each_commit(do)


@contextmanager
def _checkpoint_before_artifacts() -> Iterator[None]:
    late: list[tuple[Any, ...]] = []
    sync, commit = Workspace._sync, CheckpointStore.commit

    def later(*words: Any) -> None:
        late.append(words)

    def commit_first(*words: Any, **named: Any) -> Any:
        made = commit(*words, **named)
        while late:
            sync(*late.pop())
        return made

    with (
        mock.patch.object(Workspace, "_sync", later),
        mock.patch.object(CheckpointStore, "commit", commit_first),
    ):
        yield


def _new_folders_not_synced() -> Patch:
    def parents_only(before: Any, after: Any, paths: Any) -> list[str]:
        return sorted({str(Path(path).parent) for path in paths if path in after})

    return mock.patch.object(workspace, "_folders_changed", parents_only)


def _first_view_before_the_session_is_safe() -> Patch:
    real = durable.write_new

    def write_new(path: Path, data: bytes) -> None:
        real(path, data)
        if path.name == "0000.json":
            durable.link_view(path, path.parent.parent / "checkpoint_init.json")

    return mock.patch.object(durable, "write_new", write_new)


@contextmanager
def _journal_folder_not_synced() -> Iterator[None]:
    real = Journal._open

    def open_(self: Journal) -> int:
        with mock.patch.object(durable, "sync_dir", _nothing):
            return real(self)

    with mock.patch.object(Journal, "_open", open_):
        yield


def _unpacked_in_place() -> Patch:
    def unpack_bundle(store: CheckpointStore, path: Path, as_id: str | None = None) -> object:
        @contextmanager
        def place(root: Path) -> Iterator[Path]:
            yield root

        with (
            mock.patch.object(unbundle, "_aside", place),
            mock.patch.object(Path, "rename", _nothing),
        ):
            return unbundle.unpack_bundle(store, path, as_id)

    return mock.patch("tests.crash.operations.unpack_bundle", unpack_bundle)


def _exported_over_what_is_there() -> Patch:
    real = durable.write_new

    def write_new(path: Path, data: Any) -> None:
        path.unlink(missing_ok=True)
        real(path, data)

    return mock.patch.object(durable, "write_new", write_new)


def _deleted_in_place() -> Patch:
    def prune_sessions(store: CheckpointStore, names: Any) -> tuple[str, ...]:
        for name in names:
            shutil.rmtree(store.session_dir(name))
        durable.sync_dir(store.root)
        return tuple(names)

    # The operation has its own name for it.
    return mock.patch("tests.crash.operations.prune_sessions", prune_sessions)


# ── What is believed, and who may ─────────────────────────────────────────────────────────────────────────


def _every_receipt_dropped() -> Patch:
    def drop(session_dir: Path, phase: str) -> None:
        for entry in (session_dir / receipts.RECEIPTS).iterdir():
            entry.unlink()

    return mock.patch.object(receipts, "drop_receipts", drop)


@contextmanager
def _chain_not_checked() -> Iterator[None]:
    with (
        mock.patch.object(CheckpointStore, "_follows", lambda *_: True),
        mock.patch.object(checkpoints, "_chain_problem", _nothing),
    ):
        yield


def _record_checksum_not_checked() -> Patch:
    real = journal._parse

    def parse(line: bytes) -> Any:
        rest = b"00000000" + line[len(journal._START) + 8 :]
        crc = zlib.crc32(journal._START + rest)
        return real(journal._START + f"{crc:08x}".encode() + rest[8:])

    return mock.patch.object(journal, "_parse", parse)


def _record_in_two_writes() -> Patch:
    real = Journal._write

    def write(self: Journal, line: bytes) -> None:
        real(self, line[:-1])
        real(self, line[-1:])

    return mock.patch.object(Journal, "_write", write)


def _own_last_commit_believed() -> Patch:
    return mock.patch.object(
        CheckpointStore, "_last_if_newest", lambda self, session_id, *_: self._last.get(session_id)
    )


def _epoch_kept() -> Patch:
    return mock.patch.object(lease, "newest_epoch", lambda _, lease: lease.epoch - 1 if lease.epoch else 0)


@contextmanager
def _locks_not_asked() -> Iterator[None]:
    real = FileLock.take

    def take(self: FileLock, *, shared: bool = False) -> bool:
        return real(self, shared=shared) or self.path.name != "commit"

    with mock.patch.object(FileLock, "take", take):
        yield


def _receipts_dropped_at_once() -> Patch:
    real = CheckpointStore.commit

    def commit(self: CheckpointStore, session_id: str, phase: str, *words: Any, **named: Any) -> Any:
        receipts.drop_receipts(self.session_dir(session_id), phase)
        return real(self, session_id, phase, *words, **named)

    return mock.patch.object(CheckpointStore, "commit", commit)


def _swept_without_the_lock() -> Patch:
    return mock.patch.object(verify, "CommitLock", lambda *_: nullcontext())


MUTANTS = (
    Mutant("no fsync of the file", _without(durable, "sync"), ("sync", "write_new"), "commit what was completed"),
    Mutant("no fsync of folders", _without(durable, "sync_dir"), ("sync_dir", "write_new"), "commit what was completed"),
    Mutant("root of a new session not synced", _folders_not_synced("root"), ("CheckpointStore.create",), "create a session"),
    Mutant("parent of a new root not synced", _folders_not_synced("kept"), ("make_dir", "make_root", "enter_dir"), "create a session"),
    Mutant("folder of a new session not synced", _folders_not_synced("s1"), ("CheckpointStore.create", "enter_file"), "create a session"),
    Mutant("linked before its bytes are safe", _linked_before_it_is_safe, ("write_new",), "commit what was completed"),
    Mutant("commits written in place", _written_in_place, ("write_new",), "commit what was completed"),
    Mutant("lease written in place", _replaced_in_place, ("replace", "write_lease", "Hold.beat"), check=checks.the_lease_is_never_half_there),
    Mutant("answers not synced", _without(durable, "sync"), ("answer_question",), "ask and answer"),
    Mutant("questions and answers written in place", _written_in_place, ("ask_question", "answer_question"), "ask and answer"),
    Mutant("folder of questions not synced", _folders_not_synced("questions"), ("ask_question",), "ask and answer"),
    Mutant("receipts not synced", _without(durable, "sync"), ("save_receipt",), "keep and drop receipts"),
    Mutant("folder of receipts not synced", _folders_not_synced("receipts"), ("save_receipt",), "keep and drop receipts"),
    Mutant("receipts of every phase dropped", _every_receipt_dropped, ("drop_receipts",), "keep and drop receipts"),
    Mutant("answers overwritten", _overwritten, ("answer_question",), check=checks.the_first_answer_counts),
    Mutant("receipts dropped before the commit", _receipts_dropped_at_once, ("drop_receipts",), "keep and drop receipts"),
    Mutant("view copied in place", _view_copied_in_place, ("link_view",), "commit what was completed"),
    Mutant("view before history", _view_before_history, ("CheckpointStore.commit",), "commit what was completed"),
    Mutant("journal before commit", _journal_before_commit, ("CheckpointStore.commit",), "commit what was completed"),
    Mutant("artifacts not synced", _without(Workspace, "_sync"), ("Workspace.changes",), "a whole session"),
    Mutant("what was written again not synced", _without(Workspace, "_sync"), ("Workspace.unchanged",), "deliver the same bytes again"),
    Mutant("checkpoint before artifacts", _checkpoint_before_artifacts, ("Workspace.changes",), "a whole session"),
    Mutant("trees named before they are safe", _trees_named_before_they_are_safe, ("TreeStore.keep",), "keep trees of the workspace"),
    Mutant("packs of trees not synced", _packs_left_to_the_system, ("TreeStore.keep",), "keep trees of the workspace"),
    Mutant("folder of packs not synced", _folders_not_synced("pack"), ("TreeStore.keep",), "keep trees of the workspace"),
    Mutant("new folders of artifacts not synced", _new_folders_not_synced, ("Workspace.changes",), "a whole session"),
    Mutant("first view before the session is safe", _first_view_before_the_session_is_safe, ("CheckpointStore.create",), "create a session"),
    Mutant("no fdatasync of the journal", _without(journal, "_data_sync"), ("Journal.append",), "write the journal after a torn line"),
    Mutant("folder of a new journal not synced", _journal_folder_not_synced, ("Journal.append",), "begin a lost journal anew"),
    Mutant("torn journal not sealed", _without(Journal, "_seal"), ("Journal.append",), "write the journal after a torn line"),
    Mutant("views not mended", _without(verify, "_mend_view"), ("repair_views", "CheckpointStore.repair_views"), "commit what was completed"),
    Mutant("lost commits not brought back", _without(verify, "_bring_back"), ("repair_views",), "mend lost views and a lost commit"),
    Mutant("temporary files never swept", _without(durable, "sweep"), ("sweep",), "commit what was completed"),
    Mutant("temporary files of trees never swept", _without(verify, "sweep_trees"), ("sweep_trees",), "keep trees of the workspace"),
    Mutant("pruned in place", _deleted_in_place, ("prune_sessions",), "prune"),
    Mutant("interrupted prune not finished", _without(prune, "finish_pruning", lambda root: []), ("finish_pruning",), "prune"),
    Mutant("files of an import not synced", _without(durable, "sync"), ("unpack_bundle",), "import a bundle"),
    Mutant("imported in place", _unpacked_in_place, ("unpack_bundle",), "import a bundle"),
    Mutant("exported over what is there", _exported_over_what_is_there, ("write_bundle",), check=checks.an_export_replaces_nothing),
    Mutant("digest not checked", _without(checkpoint_form, "digest_problem"), (), check=checks.a_flipped_byte_is_seen),
    Mutant("chain not checked", _chain_not_checked, (), check=checks.a_broken_chain_is_seen),
    Mutant("checksum of records not checked", _record_checksum_not_checked, ("Journal.append",), check=checks.a_changed_record_is_passed_over),
    Mutant("lease not fenced", _without(Hold, "check"), ("CheckpointStore.commit", "take_over"), check=checks.a_late_runner_is_fenced),
    Mutant("epoch kept by the next holder", _epoch_kept, ("hold_session", "Hold.release"), check=checks.each_exclusive_hold_has_a_new_epoch),
    Mutant("locks not asked", _locks_not_asked, ("hold_session", "hold_phase", "FileLock.take"), check=checks.a_second_driver_is_refused),
    Mutant("swept without the lock", _swept_without_the_lock, ("sweep", "repair_views"), check=checks.nothing_is_swept_while_a_commit_is_written),
    Mutant("commits overwritten", _overwritten, ("write_new",), check=checks.a_commit_is_never_overwritten),
    Mutant("commits overwritten where there are no links", _renamed_without_a_claim, ("write_new",), check=checks.a_commit_is_never_overwritten),
    Mutant("own last commit believed", _own_last_commit_believed, ("CheckpointStore.commit",), check=checks.what_others_committed_is_kept),
    Mutant("a record in two writes", _record_in_two_writes, ("Journal.append",), check=checks.a_record_is_one_write),
    Mutant("synced again after an error", _synced_again_after_an_error, ("sync",), check=checks.no_file_is_synced_again_after_a_failed_sync),
    Mutant("short writes believed", _short_writes_believed, ("write_new", "replace"), check=checks.short_writes_are_continued),
)  # fmt: skip


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The store with this safeguard taken out."""
    with ExitStack() as stack:
        stack.enter_context(mutant.apply())
        yield
