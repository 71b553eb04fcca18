"""Reads all sessions of a checkpoint directory, and afterwards only what changed on disk."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from sys import intern

from maestro_tui.model.summary import SessionSummary, runner_of
from maestro_tui.store.history_files import is_begun
from maestro_tui.store.hive_folder import HiveFolder, names_under, summary_of
from maestro_tui.store.index_file import Entry, Kept, load_index, save_index, without_collecting
from maestro_tui.store.runner_file import read_owner, start_ticks
from maestro_tui.store.summaries import SummaryReader, signature_of

WORTH_AN_INDEX = 20
_REMEMBERED_READERS = 512


def read_all(root: Path, now: float) -> list[SessionSummary]:
    """Every session under `root`, by id. Raises `StoreError` when the directory cannot be read."""
    fleet = FleetReader(root)
    fleet.load()
    names = fleet.names()
    with without_collecting():
        for name in names:
            fleet.refresh(name, now)
    fleet.forget_all_but(names)
    if worth_an_index(fleet.read, len(fleet.entries)):
        fleet.save()
    return [entry.summary for _, entry in sorted(fleet.entries.items())]


def worth_an_index(news: int, of: int) -> bool:
    """True when so many sessions were news that whoever reads all of them next would miss them in the index."""
    return news > 0 and (news >= WORTH_AN_INDEX or news * 50 >= of)


def unchanged(folder: str, entry: Entry | Kept) -> bool:
    """True when a session's files are those that an entry of the index was made of."""
    # Without path objects: ten thousand of them take longer than the looks at the files.
    return hash(signature_of(folder, entry.newest)) == entry.mark


class FleetReader:
    """The summaries of all sessions under a root. Unchanged sessions keep the very same summary object."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._place = str(root)
        self.entries: dict[str, Entry] = {}
        self.read = 0
        """So many sessions were read; those whose summary came out the same would be read again without an index."""
        self._hive = HiveFolder(root)
        self._readers: OrderedDict[str, SummaryReader] = OrderedDict()
        self._hot: dict[str, None] = {}
        self._hot_queue: list[str] = []
        self._ticks: dict[int, int | None] = {}

    def load(self) -> None:
        """Begin with what the index remembers; each entry holds until `refresh` looks at its session."""
        self.entries = load_index(self.root)

    def save(self, more: Mapping[str, Kept] | None = None) -> bool:
        """Write the index, with `more` that are not among the entries.

        False when that is not possible here, or nothing may be written beside files of others.
        """
        return not self._hive.groups and save_index(self.root, {**(more or {}), **self.entries})

    def names(self, own: Container[str] = ()) -> list[str]:
        """The names of all folders that may be sessions; none when the root is not there.

        Those in `own` are known as sessions of ours, as those with an entry are. Raises `StoreError` when the root is there and cannot be read.
        """
        files, folders = names_under(self.root)
        unknown = [
            name
            for name in folders
            if name not in own and ((entry := self.entries.get(name)) is None or entry.summary.foreign)
        ]
        self._hive.look_at(files, unknown)
        # One string for a session, here and in its summary.
        return sorted(map(intern, {*folders, *self._hive.groups}))

    @property
    def foreign(self) -> Container[str]:
        """The names of those that are another system's history, as far as `names` has found them."""
        return self._hive.groups

    def refresh(self, name: str, now: float, force: bool = False) -> bool:
        """Look at one session's files and read what changed; True when its summary is another one now.

        With `force`, its runner and logs are looked at as well, which change without these files.
        """
        if name in self._hive.groups:
            return self._refresh_foreign(name)
        if name in self._hive.folders:
            return self.forget(name)
        entry = self.entries.get(name)
        if entry is not None and not force and self._holds(name, entry, now):
            return False
        folder = self.root / name
        if entry is None and not is_begun(folder):
            return False
        summary = self._reader(name).read(now)
        if summary.seq < 0 and not is_begun(folder):
            return self.forget(name)
        if entry is not None and summary == entry.summary:
            summary = entry.summary
        signature = self._reader(name).signature
        self.entries[name] = Entry(hash(signature), signature[-1], summary)
        self.read += 1
        if _is_hot(summary):
            self._hot[name] = None
        else:
            self._hot.pop(name, None)
        return entry is None or summary is not entry.summary

    def _refresh_foreign(self, name: str) -> bool:
        """History of Maestro Hive: `names` has read what changed."""
        summary = summary_of(self._hive.groups[name])
        entry = self.entries.get(name)
        if entry is not None and entry.summary == summary:
            return False
        self.entries[name] = Entry(0, 0, summary)
        return True

    def stirred(self, part: float = 1.0) -> list[str]:
        """Sessions whose runner ended or whose log grew: no file that is watched tells of it.

        Looks at the next `part` of all sessions that a runner holds.
        """
        if not self._hot_queue:
            self._hot_queue = list(self._hot)
        count = math.ceil(len(self._hot) * part)
        queue, self._hot_queue = self._hot_queue[:count], self._hot_queue[count:]
        found = []
        ticks: dict[int, int | None] = {}
        for name in queue:
            entry = self.entries.get(name)
            if entry is None:
                continue
            owner = entry.summary.owner
            if owner is not None and owner.here and owner.pid not in ticks:
                ticks[owner.pid] = start_ticks(owner.pid)
            if (
                owner is not None and owner.here and self._changed_hands(owner.pid, ticks[owner.pid])
            ) or newest_log(self.root / name, entry.summary) > entry.summary.updated_at:
                found.append(name)
        self._ticks.update(ticks)
        return found

    def _changed_hands(self, pid: int, begun: int | None) -> bool:
        """True when a process is gone or is another one than at the last look."""
        return begun is None or self._ticks.get(pid, begun) != begun

    def _holds(self, name: str, entry: Entry, now: float) -> bool:
        """True when an entry still tells what is on disk."""
        if not unchanged(f"{self._place}/{name}", entry):
            return False
        before = entry.summary.owner
        if before is None or before.alive is False:
            return True
        # A runner that dies changes no file.
        self._hot[name] = None
        return runner_of(read_owner(self.root / name, now)) == runner_of(before)

    def _reader(self, name: str) -> SummaryReader:
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = SummaryReader(self.root / name)
            while len(self._readers) > _REMEMBERED_READERS:
                self._readers.popitem(last=False)
        self._readers.move_to_end(name)
        return reader

    def let_go(self) -> None:
        """Drop what would only be needed if the sessions read last changed next: after reading all of them."""
        self._readers.clear()

    def forget(self, name: str) -> bool:
        """Take a session out; True when it was there."""
        self._readers.pop(name, None)
        self._hot.pop(name, None)
        return self.entries.pop(name, None) is not None

    def forget_all_but(self, names: Iterable[str]) -> bool:
        """Take out the sessions whose folder is gone; True when there were any."""
        gone = self.entries.keys() - set(names)
        for name in gone:
            self.forget(name)
        return bool(gone)


def _is_hot(summary: SessionSummary) -> bool:
    return summary.owner is not None and summary.owner.alive is not False


def newest_log(folder: Path, summary: SessionSummary) -> float:
    """When a running phase last wrote to its log, seconds since the epoch; 0 when it did not."""
    newest = 0.0
    for phase in summary.phases:
        if phase.status == "running" and "/" not in phase.name:
            try:
                facts = os.lstat(f"{folder}/logs/{phase.name}.{phase.attempt}.log")
            except OSError:
                continue  # it has not written anything yet
            newest = max(newest, facts.st_mtime_ns / 1e9)
    return newest
