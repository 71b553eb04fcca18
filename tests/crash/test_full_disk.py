"""When the kernel itself has no room: a sentence, nothing acknowledged is lost, and the session goes on afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crash.full_disk import may_mount, on_tiny_disks

REPOSITORY = Path(__file__).parents[2]


def test_a_limit_on_the_size_of_files_loses_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.full_disk", "--json", "--every", "5"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.stdout, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    assert [problem for outcomes in facts.values() for problem in outcomes["problems"]] == []
    limited = facts["under a limit on file sizes"]
    assert limited["runs"] >= 10
    # Limits that nobody meets would prove nothing, nor would runs that never come to a commit.
    assert limited["ended"]["told (StoreError)"] > limited["runs"] / 2
    assert limited["commits"] > limited["runs"] / 2


def test_a_tiny_disk_that_fills_up_loses_nothing() -> None:
    if not may_mount():
        pytest.skip("this user may not mount a tmpfs")
    outcomes = on_tiny_disks(range(6, 60, 8))
    assert outcomes.problems == []
    assert outcomes.ended["told (StoreError)"] + outcomes.ended["the phase failed"] >= 2
    assert outcomes.commits > 0
