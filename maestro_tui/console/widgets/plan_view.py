"""The Plan tab: what resume would do now, phase by phase with reasons; made in a thread by the engine itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.worker import Worker

from maestro_tui.console import plan_words
from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.lines import Line, line, wrap_words
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp
    from maestro_tui.console.ports import Host
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.summary import SessionSummary


def _under_way(summary: SessionSummary) -> str:
    """What the runner does now and after that: no other plan can be made meanwhile."""
    now = [phase.name for phase in summary.phases if phase.status == "running"]
    ahead = [phase.name for phase in summary.phases if phase.status == "pending" and phase.selected]
    words = ", then ".join(filter(None, (" and ".join(now), ", ".join(ahead))))
    return f"Under way: {words or 'nothing yet'}. What resume would do shows once nobody runs it."


class PlanView(TellsFaults, SearchView):
    """The plan of the session that is shown."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(empty="The plan is being made.", with_cursor=False, id=id)
        self._summary: SessionSummary | None = None
        self._state: tuple[object, ...] = ()
        self._plan: Plan | None = None
        self._problem = ""

    def show(self, summary: SessionSummary) -> None:
        """Show the plan of a session; made anew only when the session has changed."""
        owner = summary.owner
        state = (
            summary.session_id,
            summary.seq,
            summary.sha256,
            summary.status,
            owner and (owner.pid, owner.epoch),
        )
        if state == self._state:
            return
        if self._state[:1] != (summary.session_id,):
            self._plan, self._problem = None, ""
        self._summary, self._state = summary, state
        self.refresh_lines()
        # Not the coroutine itself: it would never be awaited when a newer one takes its place at once.
        self._making: Worker[None] = self.run_worker(
            partial(self._make, summary), group="plan", exclusive=True, exit_on_error=False
        )

    async def _make(self, summary: SessionSummary) -> None:
        app = cast("MaestroApp", self.app)
        plan, problem = None, ""
        if summary.foreign is not None:
            problem = f"It is history of {clean(summary.foreign, 60)}: it can be read, not run."
        elif summary.owner is not None and summary.owner.alive is not False:
            problem = _under_way(summary)
        else:

            def work(host: Host) -> Plan:
                return host.plan_resume(summary.session_id)

            try:
                plan = await app.ask_host(work)
            except MaestroError as error:
                problem = clean(error, 600)
        if summary is self._summary:
            self._plan, self._problem = plan, problem
            self.refresh_lines()

    def refresh_lines(self) -> None:
        """Make the lines for the width."""
        self.rows.set_lines(self._lines(self.text_width))

    def _lines(self, width: int) -> list[Line]:
        if self._problem:
            return [line(("problem", n), one) for n, one in enumerate(wrap_words(self._problem, width))]
        plan, summary = self._plan, self._summary
        if plan is None or summary is None:
            return []
        app = cast("MaestroApp", self.app)
        lines = plan_words.plan_lines(plan, width, app.ascii_only, whole=True)
        said = [
            "" if plan.runs else "Nothing would run: all that was asked for is committed.",
            plan_words.total_words(plan) if plan.runs else "",
            plan_words.overwrite_words(plan),
            plan_words.stale_words(plan),
            *("changed: " + clean(change, 200) for change in plan.changes[:6]),
            plan_words.holder_words(summary.owner, app.clock()),
        ]
        lines.append(line("gap", " "))
        for words in said:
            if words:
                lines += [line((words, n), (one, "muted")) for n, one in enumerate(wrap_words(words, width))]
        return lines
