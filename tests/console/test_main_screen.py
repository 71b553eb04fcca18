"""The main screen under keys, snapshots and sizes: the cursor stays with its session, whatever happens."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from maestro_tui.console.app import MaestroApp
from maestro_tui.console.fleet import columns_for
from maestro_tui.console.fleet_order import Sort
from maestro_tui.console.messages import SnapshotArrived
from maestro_tui.console.notices import Notice, with_notice
from maestro_tui.console.screens import main as main_screen
from maestro_tui.console.screens.main import MainScreen
from maestro_tui.console.settings import Memory, Settings
from maestro_tui.console.widgets.bars import Brief, FilterInput, KeyBar, Words
from maestro_tui.console.widgets.column_bar import ColumnBar
from maestro_tui.console.widgets.notice_bar import NoticeBar
from maestro_tui.model.summary import FleetSnapshot
from tests.console.fakes import (
    NOW,
    ROOT,
    FakeClock,
    FakeHost,
    FakeSource,
    busy_fleet,
    console,
    fleet,
    many,
    post,
    session,
)
from tests.console.pane_data import until

pytestmark = pytest.mark.usefixtures("plain_pane")
WIDE, NARROW = (120, 40), (80, 24)
HOSTILE = "[/red][@click=app.quit]x[/] [bold"


def selected(app: MaestroApp) -> str | None:
    row = app.main.table.current
    return row.session_id if row is not None else None


def keys_shown(app: MaestroApp) -> list[str]:
    return [action.id for action, _ in app.main.query_one(KeyBar)._keys]


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_an_empty_directory_says_which_keys_matter(size: tuple[int, int]) -> None:
    app = console(fleet())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert app.main.table.empty_words == (
            f"There is no session in {ROOT} yet.",
            "n launches one   ? shows all keys",
        )
        assert keys_shown(app) == ["new", "palette", "help", "quit"]
        assert not app.main.query_one("#inspector").display


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_keys_move_and_the_inspector_follows(size: tuple[int, int]) -> None:
    app = console(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert selected(app) == "kyc-flow"
        await pilot.press("j", "j", "k")
        assert selected(app) == "payments-refactor"
        await pilot.press("G")
        assert selected(app) == "stock-sync"
        await pilot.press("g", "down")
        await pilot.pause()
        assert app.main._shown is not None and app.main._shown.session_id == "payments-refactor"
        assert app.main.query_one(Brief).display == (size == NARROW)


async def test_a_narrow_list_says_what_happened_what_is_safe_and_what_to_do() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        told = app.main.query_one(Brief).render().plain.splitlines()
        assert told[1] == "⚑ deployment was done and waits for your approval."
        assert "a opens the review" in told[2] and told[2].endswith("…")
        assert all(cell_len(line) <= 78 for line in told)
        await pilot.press("j", "j")
        await pilot.pause()
        told = app.main.query_one(Brief).render().plain.splitlines()
        assert told[1] == "◌ testing runs, silent for long. D looks at its runner, x cancels."


async def test_a_directory_that_cannot_be_written_is_only_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    app = console(busy_fleet(), root=tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("r")
        assert len(app.screen_stack) == 1 and app.read_only
        assert any("cannot be written" in one.words for one in app.notices)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_inside_a_session_the_key_line_has_the_session_s_own_keys(size: tuple[int, int]) -> None:
    app = console(busy_fleet())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "open" in keys_shown(app) and "new" in keys_shown(app)
        await pilot.press("enter")
        await pilot.pause()
        assert keys_shown(app)[0] == "review", "what the session needs most stays first"
        assert {"open", "new", "filter", "wall"}.isdisjoint(keys_shown(app))
        line = str(app.main.query_one(KeyBar).render())
        assert "esc list  1-7 tabs" in " ".join(line.split()).replace(" 1-7", "  1-7")
        await pilot.press("escape")
        await pilot.pause()
        assert "open" in keys_shown(app)


async def test_the_cursor_stays_with_its_session_when_the_order_changes() -> None:
    snapshot = busy_fleet()
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("j")
        failed_now = dataclasses.replace(session("zebra", "failed", written=1), error="new failure")
        await post(
            app,
            pilot,
            FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, "zebra": failed_now}, version=2),
        )
        assert selected(app) == "payments-refactor" and app.main.table.cursor == 2
        gone = {name: one for name, one in snapshot.sessions.items() if name != "payments-refactor"}
        await post(app, pilot, FleetSnapshot(root=ROOT, sessions=gone, version=3))
        assert selected(app) is not None and selected(app) != "payments-refactor"


async def test_the_cursor_comes_back_when_the_filter_is_taken_away() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("j", "j", "slash", *"status:run")
        assert [row.session_id for row in app.main.view.rows] == ["invoices", "docs-site"]
        await pilot.press("escape")
        await pilot.pause()
        assert selected(app) == "search-index" and app.main.table.has_focus


async def test_scroll_and_cursor_stay_where_they_are_on_screen_in_ten_thousand_rows() -> None:
    snapshot = many(10_000)
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        table = app.main.table
        for _ in range(20):
            await pilot.press("pagedown")
        here, offset = selected(app), table.cursor - int(table.scroll_y)
        newer = session("a-new-one", "waiting", written=1)
        await post(
            app,
            pilot,
            FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, "a-new-one": newer}, version=2),
        )
        assert selected(app) == here and table.cursor - int(table.scroll_y) == offset


async def test_the_first_frame_holds_what_the_index_remembers_before_anything_is_read() -> None:
    remembered = dataclasses.replace(many(100), loading=True)
    app = console(None, first=remembered)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert len(app.main.view.rows) == 100
        assert app.main.table.rows_painted >= app.main.table.size.height
        here = selected(app)
        await pilot.press("down")
        chosen = selected(app)
        assert chosen != here
        await post(app, pilot, many(1_000))
        assert len(app.main.view.rows) == 1_000 and selected(app) == chosen


def test_nothing_heavy_is_imported_before_the_first_frame() -> None:
    heavy = ("pydantic", "watchfiles", "maestro_tui.store.watch", "maestro_tui.console.widgets.session_pane")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, maestro_tui.console.run\nprint([m for m in {heavy} if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


async def test_an_update_paints_only_the_row_that_changed() -> None:
    snapshot = many(10_000)
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        table, painted = app.main.table, app.main.table.rows_painted
        name = table.view.rows[3].session_id
        changed = dataclasses.replace(snapshot.sessions[name], last_event="something else")
        await post(
            app, pilot, FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, name: changed}, version=2)
        )
        assert table.rows_painted - painted == 1


async def test_the_list_is_narrowed_with_the_key_not_by_a_message_after_it() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        app.main.query_one(FilterInput).value = "status:failed"
        # Nothing has run in between: key and list are one paint.
        assert [row.session_id for row in app.main.view.rows] == ["payments-refactor"]


async def test_the_session_that_a_filter_found_stays_under_the_cursor_when_the_filter_goes() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        first = selected(app)
        await pilot.press("slash", *"docs-site", "enter")
        await pilot.pause()
        found = selected(app)
        assert found is not None and "docs-site" in found and found != first
        await pilot.press("escape")
        await pilot.pause()
        assert app.main.query_one(FilterInput).value == ""
        assert selected(app) == found


async def test_neither_keys_of_the_filter_nor_snapshots_lay_the_screen_out_anew() -> None:
    snapshot = many(1_200)
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("slash")
        await pilot.pause()
        layouts: list[object] = []
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append, immediate=True)
        shown = []
        for key in ("s", "minus", "0", "0", "3", "backspace", "backspace"):
            await pilot.press(key)
            await pilot.pause()
            shown.append(len(app.main.view.rows))
            assert app.main.table.max_scroll_y == shown[-1] - app.main.table.size.height
        assert shown == [1_200, 1_200, 1_200, 1_000, 100, 1_000, 1_200]
        name = app.main.view.rows[3].session_id
        changed = dataclasses.replace(snapshot.sessions[name], last_event="something else")
        await post(
            app, pilot, FleetSnapshot(root=ROOT, sessions={**snapshot.sessions, name: changed}, version=2)
        )
        assert layouts == []
        # Few enough for one screen: the scrollbar goes, and its column belongs to the rows.
        await pilot.press(*"00-")
        await pilot.pause()
        assert layouts and not app.main.table.show_vertical_scrollbar


async def test_the_inspector_follows_when_the_filter_rests_not_at_each_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MainScreen, "at_once", False)
    monkeypatch.setattr(main_screen, "TYPED_AFTER", 3_600.0)
    app = console(many(300))
    async with app.run_test(size=WIDE) as pilot:

        def inspected() -> str | None:
            summary = getattr(app.main._pane, "summary", None)
            return summary.session_id if summary is not None else None

        await until(pilot, inspected, 60)
        first = inspected()
        await pilot.press("slash")
        for key in ("s", "minus", *"0012"):
            await pilot.press(key)
        await pilot.pause()
        assert selected(app) != first and inspected() == first
        monkeypatch.setattr(main_screen, "TYPED_AFTER", 0.01)
        await pilot.press("7")
        await until(pilot, lambda: inspected() == "s-00127", 60)
        # What hides everything does not empty it before it rests either.
        monkeypatch.setattr(main_screen, "TYPED_AFTER", 3_600.0)
        await pilot.press("x")
        await pilot.pause()
        assert selected(app) is None and inspected() == "s-00127"


async def test_time_goes_on_without_snapshots_and_a_session_becomes_silent() -> None:
    clock = FakeClock()
    app = console(fleet(session("s", "running", written=10, spent=10)), clock=clock)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        clock.now = NOW + 400
        app.main.tick()
        assert app.main.view.rows[0].status == "silent"


async def test_a_wrong_filter_is_told_under_it_and_never_raised() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"status:bogus")
        problem = app.main.query_one("#filter-problem", Words)
        assert problem.display and 'There is no status "bogus"' in problem.words
        assert len(app.main.view.rows) == 8
        await pilot.press("escape")
        assert not problem.display


async def test_narrow_screens_turn_from_list_to_detail_and_back() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        fleet_side, inspector = app.main.query_one("#fleet"), app.main.query_one("#inspector")
        assert fleet_side.display and not inspector.display
        await pilot.press("enter")
        await pilot.pause()
        assert inspector.display and not fleet_side.display
        await pilot.press("escape")
        await pilot.pause()
        assert fleet_side.display and app.main.table.has_focus
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert fleet_side.display and inspector.display


async def test_a_filter_and_a_session_can_be_given_at_the_start() -> None:
    app = console(busy_fleet(), initial_filter="!status:completed", open_session="docs-site/design")
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert len(app.main.view.rows) == 7 and selected(app) == "docs-site"
        assert app.main.query_one(FilterInput).value == "!status:completed"


async def test_the_order_is_kept_between_starts() -> None:
    memory = Memory(None)
    app = console(busy_fleet())
    app.memory = memory
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("s", "S")
    again = console(busy_fleet())
    again.memory = memory
    async with again.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert (again.main.sort.column, again.main.sort.reverse) == ("session", True)


@pytest.mark.parametrize(
    ("pressed", "column", "word"),
    [
        ("s", "session ▲", "by session ▲"),
        ("sS", "session ▼", "by session ▼"),
        ("sss", "updated ▲", "by updated ▲"),
        ("sssss", "", "by workflow ▲"),
    ],
)
async def test_another_order_is_seen_at_its_column_and_in_a_word_and_one_key_takes_it_back(
    pressed: str, column: str, word: str
) -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        bar = app.main.query_one(ColumnBar)
        assert not bar.display and "attention" not in keys_shown(app)
        await pilot.press(*pressed)
        await pilot.pause()
        names = bar.render().plain
        assert bar.display and column in names and names.count("▲") + names.count("▼") == bool(column)
        assert word in app.main.query_one("#shown", Words).words and "attention" in keys_shown(app)
        await pilot.press("A")
        await pilot.pause()
        assert not bar.display and app.main.sort == Sort() and app.main.view.rows[0].session_id == "kyc-flow"
        assert "by" not in app.main.query_one("#shown", Words).words and "attention" not in keys_shown(app)


async def test_marks_survive_filters_and_end_with_their_session() -> None:
    snapshot = busy_fleet()
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("space", "space")
        assert app.main.marked == {"kyc-flow", "payments-refactor"}
        await pilot.press("slash", *"status:run", "enter", "asterisk")
        assert app.main.marked == {"kyc-flow", "payments-refactor", "invoices", "docs-site"}
        left = {name: one for name, one in snapshot.sessions.items() if name != "kyc-flow"}
        await post(app, pilot, FleetSnapshot(root=ROOT, sessions=left, version=2))
        assert "kyc-flow" not in app.main.marked
        await pilot.press("U")
        assert app.main.marked == frozenset()


async def test_read_only_has_no_key_that_changes_anything() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host, read_only=True)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        for key in ("r", "p", "R", "n", "a", "x"):
            await pilot.press(key)
            assert len(app.screen_stack) == 1, key
        assert host.calls == [] and not {"resume", "new", "phase"} & set(keys_shown(app))


async def test_the_users_keys_do_it_and_are_shown() -> None:
    app = console(busy_fleet(), settings=Settings(keys={"help": "f5", "mark": "m"}))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("m")
        assert app.main.marked == {"kyc-flow"}
        await pilot.press("f5")
        assert type(app.screen).__name__ == "HelpScreen"


async def test_what_is_wrong_in_the_settings_is_told() -> None:
    app = console(busy_fleet(), settings=Settings(problems=("config.toml: [bold there is no key 'q2'.",)))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert [one.words for one in app.notices] == ["config.toml: [bold there is no key 'q2'."]


async def test_text_from_outside_neither_crashes_nor_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = session(
        "s-1",
        "failed",
        requirement=HOSTILE,
        error=HOSTILE,
        last_event=HOSTILE,
        workflow=HOSTILE,
        workspace=HOSTILE,
    )
    host = FakeHost()
    host.told = [("s-1", HOSTILE)]
    app = console(FleetSnapshot(root=ROOT, sessions={"s-1": one}, problem=HOSTILE), host=host)
    ended: list[Any] = []
    monkeypatch.setattr(app, "exit", lambda *args, **options: ended.append(args))
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        app._look_at_host()
        await pilot.press("colon", *"red")
        await pilot.pause()
        await pilot.press("escape")
        app.main.query_one(FilterInput).value = "status:" + HOSTILE
        await pilot.pause()
        for x in range(0, 78, 6):
            await pilot.click(offset=(x, 22))
        assert ended == []
        assert HOSTILE in app.main.query_one(Brief).render().plain


async def test_a_problem_with_the_directory_is_told_and_the_list_stays() -> None:
    snapshot = busy_fleet()
    app = console(snapshot)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await post(
            app, pilot, dataclasses.replace(snapshot, problem="The directory is gone; waiting for it.")
        )
        assert app.main.query_one("#problem", Words).words.strip() == "The directory is gone; waiting for it."
        assert len(app.main.view.rows) == 8


async def test_snapshots_that_pile_up_are_handled_once() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        source, seen = app._source, []
        assert isinstance(source, FakeSource) and source.post is not None
        take = app.main.take_snapshot
        app.main.take_snapshot = lambda snapshot: (seen.append(snapshot.version), take(snapshot))[1]  # type: ignore[method-assign]
        for version in range(100):
            source.post(dataclasses.replace(busy_fleet(), version=version))
        await pilot.pause()
        assert seen[-1] == 99 and len(seen) < 10


async def test_a_click_selects_and_a_second_one_opens() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await pilot.click("#sessions", offset=(6, 2))
        assert selected(app) == "search-index" and not app.main.has_class("-detail")
        await pilot.click("#sessions", offset=(6, 2))
        await pilot.pause()
        assert app.main.has_class("-detail")


async def test_the_theme_changes_by_key_and_nothing_else_does() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("j", "t")
        assert app.theme == "maestro-light"
        await pilot.press("t")
        await pilot.pause()
        assert app.theme == "maestro-ansi" and selected(app) == "payments-refactor"


async def test_the_filter_takes_letters_that_are_keys_elsewhere() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"qrnx?")
        assert app.main.query_one("#filter", Input).value == "qrnx?" and len(app.screen_stack) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_cursor_and_marks_stay_with_their_sessions_through_anything(seed: int) -> None:
    chance = random.Random(seed)
    sessions = dict(many(300).sessions)
    app = console(fleet(*sessions.values()))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        screen, table = app.main, app.main.table
        for _ in range(60):
            here, marks, chosen = selected(app), screen.marked, table.chosen
            what = chance.choice(
                ["move", "mark", "new", "gone", "change", "filter", "sort", "resize", "theme"]
            )
            if what == "move":
                table.action_move(chance.choice([-40, -1, 1, 7, 90]))
                here = selected(app)
            elif what == "mark":
                screen.action_perform("mark")
                here, marks = selected(app), screen.marked
            elif what == "resize":
                await pilot.resize_terminal(chance.choice([80, 120, 200]), chance.choice([24, 40]))
            elif what == "sort":
                screen.action_perform("sort")
            elif what == "theme":
                screen.action_perform("theme")
            elif what == "filter":
                screen.query_one(FilterInput).value = chance.choice(
                    ["", "status:failed", "s-001", "!status:completed"]
                )
            else:
                names = sorted(sessions)
                name = chance.choice(names)
                if what == "gone" and name != here:
                    del sessions[name]
                elif what == "new":
                    sessions[f"n-{chance.random()}"] = session(f"n-{chance.random()}", "failed", written=1)
                    sessions = {one.session_id: one for one in sessions.values()}
                else:
                    sessions[name] = dataclasses.replace(
                        sessions[name], updated_at=NOW - chance.random() * 900
                    )
                await post(app, pilot, fleet(*sessions.values()))
            await pilot.pause()
            if what == "filter" and chosen in screen.view.positions:
                assert selected(app) == chosen
            elif here in screen.view.positions:
                assert selected(app) == here, what
            assert screen.marked == marks & sessions.keys(), what
            height = table.size.height
            if table.view.rows and height:
                assert 0 <= table.cursor - int(table.scroll_y) < height, what
                assert table.view.rows[table.cursor].session_id == selected(app)


async def test_a_snapshot_that_arrives_while_all_is_taken_down_is_dropped() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        main = app.main
        # The list goes before its screen does, and a last snapshot may come in between.
        await main.query_one("#sessions").remove()
        main.take_snapshot(fleet())
        main.tick()
        assert main.view.total == 8
    app.on_snapshot_arrived(SnapshotArrived(fleet()))
    app._look_at_host()
    assert app.snapshot.version == 1 and len(app.snapshot.sessions) == 8


@pytest.mark.parametrize(("width", "fleet_width"), [(100, 56), (120, 56), (159, 56), (160, 96), (200, 120)])
async def test_the_list_takes_what_its_rows_need_and_the_session_has_the_rest(
    width: int, fleet_width: int
) -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(width, 40)) as pilot:
        await pilot.pause()
        assert app.main.query_one("#fleet").size.width == fleet_width
        assert app.main.query_one("#inspector").outer_size.width == width - fleet_width
        columns = {column.name for column in columns_for(fleet_width, 5)}
        assert ({"requirement", "age", "owner"} <= columns) == (width >= 160)


@pytest.mark.parametrize(
    ("session_id", "first"),
    [
        ("kyc-flow", "review"),
        ("payments-refactor", "resume"),
        ("docs-site", "cancel"),
        ("wishlist", "resume"),
    ],
)
async def test_the_key_that_the_session_most_likely_needs_stands_first(session_id: str, first: str) -> None:
    host = FakeHost()
    host.own = ("docs-site",)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        app.main.table.select(session_id)
        await pilot.pause()
        assert keys_shown(app)[0] == first


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_what_is_told_covers_neither_the_keys_nor_the_row_under_the_cursor(
    size: tuple[int, int],
) -> None:
    app = console(many(100))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(*"jjjj", "G")
        for words in ("one", "two", "three", "x " * 200, "three"):
            app.say(words)
        app.say("An error, " * 60, severity="error")
        app.say("four")
        await pilot.pause()
        assert [one.words[:8] for one in app.notices] == ["An error", "four"], (
            "two at most; errors stay longest"
        )
        bar, keys, table = app.main.query_one(NoticeBar), app.main.query_one(KeyBar), app.main.table
        assert bar.region.height == 5 and bar.region.bottom == keys.region.y
        assert keys.region.bottom == size[1] and table.region.bottom <= bar.region.y
        row = table.cursor - int(table.scroll_y)
        assert table.current is not None and 0 <= row < table.size.height


def test_a_sentence_that_is_told_again_stands_once_and_longer() -> None:
    first, other, again = Notice("Copied: a"), Notice("Nothing was written", "error"), Notice("Copied: a")
    assert with_notice(with_notice((), first), other) == (first, other)
    assert with_notice((first, other), again) == (other, again)
    assert with_notice((other, again), Notice("Copied: b"))[0] is other


async def test_a_sentence_goes_when_its_time_is_over_and_a_later_same_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        over: list[Any] = []
        monkeypatch.setattr(app, "set_timer", lambda seconds, done: over.append(done))
        app.say("Copied: a")
        app.say("Copied: a")
        over[0]()
        assert [one.words for one in app.notices] == ["Copied: a"]
        over[1]()
        await pilot.pause()
        assert app.notices == () and not app.main.query_one(NoticeBar).display


async def test_what_is_told_while_a_sheet_is_open_is_seen_there_and_afterwards_on_the_list() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        app.say("told before")
        await pilot.press("j", "r")
        await pilot.pause()
        app.say("q quits.")
        await pilot.pause()
        bar, under = app.screen.query_one(NoticeBar), app.main.query_one(NoticeBar)
        assert bar.render().plain == "▌ q quits." and bar.region.bottom == NARROW[1]
        assert app.screen.query_one("#sheet").region.bottom <= bar.region.y
        assert under.render().plain == "▌ told before"
        await pilot.press("escape")
        await pilot.pause()
        assert under.render().plain.splitlines() == ["▌ told before", "▌ q quits."]
