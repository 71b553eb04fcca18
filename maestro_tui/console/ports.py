"""What the console needs from outside: a source of snapshots and a host that runs sessions.

Tests put their own in; `production.py` has the real ones. Nothing heavy is imported here, because the
first paint waits for this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from maestro_tui.model.summary import FleetSnapshot

if TYPE_CHECKING:
    from maestro_tui.engine.launch import Launch
    from maestro_tui.model.plan import Plan


class Source(Protocol):
    """Hands over immutable snapshots of all sessions, from a thread of its own."""

    def start(self, post: Callable[[FleetSnapshot], None]) -> None:
        """Begin; `post` may be called from any thread."""

    def stop(self) -> None:
        """End soon; no snapshot is posted afterwards."""


class Host(Protocol):
    """Runs sessions in this process. Planning reads the disk for milliseconds; the rest returns at once.

    Refusals are `MaestroError`s whose text is the whole sentence.
    """

    def plan_resume(self, session_id: str, from_phase: str | None = None) -> Plan:
        """What resuming, or rerunning from a phase, would do."""

    def plan_phase(self, session_id: str, phase: str) -> Plan:
        """What running one phase alone would do."""

    def plan_launch(self, launch: Launch) -> Plan:
        """What a new session would do."""

    def launch(self, launch: Launch) -> str:
        """Start a new session; its id."""

    def resume(
        self,
        session_id: str,
        plan_hash: str | None = None,
        from_phase: str | None = None,
        *,
        trust: bool = False,
    ) -> None:
        """Go on as planned; refused when the session has changed since, or names untrusted commands."""

    def run_phase(
        self, session_id: str, phase: str, plan_hash: str | None = None, *, trust: bool = False
    ) -> None:
        """Run one phase alone, as planned."""

    def approve(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record the approval of a waiting phase."""

    def reject(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record the refusal of a waiting phase."""

    def push_back(self, session_id: str, phase: str | None, by: str | None = None, reason: str = "") -> None:
        """Record that a waiting phase is to be done again, with comments."""

    def cancel(self, session_id: str) -> bool:
        """Stop a session that runs here, at once and resumably; False when it does not run here."""

    def running(self) -> tuple[str, ...]:
        """The sessions that run in this process."""

    def problems(self) -> list[tuple[str, str]]:
        """What went wrong since the last call: (session id, sentence)."""

    def stop_all(self, timeout: float = 5.0) -> tuple[str, ...]:
        """Stop everything that runs here, resumably; the ids of those that did not stop in time."""
