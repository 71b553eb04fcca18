"""No bytes do more than be told: the corpus of the fuzzer, random edits of it, and JSON with parts exchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS
from tests.store.small_sessions import sealed

CORPUS = Path(__file__).parent / "corpus"
SEEDS = {target: sorted((CORPUS / target).iterdir()) for target in TARGETS}
WHOLE = CORPUS / "checkpoint" / "whole"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("target", TARGETS)
def test_each_file_of_the_corpus_is_read_as_it_must_be(target: str) -> None:
    assert SEEDS[target], "there is no corpus"
    for path in SEEDS[target]:
        try:
            TARGETS[target](path.read_bytes())
        except BaseException as error:
            error.add_note(f"corpus/{target}/{path.name}")
            raise


edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=6
)
"""Place (a part of the length), bytes taken out there, bytes put in."""


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(data=st.data(), changes=edits)
def test_edited_files_are_read_as_they_must_be(
    target: str, data: st.DataObject, changes: list[tuple[float, int, bytes]]
) -> None:
    raw = data.draw(st.sampled_from(SEEDS[target])).read_bytes()
    for place, out, more in changes:
        at = int(place * len(raw))
        raw = raw[:at] + more + raw[at + out :]
    TARGETS[target](raw)


strange = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["design", "completed", "2026-11-23T20:36:51.123Z", "s1", "waiting", "../x", "\x1b[2J"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(
    places=st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(["replace", "remove", "add"])),
        min_size=1,
        max_size=3,
    ),
    values=st.lists(strange, min_size=3, max_size=3),
)
@example(places=[(3, "remove")], values=[None, None, None])
def test_what_the_engine_takes_of_an_exchanged_checkpoint_the_list_takes_too(
    places: list[tuple[int, str]], values: list[Any]
) -> None:
    checkpoint = json.loads(WHOLE.read_bytes())
    for (number, how), value in zip(places, values, strict=False):
        _exchange(checkpoint, number, how, value)
    checkpoint["sha256"] = "0" * 64
    text = json.dumps({"sha256": checkpoint.pop("sha256"), **checkpoint}, indent=2) + "\n"
    TARGETS["checkpoint"](sealed(text.encode("utf-8", "surrogatepass")))


def _exchange(checkpoint: dict[str, Any], number: int, how: str, value: Any) -> None:
    nodes: list[tuple[Any, Any]] = []
    todo: list[Any] = [checkpoint]
    while todo:
        node = todo.pop()
        for key, item in list(node.items() if isinstance(node, dict) else enumerate(node)):
            nodes.append((node, key))
            if isinstance(item, dict | list):
                todo.append(item)
    node, key = nodes[number % len(nodes)]
    if how == "replace":
        node[key] = value
    elif how == "remove":
        del node[key]
    elif isinstance(node, list):
        node.insert(key, value)
    else:
        node["more"] = value
