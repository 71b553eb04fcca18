"""Removes sessions that are over: lists exactly what goes, and what stays and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from maestro_tui.console.fleet import ago
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width, short
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.store.retention import Retention

if TYPE_CHECKING:
    from maestro_tui.store.prune import Pruned

AGES: tuple[tuple[Retention, str], ...] = (
    (Retention(None, 86_400.0), "have been over for more than a day"),
    (Retention(None, 7 * 86_400.0), "have been over for more than a week"),
    (Retention(None, 30 * 86_400.0), "have been over for more than 30 days"),
    (Retention(None, 90 * 86_400.0), "have been over for more than 90 days"),
)
_MOST = 500


class PruneSheet(ActSheet):
    """The marked sessions that are over; without marks, all that have been over for some time."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "older", "Another age", show=False)]
    DOING = "Removing …"

    def __init__(self, marked: Sequence[SessionSummary], hidden: int) -> None:
        super().__init__()
        self.marked, self.hidden = tuple(marked), hidden
        self.rules, self.age = AGES, 2
        self.going: tuple[SessionSummary, ...] = ()

    def title_words(self) -> str:
        """What is asked."""
        if not self.marked:
            return "Remove sessions that are over?"
        hidden = f" ({self.hidden} hidden by the filter)" if self.hidden else ""
        return f"Remove {len(self.marked)} marked session{'s' if len(self.marked) != 1 else ''}{hidden}?"

    def facts(self) -> Iterable[Widget]:
        """What goes, and what that means."""
        yield Block(id="scope")
        yield VerticalScroll(Block(id="sessions"), classes="list", can_focus=False)
        yield Block(
            "Their checkpoints, logs and history are deleted from the disk and cannot be brought back; "
            "workspaces are not touched. What runs, waits, is paused, interrupted or damaged always stays.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", f"Remove {'it' if len(self.marked) == 1 else 'them'}  y"

    def on_mount(self) -> None:
        """Choose them; what the settings say comes first."""
        own = self.console.settings.retention
        if own.says_something:
            self.rules, self.age = ((own, f"are {own.words()} (your settings)"), *AGES), 0
        self._choose()

    def on_resize(self, event: events.Resize) -> None:
        """Cut the lines anew."""
        self.call_after_refresh(self._choose)

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """What changed meanwhile may stay."""
        if not self.busy:
            sessions = snapshot.sessions
            self.marked = tuple(sessions[one.session_id] for one in self.marked if one.session_id in sessions)
            self._choose()

    def action_older(self) -> None:
        """The next age."""
        if not self.marked and not self.busy:
            self.age = (self.age + 1) % len(self.rules)
            self._choose()

    def _choose(self) -> None:
        from maestro_tui.store.prune import prunable  # not needed before

        now = self.console.clock()
        if self.marked:
            self.going = tuple(prunable(self.marked, keep=0, older_than=None, now=now))
            left = len(self.marked) - len(self.going)
            scope = f"{len(self.going)} go{'es' if len(self.going) == 1 else ''}"
            scope += f"; {left} stay{'s' if left == 1 else ''}: not over, or damaged" if left else ""
        else:
            rule, words = self.rules[self.age]
            sessions = self.console.snapshot.sessions.values()
            self.going = tuple(prunable(sessions, keep=rule.keep, older_than=rule.older_than, now=now))
            total = len(self.console.snapshot.sessions)
            scope = f"{len(self.going):,} of {total:,} {words}   o another age"
        self.offer(bool(self.going))
        self.query_one("#scope", Block).show(Text(scope, palette(self).style("muted")))
        self._show(now)

    def _show(self, now: float) -> None:
        styles, shown = palette(self), self.going[:_MOST]
        width = column_width([short_id(one.session_id) for one in shown], 8, 40)
        room = max(30, self.query_one("#sessions", Block).size.width) - 4
        text = Text(no_wrap=True, overflow="ellipsis")
        for index, session in enumerate(shown):
            status = session.status.value
            text.append("\n" if index else "")
            text.append_text(self.row(status, short_id(session.session_id), width))
            said = f"{status} {ago(now - session.updated_at)}  "
            text.append(said, styles.style("muted"))
            text.append(short(session.requirement, room - width - len(said)), styles.style("muted"))
        if len(self.going) > _MOST:
            text.append(f"\nand {len(self.going) - _MOST:,} more", styles.style("muted"))
        self.query_one("#sessions", Block).show(text)

    def refusal(self) -> str | None:
        """Nothing to remove."""
        return None if self.going else "None of them is over; nothing would be removed."

    async def act(self, reason: str) -> bool:
        """Remove exactly those that are listed."""
        wanted = [one.session_id for one in self.going]
        done: Pruned = await self.console.ask_host(methodcaller("prune", wanted))
        gone = len(done.removed)
        left = len(wanted) - gone
        words = f"{gone} session{'s' if gone != 1 else ''} removed."
        self.console.say(words + (f" {left} stayed: held, or not over any more." if left else ""))
        for line in done.problems:
            self.console.say(line, severity="error")
        return True
