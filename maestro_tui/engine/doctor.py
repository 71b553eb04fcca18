"""Examines one session: who holds it, whether it lives, what is damaged, what resume would do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.decisions import recorded, tell
from maestro_tui.engine.report import plan_document, session_document
from maestro_tui.engine.situation import operator_name
from maestro_tui.model.errors import DamagedFile, InputError, MaestroError
from maestro_tui.model.text import clean
from maestro_tui.store.hive_folder import why_not_run
from maestro_tui.store.holder_life import ALIVE, holder_lines, owner_condition
from maestro_tui.store.lease import read_owner
from maestro_tui.store.lease import take_over as take_locks

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine

_OLD_HEARTBEAT = 60.0


def examine(engine: Engine, session_id: str) -> dict[str, Any]:
    """`{session_id, status, owner, holders, damage, plan, problem}`. Reads only. Raises `InputError`."""
    folder = engine.store.session_dir(session_id)
    if not folder.is_dir():
        raise InputError(
            why_not_run(engine.store.root, session_id)
            or f"There is no session {clean(session_id, 80)!r} in {engine.store.root}."
        )
    now = time.time()
    owner = read_owner(folder, now)
    found: dict[str, Any] = {
        "session_id": session_id,
        "status": None,
        "owner": None,
        "damage": list(engine.store.verify(session_id)),
        "plan": None,
        "problem": None,
    }
    found["holders"] = [clean(line, 600) for line in holder_lines(folder, now)]
    if owner is not None:
        found["owner"] = {
            "pid": owner.pid,
            "host": owner.host,
            "user": owner.user,
            "here": owner.here,
            "alive": owner.alive,
            "condition": owner_condition(folder, owner),
            "heartbeat_seconds_ago": round(max(0.0, now - owner.heartbeat_at), 1),
            "phases": list(owner.phases),
        }
    try:
        found["status"] = session_document(engine, session_id)["status"]
        found["plan"] = plan_document(engine.plan(session_id))
    except MaestroError as error:
        found["problem"] = str(error)
    return found


def quiet_words(owner: Mapping[str, Any]) -> str:
    """What it may mean that a living runner has written no heartbeat for long; empty when it has."""
    if owner["condition"] != ALIVE or owner["heartbeat_seconds_ago"] <= _OLD_HEARTBEAT:
        return ""
    return "It lives, but beats no more here: it hangs, or this folder is a copy of the one that it works in."


def doctor_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The findings on one screen."""
    session_id, owner = found["session_id"], found["owner"]
    yield f"{session_id}  {found['status'] or 'unreadable'}"
    if owner is None:
        yield "  Nobody holds it."
    else:
        for line in found["holders"]:
            yield f"  Held by {line}." if line.startswith("pid ") else f"  But {line}."
        quiet = quiet_words(owner)
        if quiet:
            yield f"  {quiet}"
        if owner["alive"] is not False:
            yield "  If it is stopped or unreachable for good, put it out of force (its late commits are refused):"
            yield f"    maestro-tui doctor {session_id} --take-over --reason '…'"
        else:
            yield f"  Nobody needs to be put out of force: maestro-tui resume {session_id} takes it up."
    for line in found["damage"]:
        yield f"  ✗ {clean(line, 300)}"
    if not found["damage"]:
        yield "  ✓ Every commit, the chain, the views and the journal are intact."
    if found["problem"]:
        yield f"  resume cannot go on: {clean(found['problem'], 400)}"
    elif found["plan"] is not None:
        yield "  resume would do:"
        phases = found["plan"]["phases"]
        width = max(len(planned["phase"]) for planned in phases)
        for planned in phases:
            waits = "  runs, then waits for your approval" if planned["approval"] else ""
            yield f"    {planned['phase']:<{width}}  {planned['action']:<8}  {clean(planned['reason'], 200)}{waits}"


def take_over(engine: Engine, session_id: str, *, by: str | None, reason: str) -> None:
    """Put whoever holds the session out of force; a recorded act. Raises `InputError` without a reason."""
    if not reason.strip():
        raise InputError("Say why with --reason: a takeover is recorded. Nothing was changed.")
    folder = engine.store.session_dir(session_id)
    if not engine.store.exists(session_id):
        raise InputError(f"There is no session {clean(session_id, 80)!r} in {engine.store.root}.")
    before = read_owner(folder, time.time())
    with take_locks(folder, engine.team.clock) as hold:
        engine.store.repair_views(session_id, alone=True)
        with suppress(DamagedFile):
            # A runner that was stopped within its commit finds its number taken when it goes on. Without any
            # intact commit there is nothing to follow: then the new epoch alone keeps it off.
            engine.store.commit(session_id, "init", 0, lambda head: (head.context, None), hold=hold)
        data = {
            "taken_over_by": by or operator_name(),
            "reason": recorded(reason),
            "from": before.words() if before is not None else "nobody",
            "epoch": hold.epoch,
        }
        tell(engine, session_id, "runner_lost", None, None, data)
