"""Ends the process that runs a session, when it is another one on this computer: first politely, then by force."""

from __future__ import annotations

from collections.abc import Iterable
from operator import methodcaller

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widget import Widget

from maestro_tui.console.fleet import ago
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean

GRACE = 6.0
"""Seconds for a runner to end its children and commit before force is offered."""


class KillSheet(ActSheet):
    """What exactly is stopped, and that it can be gone on with."""

    DOING = "Asking it to stop …"

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        assert session.owner is not None  # the action is not offered otherwise
        self.session, self.owner = session, session.owner
        self.force = self.asked = False
        self.no_words = "Leave it"

    def title_words(self) -> str:
        """What is asked."""
        return f"Stop pid {self.owner.pid}, which runs {short_id(self.session.session_id)}?"

    def facts(self) -> Iterable[Widget]:
        """Who it is, and what else it runs."""
        yield VerticalScroll(Block(self._words()), classes="list", can_focus=False)
        yield Block(
            "It gets SIGTERM: it ends its children, gives the session back and stops. What is committed stays; "
            "the phase under way runs again on resume.",
            id="means",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Stop it  y"

    def _words(self) -> Text:
        now, owner, styles = self.console.clock(), self.owner, palette(self)
        current = self.session.current
        text = Text(
            f"pid {owner.pid} of {clean(owner.user, 60) or 'unknown'} on this computer, "
            f"running for {ago(now - owner.started_at)}, last sign of life {ago(now - owner.heartbeat_at)} ago"
        )
        if current is not None:
            text.append(f"\nunder way: {current.name}", styles.style("muted"))
        others = [
            one.session_id
            for one in self.console.snapshot.sessions.values()
            if one.session_id != self.session.session_id
            and one.owner is not None
            and one.owner.alive is not False
            and (one.owner.pid, one.owner.here) == (owner.pid, True)
        ]
        if others:
            text.append(
                f"\nThe same process runs {len(others)} more, which stop{'s' if len(others) == 1 else ''} with it:",
                styles.style("phase-waiting"),
            )
            for name in others:
                text.append("\n  " + short_id(name))
        return text

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Close as soon as it has ended."""
        now = snapshot.sessions.get(self.session.session_id)
        if now is None:
            return
        same = now.owner is not None and (now.owner.pid, now.owner.epoch) == (
            self.owner.pid,
            self.owner.epoch,
        )
        if same and now.owner is not None and now.owner.alive is not False:
            return
        if self.asked:
            self.console.say(f"pid {self.owner.pid} has ended; r resumes {short_id(now.session_id)}.")
            self.leave()
        else:
            self.offer(False)
            self.tell(f"pid {self.owner.pid} does not run it any more.", "phase-waiting")

    async def act(self, reason: str) -> bool:
        """Send the signal; the sheet stays until the end is seen."""
        session_id, owner, force = self.session.session_id, self.owner, self.force
        await self.console.ask_host(methodcaller("stop_runner", session_id, owner, force=force))
        self.asked = True
        self.offer(False)
        if force:
            self.tell(f"pid {owner.pid} was ended by force; waiting until it is seen …", "muted")
        else:
            self.tell(f"pid {owner.pid} was asked to stop; waiting for its end …", "muted")
            self.set_timer(GRACE, self.offer_force)
        return False

    def offer_force(self) -> None:
        """It did not end in time: the next `y` is SIGKILL."""
        self.force = True
        self.query_one("#means", Block).show(
            "SIGKILL ends it at once, without a word; its children may outlive it for a moment. What is "
            "committed stays, and the session can be resumed."
        )
        self.offer(True)
        self.relabel("#yes", "End it by force  y")
        self.tell(f"pid {self.owner.pid} has not ended after {GRACE:.0f} s.", "phase-waiting")
