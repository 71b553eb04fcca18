"""Events of team work in words that a person can read, whatever a stranger's journal holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console.record_lines import event_words as row_words
from maestro_tui.model.events import EVENT_TYPES, Event
from maestro_tui.store.event_words import event_words
from tests.console.hostile import HOSTILE, NEVER_RAW

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "usage_reported": (
        {
            "attempt_try": 1,
            "input_tokens": 12_345,
            "output_tokens": 200,
            "cost_usd": 0.0123,
            "step": "revise-1",
        },
        "critic has used 12,345 tokens in, 200 tokens out, $0.0123 (revise-1)",
    ),
    "persona_started": ({"step": "comment-1", "attempt_try": 2}, "critic began (comment-1), try 2"),
    "persona_finished": ({"ok": False, "summary": "exit code 2"}, "critic failed: exit code 2"),
    "persona_reused": (
        {"step": "work", "from_attempt": 1, "summary": "drafted"},
        "critic is not run again: its work of attempt 1 stands: drafted",
    ),
    "tool_called": ({"tool": "Write", "summary": "a.py"}, "critic uses Write: a.py"),
    "sub_step": ({"step": "phase_started", "of": {"phase": "design"}}, "critic: phase started: phase design"),
    "context_trimmed": (
        {"left_out": [{"what": "outputs of design", "size": 9, "where": "/s/context.json"}]},
        "critic is not given all: left out outputs of design (/s/context.json)",
    ),
    "budget_spent": ({"reason": "$5.02 of $5.00"}, "design #2 stopped at a budget: $5.02 of $5.00"),
    "budget_raised": (
        {"more": {"cost_usd": 2.0, "tokens": 50_000}, "by": "ann", "reason": "worth it"},
        "the budget of design #2 was raised by ann: $2.00, 50,000 tokens more: worth it",
    ),
    "breaker_opened": (
        {"failures": 3},
        "design #2: no attempt for a while, 3 failed in a row (circuit breaker)",
    ),
    "advice_failed": ({"reason": "HTTP 500"}, "critic gave no advice; rules decide: HTTP 500"),
    "listener_failed": (
        {"on": "phase_started", "problem": "KeyError: 'x'"},
        "who listens here could not take an event: KeyError: 'x'",
    ),
    "survivors_ended": (
        {"pids": [7, 8], "left": [8]},
        "what its dead runner had left at work was ended, but 8 lives on",
    ),
    "blueprint_selected": (
        {"choice": "parallel: a, b", "decided_by": "ann"},
        "design #2: parallel: a, b, decided by ann",
    ),
}
DENIED = {"tool": "Bash", "denied": True, "summary": "rm -rf /"}


@pytest.mark.parametrize("kind", CASES)
def test_each_event_of_team_work_is_a_sentence_in_the_list_and_in_the_events_tab(kind: str) -> None:
    data, words = CASES[kind]
    record = {"type": kind, "phase": "design", "attempt": 2, "persona": "critic", "data": data}
    assert event_words(record) == words
    event = Event(kind, 0.0, "s", "design", 2, "critic", data)
    assert row_words(event) == words.removeprefix("design #2: ")  # which has a column of its own there


def test_a_tool_that_was_not_allowed_says_so() -> None:
    record = {"type": "tool_called", "persona": "dev", "phase": "design", "attempt": 1, "data": DENIED}
    assert event_words(record) == "dev uses Bash (was not allowed to): rm -rf /"


def test_a_decision_is_told_with_its_reason_and_with_what_did_not_work() -> None:
    data = {"verdict": "pushed_back", "by": "ada", "reason": "name the limits"}
    record = {"type": "gate_decided", "phase": "design", "attempt": 2, "data": data}
    assert event_words(record) == "design #2 pushed back by ada: name the limits"
    data = {"verdict": "approved", "by": "ada", "reason": "", "problem": "Cannot remove receipts: read-only"}
    record = {"type": "gate_decided", "phase": "design", "attempt": 1, "data": data}
    assert event_words(record) == "design approved by ada; Cannot remove receipts: read-only"


def test_what_others_wrote_comes_out_clean_and_bounded() -> None:
    for kind in EVENT_TYPES:
        data: dict[str, Any] = {
            name: HOSTILE * 40
            for name in (
                "reason",
                "summary",
                "tool",
                "step",
                "choice",
                "decided_by",
                "by",
                "where",
                "error",
                "problem",
            )
        }
        data |= {
            "left_out": [{"what": HOSTILE, "where": HOSTILE}],
            "of": {HOSTILE: HOSTILE},
            "left": [HOSTILE],
        }
        words = event_words({"type": kind, "phase": HOSTILE, "attempt": 1, "persona": HOSTILE, "data": data})
        row = row_words(Event(kind, 0.0, "s", HOSTILE, 1, HOSTILE, data))
        assert not NEVER_RAW & set(words + row) and len(words) <= 201 and len(row) <= 2_001


WORDS = st.sampled_from(["", "x", "what", "a: b", "cost_usd", "tokens"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JSON = (
    PLAIN
    | st.lists(PLAIN | st.dictionaries(WORDS, PLAIN, max_size=2), max_size=6)
    | st.dictionaries(WORDS, PLAIN)
)
FIELDS = sorted(
    """attempt_try step input_tokens output_tokens cost_usd from_attempt summary tool paths denied of left_out where
    reason more by failures left choice personas decided_by violations missing problem verdict""".split()
)


@given(kind=st.sampled_from(sorted(EVENT_TYPES)), data=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_record_is_too_strange_to_be_told(kind: str, data: dict[str, Any]) -> None:
    assert event_words({"type": kind, "phase": "p", "attempt": 1, "data": data})
    assert isinstance(row_words(Event(kind, 0.0, "s", "p", 1, None, data)), str)
