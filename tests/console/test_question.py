"""The question sheet: who asks what and until when; only a number or the focused option answers, and only once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from maestro_tui.console.alerts import Watch
from maestro_tui.console.screens.question import QuestionSheet
from maestro_tui.console.screens.review import ReviewSheet
from maestro_tui.model.errors import PlanError
from maestro_tui.store.questions import Answer, Question
from tests.console.fakes import (
    NOW,
    FakeClock,
    FakeHost,
    asking_session,
    busy_fleet,
    console,
    fleet,
    post,
    question,
    session,
)
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.test_sheets import opened, result, said, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)


def asking(*questions: Question, **options: Any) -> Any:
    host = FakeHost()
    host.asked = list(questions) or [question()]
    return console(fleet(asking_session()), host=host, **options), host


def labels(pilot: Pilot[Any]) -> list[str]:
    return [str(button.label) for button in pilot.app.screen.query("#options Button").results(Button)]


async def test_the_sheet_says_who_asks_what_and_begins_on_what_counts_without_an_answer() -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "a")
        assert isinstance(sheet, QuestionSheet)
        assert said(app, "#title") == "developer asks in implementation #1 of kyc-flow"
        assert said(app, "#asked").startswith("Write refunds.py (edit)\nin /home/ann/shop/refunds.py\n")
        assert said(app, "#until").startswith("9m40s left; without an answer: Reject.")
        assert labels(pilot) == ["1  Allow once", "2  Always allow edits of refunds.py", "3  Reject"]
        assert app.focused is not None and app.focused.id == "option-3"
        await pilot.press("enter")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 1, "Reject")]
        assert len(app.screen_stack) == 1


async def test_a_number_answers_once_however_often_it_is_pressed() -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press("1", "1", "2")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 1, "Allow once")]


async def test_no_other_key_answers_anything() -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press(*"yanrxbc90", "pagedown", "tab")
        await settle(pilot)
        assert host.calls == [] and isinstance(app.screen, QuestionSheet)


async def test_an_option_that_is_not_there_is_told_and_later_changes_nothing() -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press("7")
        assert said(app, "#sentence") == "There is no option 7."
        await pilot.press("escape")
        await settle(pilot)
        assert host.calls == [] and len(app.screen_stack) == 1


async def test_the_arrows_go_from_option_to_option_and_enter_takes_the_one_in_focus() -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press("up", "up", "enter")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 1, "Allow once")]


async def test_time_passes_on_the_sheet_and_is_told_when_it_is_over() -> None:
    clock = FakeClock()
    app, _ = asking(clock=clock)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "a")
        clock.now += 570
        sheet._tell_time()
        assert said(app, "#until").startswith("10s left")
        clock.now += 10
        sheet._tell_time()
        assert said(app, "#until").startswith("Time is over: Reject.")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"answer": Answer("Allow once", "bob", NOW)}, "It was answered meanwhile: Allow once (by bob)."),
        ({"void": True}, "Nobody waits for the answer any more: the runner that asked has ended."),
    ],
)
async def test_what_happened_meanwhile_is_told_and_nothing_is_answered(
    now: dict[str, Any], words: str
) -> None:
    app, host = asking()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        host.asked = [question(**now)]
        await post(app, pilot, fleet(session("kyc-flow", "running"), version=2))
        await settle(pilot)
        assert said(app, "#sentence") == words
        await pilot.press("1")
        await settle(pilot)
        assert host.calls == []
        await pilot.press("enter")
        await settle(pilot)
        assert len(app.screen_stack) == 1


async def test_a_refused_answer_stays_on_the_sheet_with_its_reason() -> None:
    app, host = asking()
    host.refuse = PlanError("Question 1 was answered already: Reject (by bob) [/red].")
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press("1")
        await settle(pilot)
        assert said(app, "#sentence") == "Question 1 was answered already: Reject (by bob) [/red]."
        assert isinstance(app.screen, QuestionSheet)


async def test_the_oldest_of_several_questions_comes_first_and_the_others_are_counted() -> None:
    app, host = asking(
        question(1, answer=Answer("Reject", "bob", NOW)), question(2), question(3), question(4)
    )
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        assert said(app, "#title").endswith("(2 more wait)")
        await pilot.press("1")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 2, "Allow once")]


async def test_hostile_words_and_many_options_stand_as_they_are() -> None:
    from maestro_tui.model.text import clean, clean_lines

    options = tuple(clean(f"{number} {HOSTILE}", 200) for number in range(1, 13))
    one = question(
        text=clean_lines(HOSTILE + "\n" * 60), options=options, default=options[-1], expires_at=None
    )
    app, host = asking(one)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        shown = "".join(labels(pilot)) + said(app, "#asked")
        assert "[/] oops [/red]" in shown and not NEVER_RAW & set(shown)
        assert app.focused is not None and app.focused.id == "option-12"
        await pilot.press("9")
        await settle(pilot)
        assert host.calls == [("answer", "kyc-flow", 1, options[8])]


async def test_a_phase_that_waits_for_approval_is_still_reviewed() -> None:
    app = console(busy_fleet(), host=FakeHost(), results=result)
    async with app.run_test(size=SIZE) as pilot:
        assert isinstance(await opened(pilot, "a"), ReviewSheet)


def test_each_new_question_is_told_to_who_looks_elsewhere() -> None:
    before = fleet(session("kyc-flow", "running"))
    watch = Watch().seen(before, False).seen(fleet(asking_session(1)), False)
    watch, alert = watch.due(NOW, False)
    assert alert is not None and alert.text == "kyc-flow waits for you at implementation"
    watch, alert = watch.seen(fleet(asking_session(1)), False).due(NOW + 5, False)
    assert alert is None
    watch, alert = watch.seen(fleet(asking_session(2)), False).due(NOW + 10, False)
    assert alert is not None


def test_only_the_phase_that_asks_shows_as_waiting() -> None:
    from maestro_tui.model.summary import phase_word

    one = asking_session()
    beside = dataclasses.replace(one.phases[2], asking=None)
    assert [phase_word(phase, "waiting") for phase in (one.phases[2], beside)] == ["waiting", "running"]
