"""The wall: what stands on it, where on the time axis, and that nothing from outside can steer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from maestro_tui.console import wall
from maestro_tui.console.fleet import project, shown_status
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.screens.main import MainScreen
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.wall import WallScreen
from maestro_tui.console.theme import THEMES, variable_defaults
from maestro_tui.console.wall import SPANS, Piece, Window
from maestro_tui.console.widgets.palette import Palette
from maestro_tui.console.widgets.wall_strips import strip_style
from maestro_tui.model.summary import PhaseSummary, SessionSummary
from maestro_tui.model.text import clean
from tests.console.fakes import (
    NOW,
    FakeClock,
    busy_fleet,
    console,
    failed_fleet,
    fleet,
    many,
    owner,
    post,
    session,
    strange_fleet,
    waiting_fleet,
)
from tests.console.hostile import HOSTILE, NEVER_RAW

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
HOUR = 3_600.0


def row(one: SessionSummary) -> FleetRow:
    return FleetRow(one, shown_status(one, NOW))


def rows(*sessions: SessionSummary) -> list[FleetRow]:
    return [row(one) for one in sessions]


def text(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


def statuses(pieces: tuple[Piece, ...]) -> list[str]:
    """Status of each column."""
    return [piece.status for piece in pieces for _ in piece.text]


def phases(*spans: tuple[str, str, float, float | None]) -> tuple[PhaseSummary, ...]:
    """(name, status, minutes ago it began, minutes ago it ended)."""
    return tuple(
        PhaseSummary(name, status, 1, NOW - start * 60, None if end is None else NOW - end * 60)
        for name, status, start, end in spans
    )


# ── Which sessions ────────────────────────────────────────────────────────────────────────────────────────


def test_attention_stands_first_then_what_runs_then_what_ran() -> None:
    found = wall.select(map(row, busy_fleet().sessions.values()), NOW - 4 * HOUR, NOW, NOW)
    names = [one.session_id for one in found.rows]
    assert names[:4] == ["kyc-flow", "payments-refactor", "search-index", "wishlist"]
    assert found.pinned == 4
    assert names[4:] == ["invoices", "docs-site", "stock-sync"]
    assert found.positions["docs-site"] == 5


def test_old_failures_leave_but_what_waits_or_runs_never_does() -> None:
    old = rows(
        session("waits", "waiting", age=900_000, written=800_000),
        session("failed", "failed", age=900_000, written=800_000),
        session("runs", "running", age=900_000, written=10),
        session("done", "completed", age=900_000, written=800_000),
    )
    assert set(wall.select(old, NOW - HOUR, NOW, NOW).positions) == {"waits", "runs"}
    assert set(wall.select(old, NOW - 1_000_000, NOW, NOW).positions) == {"waits", "runs", "failed", "done"}


def test_the_fitted_time_holds_what_runs_but_not_last_week() -> None:
    assert SPANS[wall.fitted_zoom(rows(session("a", "running", age=1_000, written=1)), NOW)] == 1_800
    far = rows(session("a", "running", age=400_000, written=1), session("b", "completed", age=900_000))
    assert wall.fitted_zoom(far, NOW) == wall.WIDEST_FIT
    assert SPANS[wall.fitted_zoom([], NOW)] == 300


def test_zoom_and_scroll_end_at_their_limits_and_at_now() -> None:
    window = Window().zoomed(1, 3)
    assert window.zoom == 2
    assert window.zoomed(-100, 3).zoom == len(SPANS) - 1
    assert window.zoomed(100, 3).zoom == 0
    earlier = window.shifted(-1, NOW, HOUR)
    assert earlier.end == NOW - HOUR / 4
    assert earlier.shifted(2, NOW, HOUR).end is None
    assert earlier.zoomed(0, 3) == Window()


# ── Strips ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_phase_stands_where_its_time_is() -> None:
    one = row(replace(session("s", "completed"), phases=phases(("build", "completed", 45, 15))))
    scale = wall.axis(HOUR, NOW - 1, NOW, 60)
    columns = [index for index, status in enumerate(statuses(wall.strip(one, scale, NOW))) if status]
    at = [scale.start + index * 60 for index in columns]
    assert min(at) <= NOW - 45 * 60 < min(at) + 60
    assert max(at) <= NOW - 15 * 60 <= max(at) + 60
    assert columns == list(range(columns[0], columns[-1] + 1))
    assert "build" in text(wall.strip(one, scale, NOW))


def test_each_status_but_completed_is_told_by_its_glyph_too() -> None:
    for status, sign in (("failed", "✗"), ("waiting", "⚑"), ("interrupted", "⊘"), ("running", "●")):
        one = row(session("s", status, at=0, age=3_000, written=120, took=900, spent=1_000))
        shown = wall.strip(one, wall.axis(HOUR, None, NOW, 60), NOW)
        assert sign in text(shown), status
        assert status in statuses(shown)
    plain = wall.strip(
        row(session("s", "failed", took=900)), wall.axis(HOUR, None, NOW, 60), NOW, signs=wall.ASCII_SIGNS
    )
    assert text(plain).isascii()
    assert "x" in text(plain)


def test_silence_and_waiting_show_how_long_they_last() -> None:
    silent = row(session("s", "running", at=0, age=3_000, written=1_200, spent=2_400))
    found = statuses(wall.strip(silent, wall.axis(HOUR, None, NOW, 66), NOW))
    assert 18 <= found.count("silent") <= 22
    assert 18 <= found.count("running") <= 22
    waiting = row(session("s", "waiting", at=0, age=3_000, written=1_200, took=600))
    found = statuses(wall.strip(waiting, wall.axis(HOUR, None, NOW, 66), NOW))
    assert 18 <= found.count("waiting") <= 22
    assert 9 <= found.count("completed") <= 12


def test_in_a_shared_column_the_worst_is_seen() -> None:
    one = replace(
        session("s", "failed"),
        phases=phases(
            ("a", "completed", 20, 10.1), ("b", "failed", 10.05, 10.04), ("c", "completed", 10.03, 1)
        ),
    )
    found = statuses(wall.strip(row(one), wall.axis(24 * HOUR, None, NOW, 80), NOW))
    assert found.count("failed") == 1


def test_a_short_phase_is_fainter_than_one_that_fills_its_columns() -> None:
    def heats(minutes: float) -> set[int]:
        one = replace(session("s", "completed"), phases=phases(("a", "completed", 500 + minutes, 500)))
        pieces = wall.strip(row(one), wall.axis(24 * HOUR, None, NOW, 78), NOW)
        return {piece.heat for piece in pieces if piece.status == "completed"}

    assert heats(0.5) == {1}
    assert 3 in heats(120)


def test_the_way_to_the_usual_end_is_shown_ahead_of_now() -> None:
    one = row(session("s", "running", at=0, age=60, written=1, spent=60))
    usual = {("sdlc", "requirements"): 200.0}
    shown = text(wall.strip(one, wall.axis(1_800, None, NOW, 80), NOW, usual))
    assert "┄" in shown and "▕" in shown
    assert "┄" not in text(wall.strip(one, wall.axis(1_800, None, NOW, 80), NOW))


@pytest.mark.parametrize("columns", [8, 9, 45, 71, 300])
@pytest.mark.parametrize("zoom", range(len(SPANS)))
def test_a_strip_always_takes_exactly_its_columns(columns: int, zoom: int) -> None:
    for end in (None, NOW - 5_000, NOW + 9_999):
        scale = wall.axis(SPANS[zoom], end, NOW, columns)
        for one in (*busy_fleet().sessions.values(), *many(14).sessions.values()):
            pieces = wall.strip(row(one), scale, NOW)
            assert cell_len(text(pieces)) == columns
            assert all(len(piece.text) for piece in pieces)


def test_times_that_make_no_sense_do_no_harm() -> None:
    strange = replace(
        session("s", "running", owner=owner()),
        phases=phases(
            ("a", "completed", 5, 90), ("b", "completed", -900_000, -900_001), ("c", "failed", 1e9, 1e9)
        ),
    )
    scale = wall.axis(HOUR, None, NOW, 60)
    assert len(statuses(wall.strip(row(strange), scale, NOW))) == 60


def test_strips_move_by_whole_columns() -> None:
    one = row(session("s", "completed", age=2_000, took=300))
    shown = {text(wall.strip(one, wall.axis(HOUR, None, NOW + step, 55), NOW + step)) for step in range(60)}
    assert len(shown) <= 4


# ── Lines of the screen ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("height", range(1, 40))
@pytest.mark.parametrize(("pinned", "others"), [(0, 0), (3, 0), (0, 50), (2, 3), (40, 1), (40, 40), (1, 60)])
def test_pinned_rows_and_the_others_share_the_height(pinned: int, others: int, height: int) -> None:
    parts = wall.places(pinned, others, height)
    assert parts.pinned + parts.gap + parts.others <= max(1, height)
    assert parts.pinned <= pinned
    if pinned:
        assert parts.pinned >= 1
    if others and height >= 6:
        assert parts.others >= min(others, (height - 1) // 2)
    if pinned + others + 1 <= height and height >= 6:
        assert parts.pinned == pinned and parts.others >= others


@pytest.mark.parametrize("cursor", range(20))
@pytest.mark.parametrize("top", [0, 5, 19])
def test_the_cursor_is_always_in_sight(cursor: int, top: int) -> None:
    first = wall.top_for(cursor, top, 6, 20)
    assert first <= cursor < first + 6
    assert 0 <= first <= 14


def contrast(one: Any, two: Any) -> float:
    from textual.color import Color

    lights = []
    for rich_colour in (one, two):
        parts = [part / 255 for part in Color.from_rich_color(rich_colour).rgb]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("theme", [one for one in THEMES if not one.ansi], ids=lambda one: one.name)
@pytest.mark.parametrize("status", wall._SEVERITY)
@pytest.mark.parametrize("heat", [1, 2, 3])
def test_names_on_strips_can_be_read(theme: Any, status: str, heat: int) -> None:
    colours = Palette({**variable_defaults(theme.dark), **theme.to_color_system().generate()})
    style = strip_style(colours, Piece("x", status, heat))
    assert contrast(style.color, style.bgcolor) >= 4.5


# ── On the screen ─────────────────────────────────────────────────────────────────────────────────────────


def seen(app: Any) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def test_enter_opens_the_session_and_escape_goes_back_to_the_list() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("j", "w")
        assert isinstance(app.screen, WallScreen)
        assert app.screen.strips.current is not None
        assert app.screen.strips.current.session_id == "payments-refactor"
        await pilot.press("j", "j", "enter")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        assert app.screen.has_class("-detail")
        assert app.screen.table.chosen == "wishlist"
        for leave in ("escape", "w"):
            await pilot.press("w")
            assert isinstance(app.screen, WallScreen)
            await pilot.press(leave)
            assert isinstance(app.screen, MainScreen)


async def test_actions_are_done_to_the_session_under_the_cursor_and_come_back_to_the_wall() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w", "j", "r")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, PlanSheet)
        assert "payments-refactor" in app.screen.title_words()
        await pilot.press("escape")
        assert isinstance(app.screen, WallScreen)
        await pilot.press("space")
        assert app.main.marked == {"payments-refactor"}
        assert app.screen.strips.marked == {"payments-refactor"}


async def test_help_on_the_wall_tells_the_keys_of_the_wall() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.pause()
        await pilot.press("w", "question_mark")
        await pilot.pause()
        assert "Shorter time" in seen(app)


async def test_a_session_of_the_palette_opens_over_the_wall() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        app.main.go_to("tax-rates")
        await pilot.pause()
        assert isinstance(app.screen, MainScreen)
        assert app.screen.table.chosen == "tax-rates"


async def test_the_cursor_stays_with_its_session_while_others_come_and_go() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("w", "end", "k")
        strips = app.screen.query_one(wall_strips())
        assert strips.current.session_id == "docs-site"
        more = dict(busy_fleet().sessions)
        more |= {f"x-{n}": session(f"x-{n}", "failed", written=n) for n in range(30)}
        await post(app, pilot, fleet(*more.values(), version=2))
        assert strips.current.session_id == "docs-site"
        assert "docs-site" in seen(app)
        await pilot.press("home")
        assert "docs-site" in seen(app)
        del more["docs-site"]
        await post(app, pilot, fleet(*more.values(), version=3))
        assert strips.current is not None


def wall_strips() -> type:
    from maestro_tui.console.widgets.wall_strips import WallStrips

    return WallStrips


async def test_time_goes_on_and_zoom_and_scroll_follow_the_keys() -> None:
    clock = FakeClock()
    app = console(busy_fleet(), clock=clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        strips = app.screen.query_one(wall_strips())
        first = strips.axis()
        clock.now += 3_000
        app.screen.tick()
        assert strips.axis().end > first.end
        await pilot.press("plus")
        assert strips.span == 3 * HOUR
        await pilot.press("minus", "minus")
        assert strips.span == 6 * HOUR
        await pilot.press("h", "h")
        assert strips.axis().end < clock.now
        assert "until 3h ago" in seen(app)
        await pilot.press("0")
        assert strips.time == Window()


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 8), (20, 3)])
async def test_hostile_names_are_shown_and_do_nothing(size: tuple[int, int]) -> None:
    long = "x" * 10_000_000
    bad = [
        session(
            f"s{n}",
            status,
            requirement=clean(words),
            error=clean(words),
            last_event=clean(words),
            workflow=clean(words),
            phases=[clean(words), "[@click=app.quit]x", "名前名前名前"],
            at=1,
            took=500,
        )
        for n, (status, words) in enumerate(
            [("failed", HOSTILE), ("running", HOSTILE), ("waiting", HOSTILE), ("interrupted", long)]
        )
    ]
    app = console(fleet(*bad))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("w")
        await pilot.press("plus", "j", "j", "h", "l")
        await pilot.pause()
        assert not NEVER_RAW & set(seen(app))
        assert app.is_running
        widths = {strip.cell_length for strip in app.screen._compositor.render_strips()}
        assert widths == {size[0]}


async def test_a_key_lays_out_only_the_two_rows_that_it_changes() -> None:
    app = console(many(10_000))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w", "j")
        await pilot.pause()
        strips = app.screen.query_one(wall_strips())
        before = strips.rows_painted
        await pilot.press("j")
        await pilot.pause()
        assert 0 < strips.rows_painted - before <= 2
        before = strips.rows_painted
        app.screen.tick()
        await pilot.pause()
        assert strips.rows_painted == before, "a moment in which nothing changed"


def test_ten_thousand_sessions_are_chosen_in_one_pass_of_the_list() -> None:
    view = project(many(10_000), now=NOW)
    looks = 0

    class Counting(list[FleetRow]):
        def __iter__(self) -> Any:
            nonlocal looks
            looks += 1
            return super().__iter__()

    found = wall.select(Counting(view.rows), NOW - HOUR, NOW, NOW)
    assert looks == 1
    assert len(found.rows) == len(found.positions)


# ── Pictures ──────────────────────────────────────────────────────────────────────────────────────────────

Compare = Callable[..., bool]


async def _wall(pilot: Any) -> None:
    await pilot.pause()
    await pilot.press("w", "j")
    await pilot.pause()


@SIZES
def test_picture_busy(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Four pinned sessions over three others, on one axis of four hours; the cursor is on the failed one."""
    assert snap_compare(console(busy_fleet()), terminal_size=size, run_before=_wall)


