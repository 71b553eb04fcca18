"""File events of a checkpoint directory, as names of the sessions that they are about.

Only the root and each session's own folder are watched, not what lies below: a commit, an event and a change
of the lease all show there, and ten thousand sessions with all their subfolders would exhaust the system's
watches. Where watching is impossible nothing is reported, and `seeing` says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

from watchfiles import Change
from watchfiles import watch as file_events

from maestro_tui.model.text import session_id_problem
from maestro_tui.store.index_file import INDEX

Batch = set[tuple[Change, str]]

STEP_MS = 6
GROUPED_MS = 15
WAIT_MS = 20
MOST_ADDED = 200
"""New sessions are watched by a small group of their own until so many have come; then all become one."""
RETRY_SECONDS = 30.0

_FILES = frozenset(["journal.jsonl", "runner.json"])


def tells(name: str) -> bool:
    """True for a file of a session's folder whose change is news; temporary and lock files are none."""
    return name in _FILES or (name.startswith("checkpoint_") and name.endswith(".json"))


class Notices:
    """Watches a root and the sessions under it. `open` first; `take` waits for events."""

    def __init__(self, root: Path, stop: threading.Event) -> None:
        self._root, self._stop = root, stop
        self._place = ""
        """The root's real path: events name files below it."""
        self._groups: list[Generator[Batch, None, None]] = []
        self._names: list[str] = []
        self._added: list[str] = []
        self._known: set[str] = set()
        self._blind_since: float | None = None
        self._early: Batch = set()

    @property
    def seeing(self) -> bool:
        """True when file events are to be had."""
        return bool(self._groups) and self._blind_since is None

    def open(self, names: Sequence[str]) -> None:
        """Watch the root and these sessions, and nothing else any more."""
        self.close()
        self._names, self._added, self._known = list(names), [], set(names)
        self._place = os.path.realpath(self._root)
        self._blind_since = None
        if self._root.is_dir():
            self._begin([self._place, *self._folders(names)])

    def add(self, names: Sequence[str]) -> None:
        """Watch further sessions as well."""
        self._added.extend(names)
        self._known.update(names)
        if self._blind_since is not None:
            return
        if not self._groups or len(self._added) > MOST_ADDED:
            self.open([*self._names, *self._added])
            return
        for group in self._groups[1:]:
            group.close()
        del self._groups[1:]
        self._begin(self._folders(self._added))

    def mend(self, names: Sequence[str]) -> None:
        """Try again, now and then, what was impossible before; forget what is gone."""
        blind = self._blind_since
        if blind is not None and time.monotonic() - blind > RETRY_SECONDS:
            self.open(names)

    def take(self, seconds: float) -> tuple[set[str], bool]:
        """Wait at most so long for events: the sessions that changed, and whether the root itself did."""
        until = time.monotonic() + seconds
        while not self._stop.is_set():
            changed: set[str] = set()
            listing = False
            for group in list(self._groups):
                self._early |= self._next(group)
            anew: set[str] = set()
            for change, path in self._early:
                session, _, file = path[len(self._place) + 1 :].partition(os.sep)
                if file:
                    if tells(file):
                        changed.add(session)
                elif session != INDEX and session_id_problem(session) is None:
                    listing = True
                    if change == Change.added and session in self._known:
                        anew.add(session)
            self._early = set()
            if anew:  # removed and made again: the old watch looks at a folder that is no more
                self.add(sorted(anew))
                changed |= anew
            if changed or listing or time.monotonic() >= until:
                return changed, listing
            if not self._groups:
                self._stop.wait(max(0.0, min(0.1, until - time.monotonic())))
        return set(), False

    def close(self) -> None:
        """Watch nothing any more."""
        for group in self._groups:
            group.close()
        self._groups = []

    def _next(self, group: Generator[Batch, None, None]) -> Batch:
        """Events of one group; none when it waited in vain, or when the system took its watches away."""
        try:
            batch = next(group, None)
        except (OSError, RuntimeError):
            batch = None
        if batch is None:
            self._groups = [other for other in self._groups if other is not group]
            if not self._stop.is_set():
                self._blind_since = time.monotonic()
            return set()
        return batch

    def _folders(self, names: Iterable[str]) -> list[str]:
        # History of another system may be files alone, without a folder of its session's name. A folder that may
        # not be read is passed over here, for what may not be watched ends the watching of all.
        return [
            path
            for name in names
            if os.path.isdir(path := f"{self._place}/{name}") and os.access(path, os.R_OK)  # noqa: PTH112
        ]

    def _begin(self, folders: list[str]) -> None:
        """Watch these folders from now on; one that is gone meanwhile is passed over.

        Where the system has not enough watches for all of them there are no events, and `seeing` is False.
        """
        group = file_events(
            *folders, watch_filter=None, debounce=GROUPED_MS, step=STEP_MS, rust_timeout=WAIT_MS,
            yield_on_timeout=True, stop_event=self._stop, raise_interrupt=False, force_polling=False,
            # True would hide that there are no watches left: events of some folders would be missed for good.
            recursive=False, ignore_permission_denied=False,
        )  # fmt: skip
        self._groups.append(group)
        # The first step sets the watches up; events that it already brings are kept for `take`.
        self._early |= self._next(group)
