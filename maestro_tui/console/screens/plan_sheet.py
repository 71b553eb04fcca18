"""Shows what resume, a single phase or a rerun would do, before it is done; `y` does exactly what is shown.

The plan is made in a thread while the sheet is already open. When the session changes meanwhile, the plan
is made anew and the sheet says so; the engine refuses an old plan in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console import plan_words
from maestro_tui.console.budget_words import raise_words
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import Line
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.model.plan import Plan

_TITLES = {
    "resume": "Resume {id}",
    "phase": "Run {phase} alone in {id}",
    "rerun_from": "Rerun {id} from {phase}",
}
_YES = {"resume": "Resume  y", "phase": "Run  y", "rerun_from": "Rerun  y"}


class PlanSheet(AboutSession):
    """The blast radius of running something, and the question whether to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "confirm", "Do it", show=False),
        Binding("b", "raise_budget", "Raise a budget that is spent", show=False),
        Binding("R", "rerun", "Rerun from a phase", show=False),
    ]
    AROUND = 13

    def __init__(self, session: SessionSummary, kind: str, phase: str | None = None) -> None:
        """`kind` is `resume`, `phase` (this one alone) or `rerun_from`."""
        super().__init__()
        self.session, self.kind, self.phase = session, kind, phase
        self.plan: Plan | None = None

    def title_words(self) -> str:
        """What is asked."""
        return _TITLES[self.kind].format(id=short_id(self.session.session_id), phase=self.phase)

    def body(self) -> Iterable[Widget]:
        """Phases, then the sums."""
        yield VerticalScroll(Block("Reading the session …", id="phases"), classes="list", can_focus=False)
        yield Block(id="sums", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", _YES[self.kind]

    def on_mount(self) -> None:
        """Make the plan."""
        self._load()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the columns out anew."""
        if self.plan is not None:
            self._show_plan(self.plan)

    def session_changed(self) -> None:
        """Plan anew."""
        self.plan = None
        self._load("The session has changed since; this is the plan as of now.")

    async def _read(self, note: str) -> None:
        try:
            self.plan = await self.console.ask_host(self.ask_plan)
        except MaestroError as error:
            self.plan = None
            self.query_one("#phases", Block).show("")
            self.query_one("#sums", Block).show("")
            self.offer(False)
            self.tell(clean(error, 600))
            return
        self._show_plan(self.plan)
        self.offer(bool(self.plan.runs))
        self.tell(note, "phase-waiting")

    def ask_plan(self, host: Host) -> Plan:
        """The plan, from the host; called in a thread. Raises `MaestroError`."""
        session_id, phase = self.session.session_id, self.phase
        if self.kind == "phase" and phase is not None:
            return host.plan_phase(session_id, phase)
        return host.plan_resume(session_id, phase)

    def holder_words(self) -> str:
        """Who holds the session."""
        return plan_words.holder_words(self.session.owner, self.console.clock())

    def command(self) -> str:
        """The command line that does the same."""
        return plan_words.command_words(
            self.kind, self.session.session_id, self.phase, self.console.root_words()
        )

    def _show_plan(self, plan: Plan) -> None:
        width = max(40, self.query_one("#phases", Block).size.width)
        styles = palette(self)
        lines = plan_words.plan_lines(plan, width, self.console.ascii_only)
        self.query_one("#phases", Block).show(Text("\n").join([as_text(one, styles.style) for one in lines]))
        parts = [
            plan_words.total_words(plan) if plan.runs else self.nothing_words(plan),
            plan_words.overwrite_words(plan),
            plan_words.stale_words(plan),
            raise_words(plan, "b"),
            *("changed: " + clean(change, 200) for change in plan.changes[:4]),
            self.holder_words(),
        ]
        sums = Text("\n".join(part for part in parts if part))
        if plan.runs:
            sums.append("\n$ " + self.command(), styles.style("muted"))
        self.query_one("#sums", Block).show(sums)

    def nothing_words(self, plan: Plan) -> str:
        """That nothing would run, and what can be done instead."""
        if raise_words(plan, "b"):
            return "Nothing would run."
        waiting = [one.phase for one in plan.phases if one.reason == "waits for approval"]
        if waiting:
            return f"Nothing would run: {clean(waiting[0], 60)} waits for you; a opens the review."
        blocked = [one for one in plan.phases if one.action.value == "blocked"]
        why = f"{blocked[0].phase} {blocked[0].reason}" if blocked else "no phase is left to do"
        return f"Nothing would run: {clean(why, 200)}. R reruns from a phase."

    def action_rerun(self) -> None:
        """Choose a phase to rerun from, where nothing would run."""
        if self.busy or self.plan is None or self.plan.runs:
            return
        from maestro_tui.console.screens.choose_phase import ChoosePhase

        self.app.switch_screen(ChoosePhase(self.session, "rerun_from"))

    def action_raise_budget(self) -> None:
        """Allow more, where a spent budget keeps the session from going on."""
        if self.busy or self.plan is None or not raise_words(self.plan, "b"):
            return
        from maestro_tui.console.screens.raise_budget import RaiseSheet

        self.app.switch_screen(RaiseSheet(self.session))

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Do what the plan says."""
        if self.busy or self.plan is None:
            return
        if not self.plan.runs or self.too_early:
            return
        self.busy = True
        self.run_worker(self._do(self.plan), group="do", exit_on_error=False)

    async def _do(self, plan: Plan) -> None:
        session_id, phase = self.session.session_id, self.phase

        def work(host: Host) -> None:
            if self.kind == "phase" and phase is not None:
                host.run_phase(session_id, phase, plan.hash)
            else:
                host.resume(session_id, plan.hash, phase)

        try:
            await self.console.ask_host(work)
        except MaestroError as error:
            self.busy = False
            if ask_for_trust(self, error, lambda: self._trusted(plan)):
                return
            self._load(clean(error, 600))
            return
        does = "runs" if self.kind == "phase" else "goes on at"
        self.console.say(f"{short_id(session_id)} {does} {plan.runs[0]}.")
        self.leave()

    def _trusted(self, plan: Plan) -> None:
        self.busy = True
        self.run_worker(self._do(plan), group="do", exit_on_error=False)


def as_text(one: Line, style: Callable[[str], Style]) -> Text:
    """A line of parts as a text in the theme's colours."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for part, names in one.parts:
        text.append(part, style(names) if names else None)
    return text


def ask_for_trust(sheet: Sheet, error: MaestroError, approved: Callable[[], None]) -> bool:
    """When the error says that a workflow's commands are not trusted: ask, and True."""
    from maestro_tui.config import UntrustedWorkflow
    from maestro_tui.console.screens.trust import TrustSheet

    if not isinstance(error, UntrustedWorkflow):
        return False
    sheet.app.push_screen(TrustSheet(error, approved))
    return True
