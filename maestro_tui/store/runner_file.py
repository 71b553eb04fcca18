"""Reads and writes `runner.json`: who holds a session, and whether that process still lives."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.summary import Owner
from maestro_tui.model.text import clean
from maestro_tui.store import durable

LEASE = "runner.json"
SIZE_LIMIT = 1_000_000
_MOST_HOLDERS = 1_000
_MOST_PHASES = 1_000
_BIGGEST = 2**53

Mode = Literal["exclusive", "shared"]


@dataclass(frozen=True, slots=True)
class Holder:
    """One runner as it entered itself. `start_ticks` tells its pid from a later use of the same number.

    `pids` names what its pid counts in (a container may have numbers of its own); empty where nobody tells.
    """

    id: str
    pid: int
    host: str
    boot_id: str
    start_ticks: int
    user: str
    started_at: float
    heartbeat_at: float
    phases: tuple[str, ...] = ()
    pids: str = ""


_FIELDS = tuple(one.name for one in fields(Holder))


@dataclass(frozen=True, slots=True)
class Lease:
    """The content of `runner.json`. `problem`: why it says nothing, one line; None when it was readable."""

    epoch: int = 0
    mode: Mode = "exclusive"
    holders: tuple[Holder, ...] = ()
    problem: str | None = None
    lost: bool = False
    """There is no byte of it: what a power loss leaves of a file that is not synced."""

    @property
    def damage(self) -> str | None:
        """The problem, unless the lease was merely lost: then nobody holds the session, and nothing is wrong with it."""
        return None if self.lost else self.problem


# ── This computer ─────────────────────────────────────────────────────────────────────────────────────────


@cache
def boot_id() -> str:
    """Something that differs after each boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@cache
