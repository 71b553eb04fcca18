"""Forks a session: asks from which commit, shows what the new one would run, and begins it when that is confirmed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Button, OptionList
from textual.widgets.option_list import Option

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width, date_time, fit, fit_right
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.list_sheet import ListSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.model.plan import Plan
    from maestro_tui.store.checkpoints import CommitInfo


class ForkSheet(ListSheet, AboutSession):
    """The commits of a session, the newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]
    AUTO_FOCUS = "OptionList"

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        self.session = session
        self.commits: tuple[CommitInfo, ...] = ()

    def title_words(self) -> str:
        """What is asked."""
        return f"Fork {short_id(self.session.session_id)} from which commit?"

    def body(self) -> Iterable[Widget]:
        """One line for each commit."""
        yield OptionList(compact=True, markup=False, classes="list")
        yield Block(id="count", classes="note")
        yield Block(
            "enter shows what a new session with all that was committed up to there would run; "
            "nothing is begun yet, and the old one stays as it is.",
            classes="note",
        )

    def on_mount(self) -> None:
        """Read the commits."""
        self.tell("Reading the commits …", "muted")
        self._load()

    async def _read(self, note: str) -> None:
        def work(host: Host) -> Sequence[CommitInfo]:
            return host.history(self.session.session_id)

        try:
            commits = await self.console.ask_host(work)
        except MaestroError as error:
            self.tell(clean(error, 600))
            return
        # A commit that cannot be read is nothing to begin from; doctor and the Checkpoint tab tell of it.
        chosen = self._chosen_seq()
        self.commits = tuple(one for one in reversed(commits) if one.problem is None)
        width = column_width([clean(one.phase, 60) for one in self.commits], 8, 30)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._words(one, width)) for one in self.commits])
        places = {one.seq: place for place, one in enumerate(self.commits)}
        options.highlighted = (places.get(chosen, 0) if chosen is not None else 0) if self.commits else None
        count = len(self.commits)
        self.query_one("#count", Block).show(f"{count} commit{'s' if count != 1 else ''}, the newest first")
        self.tell(note if self.commits else "It has no commit to begin from.", "phase-waiting")

    def _chosen_seq(self) -> int | None:
        place = self.query_one(OptionList).highlighted
        return self.commits[place].seq if place is not None and place < len(self.commits) else None

    def _words(self, commit: CommitInfo, width: int) -> Text:
        styles = palette(self)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(fit_right(str(commit.seq), 4) + "  ", styles.style("muted"))
        text.append(fit(clean(commit.phase, 60), width) + "  ")
        said = clean(commit.status, 40) + (f", attempt {commit.attempt}" if commit.attempt else "")
        text.append(fit(said, 22) + "  ", styles.style("muted"))
        text.append(date_time(_seconds(commit.created_at)), styles.style("muted"))
        return text

    @on(OptionList.OptionSelected)
    def _chosen(self, message: OptionList.OptionSelected) -> None:
        if self.busy or not self.is_current or self.too_early:
            return
        self.busy = True
        self.app.switch_screen(ForkPlanSheet(self.session, self.commits[message.option_index]))


class ForkPlanSheet(PlanSheet):
    """What resuming the fork would do. Until it is confirmed, no session is begun."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "fork_only", "Begin it, run nothing", show=False)]

    def __init__(self, session: SessionSummary, commit: CommitInfo) -> None:
        super().__init__(session, "resume")
        self.commit = commit

    def title_words(self) -> str:
        """What is asked."""
        after = f", after {clean(self.commit.phase, 60)}" if self.commit.seq else ""
        return f"Fork {short_id(self.session.session_id)} from commit {self.commit.seq}{after}"

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """Two: with and without running it."""
        yield "only", "Fork only  f"
        yield "yes", "Fork and resume  y"

    def ask_plan(self, host: Host) -> Plan:
        """Of the fork, which does not exist yet."""
        return host.plan_fork(self.session.session_id, self.commit.seq)

    def command(self) -> str:
        """The command line that begins it."""
        root = self.console.root_words()
        where = ["--checkpoint-dir", root] if root else []
        words = ["maestro-tui", *where, "fork", self.session.session_id, "--at", str(self.commit.seq)]
        return shlex.join(words)

    def holder_words(self) -> str:
        """Whoever holds the old session does not matter to a new one."""
        return "a new session begins; the old one stays as it is"

    def nothing_words(self, plan: Plan) -> str:
        """It can be begun all the same."""
        blocked = [one for one in plan.phases if one.action.value == "blocked"]
        if blocked:
            return f"The fork would run nothing yet: {clean(blocked[0].phase, 60)} {clean(blocked[0].reason, 120)}."
        return (
            "The fork would run nothing: no phase is left to do. R reruns it from a phase once it is begun."
        )

    def action_rerun(self) -> None:
        """Not of the old session."""

    def session_changed(self) -> None:
        """A commit stays what it is."""

    @on(Button.Pressed, "#only")
    def action_fork_only(self) -> None:
        """Begin the session; nothing runs."""
        if not (self.busy or self.plan is None or self.too_early):
            self.busy = True
            self.run_worker(self._fork(None), group="do", exit_on_error=False)

    async def _do(self, plan: Plan) -> None:
        await self._fork(plan)

    async def _fork(self, plan: Plan | None) -> None:
        """Begin the session, and run it as planned where a plan is given."""
        try:
            name = await self.console.ask_host(
                methodcaller("fork", self.session.session_id, self.commit.seq, None)
            )
        except MaestroError as error:
            self.busy = False
            self.tell(clean(error, 600))
            return
        self.console.main.await_session(name, "Forked into")
        if plan is None or await self._resumed(name, plan):
            self.leave()

    async def _resumed(self, name: str, shown: Plan) -> bool:
        """Go on with the fork as it was shown; otherwise show the plan that it has now, and False."""

        def work(host: Host) -> bool:
            made = host.plan_resume(name)
            if _steps(made) != _steps(shown):
                return False
            host.resume(name, made.hash)
            return True

        try:
            if await self.console.ask_host(work):
                return True
        except MaestroError as error:
            # Most likely commands that nobody has approved: its own plan asks for that.
            self.console.say(clean(error, 300), severity="warning")
        new: SessionSummary = await self.console.ask_host(methodcaller("summary", name))
        if self.is_current:
            self.app.switch_screen(PlanSheet(new, "resume"))
        return False


def _steps(plan: Plan) -> list[tuple[str, str, int | None]]:
    return [(one.phase, one.action.value, one.attempt) for one in plan.phases]


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None
