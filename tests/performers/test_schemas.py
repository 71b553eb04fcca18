"""A schema may come from a model or a stranger's repository: what it says of patterns takes no time without end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from maestro_tui.performers.schemas import BadSchema, problems_of, validator_for

FOR_EVER = "(a+)+$"
"""On forty letters Python's own expressions take longer than a life."""
LONG = 40 * "a" + "b"


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"pattern": FOR_EVER}, LONG, "$: 'aaa"),
        ({"properties": {"a": {"pattern": FOR_EVER}}}, {"a": LONG}, "$.a: 'aaa"),
        (
            {"patternProperties": {FOR_EVER: False}, "additionalProperties": False},
            {LONG: 1},
            "unexpected: 'aaa",
        ),
        (
            {"patternProperties": {FOR_EVER: True}, "additionalProperties": {"type": "null"}},
            {LONG: 1},
            "not of type",
        ),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": FOR_EVER}, LONG, "$: 'aaa"),
        (
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "properties": {"next": {"$ref": "#"}},
                "pattern": FOR_EVER,
            },
            {"next": LONG},
            "$.next: 'aaa",
        ),
    ],
)
@pytest.mark.timeout(20)
def test_no_pattern_takes_for_ever(schema: dict[str, Any], value: Any, told: str) -> None:
    assert told in " ".join(problems_of(value, validator_for(schema)))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"pattern": "(?=a)b"}, r"'\(\?=a\)b' is no expression of bounded time"),
        ({"items": {"patternProperties": {r"(a)\1": {}}}}, "no expression of bounded time"),
        ({"pattern": "("}, "bounded time|no JSON schema"),
        ({"allOf": [{"$schema": "http://json-schema.org/draft-07/schema#"}]}, "for a part of it"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "not read together"),
    ],
)
def test_a_schema_whose_patterns_cannot_be_held_to_a_time_is_refused(
    schema: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadSchema, match=why):
        validator_for(schema)


def test_what_only_looks_like_a_pattern_is_none() -> None:
    schema = {"properties": {"pattern": {"type": "string"}}, "enum": [{"pattern": "(?=a)"}]}
    assert problems_of({"pattern": "(?=a)"}, validator_for(schema)) == []


KEYS = st.text("ab0_", max_size=4)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(KEYS, st.just({"type": "integer"}), max_size=2),
            "patternProperties": st.dictionaries(
                st.sampled_from(["^a", "b$", "0", "^[ab]+$", "_."]), st.just({"type": "string"}), max_size=2
            ),
            "additionalProperties": st.sampled_from([False, True, {"type": "integer"}]),
        },
    ),
    st.dictionaries(KEYS, st.one_of(st.integers(), st.text(max_size=2)), max_size=4),
)
def test_it_finds_a_problem_where_the_library_itself_does(
    schema: dict[str, Any], value: dict[str, Any]
) -> None:
    ours = {one.split(":")[0] for one in problems_of(value, validator_for(schema))}
    assert ours == {error.json_path for error in Draft202012Validator(schema).iter_errors(value)}
