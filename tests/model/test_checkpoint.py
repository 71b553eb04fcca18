"""What is written as a checkpoint is read again bit for bit; what is not as it was written is refused by a sentence."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_tui.model.checkpoint import DEPTH_LIMIT, Checkpoint, Written, decode, encode
from maestro_tui.model.context import PhaseResult, PhaseStatus
from maestro_tui.model.errors import DamagedFile
from tests.store.small_sessions import FLOW, changed, first, sealed


def with_outputs(outputs: dict[str, Any]) -> Checkpoint:
    return first(phase_results={"design": PhaseResult(status=PhaseStatus.COMPLETED, outputs=outputs)})


def reason_of(raw: bytes) -> str:
    """The sentence with which these bytes are refused."""
    with pytest.raises(DamagedFile) as caught:
        decode(raw, "here.json")
    sentence = str(caught.value)
    assert sentence.startswith("here.json: ") and "\n" not in sentence and len(sentence) < 500
    return sentence


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    commit = with_outputs({"text": "ä ✓ \x1b[31m", "n": 3, "list": [1, {"deep": None}]})
    raw, digest = encode(commit)
    assert decode(raw, "x") == commit.model_copy(update={"sha256": digest})


def test_the_digest_is_over_the_bytes_with_its_own_characters_zeroed() -> None:
    raw, digest = encode(first())
    assert raw.startswith(b'{\n  "sha256": "' + digest.encode() + b'",\n')
    assert raw.endswith(b"}\n")
    assert hashlib.sha256(raw.replace(digest.encode(), b"0" * 64)).hexdigest() == digest


def test_the_keys_stand_in_the_agreed_order_and_the_definition_stands_once() -> None:
    value = json.loads(encode(first())[0])
    assert (
        list(value)
        == "sha256 format seq prev session_id phase attempt epoch created_at workflow context".split()
    )
    assert value["context"]["workflow"] == "three"
    assert [phase["name"] for phase in value["workflow"]["phases"]] == list(FLOW.names)
    assert value["created_at"] == "2026-11-23T20:36:51.123Z"


def test_every_flipped_byte_is_found() -> None:
    raw, _ = encode(first())
    for place in range(len(raw)):
        broken = bytearray(raw)
        broken[place] ^= 0x01
        reason_of(bytes(broken))


def test_every_truncation_is_found() -> None:
    raw, _ = encode(first())
    for length in range(len(raw)):
        reason_of(raw[:length])


def test_zeroed_bytes_are_found_at_every_place() -> None:
    raw, _ = encode(first())
    for place in range(0, len(raw), 16):
        reason_of(raw[:place] + b"\0" * min(16, len(raw) - place) + raw[place + 16 :])
    reason_of(b"\0" * len(raw))


def test_bytes_added_at_either_end_are_found() -> None:
    raw, _ = encode(first())
    for broken in (raw + b"\n", raw + b"{}", b"\xef\xbb\xbf" + raw, b" " + raw):
        reason_of(broken)


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert reason_of(b"") == "here.json: it is empty"


def test_a_newer_format_is_refused_and_never_guessed() -> None:
    raw, _ = encode(first())
    assert "maestro-checkpoint/2" in reason_of(changed(raw, format="maestro-checkpoint/2"))
    assert "a newer maestro-tui may" in reason_of(changed(raw, format=None))


@pytest.mark.parametrize(
    "envelope",
    [
        {"seq": "many"},
        {"seq": None},
        {"session_id": 3},
        {"created_at": "yesterday"},
        {"created_at": "2026-11-23T20:36:51"},
        {"workflow": None},
        {"workflow": {"name": "three", "phases": []}},
        {"context": []},
        {"context": {"workflow": "three"}},
        {"context": {"workflow": "another"}},
        {"unknown": 1},
        {"attempt": math.inf},
    ],
    ids=str,
)
def test_content_that_is_no_checkpoint_is_refused_though_its_digest_is_right(
    envelope: dict[str, Any],
) -> None:
    raw, _ = encode(first())
    reason_of(changed(raw, **envelope))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "infinity"),
        ("1e999", "a number beyond all bounds"),
        ("-1E+9999", "a number beyond all bounds, negative"),
        ("9" * 5_000, "5,000 digits"),
        ("[" * 20_000 + "]" * 20_000, "20,000 levels"),
        ("[" * 20_000, "20,000 levels, never closed"),
        ('"\\ud800"', "a lone surrogate"),
        ("'x'", "other quotes"),
        ("", "nothing"),
    ],
    ids=lambda value: value[:12],
)
def test_json_that_readers_stumble_over_is_refused_by_a_sentence(value: str, name: str) -> None:
    raw, _ = encode(with_outputs({"x": 12345}))
    assert b"12345" in raw, name
    reason_of(sealed(raw.replace(b"12345", value.encode())))


def test_invalid_utf8_is_refused() -> None:
    raw, _ = encode(with_outputs({"x": "place"}))
    for broken in (b"\xff", b"\xed\xa0\x80", b"\xc0\xaf"):
        reason_of(sealed(raw.replace(b"place", broken)))


def test_a_list_in_the_place_of_the_object_is_refused() -> None:
    reason_of(sealed('{\n  "sha256": "' + "0" * 64 + '"\n}\n'))


def test_numbers_in_hashes_are_not_taken_for_infinities() -> None:
    commit = with_outputs({"hash": "12e999", "list": ["1e999", 1e300], "text": "see 1e999, 2e888]"})
    assert decode(encode(commit)[0], "x").context == commit.context


def test_text_that_utf8_cannot_carry_is_made_encodable_and_the_rest_stays() -> None:
    raw, _ = encode(with_outputs({"bad": "a\ud800b", "\udfff": ["\udc80"], "good": "ä"}))
    outputs = decode(raw, "x").context.phase_results["design"].outputs
    assert outputs["bad"] == "a?b" and outputs["good"] == "ä"


def test_not_a_number_is_written_as_not_known() -> None:
    raw, _ = encode(with_outputs({"a": math.nan, "b": [math.inf]}))
    assert decode(raw, "x").context.phase_results["design"].outputs == {"a": None, "b": [None]}


@pytest.mark.parametrize(
    "outputs",
    [{"x": object()}, {"x": 10**4_500}, {"x": nested(DEPTH_LIMIT)}, {"x": nested(5_000)}, {"x": b"\xff"}],
    ids=["unknown type", "4,500 digits", "too deep", "far too deep", "bytes"],
)
def test_what_could_not_be_read_again_is_not_written(outputs: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        encode(with_outputs(outputs))


def test_a_circle_is_not_written() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError):
        encode(with_outputs({"x": circle}))


def test_a_value_of_another_type_than_declared_is_not_written() -> None:
    wrong = first().context.model_copy(update={"pause_after": 7})
    with pytest.raises(ValueError):
        encode(first().model_copy(update={"context": wrong}))


def test_the_deepest_nesting_that_is_written_is_read() -> None:
    deepest = next(levels for levels in range(DEPTH_LIMIT, 0, -1) if _is_written(nested(levels)))
    assert deepest > 150
    raw, _ = encode(with_outputs({"x": nested(deepest)}))
    assert decode(raw, "x").context.phase_results["design"].outputs == {"x": nested(deepest)}
    assert json.loads(raw)


def _is_written(value: Any) -> bool:
    try:
        encode(with_outputs({"x": value}))
    except ValueError:
        return False
    return True


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), plain, max_size=5))
def test_whatever_is_written_is_read_and_written_again_the_same(outputs: dict[str, Any]) -> None:
    raw, digest = encode(with_outputs(outputs))
    again = decode(raw, "x")
    assert again.sha256 == digest
    assert encode(again)[0] == raw
    assert json.loads(raw)["sha256"] == digest


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FLOW.names), plain), max_size=5))
def test_what_was_written_before_makes_no_difference_to_the_bytes(steps: list[tuple[str, Any]]) -> None:
    written, results = Written(), {}
    for phase, value in steps:
        result = PhaseResult(status=PhaseStatus.COMPLETED, outputs={"x": value})
        results = {**results, phase: result}
        commit = first(phase_results={})
        commit = commit.model_copy(
            update={"context": commit.context.model_copy(update={"phase_results": results})}
        )
        raw, digest = encode(commit, written)
        assert (raw, digest) == encode(commit)
        read = written.read_back(commit.model_copy(update={"sha256": digest}))
        assert read == decode(raw, "x")
        results = dict(read.context.phase_results)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    reason_of(data)
    reason_of(b'{\n  "sha256": "' + b"0" * 64 + b'"' + data)
    reason_of(sealed(b'{\n  "sha256": "' + b"0" * 64 + b'",\n  "format": "maestro-checkpoint/1"' + data))
