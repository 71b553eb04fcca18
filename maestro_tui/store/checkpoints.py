"""A session's commits: created once, chained by their digests, found again whatever was damaged."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.checkpoint import SIZE_LIMIT, Checkpoint, decode, encode
from maestro_tui.model.context import DONE, TeamExecutionContext
from maestro_tui.model.errors import DamagedFile, FencedError, InputError, StoreError
from maestro_tui.model.text import clean, session_id_problem
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import durable
from maestro_tui.store.lease import Hold
from maestro_tui.store.locks import CommitLock

HISTORY = "history"
VIEW_PREFIX = "checkpoint_"
HIGHEST_SEQ = 999_999_999

_NUMBER = re.compile(r"\d{4,9}\Z")

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


class CheckpointStore:
    """All sessions under one root. Reading takes no lock; writing needs a `Hold` on the session."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()

    # ── Finding ───────────────────────────────────────────────────────────────────────────────────────────

    def session_dir(self, session_id: str) -> Path:
        """The session's folder, whether it exists or not. Raises `InputError` for an id that is none."""
        problem = session_id_problem(session_id)
        if problem is not None:
            raise InputError(f"{clean(session_id, 80)!r} is no session id: {problem}. Nothing was run.")
        return self.root / session_id

    def session_ids(self) -> list[str]:
        """Ids of all folders that hold a history; links are not followed. Raises `StoreError`."""
        try:
            with os.scandir(self.root) as entries:
                found = [
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                    and session_id_problem(entry.name) is None
                    and (self.root / entry.name / HISTORY).is_dir()
                ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"Cannot read {durable.shown(self.root)}: {error.strerror or error}. Nothing was changed."
            ) from error
        return sorted(found)

    def exists(self, session_id: str) -> bool:
        """True when the session has a commit, intact or not."""
        return bool(commit_numbers(self.session_dir(session_id)))

    # ── Reading ───────────────────────────────────────────────────────────────────────────────────────────

    def load_file(self, path: str | Path) -> Checkpoint:
        """The checkpoint in one file, wherever it lies. Raises `InputError`, `DamagedFile`."""
        file = Path(path)
        try:
            return decode(durable.read_regular(file, SIZE_LIMIT), durable.shown(file))
        except FileNotFoundError:
            raise InputError(f"There is no checkpoint file {durable.shown(file)}. Nothing was run.") from None

    def load(self, session_id: str, seq: int) -> Checkpoint:
        """One commit of a session. Raises `InputError` when it is not there, `DamagedFile`."""
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

    def head_with_damage(self, session_id: str) -> tuple[Checkpoint, tuple[str, ...]]:
        """The newest intact commit, and a line for each newer one that is damaged and each gap."""
        folder = self.session_dir(session_id)
        return self._head_of(session_id, commit_numbers(folder))

    def _head_of(self, session_id: str, numbers: list[int]) -> tuple[Checkpoint, tuple[str, ...]]:
        if not numbers:
            raise InputError(
                f"There is no session {clean(session_id, 80)!r} in {durable.shown(self.root)}. Nothing was run."
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
            created_at=context.created_at,
            workflow=context.workflow,
            context=context,
        )
        data, digest = _bytes(commit)
        durable.make_dir(self.root)
        with durable.told("make the folder", folder):
            for part in (folder, folder / HISTORY, folder / "locks", folder / "logs", folder / "tmp"):
                durable.enter_dir(part)
        with CommitLock(folder):
            # The folders may be left over from a process that died before it had synced them.
            try:
                durable.write_new(commit_path(folder, 0), data)
            except FileExistsError:
                raise InputError(
                    f"Session {context.session_id!r} exists already in {durable.shown(self.root)}; resume it or "
                    "choose another id. Nothing was run."
                ) from None
            durable.link_view(commit_path(folder, 0), view_path(folder, "init"))
            with durable.told("write", folder):
                for parent in (folder, self.root, self.root.parent):
                    durable.sync_dir(parent)
        return commit.model_copy(update={"sha256": digest})

    def commit(self, session_id: str, phase: str, attempt: int, change: Change, hold: Hold) -> Checkpoint:
        """Apply `change` to the newest commit and write the next one; the only way that state changes.

        What others committed since is in the commit that `change` receives, so that nothing is lost. `phase` is
        `init` for what concerns no phase. Raises `FencedError` when the hold was lost, `StoreError` when it
        cannot be written, and whatever `change` raises; the last commit stands in each case.
        """
        folder = self.session_dir(session_id)
        with CommitLock(folder):
            hold.check()
            numbers = commit_numbers(folder)
            head, _ = self._head_of(session_id, numbers)
            if head.epoch > hold.epoch:
                raise FencedError(
                    f"Session {session_id} was committed by a newer runner; this one stops here. Its late result "
                    "was not committed; all commits are safe."
                )
            seq = numbers[-1] + 1
            if seq > HIGHEST_SEQ:
                raise StoreError(
                    f"{durable.shown(commit_path(folder, numbers[-1]))} is in the way: there is no number after "
                    "it. Move it elsewhere; the last commit is safe."
                )
            context, workflow = change(head)
            flow = workflow or head.workflow
            commit = Checkpoint(
                seq=seq,
                prev=head.sha256,
                session_id=session_id,
                phase=phase,
                attempt=attempt,
                epoch=hold.epoch,
                created_at=_now(),
                workflow=flow,
                context=context.model_copy(update={"workflow": flow}),
            )
            data, digest = _bytes(commit)
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
        return commit.model_copy(update={"sha256": digest})

    # ── Checking and mending ──────────────────────────────────────────────────────────────────────────────

    def repair_views(self, session_id: str) -> None:
        """Make the views what they should be, bring back lost commits from them, sweep temporary files."""
        from maestro_tui.store.verify import repair_views

        repair_views(self, session_id)

    def verify(self, session_id: str, *, artifacts: bool = False) -> list[str]:
        """One line for each problem: digests, chain, gaps, views, journal, lease; with `artifacts` their hashes too.

        Reads only; an empty list means that all is as it was written.
        """
        from maestro_tui.store.verify import verify

        return verify(self, session_id, artifacts=artifacts)