@SIZES
def test_picture_empty(snap_compare: Compare, size: tuple[int, int]) -> None:
    """One sentence, and the way back."""
    assert snap_compare(console(fleet()), terminal_size=size, run_before=_wall)


@SIZES
def test_picture_many(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Pinned rows take half of the height; below them what ran; names of phases stand where there is room."""
    kinds = ("completed",) * 4 + ("failed", "running", "waiting", "cancelled")
    sessions = [
        session(f"s-{n:02d}", kinds[n % 8], at=n % 5, age=800 + n * 97, written=10 + n * 31, took=90 + n * 11)
        for n in range(40)
    ]
    assert snap_compare(console(fleet(*sessions)), terminal_size=size, run_before=_wall)


@SIZES
def test_picture_failed(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Three failures are pinned, each with its sign; the oldest began before the time that is shown."""
    assert snap_compare(console(failed_fleet()), terminal_size=size, run_before=_wall)


@SIZES
def test_picture_waiting(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Three sessions wait for a person; how long they wait already is drawn up to now."""
    assert snap_compare(console(waiting_fleet()), terminal_size=size, run_before=_wall)


@SIZES
def test_picture_hostile(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Hostile words stand as visible signs; wide and right-to-left letters keep their columns."""
    assert snap_compare(console(strange_fleet()), terminal_size=size, run_before=_wall)
