"""Whatever a power loss leaves of any operation: what was acknowledged is there, nothing is half there, work goes on."""

from __future__ import annotations

import pytest

from tests.crash.operations import OPERATIONS, Operation, record
from tests.crash.power_loss import examine, examine_recoveries, in_memory, states_of

PARTS = 4
"""Whole sessions are examined in parts, for several processes."""

BROKEN_OFF_TWICE = (
    "commit what was completed",
    "commit a rerun",
    "write the journal after a torn line",
    "take a session over",
    "mend lost views and a lost commit",
    "mend a damaged newest commit",
)

_RUNS = [
    pytest.param(operation, part, parts, id=f"{operation.name} {part + 1} of {parts}")
    for operation in sorted(OPERATIONS, key=lambda operation: not operation.with_engine)
    for parts in [PARTS if operation.with_engine else 1]
    for part in range(parts)
]


@pytest.mark.parametrize(("operation", "part", "parts"), _RUNS)
def test_every_state_after_a_power_loss_is_recovered(operation: Operation, part: int, parts: int) -> None:
    with in_memory() as folder:
        result = examine(record(operation, folder / "top"), part=part, parts=parts)
    assert result.recovered > 0
    assert not result.problems, result.sentence()


@pytest.mark.parametrize("name", BROKEN_OFF_TWICE)
def test_a_recovery_that_is_broken_off_itself_is_recovered(name: str) -> None:
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    with in_memory() as folder:
        result = examine_recoveries(record(operation, folder / "top"))
    assert result.recovered > 50
    assert not result.problems, result.sentence()


def test_at_least_five_thousand_distinct_states_are_examined() -> None:
    states: set[bytes] = set()
    with in_memory() as folder:
        for operation in OPERATIONS:
            states.update(state.disk.digest() for state in states_of(record(operation, folder / "top")))
    assert len(states) >= 5_000