def commit_path(folder: Path, seq: int) -> Path:
    """The file of one commit."""
    return folder / HISTORY / f"{seq:04d}.json"


def place_of(seq: int) -> str:
    """How a commit's file is named in a line about it."""
    return f"{HISTORY}/{seq:04d}.json"


def view_path(folder: Path, phase: str) -> Path:
    """The name under which people and tools find the newest good checkpoint of a phase."""
    return folder / f"{VIEW_PREFIX}{phase}.json"


def commit_numbers(folder: Path) -> list[int]:
    """Numbers of all files that are named as commits are, rising. Raises `StoreError`."""
    try:
        names = durable.names_in(folder / HISTORY)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"Cannot read {durable.shown(folder / HISTORY)}: {error.strerror or error}. Nothing was changed."
        ) from error
    return sorted(number for name in names if (number := commit_number(name)) is not None)


def commit_number(name: str) -> int | None:
    """The number of a commit by its file's name; None for a name that no commit has (`00001.json` too)."""
    stem, dot, suffix = name.partition(".")
    if not (dot and suffix == "json" and _NUMBER.match(stem) and stem.isascii()):
        return None
    number = int(stem)
    return number if f"{number:04d}" == stem else None


def gap_lines(numbers: list[int]) -> list[str]:
    """One line for each gap in the numbers of a history."""
    out = []
    expected = 0
    for number in numbers:
        if number > expected:
            more = f" to {number - 1:04d}.json are" if number > expected + 1 else " is"
            out.append(f"{HISTORY}/{expected:04d}.json{more} missing")
        expected = number + 1
    return out


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
    """The moment as it is written, so that what a commit returns is what is on disk."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _bytes(commit: Checkpoint) -> tuple[bytes, str]:
    try:
        return encode(commit)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(
            f"Session {commit.session_id}: the result of {clean(commit.phase, 80)!r} cannot be written as JSON: "
            f"{clean(error, 200)}; the last commit is safe."
        ) from error
