"""Who may run a session: kernel locks decide, and `runner.json` says who it is and fences the late."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from maestro_tui.model.errors import DamagedFile, FencedError, HeldError, StoreError
from maestro_tui.model.summary import Owner
from maestro_tui.model.text import clean, format_duration
from maestro_tui.store import durable

LEASE = "runner.json"
_LIMIT = 1_000_000
_EPOCH = re.compile(rb'\n  "epoch": (\d{1,15}),')


@cache
def boot_id() -> str:
    """Something that differs after each boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a process of this computer began, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if len(fields) < 20 or fields[0] in "ZX" else int(fields[19])


class _Lock:
    """A kernel lock on a file, for as long as its descriptor is open; never inherited by children."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600
            )
        except OSError as error:
            raise StoreError(f"Cannot open the lock {clean(str(path), 300)}: {error.strerror}.") from error

    def take(self, how: int) -> bool:
        """True when the lock was taken; False when it is held elsewhere."""
        try:
            fcntl.flock(self._fd, how)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StoreError(f"Cannot lock {clean(str(self.path), 300)}: {error.strerror}.") from error
        return True

    def free(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Commit:
    """`locks/commit`, held for the few milliseconds of one commit or one change of the lease."""

    def __init__(self, session_dir: Path) -> None:
        self._lock = _Lock(session_dir / "locks" / "commit")

    def __enter__(self) -> Commit:
        self._lock.take(fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.free()


class Hold:
    """The right to run a session or one of its phases. A context manager; `release` gives it back."""

    def __init__(
        self,
        session_dir: Path,
        locks: list[_Lock],
        mode: Literal["exclusive", "shared"],
        phases: tuple[str, ...],
        clock: Callable[[], float],
    ) -> None:
        self._dir, self._locks, self.mode, self._clock = session_dir, locks, mode, clock
        self.id = secrets.token_hex(8)
        self.epoch = 0
        self._phases = phases
        now = clock()
        with Commit(session_dir):
            lease = read_lease(session_dir)
            others = [] if mode == "exclusive" else [h for h in lease["holders"] if _alive(h) is not False]
            # A power cut may have taken the lease's file, never a commit: no epoch is used twice.
            newest = max(lease["epoch"], _committed_epoch(session_dir))
            self.epoch = lease["epoch"] if others else newest + 1
            own = {
                "id": self.id,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "boot_id": boot_id(),
                "start_ticks": start_ticks(os.getpid()) or 0,
                "user": _user(),
                "started_at": now,
                "heartbeat_at": now,
                "phases": list(phases),
            }
            self._write({"epoch": self.epoch, "mode": mode, "holders": [*others, own]})

    def _write(self, lease: dict[str, Any], *, sync: bool = True) -> None:
        durable.replace(self._dir / LEASE, (json.dumps(lease) + "\n").encode(), sync=sync)

    def check(self) -> None:
        """Raise `FencedError` when another runner took over. Call under `Commit`."""
        lease = read_lease(self._dir)
        if lease["epoch"] != self.epoch or not any(h.get("id") == self.id for h in lease["holders"]):
            raise FencedError(
                f"Another runner took session {self._dir.name} over while this one was away; "
                "this one stops here. Its late result was not committed; all commits are safe."
            )

    def beat(self, phases: tuple[str, ...]) -> None:
        """Say that this runner lives and what it runs. Raises `FencedError`, `StoreError`."""
        with Commit(self._dir):
            self.check()
            lease = read_lease(self._dir)
            for holder in lease["holders"]:
                if holder.get("id") == self.id:
                    holder["heartbeat_at"] = self._clock()
                    holder["phases"] = list(phases or self._phases)
            # Only the epoch must outlive a power cut: it ends every heartbeat anyway.
            self._write(lease, sync=False)

    def release(self) -> None:
        """Give the session back; harmless when fenced or released already."""
        if not self._locks:
            return
        try:
            with Commit(self._dir):
                lease = read_lease(self._dir)
                left = [h for h in lease["holders"] if h.get("id") != self.id]
                if len(left) != len(lease["holders"]):
                    self._write({**lease, "holders": left})
        finally:
            for lock in reversed(self._locks):
                lock.free()
            self._locks = []

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()


def _committed_epoch(session_dir: Path) -> int:
    """The epoch of the newest commit whose beginning can be read; 0 when there is none."""
    try:
        names = sorted(name for name in os.listdir(session_dir / "history") if name.endswith(".json"))  # noqa: PTH208
    except OSError:
        return 0
    for name in reversed(names):
        try:
            with (session_dir / "history" / name).open("rb") as stream:
                found = _EPOCH.search(stream.read(4096))
        except OSError:
            continue
        if found is not None:
            return int(found[1])
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def hold_session(session_dir: Path, *, clock: Callable[[], float] = time.time) -> Hold:
    """Become the one driver of a session. Raises `HeldError` with who it is."""
    durable.make_dir(session_dir / "locks")
    session = _Lock(session_dir / "locks" / "session")
    if not session.take(fcntl.LOCK_EX | fcntl.LOCK_NB):
        session.free()
        raise HeldError(_held(session_dir, None, clock()))
    return _hold(session_dir, [session], "exclusive", (), clock)


def hold_phase(session_dir: Path, phase: str, *, clock: Callable[[], float] = time.time) -> Hold:
    """Become the one runner of one phase, beside runners of other phases. Raises `HeldError`."""
    durable.make_dir(session_dir / "locks")
    session = _Lock(session_dir / "locks" / "session")
    if not session.take(fcntl.LOCK_SH | fcntl.LOCK_NB):
        session.free()
        raise HeldError(_held(session_dir, None, clock()))
    own = _Lock(session_dir / "locks" / f"{phase}.phase")
    if not own.take(fcntl.LOCK_EX | fcntl.LOCK_NB):
        own.free()
        session.free()
        raise HeldError(_held(session_dir, phase, clock()))
    return _hold(session_dir, [session, own], "shared", (phase,), clock)


def _hold(
    session_dir: Path,
    locks: list[_Lock],
    mode: Literal["exclusive", "shared"],
    phases: tuple[str, ...],
    clock: Callable[[], float],
) -> Hold:
    try:
        return Hold(session_dir, locks, mode, phases, clock)
    except BaseException:
        for lock in locks:
            lock.free()
        raise


def _held(session_dir: Path, phase: str | None, now: float) -> str:
    holders = [h for h in read_lease(session_dir)["holders"] if _alive(h) is not False]
    if phase is not None:
        holders = [h for h in holders if phase in h.get("phases", [])] or holders
    what = f"Phase {phase!r} of session" if phase else "Session"
    if not holders:
        return (
            f"{what} {session_dir.name} is being taken by another runner right now; look again in a moment."
        )
    who = _owner(holders[-1], now)
    running = f", running {', '.join(who.phases)}" if who.phases else ""
    return (
        f"{what} {session_dir.name} is held by {who.words()} (user {who.user or 'unknown'}, "
        f"for {format_duration(now - who.started_at)}{running}). Nothing was run."
    )


def read_lease(session_dir: Path) -> dict[str, Any]:
    """`{epoch, mode, holders}`; that of nobody when the file is missing or damaged."""
    nobody: dict[str, Any] = {"epoch": 0, "mode": "exclusive", "holders": []}
    try:
        value = json.loads(durable.read_regular(session_dir / LEASE, _LIMIT))
    except (FileNotFoundError, DamagedFile, ValueError, RecursionError):
        return nobody
    if not isinstance(value, dict) or not isinstance(value.get("epoch"), int):
        return nobody
    holders = value.get("holders")
    value["holders"] = [h for h in holders if isinstance(h, dict)] if isinstance(holders, list) else []
    return value


def _alive(holder: dict[str, Any]) -> bool | None:
    if holder.get("host") != socket.gethostname():
        return None
    if holder.get("boot_id") != boot_id():
        return False
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    return start_ticks(pid) == holder.get("start_ticks")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _owner(holder: dict[str, Any], now: float) -> Owner:
    phases = holder.get("phases")
    return Owner(
        pid=int(_number(holder.get("pid"))),
        host=clean(holder.get("host", ""), 64),
        user=clean(holder.get("user", ""), 64),
        started_at=_number(holder.get("started_at")) or now,
        heartbeat_at=_number(holder.get("heartbeat_at")),
        here=holder.get("host") == socket.gethostname() and holder.get("boot_id") == boot_id(),
        alive=_alive(holder),
        epoch=0,
        phases=tuple(clean(name, 64) for name in phases) if isinstance(phases, list) else (),
    )


def read_owner(session_dir: Path, now: float) -> Owner | None:
    """Who runs the session, or died running it; None when nobody does. Takes no lock."""
    owners = [_owner(holder, now) for holder in read_lease(session_dir)["holders"]]
    if not owners:
        return None
    best = max(owners, key=lambda owner: (owner.alive is not False, owner.heartbeat_at))
    merged = dict.fromkeys(name for owner in owners if owner.alive is not False for name in owner.phases)
    return (
        best
        if best.alive is False
        else Owner(
            best.pid,
            best.host,
            best.user,
            best.started_at,
            best.heartbeat_at,
            best.here,
            best.alive,
            best.epoch,
            tuple(merged),
        )
    )
