"""The projection of all sessions: order, words, counts, columns; and that unchanged rows are the same rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console import fleet_order
from maestro_tui.console.filter import STATUS_WORDS, parse
from maestro_tui.console.fleet import (
    FleetView,
    ago,
    columns_for,
    header_words,
    project,
    time_words,
    usual_durations,
)
from maestro_tui.console.fleet_order import SORT_COLUMNS, Sort
from maestro_tui.console.fleet_row import FleetRow, short_id
from maestro_tui.model.summary import SILENT_AFTER, FleetSnapshot, PhaseSummary, SessionSummary
from tests.console.fakes import NOW, busy_fleet, fleet, many, session


def test_what_needs_attention_stands_first() -> None:
    view = project(busy_fleet(), now=NOW)
    assert [row.status for row in view.rows] == [
        "waiting",
        "failed",
        "silent",
        "interrupted",
        "running",
        "running",
        "paused",
        "completed",
    ]


def test_a_running_session_is_silent_after_five_minutes_without_a_write() -> None:
    snapshot = fleet(
        session("a", "running", written=SILENT_AFTER - 1), session("b", "running", written=SILENT_AFTER + 1)
    )
    view = project(snapshot, now=NOW)
    assert {row.session_id: row.status for row in view.rows} == {"a": "running", "b": "silent"}
    assert view.next_silence == NOW + 1
    assert project(snapshot, now=NOW + 2, previous=view).counts == {"silent": 2}


def test_running_rows_keep_their_place_while_they_write() -> None:
    one, two = session("one", "running", age=100, written=5), session("two", "running", age=50, written=9)
    before = [row.session_id for row in project(fleet(one, two), now=NOW).rows]
    wrote = dataclasses.replace(one, updated_at=NOW)
    assert [row.session_id for row in project(fleet(wrote, two), now=NOW).rows] == before


def test_rows_of_unchanged_sessions_are_taken_over() -> None:
    snapshot = busy_fleet()
    first = project(snapshot, now=NOW)
    changed = dataclasses.replace(snapshot.sessions["invoices"], updated_at=NOW, last_event="more")
    second = project(
        FleetSnapshot(root=snapshot.root, sessions={**snapshot.sessions, "invoices": changed}),
        now=NOW,
        previous=first,
    )
    fresh = [row.session_id for row in second.rows if first.known[row.session_id] is not row]
    assert fresh == ["invoices"]


def test_the_header_counts_all_sessions_whatever_the_filter_hides() -> None:
    view = project(busy_fleet(), parse("status:completed"), now=NOW)
    assert len(view.rows) == 1
    assert header_words(view) == (
        ("waiting", 1, "needs you"),
        ("failed", 1, "failed"),
        ("silent", 1, "silent"),
        ("interrupted", 1, "interrupted"),
        ("running", 2, "running"),
        ("paused", 1, "paused"),
    )


def test_a_spent_budget_is_told_in_the_list_and_stands_before_what_runs() -> None:
    spent = session("spent", "paused", written=120)
    held = dataclasses.replace(spent.phases[2], error="The session's budget is spent")
    spent = dataclasses.replace(spent, phases=(*spent.phases[:2], held, *spent.phases[3:]))
    view = project(fleet(session("works", "running"), session("rests", "paused"), spent), now=NOW)
    assert [row.session_id for row in view.rows] == ["spent", "works", "rests"]
    assert time_words(view.rows[0], NOW) == "over budget 2m"
    assert view.positions["spent"] == 0


def test_time_is_told_in_words_against_what_is_usual() -> None:
    view = project(busy_fleet(), now=NOW)
    usual = {("sdlc", "implementation"): 360.0}
    words = {row.session_id: time_words(row, NOW, usual) for row in view.rows}
    assert words == {
        "kyc-flow": "waiting 12m",
        "payments-refactor": "failed 3m",
        "search-index": "silent 22m",
        "docs-site": "4m12s · usual 6m",
        "invoices": "9s",
        "wishlist": "interrupted 2h",
        "tax-rates": "paused 13h",
        "stock-sync": "completed 3h",
    }


def test_the_usual_time_is_the_median_of_completed_phases() -> None:
    runs = [session(f"s{n}", "completed", took=took) for n, took in enumerate((10, 20, 90))]
    usual = usual_durations([*runs, session("r", "running", at=0)])
    assert usual[("sdlc", "design")] == 20


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_300, "2h"), (90_000, "1d"), (1_300_000, "2w")],
)
def test_ages_are_coarse(seconds: float, words: str) -> None:
    assert ago(seconds) == words


def test_a_generated_id_is_shown_without_its_date() -> None:
    assert short_id("20261122-142530-payments-api-7f3a") == "payments-api-7f3a"
    assert short_id("my-session") == "my-session"
    assert short_id("20261122-142530-") == "20261122-142530-"


def test_the_strip_shows_waiting_stale_and_unselected_phases() -> None:
    phases = (
        PhaseSummary("a", "completed", 1, stale="requirement changed"),
        PhaseSummary("b", "provided"),
        PhaseSummary("c", "pending", selected=False),
        PhaseSummary("d", "completed", 1, waiting=True),
    )
    row = project(fleet(dataclasses.replace(session("s", "waiting"), phases=phases)), now=NOW).rows[0]
    assert row.strip == ("stale", "provided", "skipped", "waiting")


@pytest.mark.parametrize("column", SORT_COLUMNS)
def test_every_column_sorts_and_turns_round(column: str) -> None:
    up = [row.session_id for row in project(many(60), sort=Sort(column), now=NOW).rows]
    down = [row.session_id for row in project(many(60), sort=Sort(column, True), now=NOW).rows]
    assert sorted(up) == sorted(many(60).sessions) and down == up[::-1]


@given(st.integers(20, 300), st.integers(5, 12))
def test_columns_always_fit_the_width(width: int, strip: int) -> None:
    columns = columns_for(width, strip)
    assert columns[0].name == "session" and "time" in {column.name for column in columns}
    assert all(column.width > 0 for column in columns)
    if width >= 40:
        assert 3 + sum(column.width for column in columns) + 2 * (len(columns) - 1) <= width


@given(
    st.lists(
        st.tuples(st.sampled_from([w for w in STATUS_WORDS if w != "silent"]), st.floats(0, 9_000)),
        max_size=30,
    )
)
def test_every_session_has_exactly_one_place_and_one_count(kinds: list[tuple[str, float]]) -> None:
    snapshot = fleet(*(session(f"s{n}", kind, written=written) for n, (kind, written) in enumerate(kinds)))
    view = project(snapshot, now=NOW)
    assert sum(view.counts.values()) == view.total == len(view.rows) == len(kinds)
    assert all(view.rows[place].session_id == name for name, place in view.positions.items())
    ranks = [STATUS_WORDS.index(row.status) for row in view.rows]
    assert ranks == sorted(ranks)


KINDS = ("completed", "failed", "running", "waiting", "new")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 40), st.sampled_from(KINDS)),
        st.tuples(st.just("remove"), st.integers(0, 40), st.just("")),
        st.tuples(st.just("sort"), st.integers(0, 1), st.sampled_from(SORT_COLUMNS)),
        st.tuples(st.just("filter"), st.just(0), st.sampled_from(("", "status:failed,silent", "s-0001"))),
        st.tuples(st.just("time"), st.integers(-400, 400), st.just("")),
    ),
    max_size=25,
)


def told(view: FleetView) -> tuple[object, ...]:
    """All that a view shows."""
    rows = tuple((row.session_id, row.status, row.summary) for row in view.rows)
    return rows, view.counts, view.strip_width, dict(view.positions), view.known.keys()


@given(st.integers(0, 60), STEPS)
def test_a_view_that_goes_on_from_the_last_is_the_one_made_from_nothing(
    count: int, steps: list[tuple[str, int, str]]
) -> None:
    sessions = dict(many(count).sessions)
    sort, query, now = Sort(), parse(""), NOW
    view: FleetView | None = None
    for what, number, word in steps:
        if what == "write":
            name = f"s-{number:05d}"
            sessions = {**sessions, name: session(name, word, written=number, at=number % 5)}
        elif what == "remove":
            sessions = {name: one for name, one in sessions.items() if name != f"s-{number:05d}"}
        elif what == "sort":
            sort = Sort(word, bool(number))
        elif what == "filter":
            query = parse(word)
        else:
            now += number
        snapshot = FleetSnapshot(root="r", sessions=sessions)
        view = project(snapshot, query, sort, now, view)
        fresh = project(snapshot, query, sort, now)
        assert told(view) == told(fresh)
        # A look at the silence may come too early, never too late.
        if fresh.next_silence is not None:
            assert view.next_silence is not None and view.next_silence <= fresh.next_silence


@pytest.mark.parametrize("sort", [Sort(), Sort("session", True), Sort("updated")], ids=str)
def test_a_change_of_one_session_among_thousands_looks_at_few_others(
    sort: Sort, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project(many(5_000), sort=sort, now=NOW)
    looks = 0
    key = fleet_order._KEYS[sort.column]

    def counted(row: FleetRow) -> Any:
        nonlocal looks
        looks += 1
        return key(row)

    monkeypatch.setitem(fleet_order._KEYS, sort.column, counted)  # type: ignore[arg-type]
    changed: dict[str, SessionSummary] = {
        **first.sessions,
        "s-02500": session("s-02500", "failed", written=1),
    }
    second = project(FleetSnapshot(root="r", sessions=changed), sort=sort, now=NOW, previous=first)
    assert second.rows[second.positions["s-02500"]].status == "failed"
    assert 0 < looks < 100
    assert sum(row is not first.known[row.session_id] for row in second.rows) == 1


def test_a_key_of_the_filter_orders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = many(500)
    first = project(snapshot, now=NOW)

    def never(row: FleetRow) -> Any:
        raise AssertionError("ordered anew")

    monkeypatch.setitem(fleet_order._KEYS, "attention", never)  # type: ignore[arg-type]
    second = project(snapshot, parse("s-0001"), now=NOW, previous=first)
    assert [row.session_id for row in second.rows] == [
        row.session_id for row in first.rows if "s-0001" in row.session_id
    ]