def pid_namespace() -> str:
    """What the process numbers here count in, `pid:[…]`; empty where the system does not tell."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def host_name() -> str:
    """The name of this computer."""
    return socket.gethostname()


_found: ContextVar[dict[int, tuple[str, int] | None] | None] = ContextVar("_found", default=None)


@contextmanager
def each_process_once() -> Iterator[None]:
    """Within, a process is looked at once: for those who ask at one moment of all sessions, which share runners."""
    token = _found.set({})
    try:
        yield
    finally:
        _found.reset(token)


def process_state(pid: int) -> tuple[str, int] | None:
    """State (one letter, as proc(5) has it) and beginning (clock ticks since boot) of a process; None when it is gone."""
    known = _found.get()
    if known is None:
        return _look_at(pid)
    if pid not in known:
        known[pid] = _look_at(pid)
    return known[pid]


def _look_at(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, ValueError):
        return None
    # The second field is the program's name in brackets; it may hold anything, brackets and blanks too.
    fields = text.rpartition(b")")[2].split()
    if len(fields) < 20 or not fields[19].isdigit():
        return None
    return fields[0].decode("ascii", "replace"), int(fields[19])


def start_ticks(pid: int) -> int | None:
    """When a process of this computer began, in clock ticks since boot; None when it is gone or a zombie."""
    found = process_state(pid)
    return None if found is None or found[0] in "ZXx" else found[1]


@cache
def own_start_ticks() -> int | None:
    """When this process began, as `start_ticks`; asked once, since the system takes its time to tell."""
    return start_ticks(os.getpid())


os.register_at_fork(after_in_child=own_start_ticks.cache_clear)


def is_alive(holder: Holder) -> bool | None:
    """Whether the runner still runs; None when it is one of another computer or container, which cannot be asked."""
    if holder.host != host_name():
        return None
    if holder.boot_id != boot_id() or not 0 < holder.pid < 2**31:
        return False
    if holder.pids and pid_namespace() not in ("", holder.pids):
        return None
    if own_start_ticks() is not None:
        return start_ticks(holder.pid) == holder.start_ticks
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# ── The file ──────────────────────────────────────────────────────────────────────────────────────────────


def write_lease(session_dir: Path, lease: Lease) -> bytes:
    """Replace the lease; only under the commit lock. What was written. Raises `StoreError`.

    Not synced: it speaks of processes that live. A power loss ends them all, and what it leaves of the lease can
    only say that a dead one lived; epochs never go back behind the newest commit's.
    """
    holders = [{name: getattr(holder, name) for name in _FIELDS} for holder in lease.holders]
    value = {"epoch": lease.epoch, "mode": lease.mode, "holders": holders}
    data = (json.dumps(value) + "\n").encode()
    durable.replace(session_dir / LEASE, data, synced=False)
    return data


def read_lease(session_dir: Path) -> Lease:
    """The lease as it is; that of nobody, with the problem, when it is missing or damaged."""
    try:
        return parse_lease(durable.read_regular(session_dir / LEASE, SIZE_LIMIT))
    except FileNotFoundError:
        return Lease(problem=f"{LEASE}: it is missing", lost=True)
    except DamagedFile as error:
        return Lease(problem=str(error))


def parse_lease(data: bytes) -> Lease:
    """The lease in a file's bytes; that of nobody, with the problem, when they are none."""
    if not data.strip(b"\0"):
        return Lease(problem=f"{LEASE}: it is empty", lost=True)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        return Lease(problem=f"{LEASE}: it is not readable as JSON ({type(error).__name__})")
    if not isinstance(value, dict):
        return Lease(problem=f"{LEASE}: it is not a lease")
    epoch, holders = value.get("epoch"), value.get("holders")
    if not isinstance(epoch, int) or not _is_count(epoch) or not isinstance(holders, list):
        return Lease(problem=f"{LEASE}: it is not a lease")
    return Lease(
        epoch=epoch,
        mode="shared" if value.get("mode") == "shared" else "exclusive",
        holders=tuple(_holder(item) for item in holders[:_MOST_HOLDERS] if isinstance(item, dict)),
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _BIGGEST


def _holder(item: dict[str, Any]) -> Holder:
    def text(key: str) -> str:
        value = item.get(key)
        return value if isinstance(value, str) else ""

    def count(key: str) -> int:
        value = item.get(key)
        return value if isinstance(value, int) and _is_count(value) else 0

    def moment(key: str) -> float:
        value = item.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return 0.0
        return float(value) if abs(value) < _BIGGEST and math.isfinite(value) else 0.0

    phases = item.get("phases")
    return Holder(
        id=text("id"),
        pid=count("pid"),
        host=text("host"),
        boot_id=text("boot_id"),
        start_ticks=count("start_ticks"),
        user=text("user"),
        started_at=moment("started_at"),
        heartbeat_at=moment("heartbeat_at"),
        phases=tuple(name for name in phases[:_MOST_PHASES] if isinstance(name, str))
        if isinstance(phases, list)
        else (),
        pids=text("pids"),
    )


# ── For viewers ───────────────────────────────────────────────────────────────────────────────────────────


def owner_of(holder: Holder, epoch: int, now: float) -> Owner:
    """A holder as it may be shown."""
    return Owner(
        pid=holder.pid,
        host=clean(holder.host, 64),
        user=clean(holder.user, 64),
        started_at=holder.started_at or now,
        heartbeat_at=holder.heartbeat_at,
        here=holder.host == host_name()
        and holder.boot_id == boot_id()
        and holder.pids in ("", pid_namespace()),
        alive=is_alive(holder),
        epoch=epoch,
        phases=_names(holder.phases),
    )


def _names(phases: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clean(name, 64) for name in phases))


def living_runners(session_dir: Path) -> frozenset[str]:
    """The ids of the holders of a session that are not known to be dead. Takes no lock, never raises."""
    return frozenset(holder.id for holder in read_lease(session_dir).holders if is_alive(holder) is not False)


def read_owner(session_dir: Path, now: float) -> Owner | None:
    """Who runs the session, or died running it; None when nobody does. Takes no lock, never raises.

    Of several holders the living one with the newest heartbeat, with the phases of all that live.
    """
    return owner_in(read_lease(session_dir), now)


def owner_in(lease: Lease, now: float) -> Owner | None:
    """The owner that a lease names, as `read_owner`."""
    if not lease.holders:
        return None
    owners = [owner_of(holder, lease.epoch, now) for holder in lease.holders]
    best = max(owners, key=lambda owner: (owner.alive is not False, owner.heartbeat_at))
    if len(owners) == 1 or best.alive is False:
        return best
    running = _names(name for owner in owners if owner.alive is not False for name in owner.phases)
    return Owner(
        pid=best.pid,
        host=best.host,
        user=best.user,
        started_at=best.started_at,
        heartbeat_at=best.heartbeat_at,
        here=best.here,
        alive=best.alive,
        epoch=best.epoch,
        phases=running,
    )
