"""The line of limits: what it reads, what it refuses with which sentence, and the options that say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console.limit_line import limit_options, parse_limits, parse_more
from maestro_tui.model.errors import InputError
from maestro_tui.model.policy import Budget, Limits
from maestro_tui.options import limits_of
from tests.console.hostile import HOSTILE, NEVER_RAW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "30m/phase 2h $5 200k tokens",
            "30m00s a phase · 2h00m in all · 200,000 tokens in all · $5.00 in all",
        ),
        ("30m a phase · $5 in all", "30m00s a phase · $5.00 in all"),
        ("1h30m per phase", "1h30m a phase"),
        ("1.5M tokens", "1,500,000 tokens in all"),
        ("$0.25; 45s", "45s in all · $0.25 in all"),
    ],
)
def test_a_line_says_what_it_means_and_can_be_read_again(text: str, words: str) -> None:
    limits = parse_limits(text)
    assert limits is not None and limits.words() == words
    assert parse_limits(words) == limits


def test_an_empty_line_limits_nothing() -> None:
    assert parse_limits("  ") is None and limit_options(None) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("5", "'5' is no limit; write 30m/phase, 2h, $5, 200k tokens."),
        ("2h five", "'five' is no limit"),
        ("30 minutes", "'30' is no limit"),
        ("$5/phase", "only a time can be a limit for each phase"),
        ("2h 3h", "'3h' says a second time"),
        ("$0", "'$0' must be greater than nothing"),
        ("0s/phase", "must be greater than nothing"),
        ("[red]$5[/red]", "'[red]$5[/red]' is no limit"),
        ("$" + "9" * 400, "smaller than"),
        ("9" * 400 + " tokens", "smaller than"),
    ],
)
def test_what_is_no_limit_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as told:
        parse_limits(text)
    assert sentence in str(told.value)


def test_a_hostile_line_is_told_clean() -> None:
    with pytest.raises(InputError) as told:
        parse_limits(HOSTILE)
    assert not NEVER_RAW & set(str(told.value))


@given(
    phase=st.none() | st.integers(1, 10**6),
    seconds=st.none() | st.integers(1, 10**6),
    tokens=st.none() | st.integers(1, 10**9),
    cents=st.none() | st.integers(1, 10**6),
)
def test_the_options_of_the_command_line_give_the_same_limits(
    phase: int | None, seconds: int | None, tokens: int | None, cents: int | None
) -> None:
    cost = cents / 100 if cents is not None else None
    budget = Budget(seconds=seconds, tokens=tokens, cost_usd=cost)
    limits = Limits(phase_seconds=phase, session=budget if budget != Budget() else None)
    words = limit_options(limits)
    asked = dict(zip(words[::2], words[1::2], strict=True))
    got = limits_of(
        asked.get("--phase-limit"),
        asked.get("--time-limit"),
        int(asked["--max-tokens"]) if "--max-tokens" in asked else None,
        float(asked["--max-cost"]) if "--max-cost" in asked else None,
    )
    assert (got or Limits()) == limits


def test_what_is_added_to_a_budget_is_read_from_the_same_words() -> None:
    assert parse_more("$2 50k tokens 30m") == Budget(cost_usd=2, tokens=50_000, seconds=1_800)
    with pytest.raises(InputError, match="Say how much more"):
        parse_more("")
    with pytest.raises(InputError, match="only a time"):
        parse_more("30m/phase")
