"""Whatever call the system refuses, and why: a sentence, no loss, no second sync, and the session goes on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.faults import KINDS, PHASES, Fault, Outcomes, calls_of_a_run, chosen, examine, run_with

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_survives_every_refused_call(part: int) -> None:
    calls, outcomes = examine(part, PARTS)
    assert outcomes.problems == []
    assert outcomes.runs * PARTS >= 2 * calls
    # Faults that nobody notices would prove nothing; nor would runs that always end at the first phase.
    assert outcomes.ended["told (StoreError)"] > 50
    assert outcomes.ended["the phase failed"] > 5


def test_every_kind_of_refusal_is_tried_at_every_call_that_it_fits(tmp_path: Path) -> None:
    calls = calls_of_a_run(tmp_path / "top")
    tried = {(fault.kind, calls[fault.number - 1]) for fault in chosen(calls, every=False)}
    fitting = {(kind, name) for kind, names in KINDS.items() for name in names if calls.count(name) > 3}
    assert fitting <= tried
    assert {fault.number for fault in chosen(calls, every=False)} == set(range(1, len(calls) + 1))


def test_the_harness_sees_a_refused_call(tmp_path: Path) -> None:
    calls = calls_of_a_run(tmp_path / "top")
    outcomes = Outcomes()
    run_with(Fault(calls.index("link") + 1, "ENOSPC"), tmp_path / "top", outcomes)
    assert outcomes.problems == []
    assert outcomes.ended == {"told (StoreError)": 1}
    assert outcomes.refused_calls == 1
    assert len(PHASES) == 2
