"""What differs between two JSON values or texts, told by path; bounded and clean whatever the input."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.console.structural_diff import (
    Change,
    brief,
    change_lines,
    json_changes,
    text_diff_lines,
    work_first,
)
from tests.console.hostile import HOSTILE, NEVER_RAW

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def test_added_removed_and_changed_places_are_told_by_path() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": True}
    new = {"a": 2, "b": {"c": [1, 2, 3], "d": "x"}, "new": None}
    assert json_changes(old, new) == [
        Change("a", "changed", "1", "2"),
        Change("b.c[2]", "added", "", "3"),
        Change("gone", "removed", "true", ""),
        Change("new", "added", "", "null"),
    ]


def test_an_insertion_into_a_list_is_one_change() -> None:
    old = [{"path": "a", "size": 1}, {"path": "c", "size": 3}]
    new = [{"path": "a", "size": 1}, {"path": "b", "size": 2}, {"path": "c", "size": 4}]
    assert [(one.path, one.kind) for one in json_changes(old, new)] == [
        ("[b]", "added"),
        ("[c].size", "changed"),
    ]


def test_between_commits_the_work_comes_first_and_what_every_attempt_changes_last() -> None:
    old: dict[str, Any] = {
        "attempt": 1,
        "context": {
            "pushed_back": {},
            "usage": {"seconds": 1},
            "phase_results": {
                "usage": {"attempt": 1, "started_at": "a", "status": "failed", "outputs": {"at": 1},
                          "artifacts": [{"path": "a.usage.md", "size": 1, "attempt": 1}]},
            },
        },
    }  # fmt: skip
    new: dict[str, Any] = {
        "attempt": 2,
        "context": {
            "pushed_back": {"usage": 1},
            "usage": {"seconds": 2},
            "phase_results": {
                "usage": {"attempt": 2, "started_at": "b", "status": "completed", "outputs": {"at": 2},
                          "artifacts": [{"path": "a.usage.md", "size": 2, "attempt": 2}]},
            },
        },
    }  # fmt: skip
    changes = work_first(json_changes(old, new))
    result = "context.phase_results.usage"
    assert [one.path for one in changes if not one.record] == [
        f"{result}.outputs.at",
        f"{result}.artifacts[a.usage.md].size",
        f"{result}.status",
        "context.pushed_back.usage",
    ]
    assert {one.path for one in changes if one.record} == {
        "attempt",
        "context.usage.seconds",
        f"{result}.attempt",
        f"{result}.started_at",
        f"{result}.artifacts[a.usage.md].attempt",
    }
    assert [one.record for one in changes] == [False] * 4 + [True] * 5
    for width in (60, 120):
        texts = [one.text for one in change_lines(changes, width)]
        (place,) = [
            place for place, text in enumerate(texts) if text.startswith("what every attempt changes")
        ]
        assert not any("started_at" in text for text in texts[:place])


def test_one_and_true_differ_and_ignored_keys_do_not_count() -> None:
    assert json_changes({"a": 1}, {"a": True}) == [Change("a", "changed", "1", "true")]
    assert json_changes({"sha256": 1, "x": 1}, {"sha256": 2, "x": 1}, frozenset(["sha256"])) == []


@given(values)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert json_changes(value, value) == []


@given(values, values)
def test_equal_means_no_change_and_all_texts_are_clean(old: Any, new: Any) -> None:
    changes = json_changes(old, new)
    if not changes:
        assert old == new
    for change in changes:
        assert not NEVER_RAW & set(change.path + change.old + change.new)


def test_deep_nesting_big_lists_and_huge_numbers_are_bounded() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert len(json_changes(deep, 1)) == 1
    assert len(json_changes([], list(range(100_000)))) == 5_000
    assert len(brief(10**20_000)) < 200
    assert len(brief("x" * 1_000_000)) <= 2_000
    assert brief({str(n): n for n in range(1000)}) == "(1000 entries)"


def test_changes_fit_columns_when_wide_and_stand_below_each_other_when_narrow() -> None:
    changes = [Change("context.phase_results.design.error", "changed", "old " * 40, "new " * 40)]
    assert all(one.width <= 120 for one in change_lines(changes, 120))
    narrow = change_lines(changes, 50)
    assert narrow[0].text == "phase_results.design.error"
    assert all(one.width <= 50 for one in narrow)
    assert narrow[1].text.startswith("- old") and any(one.text.startswith("+ new") for one in narrow)


def test_a_text_diff_is_unified_and_clean() -> None:
    lines = text_diff_lines("a\nb\n", f"a\n{HOSTILE}\n", "old", HOSTILE)
    texts = [one.text for one in lines]
    assert texts[0].startswith("--- old") and "-b" in texts
    assert not NEVER_RAW & set("".join(texts))
