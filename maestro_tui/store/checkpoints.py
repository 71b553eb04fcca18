"""A session's commits: created once, chained by their digests, found again whatever was damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from maestro_tui.model.checkpoint import Checkpoint, Written, decode, encode, validation_words
from maestro_tui.model.checkpoint_bytes import FORMAT
from maestro_tui.model.context import DONE, TeamExecutionContext
from maestro_tui.model.errors import DamagedFile, FencedError, InputError, StoreError
from maestro_tui.model.text import clean, session_id_problem
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.beside import Beside
from maestro_tui.store.history_files import (
    HIGHEST_SEQ,
    HISTORY,
    JOURNAL,
    commit_numbers,
    commit_path,
    gap_lines,
    has_views,
    is_begun,
    misnamed,
    place_of,
    read_commit,
    view_path,
)
from maestro_tui.store.hive_folder import why_not_run
from maestro_tui.store.lease import Hold
from maestro_tui.store.locks import CommitLock
from maestro_tui.store.root import make_root
from maestro_tui.store.verify import repair_views, verify

_MOST_REMEMBERED = 16

Change = Callable[[Checkpoint], tuple[TeamExecutionContext, Workflow | None]]
"""Makes the next context, and the workflow when it changes, from the newest commit."""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One file of the history; `problem` says in one line why it cannot be used or trusted."""

    seq: int
    phase: str
    attempt: int
    status: str
    sha256: str
    created_at: datetime | None
    path: Path
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Last:
    """The commit that this store made last in a session, as its file says it, and what the file was then."""

    commit: Checkpoint
    signature: tuple[int, int, int]
    written: Written


