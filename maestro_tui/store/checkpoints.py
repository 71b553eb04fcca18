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
from maestro_tui.store.journal import read_events
from maestro_tui.store.lease import Commit, Hold

_NUMBER = re.compile(r"(\d{4,9})\.json\Z")

Change = Callable[[Checkpoint], tuple[TeamExecutionContext, Workflow | None]]


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One file of the history; `problem` says in one line why it cannot be used."""

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
        """Ids of all folders that hold a history."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"Cannot read {clean(str(self.root), 300)}: {error.strerror}.") from error
        return sorted(
            name
            for name in names
            if session_id_problem(name) is None and (self.root / name / "history").is_dir()
        )

    def exists(self, session_id: str) -> bool:
        """True when the session has a history."""
        return bool(self._numbers(self.session_dir(session_id)))

    def _numbers(self, folder: Path) -> list[int]:
        try:
            names = os.listdir(folder / "history")
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(match[1]) for name in names if (match := _NUMBER.match(name)))

    def _path(self, folder: Path, seq: int) -> Path:
        return folder / "history" / f"{seq:04d}.json"

    # ── Reading ───────────────────────────────────────────────────────────────────────────────────────────

    def load_file(self, path: str | Path) -> Checkpoint:
        """The checkpoint in one file, wherever it lies. Raises `InputError`, `DamagedFile`."""
        file = Path(path)
        try:
            return decode(durable.read_regular(file, SIZE_LIMIT), clean(str(file), 300))
        except FileNotFoundError:
            raise InputError(f"There is no checkpoint file {clean(str(file), 300)}.") from None

    def load(self, session_id: str, seq: int) -> Checkpoint:
        """One commit of a session. Raises `InputError` when it is not there, `DamagedFile`."""
        folder = self.session_dir(session_id)
        commit = self.load_file(self._path(folder, seq))
        if commit.session_id != session_id or commit.seq != seq:
            raise DamagedFile(
                f"{clean(str(self._path(folder, seq)), 300)}: it is commit {commit.seq} of {commit.session_id}, misplaced"
            )
        return commit

    def head(self, session_id: str) -> Checkpoint:
        """The newest intact commit. Raises `InputError` (no such session), `DamagedFile` (none intact)."""
        return self.head_with_damage(session_id)[0]

    def head_with_damage(self, session_id: str) -> tuple[Checkpoint, tuple[str, ...]]:
        """The newest intact commit, and a line for each newer one that is damaged."""
        folder = self.session_dir(session_id)
        numbers = self._numbers(folder)
        if not numbers:
            raise InputError(
                f"There is no session {clean(session_id, 80)!r} in {clean(str(self.root), 200)}."
            )
        problems: list[str] = []
        for seq in reversed(numbers):
            try:
                return self.load(session_id, seq), tuple(problems)
            except (DamagedFile, InputError) as error:
                problems.append(str(error))
        raise DamagedFile(f"Session {session_id} has no intact commit: {problems[0]}")

    def history(self, session_id: str) -> list[CommitInfo]:
        """Every commit file in order, damaged ones with their problem."""
        folder = self.session_dir(session_id)
        out: list[CommitInfo] = []
        before: CommitInfo | None = None
        for seq in self._numbers(folder):
            info = self._info(session_id, folder, seq, before)
            out.append(info)
            before = info
        return out

    def _info(self, session_id: str, folder: Path, seq: int, before: CommitInfo | None) -> CommitInfo:
        path = self._path(folder, seq)
        try:
            commit = self.load(session_id, seq)
        except (DamagedFile, InputError) as error:
            return CommitInfo(seq, "", 0, "damaged", "", None, path, str(error))
        result = commit.context.phase_results.get(commit.phase)
        problem = None
        name = path.name
        if seq > 0 and (before is None or before.seq != seq - 1):
            problem = f"{name}: commit {seq - 1} before it is missing"
        elif before is not None and not before.problem and commit.prev != before.sha256:
            problem = f"{name}: it does not follow commit {before.seq} (broken chain)"
        return CommitInfo(
            seq=seq,
            phase=commit.phase,
            attempt=commit.attempt,
            status=str(result.status) if result else "",
            sha256=commit.sha256,
            created_at=commit.created_at,
            path=path,
            problem=problem,
        )

    # ── Writing ───────────────────────────────────────────────────────────────────────────────────────────

    def create(self, context: TeamExecutionContext, hold: Hold | None = None) -> Checkpoint:
        """Begin a session with commit 0. Raises `InputError` when its id is taken, `StoreError`."""
        folder = self.session_dir(context.session_id)
        for part in ("history", "locks", "logs", "tmp"):
            durable.make_dir(folder / part)
        epoch = hold.epoch if hold is not None else 0
        commit = Checkpoint(
            seq=0,
            prev=None,
            session_id=context.session_id,
            phase="init",
            attempt=0,
            epoch=epoch,
            created_at=context.created_at,
            workflow=context.workflow,
            context=context,
        )
        data, digest = _bytes(commit)
        try:
            durable.write_new(self._path(folder, 0), data)
        except FileExistsError:
            raise InputError(
                f"Session {context.session_id!r} exists already in {clean(str(self.root), 200)}; resume it or choose "
                "another id. Nothing was run."
            ) from None
        durable.link_view(self._path(folder, 0), folder / "checkpoint_init.json")
        return commit.model_copy(update={"sha256": digest})

    def commit(self, session_id: str, phase: str, attempt: int, change: Change, *, hold: Hold) -> Checkpoint:
        """Apply `change` to the newest commit and write the next one; the only way that state changes.

        Raises `FencedError` when the hold was lost, `StoreError` when it cannot be written; in both cases the
        last commit stands.
        """
        folder = self.session_dir(session_id)
        with Commit(folder):
            hold.check()
            head, _ = self.head_with_damage(session_id)
            newest = self._numbers(folder)[-1]
            if head.epoch > hold.epoch:
                raise FencedError(
                    f"Session {session_id} was committed by a newer runner; this one stops here."
                )
            context, workflow = change(head)
            commit = Checkpoint(
                seq=newest + 1,
                prev=head.sha256,
                session_id=session_id,
                phase=phase,
                attempt=attempt,
                epoch=hold.epoch,
                created_at=datetime.now(UTC),
                workflow=workflow or head.workflow,
                context=context.model_copy(update={"workflow": workflow or head.workflow}),
            )
            data, digest = _bytes(commit)
            path = self._path(folder, commit.seq)
            try:
                durable.write_new(path, data)
            except FileExistsError:
                raise FencedError(
                    f"Commit {commit.seq} of session {session_id} was written by another runner; this one stops here."
                ) from None
            self._view(folder, commit, path)
        return commit.model_copy(update={"sha256": digest})

    def _view(self, folder: Path, commit: Checkpoint, path: Path) -> None:
        result = commit.context.phase_results.get(commit.phase)
        if result is not None and result.status in DONE:
            durable.link_view(path, folder / f"checkpoint_{commit.phase}.json")

    def repair_views(self, session_id: str) -> None:
        """Make each `checkpoint_<phase>.json` the newest good commit of its phase again, and sweep."""
        folder = self.session_dir(session_id)
        wanted: dict[str, Path] = {}
        for info in self.history(session_id):
            if info.problem is None and ((info.phase == "init" and info.seq == 0) or info.status in DONE):
                wanted.setdefault("init", info.path)
                if info.phase != "init":
                    wanted[info.phase] = info.path
        with Commit(folder):
            durable.sweep(folder / "history")
            durable.sweep(folder)
            for phase, path in wanted.items():
                view = folder / f"checkpoint_{phase}.json"
                try:
                    right = os.path.samestat(os.lstat(view), os.lstat(path))
                except FileNotFoundError:
                    right = False
                if not right:
                    durable.link_view(path, view)

    def verify(self, session_id: str) -> list[str]:
        """One line for each problem: digests, chain, holes, views, journal. Reads only."""
        folder = self.session_dir(session_id)
        infos = self.history(session_id)
        problems = [info.problem for info in infos if info.problem is not None]
        if not infos:
            problems.append("it has no commits")
        elif infos[0].seq != 0:
            problems.append("commit 0 is missing")
        good = {info.phase: info for info in infos if info.problem is None and info.status in DONE}
        for phase, info in good.items():
            view = folder / f"checkpoint_{phase}.json"
            try:
                if durable.read_regular(view, SIZE_LIMIT) != durable.read_regular(info.path, SIZE_LIMIT):
                    problems.append(f"{view.name}: it is not commit {info.seq} (the next run mends it)")
            except FileNotFoundError:
                problems.append(f"{view.name}: it is missing (the next run mends it)")
            except DamagedFile as error:
                problems.append(str(error))
        problems.extend(read_events(folder / "journal.jsonl").damage)
        return problems


def _bytes(commit: Checkpoint) -> tuple[bytes, str]:
    try:
        return encode(commit)
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"Session {commit.session_id}: the result of {commit.phase!r} cannot be written as JSON "
            f"({clean(error, 200)}); the last commit is safe."
        ) from error
