"""SIGKILL at any call or moment loses no committed phase, lets none run again, and leaves no child behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


def campaign(*words: str) -> dict[str, Any]:
    """Run a campaign in a process of its own: it forks, which a process with threads must not."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.kill", "--json", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.stdout, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    assert facts["problems"] == []
    assert done.returncode == 0, facts
    assert facts["completed"] == facts["sessions"] > 0
    assert facts["orphans"] == 0
    # A run that is never interrupted in its midst would prove nothing.
    assert facts["phases_interrupted_and_run_again"] > 0
    return facts


@pytest.mark.parametrize("part", ["1/4", "2/4", "3/4", "4/4"])
def test_killed_before_each_call_and_within_each_write(part: str) -> None:
    facts = campaign("--sweep", part)
    assert facts["kills"] >= 60
    assert facts["kills"] == facts["sessions"] - 2, (
        "each session was killed once, but the two that came to their end"
    )
    assert {"before rename", "before fsync", "in the midst of write"} <= set(facts["killed_at"])


@pytest.mark.parametrize("seed", ["1", "2"])
def test_killed_again_and_again_at_calls_by_chance(seed: str) -> None:
    assert campaign("--count", "380", "--seed", seed)["kills"] == 380


def test_runs_with_commands_killed_at_calls_and_moments_by_chance() -> None:
    assert campaign("--commands", "60")["kills"] == 60


@pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="only /proc shows a process's first moment"
)
def test_a_command_that_was_just_born_is_not_left_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.kill", "--json", "--newborn"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
    )
    facts = json.loads(done.stdout)
    assert facts["kills"] == 1, facts
    assert facts["orphans"] == 0
