"""One session in full: its head, its timeline, its tabs, and at the bottom what to do when it stands still."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Tab, Tabs

from maestro_tui.console.between_keys import between_keys
from maestro_tui.console.fleet import NO_USUAL, Usual
from maestro_tui.console.lines import Line, line
from maestro_tui.console.session_header import header_lines
from maestro_tui.console.verdict import failing_attempt, verdict
from maestro_tui.console.widgets.detail_thread import DetailSource, DetailsRead, DetailThread
from maestro_tui.console.widgets.line_stack import LineStack
from maestro_tui.console.widgets.timeline import Timeline

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp
    from maestro_tui.console.widgets.artifacts_view import ArtifactsView
    from maestro_tui.console.widgets.checkpoint_view import CheckpointView
    from maestro_tui.console.widgets.diff_view import DiffView
    from maestro_tui.console.widgets.log_view import LogView
    from maestro_tui.console.widgets.plan_view import PlanView
    from maestro_tui.model.summary import AttemptSummary, SessionSummary
    from maestro_tui.store.detail import SessionDetail


TABS = (
    ("log", "Log"),
    ("artifacts", "Artifacts"),
    ("checkpoint", "Checkpoint"),
    ("decisions", "Decisions"),
    ("events", "Events"),
    ("diff", "Diff"),
    ("plan", "Plan"),
)
BREATH = 0.2
"""Seconds between two readings of a session that goes on changing."""
CLOCK = 1.0
"""Seconds between two moves of the line of now."""
LOW = 30
"""Below this height no row is spent on air."""
ROOMY = 64
"""From this width on the tabs tell how much they hold."""


class SessionPane(Widget):
    """The inspector of one session."""

    DEFAULT_CSS = """
    SessionPane {
        layout: vertical;
        height: 1fr;
        width: 1fr;
        padding: 0 1;
        .head { height: auto; margin-bottom: 1; }
        .verdict { height: auto; max-height: 6; }
        Timeline { max-height: 45%; }
        Tabs { height: 2; }
        ContentSwitcher { height: 1fr; }
        .nothing { display: none; height: auto; }
        &.-empty > * { display: none; }
        &.-empty > .nothing { display: block; }
        &.-low .head { margin-bottom: 0; }
        &.-full .head, &.-full Timeline, &.-full .verdict { display: none; }
        &.-tight Tab { padding: 0 1 0 0; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"tab('{name}')", title, show=False)
            for number, (name, title) in enumerate(TABS, 1)
        ),
        Binding("z", "fill", "Only the open tab", show=False),
    ]

    def __init__(
        self,
        root: Path | None = None,
        clock: Callable[[], float] | None = None,
        detail_source: DetailSource | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._root = root
        self._given_clock = clock
        self._thread = DetailThread(self, detail_source)
        self._summary: SessionSummary | None = None
        self._detail: SessionDetail | None = None
        self._usual: Usual = NO_USUAL
        self._problem: str | None = None
        self._counts: dict[str, int] = {}
        self._newest: tuple[str, int] | None = None
        """The attempt that the session was at when its details were read last."""
        self._landed: str | None = None
        """The session whose first details have been shown."""

    def compose(self) -> ComposeResult:
        """Head, timeline, tabs, verdict."""
        from maestro_tui.console.widgets.artifacts_view import ArtifactsView
        from maestro_tui.console.widgets.checkpoint_view import CheckpointView
        from maestro_tui.console.widgets.decisions_view import DecisionsView
        from maestro_tui.console.widgets.diff_view import DiffView
        from maestro_tui.console.widgets.events_view import EventsView
        from maestro_tui.console.widgets.log_view import LogView
        from maestro_tui.console.widgets.plan_view import PlanView

        nothing = LineStack(classes="nothing")
        nothing.show(lambda _width: [line("nothing", ("No session is selected.", "muted"))])
        yield nothing
        yield LineStack(classes="head")
        yield Timeline()
        yield Tabs(*(Tab(Content(title), id=f"tab-{name}") for name, title in TABS))
        with ContentSwitcher(initial="log"):
            yield LogView(id="log")
            yield ArtifactsView(id="artifacts")
            yield CheckpointView(id="checkpoint")
            yield DecisionsView(id="decisions")
            yield EventsView(id="events")
            yield DiffView(id="diff")
            yield PlanView(id="plan")
        yield LineStack(classes="verdict")

    def on_mount(self) -> None:
        """Shows what was chosen before the pane was there."""
        if not self.query(".verdict"):
            return  # the console ended while this came
        self.set_interval(CLOCK, between_keys(self, self.tick))
        summary = self._summary
        self._summary = None
        self._show(summary)

    def on_resize(self, event: events.Resize) -> None:
        """A low pane spends no row on air, a narrow one no column."""
        self.set_class(event.size.height < LOW, "-low")
        self.set_class(event.size.width < ROOMY, "-tight")
        self._refresh_labels()
        if self._summary is not None:
            self._refresh_head()

    # -- what is shown

    @property
    def summary(self) -> SessionSummary | None:
        """The session that is shown."""
        return self._summary

    @property
    def detail(self) -> SessionDetail | None:
        """Its details, as they were read last."""
        return self._detail

    @property
    def timeline(self) -> Timeline:
        """The timeline."""
        return self.query_one(Timeline)

    @property
    def log_view(self) -> LogView:
        """The Log tab."""
        return self.query_one("#log")  # type: ignore[return-value]

    @property
    def tab(self) -> str:
        """Name of the open tab."""
        return self.query_one(ContentSwitcher).current or "log"

    def show(self, summary: SessionSummary | None, usual: Usual | None = None) -> None:
        """Shows a session, or its newer state; the open tab, cursors and scroll places stay."""
        if usual is not None:
            self._usual = usual
        if self.is_mounted:
            self._show(summary)
        else:
            self._summary = summary

    def _show(self, summary: SessionSummary | None) -> None:
        old, self._summary = self._summary, summary
        self.set_class(summary is None, "-empty")
        if summary is None:
            self._thread.drop()
            self._detail = None
            self.log_view.open(None)
            return
        other = old is None or old.session_id != summary.session_id
        if other:
            self._detail, self._problem, self._landed = None, None, None
            self._thread.drop()
            self.log_view.show(())
            self.log_view.open(None)
        self._refresh_head()
        self._refresh_timeline()
        self._show_plan()
        if other or old != summary:
            self._read()

    def tick(self) -> None:
        """Moves times on; a running session's details are read when its summary changes, not here."""
        if self._summary is None or not self.region:
            return
        self._refresh_head()
        if self.timeline.live:
            self.timeline.tick(self._clock())

    def _refresh_head(self) -> None:
        summary = self._summary
        assert summary is not None
        now = self._clock()
        self.query_one(".head", LineStack).show(lambda width: self._head_lines(summary, now, width))
        attempts = self._attempts()
        # The details know more of damage than the summary of the list does.
        known = replace(summary, damage=self._detail.summary.damage) if self._detail is not None else summary
        most = 2 if self.has_class("-low") else 3
        act = not getattr(self.app, "read_only", False)
        self.query_one(".verdict", LineStack).show(
            lambda width: verdict(known, attempts, now, width, most, act=act)
        )

    def _head_lines(self, summary: SessionSummary, now: float, width: int) -> list[Line]:
        lines = header_lines(summary, now, width)
        if self._problem:
            lines.append(line("problem", ("! ", "phase-failed"), self._problem))
        return lines

    def _attempts(self) -> Sequence[AttemptSummary]:
        return self._detail.attempts if self._detail is not None else ()

    def _refresh_timeline(self) -> None:
        summary = self._summary
        assert summary is not None
        usual = {
            phase.name: seconds
            for phase in summary.phases
            if (seconds := self._usual.get((summary.workflow, phase.name))) is not None
        }
        self.timeline.show(summary, self._attempts(), usual, self._clock())

    # -- reading

    def _clock(self) -> float:
        clock = self._given_clock or getattr(self.app, "clock", None) or time.time
        return float(clock())

    def _session_dir(self) -> Path:
        assert self._summary is not None
        root = self._root if self._root is not None else Path(getattr(self.app, "root", "."))
        return root / self._summary.session_id

    def _read(self) -> None:
        if self._summary is not None:
            self._thread.read(self._session_dir(), self._clock())

    def on_details_read(self, message: DetailsRead) -> None:
        """Shows the details, unless another session was chosen meanwhile."""
        message.stop()
        if self._summary is None or not self._thread.take(message):
            return
        self._problem = message.problem
        if message.detail is not None:
            self._detail = message.detail
            self._show_detail(message.detail)
        self._refresh_head()
        if self._thread.again:
            # A session that writes all the time is read a few times a second, not without end.
            self.set_timer(BREATH, self._read)

    def _show_detail(self, detail: SessionDetail) -> None:
        from maestro_tui.console.detail_parts import (
            judgements,
            log_choices,
            measured,
            missing_deliverables,
            no_log_words,
        )
        from maestro_tui.console.widgets.decisions_view import DecisionsView
        from maestro_tui.console.widgets.events_view import EventsView

        summary = self._summary
        assert summary is not None
        session = summary.session_id
        self._refresh_timeline()
        self.log_view.show(log_choices(self._session_dir(), detail), no_log_words(detail))
        self._land_on_log()
        artifacts: ArtifactsView = self.query_one("#artifacts")  # type: ignore[assignment]
        artifacts.show(session, summary.workspace, detail.artifacts, missing_deliverables(detail))
        checkpoint: CheckpointView = self.query_one("#checkpoint")  # type: ignore[assignment]
        checkpoint.show(session, detail.head_json, detail.history, summary.damage)
        decisions = judgements(detail)
        self.query_one(DecisionsView).show(decisions, measured(detail))
        self.query_one(EventsView).show(detail.events)
        diff: DiffView = self.query_one("#diff")  # type: ignore[assignment]
        diff.show(self._session_dir(), summary.workspace, detail.history, detail.attempts)
        self._counts = {"artifacts": len(detail.artifacts), "decisions": len(decisions)}
        self._refresh_labels()

    def _refresh_labels(self) -> None:
        """Names of the tabs, with their counts when there is room."""
        roomy = self.size.width >= ROOMY
        for name, title in TABS:
            count = self._counts.get(name, 0)
            label = Content(f"{title} {count}" if count and roomy else title)
            tab = self.query_one(f"#tab-{name}", Tab)
            if tab.label != label:
                tab.label = label

    def _land_on_log(self) -> None:
        """Opens the log that tells most: of the attempt that runs or failed. Later it follows a new attempt."""
        summary, log = self._summary, self.log_view
        assert summary is not None
        newest = failing_attempt(summary, self._attempts())
        if newest is None:
            return
        target = (newest.phase, newest.attempt)
        first = self._landed != summary.session_id
        # Who reads an older log is left there; who follows the newest one is taken along to the next attempt.
        follows = log.choice is None or (
            log.log_lines.following and self._newest == (log.choice.phase, log.choice.attempt)
        )
        if (first or follows) and (log.choice is None or target != (log.choice.phase, log.choice.attempt)):
            log.open_attempt(*target)
            if first and newest.status == "failed":
                log.log_lines.go_to_first_error()
        self._newest = target
        self._landed = summary.session_id

    # -- tabs

    def action_tab(self, name: str) -> None:
        """Opens a tab and puts the focus into it."""
        self.query_one(Tabs).active = f"tab-{name}"
        self.query_one(ContentSwitcher).current = name
        self._focus_tab(name)

    def action_fill(self) -> None:
        """The open tab fills the pane, or head and timeline come back."""
        if self.toggle_class("-full").has_class("-full") and self.timeline.has_focus:
            self._focus_tab(self.tab)

    def _focus_tab(self, name: str) -> None:
        for widget in self.query_one(f"#{name}").query("*"):
            if widget.can_focus and widget.display:
                self.screen.set_focus(widget)
                return

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Shows the tab's content."""
        event.stop()
        name = (event.tab.id or "tab-log").removeprefix("tab-")
        self.query_one(ContentSwitcher).current = name
        self._show_plan()

    def _show_plan(self) -> None:
        """The plan costs a reading of the session: it is made only while its tab is open."""
        if self.tab == "plan" and self._summary is not None:
            plan: PlanView = self.query_one("#plan")  # type: ignore[assignment]
            plan.show(self._summary)

    def on_timeline_chosen(self, message: Timeline.Chosen) -> None:
        """Opens the log of the attempt that was chosen."""
        message.stop()
        phase, attempt, _ = message.key
        if attempt and self.log_view.open_attempt(phase, attempt):
            self.action_tab("log")

    def on_log_view_shown(self, message: LogView.Shown) -> None:
        """The timeline marks the attempt whose log is open."""
        message.stop()
        self.timeline.mark_shown(message.choice.phase, message.choice.attempt)

    def on_artifacts_view_versions_wanted(self, message: ArtifactsView.VersionsWanted) -> None:
        """Compares the versions of the file in the Diff tab."""
        message.stop()
        diff: DiffView = self.query_one("#diff")  # type: ignore[assignment]
        diff.show_file(message.path)
        self.action_tab("diff")

    def on_artifacts_view_file_edited(self, message: ArtifactsView.FileEdited) -> None:
        """Offers to record what the operator changed by hand."""
        from maestro_tui.console.screens.edit_file import offer_to_record

        message.stop()
        if self._summary is not None:
            offer_to_record(cast("MaestroApp", self.app), self._summary, message.artifact, message.size)

    def on_checkpoint_view_diff_wanted(self, message: CheckpointView.DiffWanted) -> None:
        """Compares the two commits in the Diff tab."""
        message.stop()
        diff: DiffView = self.query_one("#diff")  # type: ignore[assignment]
        diff.choose(message.old, message.new)
        self.action_tab("diff")
