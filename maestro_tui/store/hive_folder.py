"""Finds Maestro Hive's files in a directory, under any of their names, and puts those of one workflow together.

Reads only. Files are known by their signature, so that looking again reads only what changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.model.summary import PhaseSummary, SessionStatus, SessionSummary
from maestro_tui.model.text import clean, session_id_problem, slug
from maestro_tui.store import durable
from maestro_tui.store.hive_format import HIVE, PHASES, THRESHOLDS, HiveFile, HivePhase, NotHive, read_hive

FILES_LIMIT = 20_000
"""So many files of one directory are looked at."""
INDEX = "index.json"
_OURS = frozenset(["history", "journal.jsonl", "runner.json", "locks"])
"""What only a session of our own has in its folder."""
_NAMED_LIKE_THEIRS = re.compile(r"(checkpoint_.*|workflow-.*_[a-z_]+|sdlc_.*)\.json\Z")
_MARKS = (b'"checkpoint_metadata"', b'"workflow_context"', b'"injected_phases"')
_OWN_MARK = b'{\n  "sha256": "'
_REMEMBERED = 4
_START_BYTES = 4_000
_REQUIREMENT_LIMIT = 400

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class HiveGroup:
    """All files of one workflow, the newest last; or one file that cannot be read."""

    session_id: str
    """A name that is valid here, made from the workflow's own where that is not."""
    files: tuple[HiveFile, ...]
    problems: tuple[str, ...] = ()
    """One line for each file of it that cannot be read."""
    written_at: float = 0.0

    @property
    def head(self) -> HiveFile | None:
        """The newest file: it holds all that the earlier ones do."""
        return self.files[-1] if self.files else None

    def gate_passed(self, phase: HivePhase) -> bool | None:
        """Whether a phase passed its quality gate: told by its own file, else by its score; None when unknown."""
        for file in reversed(self.files):
            if file.completed == phase.name and file.gate_passed is not None:
                return file.gate_passed
        if phase.gate_passed is not None:
            return phase.gate_passed
        threshold = THRESHOLDS.get(phase.name)
        if threshold is None or phase.quality is None:
            return None
        return phase.quality >= threshold

    def status_of(self, phase: HivePhase) -> str:
        """`completed`, `failed`, `skipped` or `pending`; completed without its gate is failed."""
        if phase.status == "completed" and self.gate_passed(phase) is False:
            return "failed"
        return phase.status

    def why_failed(self, phase: HivePhase) -> str:
        """The reason as a sentence, as far as the files tell one."""
        if phase.error:
            return clean(phase.error, 1_000)
        score = f" with {phase.quality:g}" if phase.quality is not None else ""
        if self.gate_passed(phase) is False:
            return f"It missed its quality gate in Maestro Hive{score}."
        return f"It failed in Maestro Hive{score}."

    def lines(self) -> tuple[str, ...]:
        """What is wrong or odd, one line each."""
        head = self.head
        runs = {file.created_at for file in self.files if file.kind == "checkpoint"}
        mixed = ("two runs have this id: their files are mixed",) if len(runs) > 1 else ()
        notes = tuple(f"{clean(head.path.name, 200)}: {note}" for note in head.notes) if head else ()
        return (*self.problems, *mixed, *notes)


class HiveFolder:
    """The files of Maestro Hive under a root. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.groups: dict[str, HiveGroup] = {}
        """Name of the session → its files."""
        self.folders: frozenset[str] = frozenset()
        """Folders under the root that hold their files and nothing of ours."""
        self._known: dict[Path, tuple[Signature, HiveFile | str | None]] = {}
        self._lock = threading.Lock()

    def look(self) -> None:
        """Look at the whole directory again. Raises `StoreError` when it is there and cannot be listed."""
        self.look_at(*names_under(self.root))

    def look_at(self, files: Iterable[str], folders: Iterable[str]) -> None:
        """Look again at these files under the root and at these folders, if they hold nothing of ours."""
        with self._lock:
            places: dict[str | None, list[Path]] = {None: sorted(self.root / name for name in files)}
            places |= {name: _json_files(self.root / name) for name in sorted(folders)}
            found: dict[Path, tuple[Signature, HiveFile | str | None]] = {}
            shown: dict[Path, HiveFile | str] = {}
            theirs = set()
            beyond = sum(map(len, places.values())) - FILES_LIMIT
            for folder, paths in places.items():
                read = {path: self._read(path) for path in paths[: FILES_LIMIT - len(found)]}
                found |= {path: one for path, one in read.items() if one is not None}
                told = _told({path: one[1] for path, one in read.items() if one is not None})
                shown |= told
                if folder is not None and told:
                    theirs.add(folder)
            if shown and beyond > 0:
                shown[self.root / "further-files"] = (
                    f"{beyond:,} further files were not looked at: {FILES_LIMIT:,} of one directory are"
                )
            self._known, self.folders = found, frozenset(theirs)
            groups = _grouped(shown)
            # A session of ours that was imported under the same name is the one to show.
            self.groups = {
                name: group for name, group in groups.items() if not (self.root / name / "history").is_dir()
            }

    def _read(self, path: Path) -> tuple[Signature, HiveFile | str | None] | None:
        """The file's signature with its content, or why it has none, or None: not theirs."""
        try:
            facts = os.lstat(path)
        except OSError:
            return None  # gone a moment after it was listed
        signature = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        known = self._known.get(path)
        if known is not None and known[0] == signature:
            return known
        return signature, read_told(path) if stat.S_ISREG(facts.st_mode) else None


