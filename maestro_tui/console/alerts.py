"""Tells an operator who looks elsewhere that a session began to wait, failed or completed.

What to say and when is decided purely (`Watch`); `Alerter` rings, writes to the terminal and runs the user's
command. Nothing is said while the terminal is focused, and never more than once a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.settings import Notify
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

BETWEEN = 1.0
"""Least seconds between two alerts."""
MOST_NAMED = 4
COMMAND_SECONDS = 10.0
"""How long the user's command may take before it is killed."""
_VERBS = MappingProxyType({"waiting": "waits for you", "failed": "failed", "completed": "completed"})
_URGENCY = ("waiting", "failed", "completed")


@dataclass(frozen=True, slots=True)
class Change:
    """A session came to a status of which the operator wants to hear."""

    session_id: str
    status: str
    phase: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told at once, of one session or of several."""

    text: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """All that decides the next alert; never changed, each step gives the next one."""

    known: Mapping[str, SessionSummary] | None = None
    """The sessions as they were seen last; None before the first whole reading."""
    pending: tuple[Change, ...] = ()
    said_at: float = float("-inf")

    def seen(self, snapshot: FleetSnapshot, focused: bool) -> Watch:
        """After a newer state of all sessions. What changes under the operator's eyes is not told again."""
        if snapshot.loading:
            return self
        if self.known is None:
            return replace(self, known=snapshot.sessions)
        found = changes(self.known, snapshot.sessions)
        gone = {change.session_id for change in found}
        kept = () if focused else (*(one for one in self.pending if one.session_id not in gone), *found)
        still = tuple(one for one in kept if _still(one, snapshot.sessions))
        return replace(self, known=snapshot.sessions, pending=still)

    def due(self, now: float, focused: bool) -> tuple[Watch, Alert | None]:
        """What to tell now, if anything: all that is pending in one alert."""
        if focused:
            return (replace(self, pending=()) if self.pending else self), None
        if not self.pending or 0 <= now - self.said_at < BETWEEN:
            return self, None
        alert = Alert(alert_text(self.pending), self.pending)
        return replace(self, pending=(), said_at=now), alert


def changes(before: Mapping[str, SessionSummary], after: Mapping[str, SessionSummary]) -> tuple[Change, ...]:
    """The sessions that began to wait, failed or completed between two states."""
    found = []
    for session_id, summary in after.items():
        old = before.get(session_id)
        # Sessions that did not change are the same objects: ten thousand of them cost next to nothing.
        if old is summary or summary.status not in _URGENCY:
            continue
        if old is not None and old.status == summary.status and not _again(old, summary):
            continue
        if old is None and summary.foreign is not None:
            continue
        phase = summary.current
        found.append(
            Change(
                session_id,
                summary.status.value,
                phase.name if phase is not None else "",
                summary.error or "" if summary.status == "failed" else "",
            )
        )
    return tuple(found)


def _again(old: SessionSummary, new: SessionSummary) -> bool:
    """True when it came to the same status anew: by another attempt, at another phase, with another question."""
    one, two = old.current, new.current
    if one is not None and two is not None and two.asking not in (None, one.asking):
        return True
    return new.seq != old.seq and (
        (one.name, one.attempt) != (two.name, two.attempt) if one and two else one is not two
    )


def _still(change: Change, sessions: Mapping[str, SessionSummary]) -> bool:
    summary = sessions.get(change.session_id)
    return summary is not None and summary.status == change.status


def alert_text(found: Sequence[Change]) -> str:
    """One clean line about these changes, the most urgent first; at most a few sessions are named."""
    ordered = sorted(found, key=lambda change: _URGENCY.index(change.status))
    if len(ordered) == 1:
        change = ordered[0]
        words = f"{clean(short_id(change.session_id), 60)} {_VERBS[change.status]}"
        if change.phase and change.status != "completed":
            words += f" at {clean(change.phase, 40)}"
        return words + (f": {clean(change.reason, 120)}" if change.reason else "")
    named = [
        f"{clean(short_id(change.session_id), 40)} {_VERBS[change.status]}" for change in ordered[:MOST_NAMED]
    ]
    more = len(ordered) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def terminal_sequence(text: str) -> str:
    """The OSC 9 notification. The text begins with our name: a number in its place would be a progress bar."""
    return f"\x1b]9;maestro: {clean(text, 240)}\x07"


def command_environment(alert: Alert, environ: Mapping[str, str]) -> dict[str, str]:
    """What the user's command is told: `MAESTRO_ALERT`, and of the most urgent session its id and status."""
    first = min(alert.changes, key=lambda change: _URGENCY.index(change.status))
    return {
        **environ,
        "MAESTRO_ALERT": alert.text,
        "MAESTRO_ALERT_SESSION": clean(first.session_id, 200),
        "MAESTRO_ALERT_STATUS": first.status,
    }


async def run_command(argv: Sequence[str], alert: Alert, seconds: float = COMMAND_SECONDS) -> str | None:
    """Run the user's command with the alert as its last word; a sentence when it could not do its work."""
    name = clean(argv[0], 80)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            alert.text,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=command_environment(alert, os.environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return f"The command for notifications, {name}, cannot be started: {clean(reason or error, 120)}."
    try:
        code = await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return f"The command for notifications, {name}, took more than {seconds:g} s and was ended."
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return None if code == 0 else f"The command for notifications, {name}, ended with code {code}."


class Alerter:
    """Carries out what `Watch` decides."""

    def __init__(
        self,
        notify: Notify,
        run: Callable[[Sequence[str], Alert], Awaitable[str | None]] = run_command,
    ) -> None:
        self.notify = notify
        self.watch = Watch()
        self._run = run
        self._told: set[str] = set()
        self._busy = False

    def look(self, app: MaestroApp, snapshot: FleetSnapshot) -> None:
        """Take in a newer state of all sessions."""
        self.watch = self.watch.seen(snapshot, app.app_focus)
        self.tick(app)

    def tick(self, app: MaestroApp) -> None:
        """Tell what is due."""
        self.watch, alert = self.watch.due(app.clock(), app.app_focus)
        if alert is None:
            return
        if self.notify.bell:
            app.bell()
        if self.notify.terminal:
            app.write_terminal(terminal_sequence(alert.text))
        if self.notify.command and not self._busy:
            self._busy = True
            app.run_worker(self._command(app, alert), group="alert", exit_on_error=False)

    async def _command(self, app: MaestroApp, alert: Alert) -> None:
        try:
            problem = await self._run(self.notify.command, alert)
        finally:
            self._busy = False
        # Once is enough: a wrong command would else be told of at every change.
        if problem is not None and problem not in self._told:
            self._told.add(problem)
            app.say(problem, severity="warning")
