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

from maestro_tui.console import plan_words
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width
from maestro_tui.console.screens.about_session import state_of
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.model.plan import Plan

_CANCEL = "Stops at once. What is committed stays; the attempt under way is lost and runs again on resume."


class BatchSheet(Sheet):
    """`resume` or `cancel` for some sessions."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "confirm", "Do it", show=False)]

    def __init__(self, what: str, sessions: Sequence[SessionSummary], hidden: int) -> None:
        """`what` is `resume` or `cancel`; `hidden` says how many of them the filter hides."""
        super().__init__()
        self.what, self.sessions, self.hidden = what, tuple(sessions), hidden
        self.plans: dict[str, Plan] = {}
        """Session id → the plan that is shown, where one runs something."""
        self.ready = what == "cancel"
        """True once it is shown what happens to each of them."""
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
        yield Block(id="sums", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", f"{self.what.capitalize()} {'it' if len(self.sessions) == 1 else 'them'}  y"

    def on_mount(self) -> None:
        """Look at each session."""
        self._look("")

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Look again when one of them has changed."""
        now = tuple(snapshot.sessions.get(one.session_id, one) for one in self.sessions)
        before, self.sessions = self.sessions, now if not self.busy else self.sessions
        if [state_of(one) for one in before] != [state_of(one) for one in self.sessions]:
            self._look("Some of them have changed since; this is how it is now.")

    def _look(self, note: str) -> None:
        self.tell(note, "phase-waiting")
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
            self.ready, self.plans = False, {}
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
                self._said[session_id] = plan_words.run_words(plan, 200)
                if plan.runs:
                    self.plans[session_id] = plan
            self._show()
        self.ready = True
        self._show()

    def _show(self) -> None:
        styles = palette(self)
        width = column_width([short_id(one.session_id) for one in self.sessions], 8, 28)
        text = Text(no_wrap=True, overflow="ellipsis")
        for index, session in enumerate(self.sessions):
            status = session.status.value
            text.append("\n" if index else "")
            text.append_text(self.row(status, short_id(session.session_id), width))
            text.append(self._said.get(session.session_id, "…"), styles.style("muted"))
        self.query_one("#sessions", Block).show(text)
        own = self.console.own_sessions
        some = bool(self.plans) if self.what == "resume" else any(s.session_id in own for s in self.sessions)
        self.offer(some or not self.ready)
        sums = self.query_one("#sums", Block)
        sums.show(self._sums() if self.ready else "")
        sums.display = self.what != "cancel"

    def _sums(self) -> str:
        """Over all of them: how many, how long, for how much, what may be overwritten."""
        if self.what == "cancel":
            return ""
        parts = [f"{len(self.plans)} of {len(self.sessions)} run something"]
        if self.plans:
            # Imported here: a plan is there only once the engine is loaded.
            from maestro_tui.engine.host import DEFAULT_LIMIT
            from maestro_tui.model.usual import of_plan, of_sessions

            running = [of_plan(plan) for plan in self.plans.values()]
            parts.append(of_sessions(running, DEFAULT_LIMIT).words().rstrip("."))
            phases = [one for plan in self.plans.values() for one in plan.phases]
            whole = next(iter(self.plans.values())).model_copy(update={"phases": tuple(phases)})
            parts.append(plan_words.overwrite_words(whole))
        return "; ".join(part for part in parts if part)

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Do it to each, and say what was refused."""
        if self.busy:
            return
        if not self.ready:
            self.tell("Not all of them are read yet; there is nothing to confirm.", "phase-waiting")
        elif self.query_one("#yes", Button).display and not self.too_early:
            self.busy = True
            self.run_worker(self._do(), group="do", exit_on_error=False)

    async def _do(self) -> None:
        own, done, refused = self.console.own_sessions, 0, []
        for session in self.sessions:
            session_id = session.session_id
            plan = self.plans.get(session_id)
            plan_hash = plan.hash if plan is not None else None
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
