"""The right to run a session or one of its phases: kernel locks decide, the lease's epoch fences the late."""

from __future__ import annotations

import errno
import getpass
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from maestro_tui.model.errors import (
    DamagedFile,
    FencedError,
    HeldError,
    InputError,
    MaestroError,
    StoreError,
)
from maestro_tui.model.text import clean, format_duration, name_problem
from maestro_tui.store import durable
from maestro_tui.store.locks import COMMIT, CommitLock, FileLock, make_lock_folder
from maestro_tui.store.runner_file import (
    LEASE,
    SIZE_LIMIT,
    Holder,
    Lease,
    Mode,
    boot_id,
    host_name,
    is_alive,
    own_start_ticks,
    owner_of,
    parse_lease,
    pid_namespace,
    read_lease,
    read_owner,
    write_lease,
)

__all__ = [
    "LEASE",
    "Clock",
    "Hold",
    "held_by",
    "hold_phase",
    "hold_session",
    "newest_epoch",
    "phases_held",
    "read_owner",
    "take_over",
]

Clock = Callable[[], float]

NAMING_SECONDS = 1.0
"""How long to wait for the name of a runner that has just taken a lock."""
NAMING_PAUSE = 0.01
UNLOCKED_SECONDS = 7.0
"""Within this time a runner that lives has renewed its name in the lease, which it does every 2 seconds."""
UNLOCKED_PAUSE = 0.2
SILENT_SECONDS = 60.0
"""Who has not renewed it for so long is not waited for, should its clock go right."""
STOPPED_SECONDS = 2.0
"""A commit that takes so long belongs to a process that is stopped."""

_PASSING = frozenset(
    [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EAGAIN, errno.ETIMEDOUT]
)
"""Errors that say nothing of the lease itself: nobody has taken the session over because of them."""

_COMMIT_FILE = re.compile(r"\d{4,9}\.json\Z")
_EPOCH = re.compile(rb'\n  "epoch": (\d{1,15}),\n')
_ENVELOPE_BYTES = 2_000


