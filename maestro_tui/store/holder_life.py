"""Says of each runner that a session's lease names what became of it: alive, stopped, ended, unreachable, and how."""

from __future__ import annotations

import os
from pathlib import Path

from maestro_tui.model.summary import Owner
from maestro_tui.model.text import format_duration
from maestro_tui.store.runner_file import (
    Holder,
    Lease,
    boot_id,
    host_name,
    is_alive,
    owner_of,
    process_state,
    read_lease,
)

ALIVE = "alive"


def condition_of(holder: Holder) -> str:
    """What became of a runner, as the end of a sentence; `alive` when there is nothing more to say."""
    if holder.host != host_name():
        return "on another computer, it cannot be seen from here whether it lives"
    if holder.boot_id != boot_id():
        return "ended with the last boot of this computer at the latest"
    if is_alive(holder) is None:
        return "in another container of this computer, it cannot be seen from here whether it lives"
    found = process_state(holder.pid)
    if found is None:
        return ALIVE if is_alive(holder) else "ended without giving it back"
    state, ticks = found
    if ticks != holder.start_ticks:
        return "ended without giving it back; its number belongs to another process now"
    if state in "ZXx":
        return "ended without giving it back; its parent has not collected it yet (a zombie)"
    if state in "Tt":
        return "alive but stopped (by SIGSTOP, ctrl+z or a debugger); it goes on with SIGCONT"
    return ALIVE


def owner_condition(session_dir: Path, owner: Owner) -> str:
    """The condition of the runner that is shown as the session's owner."""
    holders = read_lease(session_dir).holders
    found = next(
        (one for one in holders if (one.pid, one.heartbeat_at) == (owner.pid, owner.heartbeat_at)), None
    )
    if found is not None:
        return condition_of(found)
    return "gone since a moment ago"


def holder_lines(session_dir: Path, now: float, *, living: bool = True) -> list[str]:
    """A line for each runner that the lease names, and one when the lock file of a living one is gone.

    Without `living` those of whom there is nothing more to say than that they live are left out.
    """
    return lease_lines(read_lease(session_dir), session_dir, now, living=living)


def lease_lines(lease: Lease, session_dir: Path, now: float, *, living: bool = True) -> list[str]:
    """As `holder_lines`, of a lease that was read."""
    lines = []
    for holder in lease.holders:
        condition = condition_of(holder)
        if condition == ALIVE and not living:
            continue
        who = owner_of(holder, lease.epoch, now)
        running = f", running {', '.join(who.phases)}" if who.phases else ""
        beat = format_duration(now - who.heartbeat_at)
        lines.append(
            f"{who.words()} (user {who.user or 'unknown'}{running}): {condition}; heartbeat {beat} ago"
        )
    lock = f"{session_dir}/locks/session"
    if any(is_alive(holder) for holder in lease.holders) and not os.path.lexists(lock):
        lines.append(
            "its lock file locks/session was removed: another runner can take the session at any time, and what "
            "this one commits after that is refused"
        )
    return lines