def names_under(root: Path) -> tuple[list[str], list[str]]:
    """The names of the JSON files and of the folders under a root; none when it is not there.

    Raises `StoreError` when it cannot be listed. Links are not followed.
    """
    files, folders = [], []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    if entry.name != INDEX and not entry.name.startswith("."):
                        files.append(entry.name)
                elif session_id_problem(entry.name) is None and entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise StoreError(f"Cannot read {clean(str(root), 300)}: {error.strerror}.") from error
    return files, folders


def read_told(path: Path) -> HiveFile | str | None:
    """A file without its large parts, or the line that says why it cannot be read; None when it is not theirs."""
    try:
        return read_hive(path).light()
    except NotHive:
        return None
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        return str(error)


def _json_files(folder: Path) -> list[Path]:
    """The JSON files of a folder; none when it is a session of ours or cannot be listed."""
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []
    if _OURS.intersection(names):
        return []
    return sorted(folder / name for name in names if name.endswith(".json") and not name.startswith("."))


def holds_hive(folder: Path) -> bool:
    """True for a folder whose checkpoint files are Maestro Hive's and not what is left of a session of ours."""
    files = _json_files(folder)
    return bool(files) and not any(_start(path).startswith(_OWN_MARK) for path in files)


def _told(read: dict[Path, HiveFile | str | None]) -> dict[Path, HiveFile | str]:
    """Those of a folder's files that are theirs. A broken one is theirs by its neighbours, its name or its words."""
    sure = any(isinstance(one, HiveFile) for one in read.values())
    return {
        path: one
        for path, one in read.items()
        if one is not None and (sure or isinstance(one, HiveFile) or _looks_like_theirs(path))
    }


def _looks_like_theirs(path: Path) -> bool:
    start = _start(path)
    if start.startswith(_OWN_MARK):
        return False
    return bool(_NAMED_LIKE_THEIRS.match(path.name)) or any(mark in start for mark in _MARKS)


def _start(path: Path) -> bytes:
    try:
        return durable.read_start(path, _START_BYTES)
    except (DamagedFile, FileNotFoundError):
        return b""


def _grouped(shown: dict[Path, HiveFile | str]) -> dict[str, HiveGroup]:
    files: dict[str, list[HiveFile]] = {}
    for one in shown.values():
        if isinstance(one, HiveFile):
            files.setdefault(one.workflow_id, []).append(one)
    problems: dict[str, list[str]] = {}
    alone: dict[Path, str] = {}
    for path, one in shown.items():
        if isinstance(one, str):
            owner = next((name for name in files if path.name.startswith(f"{name}_")), None)
            if owner is not None:
                problems.setdefault(owner, []).append(one)
            else:
                alone[path] = one
    groups: dict[str, HiveGroup] = {}
    for name, own in files.items():
        ordered = tuple(sorted(own, key=lambda file: (len(file.phases), file.written_at, str(file.path))))
        newest = max(file.written_at for file in ordered)
        session_id = valid_name(name)
        groups[session_id] = HiveGroup(session_id, ordered, tuple(problems.get(name, ())), newest)
    for path, line in alone.items():
        session_id = valid_name(path.stem)
        if session_id in groups:
            session_id = _marked(slug(path.stem, 60), str(path))
        groups[session_id] = HiveGroup(
            session_id, (), (line,), path.stat().st_mtime if path.exists() else 0.0
        )
    return groups


def valid_name(workflow_id: str) -> str:
    """A workflow's id where it is a valid session id, else one made from it, always the same."""
    if session_id_problem(workflow_id) is None:
        return workflow_id
    return _marked(slug(workflow_id, 80), workflow_id)


def _marked(text: str, of: str) -> str:
    return f"{text}-{hashlib.sha256(of.encode('utf-8', 'replace')).hexdigest()[:6]}"


