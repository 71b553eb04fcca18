"""What happens, as facts in the order in which it happened; the journal keeps them, the console folds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EVENT_TYPES = frozenset(
    """session_started phase_started blueprint_selected persona_started persona_output persona_finished
    artifacts_created contract_checked quality_checked gate_waiting gate_decided phase_committed phase_failed
    phase_cancelled phase_retried session_paused session_failed session_cancelled session_completed
    runner_acquired runner_lost survivors_ended edits_applied forked question_asked question_answered
    usage_reported context_trimmed persona_reused budget_spent budget_raised breaker_opened tool_called
    sub_step advice_failed journal_lost""".split()
)

SYNCED_TYPES = frozenset(
    """phase_started gate_waiting gate_decided runner_lost edits_applied forked session_paused session_failed
    session_cancelled session_completed usage_reported budget_raised question_asked question_answered journal_lost""".split()
)
"""Event types that are on disk (fdatasync) before the engine goes on, and with them all that was written before.

The outcome of an attempt is in its commit, the beginning of a session in the first one, and a runner has done
nothing before its first `phase_started`: their events come to the disk with the next of these.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One journal record. `at` is seconds since the epoch, UTC; `seq` counts within its `writer`."""

    type: str
    at: float
    session_id: str
    phase: str | None = None
    attempt: int | None = None
    persona: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    writer: str = ""
    seq: int = 0
