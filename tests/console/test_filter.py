"""The filter's language: what it finds, and that nothing typed is ever raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console.filter import parse
from maestro_tui.console.fleet import project
from tests.console.fakes import NOW, busy_fleet


def found(text: str) -> set[str]:
    return {row.session_id for row in project(busy_fleet(), parse(text), now=NOW).rows}


EVERY = set(busy_fleet().sessions)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", EVERY),
        ("refund", {"payments-refactor"}),
        ("REFUND idempotent", {"payments-refactor"}),
        ('"the payment flow"', {"payments-refactor"}),
        ('"never stands there"', set()),
        ("status:failed", {"payments-refactor"}),
        ("status:failed,waiting", {"payments-refactor", "kyc-flow"}),
        ("status:fai", {"payments-refactor"}),
        ("status:silent", {"search-index"}),
        ("!status:completed", EVERY - {"stock-sync"}),
        ("phase:design", {"payments-refactor"}),
        ("phase:impl status:running", {"docs-site"}),
        ("workflow:sdlc !phase:design", EVERY - {"payments-refactor"}),
        ("workflow:other", set()),
        ("age:<10m", {"payments-refactor", "invoices"}),
        ("age:>1d", {"stock-sync", "tax-rates"}),
        ("owner:dead", {"wishlist"}),
        ("owner:away", {"search-index"}),
        ("owner:here", {"docs-site", "invoices"}),
        ("owner:5220", {"search-index"}),
        ("id:kyc", {"kyc-flow"}),
        ("workspace:shop", EVERY),
        ("!refund !invoices status:run", {"docs-site"}),
    ],
)
def test_a_filter_shows_what_it_asks_for(text: str, wanted: set[str]) -> None:
    assert found(text) == wanted
    assert parse(text).problem is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("status:bogus", 'There is no status "bogus"'),
        ("staus:failed", "did you mean status:?"),
        ("age:soon", "age: takes a time such as <2h"),
        ("owner:bob", "owner: takes here, away, dead, none or a pid"),
    ],
)
def test_what_is_not_understood_is_told_and_the_rest_goes_on(text: str, sentence: str) -> None:
    query = parse(f"{text} refund")
    assert query.problem is not None and sentence in query.problem
    assert found(f"{text} refund") == {"payments-refactor"}


@pytest.mark.parametrize("text", ["status:", "!", "age:<", '"', 'phase:"', "!owner:", "  "])
def test_what_is_half_typed_hides_nothing_yet(text: str) -> None:
    assert found(text) == EVERY
    assert parse(text).problem is None


@given(st.text(max_size=60))
def test_nothing_that_is_typed_is_raised(text: str) -> None:
    view = project(busy_fleet(), parse(text), now=NOW)
    assert len(view.rows) <= view.total == len(EVERY)
