"""Examines one session: who holds it, whether that lives, what is damaged, what resume would do; takeover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import methodcaller
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input

from maestro_tui.console.fleet import ago
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.glyphs import glyph
from maestro_tui.console.lines import column_width, fit
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import Palette, palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

_MOST = 40


class DoctorSheet(AboutSession, ActSheet):
    """The findings; where somebody holds the session who cannot be reached, `y` takes it over."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("u", "again", "Examine again", show=False)]
    REASON = "why: needed to take it over, it is recorded"
    DOING = "Taking it over …"

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        self.session = session
        self.found: Mapping[str, Any] | None = None
        self.no_words = "Close"

    def title_words(self) -> str:
        """Which session."""
        return f"Doctor: {short_id(self.session.session_id)}"

    def facts(self) -> Iterable[Widget]:
        """What was found."""
        yield VerticalScroll(Block("Examining …", id="found"), classes="list")
        yield Block(id="means", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One, shown when there is something to take over."""
        yield "yes", "Take it over  y"

    def on_mount(self) -> None:
        """Examine."""
        self._offer(False)
        self.action_again()

    def session_changed(self) -> None:
        """Examine it as it is now."""
        self.found = None
        self.action_again()

    def action_again(self) -> None:
        """Examine again."""
        self.run_worker(self._examine(), group="read", exclusive=True, exit_on_error=False)

    async def _examine(self) -> None:
        try:
            found = await self.console.ask_host(methodcaller("examine", self.session.session_id))
        except MaestroError as error:
            self.query_one("#found", Block).show("")
            self.tell(clean(error, 600))
            return
        self.found = found
        self.query_one("#found", Block).show(doctor_words(found, palette(self), self.console.ascii_only))
        self._offer(held(found) and not self.console.read_only)

    def _offer(self, offered: bool) -> None:
        self.query_one("#yes", Button).display = offered
        self.query_one("#comment", Input).display = offered
        words = "u examines again"
        if offered:
            words += (
                ". If its runner is stopped or unreachable for good, y takes the session over: "
                "what that runner still wants to commit is refused."
            )
        self.query_one("#means", Block).show(words)

    def refusal(self) -> str | None:
        """Nobody to take it over from."""
        if self.found is None or not held(self.found) or self.console.read_only:
            return "Nobody holds it; there is nothing to take over."
        return None

    async def act(self, reason: str) -> bool:
        """Take over, then examine again."""
        await self.console.ask_host(methodcaller("take_over", self.session.session_id, reason))
        self.console.say(f"{short_id(self.session.session_id)} was taken over; r resumes it.")
        return True


def held(found: Mapping[str, Any]) -> bool:
    """True when somebody holds the session who has not ended for certain."""
    owner = found["owner"]
    return owner is not None and owner["alive"] is not False


def doctor_words(found: Mapping[str, Any], styles: Palette, ascii_only: bool = False) -> Text:
    """The findings as text; every word from the disk is cleaned."""
    from maestro_tui.engine.doctor import quiet_words

    text = Text().append(clean(found["status"] or "unreadable", 40), styles.style("bold"))
    owner = found["owner"]
    if owner is None:
        text.append("\nNobody holds it.")
    else:
        where = "on this computer" if owner["here"] else f"on {clean(owner['host'], 80)}"
        text.append(
            f"\nHeld by pid {owner['pid']} {where} ({clean(owner['user'] or 'user unknown', 60)}): "
            f"{clean(owner['condition'], 200)}, last sign of life {ago(owner['heartbeat_seconds_ago'])} ago."
        )
        if owner["phases"]:
            text.append(" It runs " + ", ".join(clean(one, 60) for one in owner["phases"]) + ".")
        quiet = quiet_words(owner)
        if quiet:
            text.append("\n" + quiet, styles.style("phase-waiting"))
    damage = found["damage"]
    for one in damage[:_MOST]:
        text.append("\n" + glyph("failed", ascii_only) + " ", styles.style("phase-failed")).append(
            clean(one, 300)
        )
    if len(damage) > _MOST:
        text.append(f"\nand {len(damage) - _MOST} more", styles.style("muted"))
    if not damage:
        text.append("\n" + glyph("completed", ascii_only) + " ", styles.style("phase-completed"))
        text.append("Every commit, the chain, the views and the journal are intact.")
    if found["problem"]:
        text.append("\nResume cannot go on: " + clean(found["problem"], 400), styles.style("phase-waiting"))
    elif found["plan"] is not None:
        text.append("\n\nResume would do", styles.style("muted"))
        phases = found["plan"]["phases"]
        names = column_width([clean(one["phase"], 60) for one in phases], 8, 24)
        for one in phases:
            text.append(f"\n  {fit(clean(one['phase'], 60), names)}  {fit(clean(one['action'], 20), 8)}  ")
            stops = "stops for your approval; " if one["approval"] else ""
            text.append(stops + clean(one["reason"], 200), styles.style("muted"))
    return text
