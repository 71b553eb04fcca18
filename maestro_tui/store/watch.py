"""Turns changes under a checkpoint directory into immutable snapshots, in one thread, until told to stop.

File events come first and bring speed; a reconciling look at every session in turn brings certainty, because
events can be lost (FACTS: new folders, removed roots, full watch limits) and a killed runner changes no file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.text import clean
from maestro_tui.store.index import FleetReader
from maestro_tui.store.index_file import without_collecting
from maestro_tui.store.notices import Notices
from maestro_tui.store.turns import Turns

Post = Callable[[FleetSnapshot], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the watcher does what, in seconds."""

    tick: float = 0.1
    """Small looks at what no event tells: a moved root, and a part of each of the rounds below."""
    runners: float = 1.0
    """Every held session is looked at within this time: is its runner alive, has its log grown?"""
    again: float = 0.02
    """A commit is several changes in a row: the second is read this long after the first."""
    session: float = 0.25
    """A session that is written all the time is read again less and less often, at last this often."""
    post: float = 0.03
    """Snapshots are this far apart."""
    post_busy: float = 0.25
    """While news come without a pause the distance grows to this: showing a snapshot costs more than reading one."""
    cycle: float = 8.0
    """Every session's files are looked at within this time, whatever the events say."""
    cycle_blind: float = 1.0
    """The same where events are not to be had."""
    slice: int = 300
    """At most so many sessions are looked at in a tick."""
    progress: float = 0.25
    """While the first reading goes on, what is there is shown after this time, then after twice of it, and so on."""
    progress_limit: float = 2.0
    """It is shown at least this often."""
    first: int = 100
    """Without an index so many sessions are read and shown before all are watched and read."""
    index: float = 60.0
    """The index is written anew this often when there was news."""


def watch(
    root: Path,
    on_snapshot: Post,
    stop: threading.Event,
    *,
    clock: Callable[[], float] = time.time,
    pace: Pace | None = None,
) -> None:
    """Post a snapshot of all sessions now and after every change until `stop` is set.

    Blocks: give it a thread of its own. `on_snapshot` is called in that thread. The root need not exist yet
    and may vanish and come back.
    """
    _Watcher(root, on_snapshot, stop, clock, pace or Pace()).run()


