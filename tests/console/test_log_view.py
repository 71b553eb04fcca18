"""The Log tab: follows, stops when scrolled up, counts what comes, searches with its context, filters, wraps."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from maestro_tui.console.theme import DARK
from maestro_tui.console.widgets.log_view import LogChoice, LogView
from maestro_tui.console.widgets.palette import palette
from tests.console.pane_data import BEGUN, log_line, painted, until


class LogApp(App[None]):
    """Nothing but the Log tab."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.path = path

    def compose(self) -> ComposeResult:
        yield LogView()

    def on_mount(self) -> None:
        view = self.query_one(LogView)
        view.show([LogChoice("design", 1, self.path)])
        view.open_attempt("design", 1)
        view.log_lines.focus()


def write(path: Path, count: int, start: int = 0, persona: str = "architect") -> None:
    with path.open("a") as stream:
        stream.write("".join(log_line(BEGUN + n, persona, f"line {n}") for n in range(start, start + count)))


async def settled(pilot: Pilot[None]) -> LogView:
    view = pilot.app.query_one(LogView)
    await until(pilot, lambda: view.log_lines.complete)
    await until(pilot, lambda: not any(worker.is_running for worker in pilot.app.workers))
    return view


async def test_a_log_opens_at_its_end_and_follows_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 500)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        assert "line 499" in painted(app)
        write(path, 3, 500)
        await until(pilot, lambda: "line 502" in painted(app))
        assert view.log_lines.following
        assert view.log_lines.vertical_scrollbar.position == view.log_lines.scroll_y > 0


async def test_scrolling_up_stops_following_and_tells_how_many_new_lines_wait(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 500)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        await pilot.press("up", "up", "up")
        top = view.log_lines.scroll_y
        assert not view.log_lines.following
        write(path, 37, 500)
        await until(pilot, lambda: "37 new lines below" in painted(app))
        assert view.log_lines.scroll_y == top
        assert "line 536" not in painted(app)
        await pilot.press("G")
        await until(pilot, lambda: "line 536" in painted(app))
        assert view.log_lines.following and view.log_lines.unseen == 0


async def test_scrolling_down_to_the_end_follows_again(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 100)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        await pilot.press("pageup")
        assert not view.log_lines.following
        await pilot.press("pagedown")
        assert view.log_lines.following


async def test_search_goes_to_matches_and_keeps_the_lines_around_them(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 200)
    write(path, 1, 5000)
    write(path, 200, 200)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"line 5000", "enter")
        await until(pilot, lambda: "“line 5000” 1 of 1" in painted(app))
        shown = painted(app)
        assert "line 199" in shown and "line 200" in shown
        await pilot.press("escape")
        await pilot.pause()
        assert "“line 5000”" not in painted(app)
        assert "line 199" in painted(app)


async def test_n_and_N_go_through_the_matches_around_the_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 300)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        await pilot.press("slash", *"line 1", "enter")
        await until(pilot, lambda: view.log_lines.match_place > 0)
        last = view.log_lines.match_count
        assert view.log_lines.match_place == last == 111
        await pilot.press("n")
        assert view.log_lines.match_place == 1
        await pilot.press("N", "N")
        assert view.log_lines.match_place == 110


async def test_a_search_without_a_match_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 5)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"nowhere", "enter")
        await until(pilot, lambda: "“nowhere” not found" in painted(app))


@pytest.mark.parametrize(
    "words", ["ValueError: no", "FAILED tests/a.py", "connection refused", "fatal: gone"]
)
async def test_a_failed_log_opens_at_its_first_error_with_the_lines_before_it(
    tmp_path: Path, words: str
) -> None:
    path = tmp_path / "x.log"
    write(path, 300, persona="failed")
    with path.open("a") as stream:
        stream.write(log_line(BEGUN + 300, "architect", "0 errors, no failure, unfailed errorless"))
        stream.write(log_line(BEGUN + 301, "architect", words))
    write(path, 300, 302)
    with path.open("a") as stream:
        stream.write(log_line(BEGUN + 700, "architect", "error: a later one"))
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        view.log_lines.go_to_first_error()
        await until(pilot, lambda: words in painted(app))
        assert "line 299" in painted(app) and "a later one" not in painted(app)
        assert not view.log_lines.following and view.log_lines.row_in_focus == 301


async def test_a_failed_log_without_a_word_of_error_stays_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 300)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        view.log_lines.go_to_first_error()
        await settled(pilot)
        assert view.log_lines.following and "line 299" in painted(app)


async def test_one_personas_lines_can_be_shown_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 4, 0, "architect")
    write(path, 4, 4, "reviewer")
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        await pilot.press("u", "u")
        await until(pilot, lambda: view.log_lines.row_count == 4)
        shown = painted(app)
        assert "only reviewer" in shown and "line 4" in shown and "line 3" not in shown
        await pilot.press("u")
        await until(pilot, lambda: view.log_lines.row_count == 8)


