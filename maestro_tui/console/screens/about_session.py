"""What sheets about one session share: when the session changes meanwhile, what is asked is asked anew."""

from __future__ import annotations

from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.model.summary import FleetSnapshot, SessionSummary

CHANGED = "The session has changed since; this is how it is now."


class AboutSession(Sheet):
    """A sheet that asks about `session`, as it is on disk."""

    session: SessionSummary

    def about(self) -> tuple[str, ...]:
        """What a reason that is typed here belongs to."""
        return (type(self).__name__, self.session.session_id)

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Ask anew when the session has another commit or another runner than what is shown."""
        if not self.query("#sentence"):
            # It came before the sheet has its widgets.
            self.call_after_refresh(self.take_snapshot, snapshot)
            return
        before, now = self.session, snapshot.sessions.get(self.session.session_id)
        if now is None or self.busy or now is before:
            return
        self.session = now
        if state_of(before) != state_of(now):
            self.session_changed()

    def session_changed(self) -> None:
        """Show what is asked as it is now; what was shown before must not be confirmed any more."""
        self._load(CHANGED)

    def _load(self, note: str = "") -> None:
        """Read what is asked about; the note is told once that is shown."""
        self.run_worker(self._read(note), group="read", exclusive=True, exit_on_error=False)

    async def _read(self, note: str) -> None:
        raise NotImplementedError


def state_of(session: SessionSummary) -> tuple[object, ...]:
    """What a question about a session depends on: its newest commit, and who runs it."""
    owner = session.owner
    return (session.seq, session.sha256, owner and (owner.pid, owner.epoch, owner.alive))
