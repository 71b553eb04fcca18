"""What doctor says of a holder that has gone quiet, and of what resume would do."""

from __future__ import annotations

from typing import Any

import pytest

from maestro_tui.engine.doctor import doctor_lines, quiet_words

OWNER = {"alive": True, "condition": "alive", "heartbeat_seconds_ago": 1.0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, False),
        ({"heartbeat_seconds_ago": 600.0}, True),
        ({"heartbeat_seconds_ago": 600.0, "condition": "alive but stopped (by SIGSTOP)"}, False),
        ({"heartbeat_seconds_ago": 600.0, "alive": False, "condition": "ended"}, False),
        ({"heartbeat_seconds_ago": 600.0, "alive": None, "condition": "on another computer"}, False),
    ],
)
def test_a_living_runner_that_beats_no_more_may_be_that_of_another_folder(
    change: dict[str, Any], told: bool
) -> None:
    assert ("copy of the one that it works in" in quiet_words(OWNER | change)) == told


def test_what_resume_would_do_stands_in_columns_and_says_where_it_stops() -> None:
    phases = [
        {"phase": "design", "action": "reuse", "reason": "unchanged", "approval": False},
        {"phase": "deployment", "action": "run", "reason": "never ran", "approval": True},
    ]
    found = {
        "session_id": "s",
        "status": "failed",
        "owner": None,
        "holders": [],
        "damage": [],
        "problem": None,
        "plan": {"phases": phases},
    }
    assert list(doctor_lines(found))[-3:] == [
        "  resume would do:",
        "    design      reuse     unchanged",
        "    deployment  run       never ran  runs, then waits for your approval",
    ]