class Hold:
    """The right to run a session or one of its phases. A context manager; `release` gives it back.

    `mode` is `exclusive` (the whole session) or `shared` (one phase, beside others). `epoch` numbers the
    holders: who holds an older one than the lease says has been replaced.
    """

    def __init__(
        self, session_dir: Path, locks: list[FileLock], mode: Mode, phases: tuple[str, ...], clock: Clock
    ) -> None:
        self._dir, self._locks, self.mode, self._clock = session_dir, locks, mode, clock
        self._phases = phases
        self.id = secrets.token_hex(8)
        now = clock()
        own = Holder(
            id=self.id,
            pid=os.getpid(),
            host=host_name(),
            boot_id=boot_id(),
            start_ticks=own_start_ticks() or 0,
            user=_user(),
            started_at=now,
            heartbeat_at=now,
            phases=phases,
            pids=pid_namespace(),
        )
        with CommitLock(session_dir):
            lease = read_lease(session_dir)
            others = self._beside(lease)
            self.dead = tuple(holder for holder in lease.holders if is_alive(holder) is False)
            """The runners before this one that died without giving the session back."""
            self.epoch = lease.epoch if others else newest_epoch(session_dir, lease) + 1
            self._lease = Lease(self.epoch, mode, (*others, own))
            self._seen = write_lease(session_dir, self._lease)
            """The lease and its bytes when it was last found in order."""

    def _beside(self, lease: Lease) -> tuple[Holder, ...]:
        """The holders that go on beside this one: runners of other phases that have not died."""
        if self.mode == "exclusive" or lease.mode == "exclusive":
            # We have the session's lock: whoever had it alone has it no more.
            return ()
        return tuple(
            holder
            for holder in lease.holders
            if is_alive(holder) is not False and not set(self._phases) & set(holder.phases)
        )

    def check(self) -> None:
        """Raise `FencedError` when another runner took over or this hold was given back. Under `CommitLock`."""
        self._now()

    def _now(self) -> tuple[Lease, Holder]:
        """The lease as it is and our place in it. Raises `FencedError`; `StoreError` when it cannot be read now."""
        lease, data = self._lease, b""
        try:
            data = durable.read_regular(self._dir / LEASE, SIZE_LIMIT)
            if data != self._seen:
                lease = parse_lease(data)
        except FileNotFoundError:
            lease = Lease(problem=f"{LEASE}: it is missing")
        except DamagedFile as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _PASSING:
                raise StoreError(
                    f"{error}; without it nobody can say whether session {self._dir.name} is still this runner's, so "
                    "nothing was committed. All commits are safe: resume goes on after the last one."
                ) from error
            lease = Lease(problem=str(error))
        own = self._own(lease)
        self._lease, self._seen = lease, data
        return lease, own

    def _own(self, lease: Lease) -> Holder:
        own = next((holder for holder in lease.holders if holder.id == self.id), None)
        if self._locks and own is not None and lease.epoch == self.epoch:
            return own
        name = self._dir.name
        if not self._locks:
            raise FencedError(
                f"Session {name} was given back by this runner; it cannot commit any more. All commits are safe."
            )
        if lease.problem is not None:
            raise FencedError(
                f"Session {name} lost its lease ({lease.problem}); this runner stops here. Its late result was not "
                "committed; all commits are safe: resume goes on after the last one."
            )
        raise FencedError(
            f"Another runner took session {name} over while this one was away; this one stops here. "
            "Its late result was not committed; all commits are safe."
        )

    def beat(self, phases: tuple[str, ...] = (), wait_seconds: float | None = None) -> None:
        """Say that this runner lives and which phases it runs. Raises `FencedError`, `StoreError`.

        Also from a thread beside the one that commits: what is known of the lease changes under `CommitLock` only,
        which is waited for so many seconds at most.
        """
        with CommitLock(self._dir, wait_seconds):
            lease, own = self._now()
            now = replace(own, heartbeat_at=self._clock(), phases=tuple(phases) or self._phases)
            lease = replace(
                lease, holders=tuple(now if holder is own else holder for holder in lease.holders)
            )
            self._seen = write_lease(self._dir, lease)
            self._lease = lease

    def release(self) -> None:
        """Give the session back; harmless when fenced or released already. The locks are freed in any case."""
        if not self._locks:
            return
        try:
            with CommitLock(self._dir):
                lease = read_lease(self._dir)
                left = tuple(holder for holder in lease.holders if holder.id != self.id)
                if len(left) != len(lease.holders):
                    write_lease(self._dir, replace(lease, holders=left))
        finally:
            for lock in reversed(self._locks):
                lock.free()
            self._locks = []

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            self.release()
        except MaestroError as problem:
            if error is None:
                raise
            # What went wrong first is what the operator must hear.
            error.add_note(str(problem))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def newest_epoch(session_dir: Path, lease: Lease) -> int:
    """The highest epoch that the lease or a commit speaks of, so that a lost lease never lowers it."""
    history = session_dir / "history"
    try:
        names = sorted((name for name in durable.names_in(history) if _COMMIT_FILE.match(name)), key=_number)
    except (FileNotFoundError, NotADirectoryError):
        return lease.epoch
    epochs = [lease.epoch]
    for name in reversed(names):
        try:
            found = _EPOCH.search(durable.read_start(history / name, _ENVELOPE_BYTES))
        except (DamagedFile, FileNotFoundError):
            continue
        if found is not None:
            epochs.append(int(found[1]))
            # Epochs rise with the commits; only where the lease is lost as well is each one asked.
            if lease.problem is None:
                break
    return max(epochs)


def _number(name: str) -> int:
    return int(name.partition(".")[0])


# ── Taking hold ───────────────────────────────────────────────────────────────────────────────────────────


def hold_session(session_dir: Path, clock: Clock = time.time) -> Hold:
    """Become the one driver of a session. Raises `HeldError` with who it is, `StoreError`."""
    session = _session_lock(session_dir, clock)
    _require_alone(session_dir, [session], None, clock)
    return _hold(session_dir, [session], "exclusive", (), clock)


def _session_lock(session_dir: Path, clock: Clock) -> FileLock:
    make_lock_folder(session_dir)
    session = FileLock(session_dir / "locks" / "session")
    if not session.take():
        raise HeldError(_who_holds(session_dir, None, clock()))
    return session


def hold_phase(session_dir: Path, phase: str, clock: Clock = time.time) -> Hold:
    """Become the one runner of one phase, beside runners of other phases. Raises as `hold_session`, and `InputError`."""
    problem = name_problem(phase)
    if problem is not None:
        raise InputError(f"{clean(phase, 80)!r} is no name for a phase: {problem}. Nothing was run.")
    make_lock_folder(session_dir)
    session = FileLock(session_dir / "locks" / "session")
    if not session.take(shared=True):
        raise HeldError(_who_holds(session_dir, None, clock()))
    own = FileLock(session_dir / "locks" / f"{phase}.phase")
    taken = False
    try:
        taken = own.take()
    finally:
        if not taken:
            session.free()
    if not taken:
        raise HeldError(_who_holds(session_dir, phase, clock()))
    _require_alone(session_dir, [session, own], phase, clock)
    return _hold(session_dir, [session, own], "shared", (phase,), clock)


