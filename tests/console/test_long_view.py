"""A view of lines that becomes longer or shorter costs no layout of the screen, and scrolls as far as it should."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.widgets import ContentSwitcher

from maestro_tui.console.lines import line
from maestro_tui.console.widgets.rows_view import RowsView, in_sight


class Views(App[None]):
    """One view that is seen, and one behind it."""

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="seen"):
            yield RowsView(id="seen")
            yield RowsView(id="behind")


def fill(view: RowsView, count: int) -> None:
    view.set_lines([line(number, f"line {number}") for number in range(count)])


@pytest.fixture
def layouts() -> list[object]:
    return []


async def test_more_and_fewer_lines_lay_out_nothing_while_the_scrollbar_stays(layouts: list[object]) -> None:
    app = Views()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one("#seen", RowsView)
        for count in (100, 200, 100):  # the scrollbar comes, and gets its styles
            fill(view, count)
            await pilot.pause()
        assert view.show_vertical_scrollbar
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append, immediate=True)
        view.scroll_to(y=80, animate=False, immediate=True)
        for count in (300, 60, 21):
            fill(view, count)
            await pilot.pause()
            assert view.max_scroll_y == count - 20 and view.scroll_y <= view.max_scroll_y
            assert view.vertical_scrollbar.window_virtual_size == count
        assert layouts == []


@pytest.mark.parametrize(("before", "after"), [(5, 50), (50, 5)])
async def test_the_scrollbar_comes_and_goes_with_the_lines(
    before: int, after: int, layouts: list[object]
) -> None:
    app = Views()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one("#seen", RowsView)
        fill(view, before)
        await pilot.pause()
        assert view.show_vertical_scrollbar is (before > 20)
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append, immediate=True)
        fill(view, after)
        await pilot.pause()
        assert layouts and view.show_vertical_scrollbar is (after > 20)


async def test_what_is_behind_another_view_is_laid_out_when_it_is_shown(layouts: list[object]) -> None:
    app = Views()
    async with app.run_test(size=(60, 20)) as pilot:
        behind = app.query_one("#behind", RowsView)
        await pilot.pause()
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append, immediate=True)
        fill(behind, 70)
        await pilot.pause()
        assert layouts == []
        app.query_one(ContentSwitcher).current = "behind"
        await pilot.pause()
        assert behind.show_vertical_scrollbar and behind.max_scroll_y == 50
        fill(behind, 90)
        await pilot.pause()
        assert behind.max_scroll_y == 70


async def test_a_view_before_its_first_layout_takes_its_size(layouts: list[object]) -> None:
    app = Views()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one("#seen", RowsView)
        view.hold(Size(10, 40))
        await pilot.pause()
        assert view.virtual_size.height == 40


@pytest.mark.parametrize(
    ("left", "seen"),
    [(0, "0123456…"), (2, "…345678…"), (4, "…56789ab"), (9, "…ab     ")],
)
def test_a_row_that_goes_on_to_a_side_shows_it(left: int, seen: str) -> None:
    segments = [Segment("01234"), Segment("56789ab")]
    assert in_sight(segments, left, 8, Style(), Style()).text == seen
    assert in_sight([Segment("ends" + " " * 9)], 0, 8, Style(), Style()).text == "ends    ", (
        "blanks are no text"
    )
