"""How often a session is read that changes and changes: at once after a rest, and never without a pause."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.store.turns import Turns


def test_after_a_rest_a_change_is_read_at_once() -> None:
    turns = Turns(0.02, 0.25)
    assert turns.due("s", 5.0) == 5.0
    turns.take("s", 5.0)
    assert turns.due("s", 5.001) == 5.02
    assert turns.due("other", 5.001) == 5.001
    assert turns.due("s", 5.3) == 5.3


def test_two_commits_in_a_row_are_each_read_at_once() -> None:
    turns = Turns(0.02, 0.25)
    # Each is a view of the checkpoint, and the event of it a moment later.
    for commit in (1.0, 1.3, 1.6):
        assert turns.due("s", commit) == commit
        turns.take("s", commit)
        event = turns.due("s", commit + 0.005)
        assert event - commit < 0.03
        turns.take("s", event)


def test_what_is_written_without_a_pause_is_read_at_last_at_the_longest_distance() -> None:
    turns, moment, reads = Turns(0.02, 0.25), 0.0, []
    while moment < 5:
        # The reader is busy with others, and comes late.
        moment = turns.due("s", moment + 0.01) + 0.1
        turns.take("s", moment)
        reads.append(moment)
    gaps = [round(after - before, 3) for before, after in pairwise(reads)]
    assert gaps[:4] == [0.12, 0.14, 0.18, 0.26]
    assert set(gaps[4:]) == {0.35}


@given(st.lists(st.tuples(st.integers(0, 2_000), st.floats(0, 1)), max_size=2_000))
def test_no_change_waits_longer_than_the_longest_distance(changes: list[tuple[int, float]]) -> None:
    turns, moment = Turns(0.02, 0.25), 0.0
    for session, later in changes:
        moment += later
        due = turns.due(str(session), moment)
        assert moment <= due <= moment + 0.25
        moment = due
        turns.take(str(session), moment)
