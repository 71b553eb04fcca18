"""What nobody expected within a worker is told where the operator looks, and kept with its traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult

from maestro_tui.console import copying
from maestro_tui.console.screens.doctor import DoctorSheet
from maestro_tui.console.telling import Telling
from maestro_tui.console.widgets.artifacts_view import ArtifactsView
from maestro_tui.console.widgets.checkpoint_view import CheckpointView
from maestro_tui.console.widgets.diff_view import DiffView
from maestro_tui.console.widgets.log_lines import LogLines
from maestro_tui.console.widgets.plan_view import PlanView
from maestro_tui.engine import report_markdown
from tests.console.fakes import FakeHost, busy_fleet, console
from tests.console.test_sheets import opened, said, settle

SAID = "The console made a fault of its own (KeyError) and did not finish this; details are in "


def log() -> str:
    """What was kept of the fault."""
    return (Path.home() / "state" / "maestro-tui" / "crash.log").read_text()


@pytest.mark.usefixtures("plain_pane")
async def test_a_fault_while_a_sheet_reads_or_acts_is_told_in_the_sheet_which_can_be_used_again() -> None:
    host = FakeHost()
    held = {"pid": 5_220, "host": "build-7", "user": "ann", "here": False, "alive": None}
    host.found["owner"] = held | {"condition": "", "heartbeat_seconds_ago": 900.0, "phases": []}
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=(80, 24)) as pilot:
        sheet = await opened(pilot, "j", "D")
        assert isinstance(sheet, DoctorSheet) and sheet.found is not None
        host.refuse = KeyError("epoch")
        await pilot.press("y")
        await settle(pilot)
        await pilot.press(*"gone", "enter", "enter")
        await settle(pilot)
        assert SAID in said(app, "#sentence") and not sheet.busy
        assert "KeyError: 'epoch'" in log()
        host.found = {}
        await pilot.press("escape", "escape")
        await opened(pilot, "D")
        assert SAID in said(app, "#sentence")


class Bare(Telling, App[None]):
    """One widget, and what is said."""

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self.make = make

    def compose(self) -> ComposeResult:
        """The widget."""
        yield self.make()


@pytest.mark.parametrize("make", [LogLines, CheckpointView, ArtifactsView, DiffView, PlanView])
async def test_a_fault_while_a_view_reads_is_told_as_a_notice(make: Callable[[], Any]) -> None:
    def read() -> None:
        raise KeyError("seq")

    app = Bare(make)
    async with app.run_test() as pilot:
        widget = app.screen.query_one(make)
        widget.run_worker(read, thread=True, exit_on_error=False)
        await settle(pilot)
        assert [one.level for one in app.notices] == ["error"]
        assert SAID in app.notices[0].words and "KeyError: 'seq'" in log()


@pytest.mark.usefixtures("plain_pane")
async def test_a_fault_in_what_the_console_does_beside_its_screens_is_told_as_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: object) -> str:
        raise KeyError("outputs")

    monkeypatch.setattr(report_markdown, "read_report", read)
    app = console(busy_fleet())
    async with app.run_test(size=(80, 24)) as pilot:
        copying.run_export(app, busy_fleet().sessions["docs-site"])
        await settle(pilot)
        assert SAID in app.notices[-1].words
