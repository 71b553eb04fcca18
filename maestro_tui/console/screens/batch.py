"""Resumes or cancels one or several marked sessions: lists what happens to each, then asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.fleet import short_id
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import column_width, fit
from maestro_tui.console.plan_words import run_words
from maestro_tui.console.screens.sheet import Block, Sheet
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host

_CANCEL = "Stops at once. What is committed stays; the attempt under way is lost and runs again on resume."


class BatchSheet(Sheet):
    """`resume` or `cancel` for some sessions."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "confirm", "Do it", show=False)]

    def __init__(self, what: str, sessions: Sequence[SessionSummary], hidden: int) -> None:
        """`what` is `resume` or `cancel`; `hidden` says how many of them the filter hides."""
        super().__init__()
        self.what, self.sessions, self.hidden = what, tuple(sessions), hidden
        self.plans: dict[str, str] = {}
        """Session id → hash of the plan that is shown."""
        self._said: dict[str, str] = {}
        self.no_words = "Leave it" if len(self.sessions) == 1 else "Leave them"

    def title_words(self) -> str:
        """What is asked, and about how many."""
        count = len(self.sessions)
        one = short_id(self.sessions[0].session_id) if count == 1 else f"{count} sessions"
        hidden = f" ({self.hidden} hidden by the filter)" if self.hidden else ""
        return f"{self.what.capitalize()} {one}{hidden}?"

    def body(self) -> Iterable[Widget]:
        """One line for each session."""
        yield VerticalScroll(Block(id="sessions"), classes="list", can_focus=False)
        words = _CANCEL if self.what == "cancel" else "Each goes on at its first phase that is not committed."
        yield Block(words, classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", f"{self.what.capitalize()} {'it' if len(self.sessions) == 1 else 'them'}  y"

    def on_mount(self) -> None:
        """Look at each session."""
        if self.what == "cancel":
            own = self.console.own_sessions
            for session in self.sessions:
                here = session.session_id in own
                current = session.current
                self._said[session.session_id] = (
                    f"runs {current.name}"
                    if here and current
                    else "runs here"
                    if here
                    else "does not run here: left alone"
                )
            self._show()
        else:
            self._show()
            self.run_worker(self._make_plans(), group="plan", exclusive=True, exit_on_error=False)

    async def _make_plans(self) -> None:
        for session in self.sessions:
            session_id = session.session_id
            try:
                plan = await self.console.ask_host(methodcaller("plan_resume", session_id))
            except MaestroError as error:
                self._said[session_id] = clean(error, 300)
            else:
                self._said[session_id] = run_words(plan, 200)
                if plan.runs:
                    self.plans[session_id] = plan.hash
            self._show()

    def _show(self) -> None:
        styles = palette(self)
        width = column_width([short_id(one.session_id) for one in self.sessions], 8, 28)
        text = Text(no_wrap=True, overflow="ellipsis")
        for index, session in enumerate(self.sessions):
            status = session.status.value
            text.append("\n" if index else "")
            text.append(glyph(status, self.console.ascii_only) + " ", styles.style(COLOURS[status]))
            text.append(fit(short_id(session.session_id), width) + "  ")
            text.append(self._said.get(session.session_id, "…"), styles.style("muted"))
        self.query_one("#sessions", Block).show(text)

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Do it to each, and say what was refused."""
        if not self.busy:
            self.busy = True
            self.run_worker(self._do(), group="do", exit_on_error=False)

    async def _do(self) -> None:
        own, done, refused = self.console.own_sessions, 0, []
        for session in self.sessions:
            session_id = session.session_id
            plan_hash = self.plans.get(session_id)
            if (self.what == "cancel" and session_id not in own) or (
                self.what == "resume" and plan_hash is None
            ):
                continue

            def work(host: Host, one: str = session_id, basis: str | None = plan_hash) -> None:
                if self.what == "cancel":
                    host.cancel(one)
                else:
                    host.resume(one, basis)

            try:
                await self.console.ask_host(work)
                done += 1
            except MaestroError as error:
                refused.append(f"{short_id(session_id)}: {clean(error, 300)}")
        self.busy = False
        if refused:
            self.tell("\n".join(refused[:4]))
            return
        word = "cancelled" if self.what == "cancel" else "resumed"
        self.console.say(f"{done} session{'s' if done != 1 else ''} {word}.")
        self.leave()