async def test_wrapping_shows_the_whole_line_and_the_end_stays_in_sight(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    long = " ".join(f"word{n}" for n in range(60))
    path.write_text("".join(log_line(BEGUN + n, "architect", f"{n} {long}") for n in range(50)))
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = await settled(pilot)
        assert "49 word0" in painted(app) and "word59" in painted(app)
        await pilot.press("g")
        await pilot.pause()
        assert "0 word0" in painted(app)
        assert not view.log_lines.following
        await pilot.press("G", "w")
        await pilot.pause()
        assert "word59" not in painted(app) and "w wraps" in painted(app)
        rows = painted(app).splitlines()[:-1]
        assert all(row.rstrip().rstrip("▁▂▃▄▅▆▇█").endswith("…") for row in rows), "each goes on to the right"
        await pilot.press("l")
        await pilot.pause()
        assert all(row.startswith("…") for row in painted(app).splitlines()[:-1])


async def test_a_line_that_would_fill_the_screen_is_cut_with_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(log_line(BEGUN, "architect", "word " * 40_000) + log_line(BEGUN, "architect", "the end"))
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await settled(pilot)
        rows = [row.rstrip() for row in painted(app).splitlines()]
        assert [place for place, row in enumerate(rows) if row.endswith("…")] == [8]
        assert "13:51:00" in rows[0] and "the end" in rows[9]


async def test_a_match_between_wrapped_lines_is_in_sight(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    text = "word " * 100
    lines = [log_line(BEGUN + n, "architect", f"{n} {'needle' if n == 25 else ''} {text}") for n in range(50)]
    path.write_text("".join(lines))
    app = LogApp(path)
    async with app.run_test(size=(80, 14)) as pilot:
        view = await settled(pilot)
        view.log_lines.search("needle")
        await until(pilot, lambda: "needle" in painted(app).rpartition("\n")[0])


async def test_the_colours_of_programs_are_painted_and_their_other_sequences_shown(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    words = "\x1b[32mPASS\x1b[0m all of \x1b[1;31mthese\x1b[m\x1b]0;title\x07\x1b[2J"
    path.write_text(log_line(BEGUN, "architect", words))
    app = LogApp(path)
    async with app.run_test(size=(80, 10)) as pilot:
        view = await settled(pilot)
        assert "PASS all of these␛]0;title␇␛[2J" in painted(app)
        colours = palette(view)
        styles = {text: style for text, style, _ in view.log_lines.render_line(0) if style is not None}
        assert styles["PASS"].color == colours.style("phase-completed").color
        assert styles["these"].bold and styles["these"].color == colours.style("phase-failed").color
        view.log_lines.search("pass all of the")
        await until(pilot, lambda: view.log_lines.match_count == 1)
        marked = [text for text, style, _ in view.log_lines.render_line(0) if style and style.bgcolor
                  and style.bgcolor == colours.style("match").bgcolor]  # fmt: skip
        assert "".join(marked) == "PASS all of the"
        assert view.log_lines.line(0).text == "PASS all of these␛]0;title␇␛[2J", "what is copied"


async def test_time_stamps_can_be_hidden(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 3)
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await settled(pilot)
        assert "13:51:02" in painted(app)
        await pilot.press("t")
        await pilot.pause()
        assert "13:51:02" not in painted(app)


async def test_a_log_that_does_not_exist_yet_appears_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        view = app.query_one(LogView)
        await until(pilot, lambda: "This attempt ended without a line." in painted(app))
        view.show([LogChoice("design", 1, path, running=True)])
        await until(pilot, lambda: "It runs; its first line will show here." in painted(app))
        assert "No log" not in painted(app) and "no log" not in painted(app)
        write(path, 2)
        await until(pilot, lambda: "line 1" in painted(app))


async def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.symlink_to("/etc/passwd")
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await until(pilot, lambda: "This log cannot be read" in painted(app))
        assert "root" not in painted(app)


async def test_a_million_lines_are_scrolled_and_searched(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    with path.open("w") as stream:
        for start in range(0, 1_000_000, 10_000):
            stream.write(
                "".join(f"2026-11-23T13:51:00.000Z\ta\tout\tline {n}\n" for n in range(start, start + 10_000))
            )
    app = LogApp(path)
    async with app.run_test(size=(80, 20)) as pilot:
        await until(pilot, lambda: "line 999999" in painted(app))
        view = await settled(pilot)
        assert view.log_lines.row_count == 1_000_000
        assert "line 999999" in painted(app)
        await pilot.press("g")
        await pilot.pause()
        assert "line 0 " in painted(app) and "line 15 " in painted(app)
        await pilot.press("slash", *"line 765432", "enter")
        await until(pilot, lambda: "line 765440" in painted(app))
        assert "1 of 1" in painted(app)