def summary_of(group: HiveGroup) -> SessionSummary:
    """The group as the list shows it: read-only history."""
    head = group.head
    if head is None:
        return SessionSummary(
            session_id=group.session_id,
            status=SessionStatus.FAILED,
            requirement="",
            workflow="",
            workspace=None,
            created_at=group.written_at,
            updated_at=group.written_at,
            phases=(),
            seq=-1,
            error=group.problems[0],
            damage=group.problems,
            foreign=HIVE,
        )
    phases = tuple(_phase_summary(group, phase) for phase in head.phases)
    phases += tuple(PhaseSummary(name) for name in open_phases(head))
    failed = next((phase for phase in phases if phase.status == "failed"), None)
    pending = any(phase.status == "pending" for phase in phases)
    created = head.created_at.timestamp() if head.created_at else group.written_at
    return SessionSummary(
        session_id=group.session_id,
        status=SessionStatus.FAILED
        if failed
        else SessionStatus.PAUSED
        if pending or not phases
        else SessionStatus.COMPLETED,
        requirement=clean(" ".join(head.requirement.split()), _REQUIREMENT_LIMIT),
        workflow="sdlc",
        workspace=None,
        created_at=created,
        updated_at=group.written_at,
        phases=phases,
        seq=len(group.files) - 1,
        sha256=head.sha256,
        error=failed.error if failed else None,
        last_event="awaits a person's review" if head.awaiting_review else "",
        damage=group.lines(),
        foreign=HIVE,
    )


def open_phases(head: HiveFile) -> tuple[str, ...]:
    """Those of the five phases that come after what the file tells of."""
    from maestro_tui.model.workflow import ALIASES

    if head.kind == "session" and not head.phases:
        return ()
    there = {ALIASES.get(phase.name, phase.name) for phase in head.phases}
    last = max((PHASES.index(name) for name in there if name in PHASES), default=-1)
    return tuple(name for name in PHASES[last + 1 :] if name not in there)


def _phase_summary(group: HiveGroup, phase: HivePhase) -> PhaseSummary:
    status = group.status_of(phase)
    return PhaseSummary(
        name=clean(phase.name, 64),
        status=status,
        attempt=1 if status in ("completed", "failed") else 0,
        started_at=phase.started_at.timestamp() if phase.started_at else None,
        finished_at=phase.finished_at.timestamp() if phase.finished_at else None,
        error=group.why_failed(phase) if status == "failed" else None,
    )


_folders: OrderedDict[Path, HiveFolder] = OrderedDict()
_folders_lock = threading.Lock()


def find_hive(root: Path, session_id: str) -> HiveGroup | None:
    """The files of one workflow under a root, looked for now; None when there are none of that name.

    Raises `StoreError` when the root cannot be listed.
    """
    with _folders_lock:
        folder = _folders.setdefault(root, HiveFolder(root))
        _folders.move_to_end(root)
        while len(_folders) > _REMEMBERED:
            _folders.popitem(last=False)
    folder.look()
    return folder.groups.get(session_id)


def groups_in(paths: Iterable[Path]) -> dict[str, HiveGroup]:
    """The workflows in these files and directories, those of one workflow put together wherever they lie.

    Raises `InputError` for a path that is not there or a file that is not theirs, `StoreError` for a directory
    that cannot be listed.
    """
    shown: dict[Path, HiveFile | str] = {}
    for path in paths:
        if path.is_dir():
            folder = HiveFolder(path)
            folder.look()
            for group in folder.groups.values():
                shown |= {file.path: file for file in group.files}
                shown |= {path / line.partition(": ")[0]: line for line in group.problems}
        elif path.exists() or path.is_symlink():
            found = read_told(path)
            if found is None or (isinstance(found, str) and not _looks_like_theirs(path)):
                raise InputError(
                    f"{clean(str(path), 300)} is neither a file of Maestro Hive nor a bundle. Nothing was imported."
                )
            shown[path] = found
        else:
            raise InputError(f"There is no {clean(str(path), 300)}. Nothing was imported.")
    return _grouped(shown)


def why_not_run(root: Path, session_id: str) -> str | None:
    """A sentence for whoever would run or change a workflow of Maestro Hive; None when there is none of that name."""
    group = find_hive(root, session_id)
    if group is None:
        return None
    place = clean(str(root), 300)
    if group.head is None:
        return f"{clean(session_id, 130)} in {place} cannot be read: {group.problems[0]}. Nothing was run."
    return (
        f"{clean(session_id, 130)} in {place} is history of Maestro Hive: it is read, never changed or run there. "
        f"Take it over into a directory of its own: maestro-tui --checkpoint-dir .maestro import {place} "
        f"--only {clean(session_id, 130)}; then resume it. Nothing was run."
    )
