"""Lets a person's act on a phase be recorded beside a running session, unless a running phase is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from maestro_tui.engine.attempts import AttemptReader
from maestro_tui.model.errors import HeldError
from maestro_tui.store.runner_file import Holder, is_alive, owner_of, read_lease

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine

_DRIFT_SECONDS = 1.0
"""An attempt that began so long before its session's runner came is that of a dead one."""


def check_for(engine: Engine, session_id: str, phases: Iterable[str]) -> Callable[[], None]:
    """What to ask under the commit lock: raises `HeldError` while one of `phases` (names as given), or one that
    depends on it and so reads what it left, is running.

    A runner begins a phase under the same lock, and only when nothing was committed since its plan: what was
    recorded here before that is in the plan, and what began before that is seen here.
    """
    reader = AttemptReader(engine.store.session_dir(session_id))
    reader.read()  # so that little is left to be read under the lock

    def check() -> None:
        running = _running(engine, session_id, reader)
        if not running:
            return
        workflow = engine.situation(session_id, need_workspace=False).workflow
        for given in phases:
            name = workflow.resolve(given)
            behind = workflow.dependents_of(name)
            for one in (name, *(other for other in workflow.order if other in behind)):
                if one in running:
                    reads = "" if one == name else f", which reads what {name!r} leaves,"
                    raise HeldError(
                        f"Phase {one!r} of session {session_id}{reads} is running now ({running[one]}). Wait until it "
                        "has ended, or cancel it. Nothing was changed."
                    )

    return check


def _running(engine: Engine, session_id: str, reader: AttemptReader) -> dict[str, str]:
    """Phase → who runs it now."""
    lease = read_lease(engine.store.session_dir(session_id))
    living = [holder for holder in lease.holders if is_alive(holder) is not False]
    if not living:
        return {}
    begun, results = reader.read(), engine.store.head(session_id).context.phase_results
    unfinished = {
        name for name, number in begun.open.items() if name not in results or results[name].attempt < number
    }

    def runs(holder: Holder) -> set[str]:
        if lease.mode == "shared":
            return set(holder.phases)
        since = holder.started_at - _DRIFT_SECONDS
        return {name for name in unfinished if name in holder.phases or begun.since[name] >= since}

    now = engine.team.clock()
    return {name: owner_of(holder, lease.epoch, now).words() for holder in living for name in runs(holder)}