class CheckpointStore:
    """All sessions under one root. Reading takes no lock; writing needs a `Hold` on the session."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()
        self._last: dict[str, _Last] = {}
        self._safe_root: tuple[int, int] | None = None
        """The root whose own name is on the disk since this store brought it there."""

    # ── Finding ───────────────────────────────────────────────────────────────────────────────────────────

    def session_dir(self, session_id: str) -> Path:
        """The session's folder, whether it exists or not. Raises `InputError` for an id that is none."""
        problem = session_id_problem(session_id)
        if problem is not None:
            raise InputError(f"{clean(session_id, 80)!r} is no session id: {problem}. Nothing was run.")
        return self.root / session_id

    def session_ids(self) -> list[str]:
        """Ids of all sessions and what is left of them, also of those that cannot be looked at; links are not followed.

        Raises `StoreError` when the root cannot be listed.
        """
        try:
            with os.scandir(self.root) as entries:
                found = [
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                    and session_id_problem(entry.name) is None
                    and is_begun(Path(entry.path))
                ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"Cannot read {durable.shown(self.root)}: {error.strerror or error}. Nothing was changed."
            ) from error
        return sorted(found)

    def exists(self, session_id: str) -> bool:
        """True when the session has a commit, intact or not, or a view that is left of one."""
        folder = self.session_dir(session_id)
        return bool(commit_numbers(folder)) or has_views(folder)

    def holds(self, session_id: str, seq: int) -> bool:
        """True when the session has this commit, intact or not."""
        return seq in commit_numbers(self.session_dir(session_id))

    # ── Reading ───────────────────────────────────────────────────────────────────────────────────────────

    def load_file(self, path: str | Path) -> Checkpoint:
        """The checkpoint in one file, wherever it lies. Raises `InputError`, `DamagedFile`."""
        file = Path(path)
        try:
            return decode(read_commit(file), durable.shown(file))
        except FileNotFoundError:
            raise InputError(f"There is no checkpoint file {durable.shown(file)}. Nothing was run.") from None

    def load(self, session_id: str, seq: int) -> Checkpoint:
        """One commit of a session. Raises `InputError` when it is not there, `DamagedFile`."""
        if type(seq) is not int:
            raise InputError(
                f"A commit is named by its number, not by {clean(repr(seq), 40)}. Nothing was run."
            )
        path = commit_path(self.session_dir(session_id), seq)
        commit = self.load_file(path)
        if commit.session_id != session_id or commit.seq != seq:
            raise DamagedFile(
                f"{durable.shown(path)}: it is commit {commit.seq} of {clean(commit.session_id, 130)}, misplaced"
            )
        if commit.context.session_id != session_id:
            raise DamagedFile(f"{durable.shown(path)}: its context is that of another session")
        return commit

    def head(self, session_id: str) -> Checkpoint:
        """The newest intact commit. Raises `InputError` (no such session), `DamagedFile` (none intact)."""
        return self.head_with_damage(session_id)[0]

    def own_head(self, session_id: str) -> Checkpoint | None:
        """What `head` would read, without reading it: this store's own last commit while it is the newest.

        None when another was made since or its file was touched. Its parts are shared with later ones: nobody
        may change them.
        """
        last = self._last_if_newest(session_id, self.session_dir(session_id))
        return last.commit if last is not None else None

    def forget(self, session_id: str) -> None:
        """Let go of the last commit: what was given away of it may be changed from now on."""
        self._last.pop(session_id, None)

    def head_with_damage(self, session_id: str) -> tuple[Checkpoint, tuple[str, ...]]:
        """The newest intact commit, and a line for each newer one that is damaged and each gap."""
        folder = self.session_dir(session_id)
        return self._head_of(session_id, commit_numbers(folder))

    def _head_of(self, session_id: str, numbers: list[int]) -> tuple[Checkpoint, tuple[str, ...]]:
        if not numbers:
            if has_views(self.session_dir(session_id)):
                raise DamagedFile(
                    f"Session {session_id} has lost its history; 'maestro-tui resume {session_id}' brings back what "
                    "its checkpoint_….json files still hold. Nothing was changed."
                )
            raise InputError(
                why_not_run(self.root, session_id)
                or f"There is no session {clean(session_id, 80)!r} in {durable.shown(self.root)}. Nothing was run."
            )
        problems = gap_lines(numbers)
        for seq in reversed(numbers):
            try:
                commit = self.load(session_id, seq)
            except (DamagedFile, InputError) as error:
                problems.append(str(error))
                continue
            if not self._follows(commit):
                problems.append(f"{place_of(seq)}: it does not follow commit {seq - 1} (broken chain)")
            return commit, tuple(problems)
        other = misnamed(self.session_dir(session_id))
        if other is not None:
            raise DamagedFile(f"Session {session_id} cannot be used: {other}. Nothing was changed.")
        raise DamagedFile(f"Session {session_id} has no intact commit: {problems[-1]}")

    def _follows(self, commit: Checkpoint) -> bool:
        """False when the commit before it is there, intact, and not the one that this one was made from."""
        if commit.seq == 0 or commit.prev is None:
            return commit.seq == 0 and commit.prev is None
        path = commit_path(self.session_dir(commit.session_id), commit.seq - 1)
        try:
            if commit.prev.encode() in durable.read_start(path, 100):
                return True
            self.load(commit.session_id, commit.seq - 1)
        except (DamagedFile, InputError, FileNotFoundError):
            return True
        return False

    def history(self, session_id: str) -> list[CommitInfo]:
        """Every commit file in order, each with what is wrong with it, its place or its chain."""
        folder = self.session_dir(session_id)
        out: list[CommitInfo] = []
        for seq in commit_numbers(folder):
            out.append(self._info(session_id, commit_path(folder, seq), seq, out))
        return out

    def _info(self, session_id: str, path: Path, seq: int, before: list[CommitInfo]) -> CommitInfo:
        try:
            commit = self.load(session_id, seq)
        except (DamagedFile, InputError) as error:
            return CommitInfo(seq, "", 0, "damaged", "", None, path, str(error))
        result = commit.context.phase_results.get(commit.phase)
        return CommitInfo(
            seq=seq,
            phase=commit.phase,
            attempt=commit.attempt,
            status=str(result.status) if result else "",
            sha256=commit.sha256,
            created_at=commit.created_at,
            path=path,
            problem=_chain_problem(commit, before),
        )

    # ── Writing ───────────────────────────────────────────────────────────────────────────────────────────

    def create(self, context: TeamExecutionContext, hold: Hold | None = None) -> Checkpoint:
        """Begin a session with commit 0; durable on return. Raises `InputError` when its id is taken, `StoreError`."""
        folder = self.session_dir(context.session_id)
        commit = Checkpoint(
            seq=0,
            prev=None,
            session_id=context.session_id,
            phase="init",
            attempt=0,
            epoch=hold.epoch if hold is not None else 0,
            created_at=_written_as(context.created_at),
            workflow=context.workflow,
            context=context,
        )
        written = Written()
        data, read = _bytes(commit, written)
        make_root(self.root)
        with durable.told("make the folder", folder):
            for part in (folder, folder / HISTORY, folder / "locks", folder / "logs", folder / "tmp"):
                durable.enter_dir(part)
        with CommitLock(folder):
            # The folders may be left over from a process that died before it had synced them.
            try:
                if has_views(folder):
                    raise FileExistsError
                durable.sweep(folder / HISTORY)
                durable.sweep(folder)
                with durable.told("write", folder):
                    # Made here, its name is safe with the folder's other names, and before the commit: a file
                    # system with a journal then has nothing new to write for the folders above.
                    durable.enter_file(folder / JOURNAL)
                durable.write_new(commit_path(folder, 0), data)
            except FileExistsError:
                raise InputError(
                    f"Session {context.session_id!r} exists already in {durable.shown(self.root)}; resume it or "
                    "choose another id. Nothing was run."
                ) from None
            with durable.told("write", folder):
                durable.sync_dir(folder)
                durable.sync_dir(self.root)
                self._sync_root()
            # Last: a view without a history would look like a session that has lost its commits.
            durable.link_view(commit_path(folder, 0), view_path(folder, "init"))
            self._remember(read, commit_path(folder, 0), written)
        return commit.model_copy(update={"sha256": read.sha256})

    def _sync_root(self) -> None:
        """Make the root's own name durable, once."""
        facts = self.root.stat()
        if self._safe_root != (facts.st_dev, facts.st_ino):
            durable.sync_dir(self.root.parent)
            self._safe_root = (facts.st_dev, facts.st_ino)

    def commit(
        self, session_id: str, phase: str, attempt: int, change: Change, hold: Hold | Beside
    ) -> Checkpoint:
        """Apply `change` to the newest commit and write the next one; the only way that state changes.

        What others committed since is in the commit that `change` receives, so that nothing is lost. `phase` is
        `init` for what concerns no phase. Raises `FencedError` when the hold was lost, `StoreError` when it
        cannot be written, and whatever `change` raises; the last commit stands in each case.
        """
        folder = self.session_dir(session_id)
        with CommitLock(folder):
            hold.check()
            last = self._last_if_newest(session_id, folder)
            if last is not None:
                head, newest = last.commit, last.commit.seq
            else:
                numbers = commit_numbers(folder)
                head, newest = self._head_of(session_id, numbers)[0], numbers[-1]
            if head.epoch > hold.epoch:
                raise FencedError(
                    f"Session {session_id} was committed by a newer runner; this one stops here. Its late result "
                    "was not committed; all commits are safe."
                )
            seq = newest + 1
            if seq > HIGHEST_SEQ:
                raise StoreError(
                    f"{durable.shown(commit_path(folder, newest))} is in the way: there is no number after "
                    "it. Move it elsewhere; the last commit is safe."
                )
            context, workflow = change(head)
            flow = workflow or head.workflow
            # Its parts were checked when they were made; what was changed since is read back before it is written.
            commit = Checkpoint.model_construct(
                sha256="",
                format=FORMAT,
                seq=seq,
                prev=head.sha256,
                session_id=session_id,
                phase=phase,
                attempt=attempt,
                epoch=hold.epoch,
                created_at=_now(),
                workflow=flow,
                context=context
                if context.workflow is flow
                else context.model_copy(update={"workflow": flow}),
            )
            # From here on it is what was written of this commit, which may fail.
            self._last.pop(session_id, None)
            written = last.written if last is not None else Written()
            data, read = _bytes(commit, written)
            path = commit_path(folder, seq)
            try:
                durable.write_new(path, data)
            except FileExistsError:
                raise FencedError(
                    f"Commit {seq} of session {session_id} was written by another runner; this one stops here. "
                    "Its late result was not committed; all commits are safe."
                ) from None
            result = commit.context.phase_results.get(phase)
            if result is not None and result.status in DONE:
                durable.link_view(path, view_path(folder, phase))
            self._remember(read, path, written)
        return commit.model_copy(update={"sha256": read.sha256})

    def _last_if_newest(self, session_id: str, folder: Path) -> _Last | None:
        """Our own last commit when it is still the newest and its file was not touched since.

        It saves reading and writing anew what this process wrote a moment ago.
        """
        last = self._last.get(session_id)
        if last is None:
            return None
        path = commit_path(folder, last.commit.seq)
        try:
            names = durable.names_in(path.parent)
        except OSError:
            return None
        # A quick look: no name is longer, none comes after it. In doubt the whole way is gone.
        if not names or max(names) != path.name or max(map(len, names)) != len(path.name):
            return None
        return last if _signature(path) == last.signature else None

    def _remember(self, commit: Checkpoint, path: Path, written: Written) -> None:
        signature = _signature(path)
        if signature is not None:
            self._last[commit.session_id] = _Last(commit, signature, written)
        while len(self._last) > _MOST_REMEMBERED:
            self._last.pop(next(iter(self._last)), None)

    # ── Checking and mending ──────────────────────────────────────────────────────────────────────────────

    def repair_views(self, session_id: str, *, alone: bool = False) -> None:
        """Make the views what they should be, bring back lost commits from them, sweep temporary files.

        `alone`: the caller holds the whole session, so that nobody else's are in use.
        """
        repair_views(self, session_id, alone=alone)

    def verify(self, session_id: str, *, artifacts: bool = False) -> list[str]:
        """One line for each problem: digests, chain, gaps, views, journal, lease; with `artifacts` their hashes too.

        Reads only; an empty list means that all is as it was written.
        """
        return verify(self, session_id, artifacts=artifacts)


