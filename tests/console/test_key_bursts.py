"""Keys that arrive together (a slow line, a paste without brackets) go where they were meant."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from maestro_tui.config import UntrustedWorkflow
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.screens.kill import KillSheet
from maestro_tui.console.screens.launch import LaunchSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.question import QuestionSheet
from maestro_tui.console.screens.quit import QuitSheet
from maestro_tui.console.screens.review import ReviewSheet
from maestro_tui.console.screens.trust import TrustSheet
from maestro_tui.console.screens.wall import WallScreen
from maestro_tui.console.widgets.bars import FilterInput
from maestro_tui.console.widgets.block import Block
from tests.console.fakes import FakeHost, asking_session, busy_fleet, console, fleet, question
from tests.console.test_sheets import COMMANDS, result, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)
EARLY = "typed before this was shown"


def burst(app: MaestroApp, *keys: str) -> None:
    """Put keys into the terminal's queue at once; a word is typed letter by letter, `^s` is ctrl+s."""
    driver = app._driver
    assert driver is not None
    names = {"ESC": "escape", "RET": "enter", "TAB": "tab"}
    for word in keys:
        if word in names:
            typed = [(names[word], None)]
        elif word.startswith("^"):
            typed = [(f"ctrl+{word[1:]}", None)]
        else:
            typed = [(_character_to_key(one), one) for one in word]
        for key, character in typed:
            event = events.Key(key, character)
            event.set_sender(app)
            driver.send_message(event)


async def landed(pilot: Pilot[Any]) -> None:
    """Wait until every key has had its turn."""
    app = pilot.app
    assert isinstance(app, MaestroApp)
    for _ in range(400):
        await pilot.pause(0.01)
        if app.keys_rest:
            break
    else:
        raise AssertionError("the keys never came to rest")
    await settle(pilot)


def said(app: MaestroApp) -> str:
    return app.screen.query_one("#sentence", Block).words


async def test_a_comment_typed_at_once_is_written_not_carried_out() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host, results=result)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("a")
        await settle(pilot)
        burst(app, "csays it better, by x")
        await landed(pilot)
        assert isinstance(app.screen, ReviewSheet) and host.calls == []
        assert app.screen.query_one("#comment", Input).value == "says it better, by x"


async def test_the_key_that_opens_a_sheet_and_a_comment_in_one_burst_reach_the_field() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host, results=result)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "acyes, by all means")
        await landed(pilot)
        assert isinstance(app.screen, ReviewSheet) and host.calls == []
        assert app.screen.query_one("#comment", Input).value == "yes, by all means"


async def test_what_was_typed_before_a_plan_was_shown_does_not_confirm_it() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "jryyy")
        await landed(pilot)
        assert isinstance(app.screen, PlanSheet) and host.calls == [] and len(app.screen_stack) == 2
        await pilot.press("y")
        await settle(pilot)
        assert [call[0] for call in host.calls] == ["resume"] and len(app.screen_stack) == 1


async def test_what_was_typed_before_a_question_was_shown_is_told_and_does_nothing() -> None:
    host = FakeHost()
    host.own = ("docs-site",)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await app.ask_host(lambda one: one.running())
        burst(app, "qy")
        await landed(pilot)
        assert isinstance(app.screen, QuitSheet) and host.calls == [] and EARLY in said(app)


async def test_a_new_session_typed_in_one_burst_keeps_its_text_and_waits_for_a_look() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "nRefunds are idempotent; quit x y", "^s")
        await landed(pilot)
        assert isinstance(app.screen, LaunchSheet) and host.calls == [] and EARLY in said(app)
        requirement = app.screen.query_one("#requirement", TextArea)
        assert requirement.text == "Refunds are idempotent; quit x y"


async def test_a_filter_typed_in_one_burst_filters() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "/status:running", "RET", "j")
        await landed(pilot)
        assert app.main.query_now.text == "status:running" and app.main.query_one(FilterInput).value
        assert {row.status for row in app.main.view.rows} == {"running"} and app.main.table.has_focus
        assert app.screen is app.main and app.main.table.cursor == 1


async def test_a_filter_typed_on_the_wall_reaches_the_filter() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "w/quiet x")
        await landed(pilot)
        assert app.main.query_now.text == "quiet x" and app.screen is app.main


async def test_keys_after_the_wall_was_opened_act_on_the_wall() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "wjj")
        await landed(pilot)
        assert isinstance(app.screen, WallScreen) and app.main.table.cursor == 0


async def test_a_closed_sheet_holds_no_key_back() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "jr", "ESC", "j?", "ESC", "j")
        await landed(pilot)
        assert app.screen is app.main and app.main.table.cursor == 3


async def test_a_paste_after_the_key_that_opens_a_field_goes_into_the_field() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "/")
        driver = app._driver
        assert driver is not None
        driver.send_message(events.Paste("qqq x"))
        burst(app, "y")
        await landed(pilot)
        assert app.main.query_now.text == "qqq xy"


async def test_an_impatient_second_y_does_not_trust_commands_that_were_not_shown_yet() -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("j", "r")
        await settle(pilot)
        burst(app, "yyyy")
        await landed(pilot)
        assert isinstance(app.screen, TrustSheet) and len(host.calls) == 1 and host.trusted == []


async def test_a_number_typed_before_a_question_was_shown_does_not_answer_it() -> None:
    host = FakeHost()
    host.asked = [question()]
    app = console(fleet(asking_session()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, "a111")
        await landed(pilot)
        assert isinstance(app.screen, QuestionSheet) and host.calls == []
        await pilot.press("1")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 1, "Allow once")]


async def test_a_y_meant_for_the_polite_way_does_not_use_force() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.main.table.select("docs-site")
        await pilot.press("X")
        await settle(pilot)
        await pilot.press("y")
        await settle(pilot)
        sheet = app.screen
        assert isinstance(sheet, KillSheet)
        burst(app, "y")
        sheet.offer_force()
        await landed(pilot)
        assert host.calls == [("stop_runner", "docs-site", 4121, False)] or not host.calls[-1][-1]


async def test_an_action_of_the_palette_is_done_before_the_keys_behind_it() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        burst(app, ":")
        await landed(pilot)
        burst(app, "filter")
        await landed(pilot)
        await pilot.press("enter")
        await landed(pilot)
        burst(app, "x quiet")
        await landed(pilot)
        assert app.main.query_now.text == "x quiet"
