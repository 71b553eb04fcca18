"""The suite catches every broken version of the store, and no operation of the store goes without."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.crash.checks import CHECKS, Check, problems_of
from tests.crash.mutants import MUTANTS, Mutant, applied
from tests.crash.operations import OPERATIONS, record
from tests.crash.power_loss import in_memory, states_of
from tests.crash.recovery import problems_after
from tests.crash.writers import writing_functions

ELSEWHERE = {
    "FileLock.take": "makes an empty file, held by the kernel; which of two gets it: the checks",
    "FleetReader.save": "a cache that anybody makes anew",
    "save_index": "a cache that anybody makes anew",
    "make_lock_folder": "a folder by make_dir, whose mutant is there; what it refuses: tests/store/test_lease.py",
    "keep_private": "rights, no bytes: tests/cli/test_keeping_out.py reads what is left under each umask",
    "verify_bundle": "unpacks into a temporary folder of its own",
    "enter_dirs": "scratch folders, never synced: they go with their attempt",
    "restore_tree": "into an empty folder outside; what is broken off there is written again",
    "PhaseLog.write": "a log, never synced: it may end early, and nothing else",
    "PhaseLog.close": "a log, never synced: it may end early, and nothing else",
}
"""Writing functions that no mutant breaks, and why that is right."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_store_is_caught(mutant: Mutant) -> None:
    assert _first_problem(mutant) is not None


def _first_problem(mutant: Mutant) -> str | None:
    with in_memory() as folder, applied(mutant):
        if mutant.check is not None:
            return next(iter(problems_of(mutant.check, folder / "top")), None)
        operation = next(one for one in OPERATIONS if one.name == mutant.operation)
        recorded = record(operation, folder / "top")
        found = (
            problem
            for state in states_of(recorded, 8 if operation.with_engine else 24)
            for problem in problems_after(recorded, state)
        )
        return next(islice(found, 1), None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_as_it_is_keeps_each_promise(check: Check) -> None:
    with in_memory() as folder:
        assert problems_of(check, folder / "top") == []


def test_each_writing_function_of_the_store_belongs_to_an_operation_and_to_a_mutant() -> None:
    there = set(writing_functions())
    in_operations = {name for operation in OPERATIONS for name in operation.covers}
    in_mutants = {name for mutant in MUTANTS for name in mutant.of}
    assert {"write_new", "Journal.append", "CheckpointStore.commit", "hold_session"} <= there
    assert there - in_operations - set(ELSEWHERE) == set(), "name them in OPERATIONS (covers)"
    assert there - in_mutants - set(ELSEWHERE) == set(), "break them in MUTANTS (of)"
    assert in_mutants - there == set(), "these are no writing functions (any more)"


def test_each_operation_that_is_recorded_is_there_once() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert {mutant.operation for mutant in MUTANTS} - {None} <= set(names)