def take_over(session_dir: Path, clock: Clock = time.time) -> Hold:
    """Become the driver although a stopped or unreachable runner has the locks: an operator's decision.

    Its locks are put out of force, and its next commit is refused. Raises as `hold_session`.
    """
    locks = session_dir / "locks"
    make_lock_folder(session_dir)
    commit = CommitLock(session_dir, STOPPED_SECONDS)
    stopped_within = not commit.take()
    try:
        with durable.told("open", locks):
            for name in durable.names_in(locks):
                if name == "session" or name.endswith(".phase") or (name == COMMIT and stopped_within):
                    (locks / name).unlink(missing_ok=True)
    finally:
        commit.free()
    return _hold(session_dir, [_session_lock(session_dir, clock)], "exclusive", (), clock)


def _require_alone(session_dir: Path, locks: list[FileLock], phase: str | None, clock: Clock) -> None:
    """Raise `HeldError`, and free the locks, when a runner goes on whom they should have kept out or have waited for.

    Over sshfs and in folders that are shared with a virtual machine, a lock holds on one computer (or mount) only.
    Of another one's runner nobody can ask whether it lives; but then it renews its name in the lease.
    """
    try:
        before = _displaced(session_dir, phase, clock)
        deadline = time.monotonic() + UNLOCKED_SECONDS
        while before and time.monotonic() < deadline:
            time.sleep(UNLOCKED_PAUSE)
            now = _displaced(session_dir, phase, clock)
            if any(now.get(one, beat) != beat for one, beat in before.items()):
                raise HeldError(_who_holds(session_dir, phase, clock()))
            before = {one: beat for one, beat in before.items() if one in now}
    except BaseException:
        for lock in locks:
            lock.free()
        raise


def _displaced(session_dir: Path, phase: str | None, clock: Clock) -> dict[str, float]:
    """Those who stand in the lease beside our locks, who may live in another process: id → last heartbeat."""
    lease = read_lease(session_dir)
    return {
        holder.id: holder.heartbeat_at
        for holder in lease.holders
        if is_alive(holder) is not False
        and not (holder.host == host_name() and holder.pid == os.getpid())
        and (phase is None or lease.mode == "exclusive" or phase in holder.phases)
        and not clock() - holder.heartbeat_at > SILENT_SECONDS
    }


def _hold(
    session_dir: Path, locks: list[FileLock], mode: Mode, phases: tuple[str, ...], clock: Clock
) -> Hold:
    try:
        return Hold(session_dir, locks, mode, phases, clock)
    except BaseException:
        for lock in locks:
            lock.free()
        raise


def held_by(session_dir: Path, phase: str | None, now: float) -> str | None:
    """Who keeps a session (or one phase of it) from being run, as `hold_…` would say it; None when nobody does.

    Takes no lock: an answer for plans, which the locks then decide.
    """
    lease = read_lease(session_dir)
    alive = [holder for holder in lease.holders if is_alive(holder) is not False]
    if not alive:
        return None
    if phase is not None and lease.mode == "shared" and not any(phase in holder.phases for holder in alive):
        return None
    return _who_holds(session_dir, phase if lease.mode == "shared" else None, now)


def phases_held(session_dir: Path) -> frozenset[str]:
    """The phases that living runners say they run. Takes no lock."""
    alive = [holder for holder in read_lease(session_dir).holders if is_alive(holder) is not False]
    return frozenset(phase for holder in alive for phase in holder.phases)


def _who_holds(session_dir: Path, phase: str | None, now: float) -> str:
    what = f"Phase {phase!r} of session" if phase else "Session"
    name = clean(session_dir.name, 130)
    lease, holders = _named(session_dir, phase)
    if not holders:
        return (
            f"{what} {name} is held by another runner that is just starting or ending: {NAMING_SECONDS:g} s were not "
            f"enough for its name to stand in {LEASE}. Try again in a moment. Nothing was run."
        )
    newest = max(holders, key=lambda holder: holder.heartbeat_at)
    who = owner_of(newest, lease.epoch, now)
    running = f", running {', '.join(who.phases)}" if who.phases else ""
    return (
        f"{what} {name} is held by {who.words()} (host {who.host}, user {who.user or 'unknown'}, for "
        f"{format_duration(now - who.started_at)}{running}). Nothing was run."
    )


def _named(session_dir: Path, phase: str | None) -> tuple[Lease, list[Holder]]:
    """The lease with those in it who hold the session (or that phase); waits a little for their names.

    Who gets a lock enters itself a moment later: until then the lease names nobody, or those who run other phases.
    """
    deadline = time.monotonic() + NAMING_SECONDS
    while True:
        lease = read_lease(session_dir)
        holders = [holder for holder in lease.holders if is_alive(holder) is not False]
        if phase is not None:
            holders = [holder for holder in holders if phase in holder.phases]
        if holders or time.monotonic() >= deadline:
            return lease, holders
        time.sleep(NAMING_PAUSE)
