"""Forks a session: begins a new one from any of its commits, then shows what resuming it would do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from maestro_tui.console.fleet import short_id
from maestro_tui.console.lines import column_width, date_time, fit, fit_right
from maestro_tui.console.screens.about_session import CHANGED, AboutSession
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.sheet import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.store.checkpoints import CommitInfo


class ForkSheet(AboutSession):
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
            "enter begins a new session with all that was committed up to there; the old one stays as it is. "
            "Its plan is shown before anything runs.",
            classes="note",
        )

    def on_mount(self) -> None:
        """Read the commits."""
        self.tell("Reading the commits …", "muted")
        self._load("")

    def session_changed(self) -> None:
        """There are other commits now."""
        self._load(CHANGED)

    def _load(self, note: str) -> None:
        self.run_worker(self._read(note), group="read", exclusive=True, exit_on_error=False)

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

    def action_move(self, step: int) -> None:
        """Up or down."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    @on(OptionList.OptionSelected)
    def _chosen(self, message: OptionList.OptionSelected) -> None:
        if self.busy or not self.is_current or self.too_early:
            return
        self.busy = True
        commit = self.commits[message.option_index]
        self.run_worker(self._fork(commit.seq), group="do", exit_on_error=False)

    async def _fork(self, seq: int) -> None:
        try:
            name = await self.console.ask_host(methodcaller("fork", self.session.session_id, seq, None))
            new: SessionSummary = await self.console.ask_host(methodcaller("summary", name))
        except MaestroError as error:
            self.busy = False
            self.tell(clean(error, 600))
            return
        self.console.main.await_session(name, "Forked into")
        if self.is_current:
            self.app.switch_screen(PlanSheet(new, "resume"))


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None
