"""The Plan tab: what resume would do now, made only while it is open and anew when the session has changed."""

from __future__ import annotations

import dataclasses
from typing import Any

from textual.pilot import Pilot

from maestro_tui.console.app import MaestroApp
from maestro_tui.console.lines import plain
from maestro_tui.console.widgets.plan_view import PlanView
from maestro_tui.console.widgets.session_pane import SessionPane
from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import FleetSnapshot
from tests.console.fakes import ROOT, FakeHost, busy_fleet, console, plan_for, post
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.pane_data import until


class CountingHost(FakeHost):
    """Counts the plans that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.planned: list[str] = []
        self.problem: Exception | None = None

    def plan_resume(self, session_id: str, from_phase: str | None = None) -> Any:
        self.planned.append(session_id)
        if self.problem is not None:
            raise self.problem
        return plan_for(session_id, "resume", None, generation=self.generation)


async def pane_of(pilot: Pilot[Any], app: MaestroApp) -> SessionPane:
    await until(pilot, lambda: app.main.query(SessionPane))
    pane = app.main.query_one(SessionPane)
    await until(pilot, lambda: pane.is_mounted and pane.summary is not None)
    return pane


def words(pane: SessionPane) -> str:
    return "\n".join(plain(pane.query_one(PlanView).rows.lines))


async def test_the_plan_is_made_when_its_tab_is_open_and_again_when_the_session_changed() -> None:
    host, snapshot = CountingHost(), busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await pane_of(pilot, app)
        app.main.table.select("payments-refactor")
        await pilot.pause()
        assert host.planned == []
        pane.action_tab("plan")
        await until(pilot, lambda: "failed at attempt 2 (network)" in words(pane))
        assert "about 16m" in words(pane) and "may overwrite docs/design.md" in words(pane)
        later = dataclasses.replace(snapshot.sessions["payments-refactor"], updated_at=app.clock())
        await post(
            app,
            pilot,
            FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, "payments-refactor": later}, version=2),
        )
        assert host.planned == ["payments-refactor"]
        newer = dataclasses.replace(later, seq=9, sha256="cd" * 32)
        await post(
            app,
            pilot,
            FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, "payments-refactor": newer}, version=3),
        )
        await until(pilot, lambda: len(host.planned) == 2)
        assert pane.tab == "plan"


async def test_why_there_is_no_plan_is_told_and_cannot_act() -> None:
    host = CountingHost()
    host.problem = InputError(HOSTILE)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await pane_of(pilot, app)
        pane.action_tab("plan")
        await until(pilot, lambda: "@click" in words(pane))
        assert not NEVER_RAW & set(words(pane)) and app.is_running


async def test_while_it_runs_the_tab_tells_what_is_under_way_and_asks_for_no_plan() -> None:
    host = CountingHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await pane_of(pilot, app)
        app.main.table.select("docs-site")
        await pilot.pause()
        pane.action_tab("plan")
        await until(pilot, lambda: "Under way: implementation, then testing, deployment." in words(pane))
        assert host.planned == []
