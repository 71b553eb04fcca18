"""Raises a budget: what is spent of what, how much more and why; recorded on `y`, then resume is offered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input

from maestro_tui.console.budget_words import standing_lines, suggestion
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.limit_line import parse_more
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet, as_text
from maestro_tui.console.screens.reason import ReasonField
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import InputError, MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.model.budgets import Standing


class RaiseSheet(AboutSession, ActSheet):
    """The budgets of a session; the one under the mark gets more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "choose(1)", "Next budget", show=False, priority=True),
        Binding("up", "choose(-1)", "Previous budget", show=False, priority=True),
        Binding("m", "more", "How much more", show=False),
    ]
    AUTO_FOCUS = "#more"
    REASON = "why: needed, it is recorded with your name and the time"
    DOING = "Recording …"
    AROUND = 14

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        self.session = session
        self.standings: Sequence[Standing] = ()
        self.chosen = 0

    def title_words(self) -> str:
        """What is asked."""
        return f"Raise a budget of {short_id(self.session.session_id)}"

    def facts(self) -> Iterable[Widget]:
        """What is spent of what, and how much more."""
        yield VerticalScroll(Block("Reading the budgets …", id="budgets"), classes="list", can_focus=False)
        yield ReasonField(self.about(), "how much more", key="m", id="more")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Raise it  y"

    def on_mount(self) -> None:
        """Read the budgets."""
        self._load()

    async def _read(self, note: str) -> None:
        marked = self.standings[self.chosen].phase if self.standings else None
        before = bool(self.standings)
        try:
            self.standings = await self.console.ask_host(methodcaller("budgets", self.session.session_id))
        except MaestroError as error:
            self.standings = ()
            self.query_one("#budgets", Block).show("")
            self.tell(clean(error, 600))
            return
        over = [place for place, one in enumerate(self.standings) if one.over is not None]
        same = [place for place, one in enumerate(self.standings) if one.phase == marked]
        self.chosen = next(iter(same if before else over), 0)
        self._show()
        self.tell(note, "phase-waiting")

    def _show(self) -> None:
        if not self.standings:
            self.query_one("#budgets", Block).show(
                "Nothing limits what this session may spend: there is no budget to raise."
            )
            for one in self.query("#more, #comment, #yes"):
                one.display = False
            self.set_focus(self.query_one("#no", Button))
            return
        styles = palette(self)
        lines = standing_lines(self.standings, self.chosen, self.console.ascii_only)
        self.query_one("#budgets", Block).show(Text("\n").join(as_text(one, styles.style) for one in lines))
        allowed = suggestion(self.standings[self.chosen].allowed)
        self.query_one("#more", ReasonField).ask(f"how much more, such as {allowed}")

    def action_choose(self, step: int) -> None:
        """Mark the next budget."""
        if self.standings:
            self.chosen = max(0, min(len(self.standings) - 1, self.chosen + step))
            self._show()

    def action_more(self) -> None:
        """Write how much more."""
        self.set_focus(self.query_one("#more", Input))

    @on(Input.Submitted, "#more")
    def _more_done(self) -> None:
        self.action_comment()

    def refusal(self) -> str | None:
        """No budget, or no amount."""
        if not self.standings:
            return "There is no budget to raise."
        try:
            parse_more(self.query_one("#more", Input).value)
        except InputError as error:
            self.action_more()
            return str(error)
        return None

    async def act(self, reason: str) -> bool:
        """Record it, then show what resume would do."""
        session_id, phase = self.session.session_id, self.standings[self.chosen].phase
        more = parse_more(self.query_one("#more", Input).value)
        await self.console.ask_host(methodcaller("raise_budget", session_id, phase, more, None, reason))
        now: SessionSummary = await self.console.ask_host(methodcaller("summary", session_id))
        if now.owner is not None and now.owner.alive is not False:
            self.console.say(f"{short_id(session_id)}: the raise is recorded; its runner goes on with it.")
            return True
        self.console.say(f"{short_id(session_id)}: the raise is recorded.")
        if self.is_current:
            self.app.switch_screen(PlanSheet(now, "resume"))
        return False
