"""Ends the process that runs a session when it is another one of this user on this computer; never a stranger.

The process is pinned before it is compared with the lease, so that a number which the system has given to
another process meanwhile is never signalled.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import Owner
from maestro_tui.model.text import clean
from maestro_tui.store.lease import read_owner


def stop_runner(session_dir: Path, owner: Owner, *, force: bool = False) -> None:
    """Send SIGTERM, with `force` SIGKILL, to the runner that the operator was shown. Raises `InputError`."""
    name = clean(session_dir.name, 80)
    if not owner.here:
        raise InputError(f"{owner.words()} is on another computer; stop it there. Nothing was stopped.")
    if owner.pid == os.getpid():
        raise InputError(f"Session {name} runs in this very console; x cancels it. Nothing was stopped.")
    try:
        pinned = os.pidfd_open(owner.pid)
    except ProcessLookupError as error:
        raise InputError(
            f"pid {owner.pid} has ended already; nothing was stopped. r resumes {name}."
        ) from error
    except (OSError, AttributeError) as error:
        raise InputError(
            f"pid {owner.pid} cannot be reached from here ({clean(error, 100)}); nothing was stopped."
        ) from error
    try:
        now = read_owner(session_dir, time.time())
        if now is None or now.alive is not True or (now.pid, now.epoch) != (owner.pid, owner.epoch):
            raise InputError(f"pid {owner.pid} does not run {name} any more; nothing was stopped.")
        if Path(f"/proc/{owner.pid}").stat().st_uid != os.geteuid():
            raise InputError(
                f"pid {owner.pid} belongs to {owner.user or 'another user'}; nothing was stopped."
            )
        signal.pidfd_send_signal(pinned, signal.SIGKILL if force else signal.SIGTERM)
    except OSError as error:
        reason = clean(error.strerror or error, 100)
        raise InputError(f"pid {owner.pid} cannot be signalled: {reason}. Nothing was stopped.") from error
    finally:
        os.close(pinned)