def _chain_problem(commit: Checkpoint, before: list[CommitInfo]) -> str | None:
    """Why an intact commit does not fit to those before it; damaged ones in between may be passed over."""
    place = place_of(commit.seq)
    if commit.seq == 0:
        return f"{place}: the first commit must follow none" if commit.prev is not None else None
    intact = [info for info in before if info.sha256]
    if any(info.sha256 == commit.prev for info in reversed(intact)):
        # It follows its neighbour, or an earlier one because those between were damaged when it was written.
        last = next(info for info in reversed(intact) if info.sha256 == commit.prev)
        skipped = [info.seq for info in intact if info.seq > last.seq]
        if skipped:
            return f"{place}: it follows commit {last.seq}, not commit {skipped[-1]} (broken chain)"
        return None
    if before and before[-1].seq == commit.seq - 1 and before[-1].sha256:
        return f"{place}: it does not follow commit {commit.seq - 1} (broken chain)"
    if not before or before[-1].seq != commit.seq - 1:
        return f"{place}: commit {commit.seq - 1} before it is missing"
    return None


def _now() -> datetime:
    return _written_as(datetime.now(UTC))


def _written_as(at: datetime) -> datetime:
    """The moment as it is written, so that what a commit returns is what is on disk."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _bytes(commit: Checkpoint, written: Written) -> tuple[bytes, Checkpoint]:
    """The file's bytes, and the commit as it will be read from them. Raises `StoreError` where it could not be."""
    try:
        data, digest = encode(commit, written)
        return data, written.read_back(commit.model_copy(update={"sha256": digest}))
    except ValidationError as error:
        raise _unwritten(commit, f"as a checkpoint ({validation_words(error)})") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _unwritten(commit, f"as JSON: {clean(error, 200)}") from error


def _unwritten(commit: Checkpoint, why: str) -> StoreError:
    return StoreError(
        f"Session {commit.session_id}: the result of {clean(commit.phase, 80)!r} cannot be written {why}; the last "
        "commit is safe."
    )
