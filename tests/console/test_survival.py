"""Cursor, scroll, marks and the open tab survive every refresh, resize, filter change and session removal."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from maestro_tui.console.filter import EVERYTHING, parse
from maestro_tui.console.fleet import EMPTY_VIEW, project
from maestro_tui.console.fleet_order import SORT_COLUMNS, Sort
from maestro_tui.console.place import Place, follow, in_sight
from maestro_tui.console.screens.main import MainScreen
from maestro_tui.console.widgets.bars import FilterInput
from maestro_tui.console.widgets.session_pane import TABS, SessionPane
from maestro_tui.model.summary import SessionSummary
from tests.console.fakes import NOW, console, fleet, many, post, session
from tests.console.test_plan_tab import pane_of

KINDS = ("completed", "failed", "running", "waiting", "paused")
FILTERS = ("", "status:failed", "!status:completed", "s-000", "nothing-like-this")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(0, 80)),
        st.tuples(st.just("change"), st.integers(0, 80), st.sampled_from(KINDS)),
        st.tuples(st.just("remove"), st.integers(0, 80)),
        st.tuples(st.just("add"), st.integers(0, 80), st.sampled_from(KINDS)),
        st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
        st.tuples(st.just("sort"), st.sampled_from(SORT_COLUMNS)),
        st.tuples(st.just("height"), st.integers(0, 30)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 60), STEPS)
def test_the_place_belongs_to_the_session_whatever_happens_to_the_list(
    count: int, steps: list[tuple[Any, ...]]
) -> None:
    sessions: dict[str, SessionSummary] = dict(many(count).sessions)
    query, sort, height = EVERYTHING, Sort(), 12
    view = project(fleet(*sessions.values()), now=NOW)
    place = follow(Place(), EMPTY_VIEW, view, height)
    for step in steps:
        what, recall = step[0], False
        names = sorted(sessions)
        here = view.rows[place.cursor].session_id if view.rows else None
        if what == "move" and view.rows:
            cursor = step[1] % len(view.rows)
            here = view.rows[cursor].session_id
            place = Place(cursor, in_sight(cursor, place.top, height, len(view.rows)), here)
        elif what == "change" and names:
            name = names[step[1] % len(names)]
            sessions[name] = session(name, step[2], written=step[1])
        elif what == "remove" and names:
            del sessions[names[step[1] % len(names)]]
        elif what == "add":
            name = f"n-{step[1]}"
            sessions[name] = session(name, step[2])
        elif what == "filter":
            query, recall = parse(step[1]), True
        elif what == "sort":
            sort = Sort(step[1])
        elif what == "height":
            height = step[1]
        before, line = place, place.cursor - place.top
        chosen = place.chosen
        old, view = view, project(fleet(*sessions.values()), query, sort, NOW, view)
        place = follow(place, old, view, height, recall=recall)

        rows = view.rows
        assert 0 <= place.cursor < max(1, len(rows))
        if recall and chosen in view.positions:
            assert rows[place.cursor].session_id == chosen
        elif here in view.positions:
            assert rows[place.cursor].session_id == here
        elif rows:
            assert place.cursor == min(before.cursor, len(rows) - 1)
        if chosen is not None and chosen in sessions:
            assert place.chosen == chosen
        if rows and height:
            assert 0 <= place.cursor - place.top < height
            free = 0 < place.top < len(rows) - height and before.top > 0 and 0 <= line < height
            if free:
                assert place.cursor - place.top == line
            assert place.top <= max(0, len(rows) - height)


def test_only_the_operators_own_filter_takes_the_cursor_back_to_a_hidden_session() -> None:
    both = fleet(session("a", "failed", written=9), session("b", "failed", written=5))
    query = parse("status:failed")
    first = project(both, query, now=NOW)
    place = Place(first.positions["a"], 0, "a")
    hidden = project(fleet(session("a", "running"), both.sessions["b"]), query, now=NOW)
    place = follow(place, first, hidden, 10)
    assert hidden.rows[place.cursor].session_id == "b" and place.chosen == "a"
    again = project(both, query, now=NOW)
    stays = follow(place, hidden, again, 10)
    assert again.rows[stays.cursor].session_id == "b"
    back = follow(place, hidden, again, 10, recall=True)
    assert again.rows[back.cursor].session_id == "a"


@given(st.integers(0, 500), st.integers(-50, 500), st.integers(1, 60), st.integers(1, 500))
def test_the_cursor_is_always_in_sight_and_nothing_scrolls_without_need(
    cursor: int, top: int, height: int, total: int
) -> None:
    cursor = min(cursor, total - 1)
    found = in_sight(cursor, top, height, total)
    assert found <= cursor < found + height and 0 <= found <= max(0, total - height)
    if 0 <= top <= max(0, total - height) and top <= cursor < top + height:
        assert found == top


def shown(screen: MainScreen) -> str | None:
    row = screen.table.current
    return row.session_id if row is not None else None


async def settled(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


@pytest.mark.parametrize("seed", range(4))
async def test_the_real_console_keeps_cursor_scroll_marks_and_tab(seed: int) -> None:
    chance = random.Random(seed)
    sessions = dict(many(120).sessions)
    app = console(fleet(*sessions.values()))
    async with app.run_test(size=(120, 40)) as pilot:
        pane: SessionPane = await pane_of(pilot, app)
        screen, table = app.main, app.main.table
        tab = chance.choice(TABS)[0]
        pane.action_tab(tab)
        screen.set_detail(False)
        for _ in range(3):
            table.action_move(chance.randrange(20))
            screen.action_perform("mark")
        await settled(pilot)
        for version in range(25):
            here, chosen, marks = shown(screen), table.chosen, screen.marked
            line = table.cursor - int(table.scroll_y)
            top, total = int(table.scroll_y), len(table.view.rows)
            what = chance.choice(("refresh", "change", "remove", "remove", "filter", "resize", "tab", "move"))
            names = sorted(sessions)
            if what == "resize":
                await pilot.resize_terminal(chance.choice([80, 120, 170]), chance.choice([24, 32, 50]))
            elif what == "filter":
                screen.query_one(FilterInput).value = chance.choice(FILTERS)
            elif what == "tab":
                tab = chance.choice(TABS)[0]
                pane.action_tab(tab)
                screen.table.focus()
            elif what == "move":
                table.action_move(chance.choice([-30, -1, 1, 30]))
                here = chosen = shown(screen)
            else:
                name = here if what == "remove" and here and chance.random() < 0.3 else chance.choice(names)
                if what == "remove":
                    del sessions[name]
                elif what == "change":
                    sessions[name] = session(name, chance.choice(KINDS), written=chance.randrange(900))
                else:
                    sessions[name] = dataclasses.replace(sessions[name], updated_at=NOW - chance.random())
                await post(app, pilot, fleet(*sessions.values(), version=version + 2))
            await settled(pilot)
            assert screen.marked == marks & sessions.keys(), what
            assert pane.tab == tab, what
            if what == "filter" and chosen in screen.view.positions:
                assert shown(screen) == chosen
            elif here in screen.view.positions:
                assert shown(screen) == here, what
            after, height = int(table.scroll_y), table.size.height
            if table.view.rows and height:
                assert 0 <= table.cursor - after < height, what
                assert after <= max(0, len(table.view.rows) - height), what
            if (
                what == "refresh"
                and len(table.view.rows) == total
                and top
                and after not in (0, total - height)
            ):
                assert table.cursor - after == line