class _Watcher:
    def __init__(
        self, root: Path, post: Post, stop: threading.Event, clock: Callable[[], float], pace: Pace
    ) -> None:
        self.root, self._post, self._stop, self._clock, self._pace = root, post, stop, clock, pace
        self._fleet = FleetReader(root)
        self._notices = Notices(root, stop)
        self._identity: tuple[int, int] | None = None
        self._problem: str | None = None
        self._version = 0
        self._names: list[str] = []
        self._due: dict[str, float] = {}
        """Session → when it may be read again."""
        self._turns = Turns(self._pace.again, self._pace.session)
        self._place = 0
        """How far the reconciling look has come in `_names`."""
        self._news = False
        self._posted_at = 0.0
        self._post_gap = self._pace.post
        self._indexed_at = 0.0
        self._unsaved = False

    def run(self) -> None:
        """Watch until stopped."""
        try:
            self._open()
            next_tick = 0.0
            while not self._stop.is_set():
                now = time.monotonic()
                if now >= next_tick:
                    self._tick()
                    next_tick = time.monotonic() + self._pace.tick
                self._read_due()
                self._post_news()
                self._take_notices()
        finally:
            self._notices.close()
            if self._unsaved:
                self._fleet.save()

    # ── The root ──────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        """Read everything once: what the index remembers is shown at once, the rest as it comes."""
        self._identity = _identity(self.root)
        self._fleet.load()
        read = 0 if self._fleet.entries else self._read_some()
        if self._fleet.entries:
            self._send(loading=True)
        # Listing new names also begins to watch them.
        self._list()
        if not self._names:
            self._notices.open([])
        shown = time.monotonic()
        progress = self._pace.progress
        with without_collecting():
            for name in self._names:
                if self._stop.is_set():
                    return
                read += self._fleet.refresh(name, self._clock())
                if time.monotonic() - shown > progress:
                    shown = time.monotonic()
                    progress = min(2 * progress, self._pace.progress_limit)
                    self._send(loading=True)
        self._fleet.forget_all_but(self._names)
        self._fleet.let_go()
        self._due.clear()
        self._send(loading=False)
        self._indexed_at = time.monotonic()
        if read:
            self._fleet.save()

    def _read_some(self) -> int:
        """Read as many as a screen holds, the newest by name: to watch all takes seconds when there are many."""
        try:
            names = self._fleet.names()
        except StoreError:
            return 0  # told when they are listed
        return sum(self._fleet.refresh(name, self._clock()) for name in names[-self._pace.first :])

    def _list(self) -> None:
        """The names under the root as they are now; new ones are due, gone ones forgotten."""
        try:
            names = self._fleet.names()
        except StoreError as error:
            self._tell(str(error))
            return
        self._tell(None)
        known = set(self._names)
        fresh = [name for name in names if name not in known]
        self._names = names
        if self._fleet.forget_all_but(names):
            self._news = True
        if fresh:
            self._notices.add(fresh)
            for name in fresh:
                self._due.setdefault(name, 0.0)

    def _tell(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem, self._news = problem, True

    def _moved(self) -> bool:
        """True when the root is not the folder that it was."""
        identity = _identity(self.root)
        if identity == self._identity:
            return False
        self._identity = identity
        return True

    # ── Time ──────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        if self._moved():
            self._names = []
            self._notices.open([])
            self._list()
        now = self._clock()
        for name in self._fleet.stirred(self._pace.tick / self._pace.runners):
            self._refresh(name, now, force=True)
        self._reconcile(now)
        if self._unsaved and time.monotonic() - self._indexed_at > self._pace.index:
            self._indexed_at = time.monotonic()
            self._unsaved = False
            self._fleet.save()

    def _reconcile(self, now: float) -> None:
        """Look at the next part of all sessions; at the end of a round also for new and gone ones."""
        if self._place >= len(self._names):
            self._place = 0
            self._notices.mend(self._names)
            self._list()
        cycle = self._pace.cycle if self._notices.seeing else self._pace.cycle_blind
        count = min(self._pace.slice, 1 + int(len(self._names) * self._pace.tick / cycle))
        for name in self._names[self._place : self._place + count]:
            if self._stop.is_set():
                return
            self._refresh(name, now)
        self._place += count

    def _read_due(self) -> None:
        moment = time.monotonic()
        ready = [name for name, at in self._due.items() if at <= moment]
        if not ready:
            return
        now = self._clock()
        for name in ready:
            del self._due[name]
            self._turns.take(name, moment)
            self._refresh(name, now, force=True)

    def _refresh(self, name: str, now: float, force: bool = False) -> None:
        if self._fleet.refresh(name, now, force):
            self._news = self._unsaved = True

    # ── News ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take_notices(self) -> None:
        """Wait a moment for file events; what they name becomes due."""
        moment = time.monotonic()
        ends = [moment + self._pace.tick, *self._due.values()]
        if self._news:
            ends.append(self._posted_at + self._post_gap)
        changed, listing = self._notices.take(max(0.0, min(ends) - moment))
        if listing:
            self._list()
        moment = time.monotonic()
        for name in changed:
            if name not in self._due:
                self._due[name] = self._turns.due(name, moment)

    def _post_news(self) -> None:
        since = time.monotonic() - self._posted_at
        if self._news and since >= self._post_gap:
            busy = since < 2 * self._post_gap + self._pace.tick
            self._post_gap = min(1.5 * self._post_gap, self._pace.post_busy) if busy else self._pace.post
            self._send(loading=False)

    def _send(self, loading: bool) -> None:
        self._news = False
        self._posted_at = time.monotonic()
        self._version += 1
        if self._stop.is_set():
            return
        self._post(
            FleetSnapshot(
                root=clean(str(self.root), 1_000),
                sessions={name: entry.summary for name, entry in self._fleet.entries.items()},
                version=self._version,
                loading=loading,
                problem=self._problem,
            )
        )


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        facts = root.stat()
    except OSError:
        return None  # it is not there, or may not be looked at: listing it tells which
    return facts.st_dev, facts.st_ino
