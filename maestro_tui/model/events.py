"""What happens, as facts in the order in which it happened; the journal keeps them, the console folds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EVENT_DATA: Mapping[str, str] = {
    # The session, and whoever runs it
    "session_started": "workflow",
    "session_paused": "reason phases",  # approval, budget, circuit breaker, review, asked phases are done
    "session_failed": "phases",
    "session_cancelled": "by",
    "session_completed": "phases selected stale",  # how many results; only some were asked for; names
    "runner_acquired": "epoch mode lost",  # exclusive: the session; shared: one phase; lost: phase → last heartbeat
    "runner_lost": "problem taken_over_by reason from epoch",  # problem: its lease could not be renewed
    "survivors_ended": "pids left",
    "journal_lost": "reason",  # its file was taken away; it is begun anew
    "listener_failed": "on problem",  # the type of the event that it could not take
    # A phase: `phase` and `attempt` of the event say which
    "phase_started": "reason",
    "blueprint_selected": "personas mode choice decided_by reason seq",
    "artifacts_created": "count paths",  # the first 50 paths
    "contract_checked": "fulfilled missing violations",
    "quality_checked": "quality verdict failures",  # quality: metric → number, null where not measured
    "phase_committed": "status duration_seconds seq sha256 by reason error log_problem receipts_problem",
    "phase_failed": "status duration_seconds seq sha256 error log_problem",
    "phase_cancelled": "status duration_seconds seq sha256 error log_problem",
    "phase_retried": "failed_try tries delay_seconds asked_seconds",
    "budget_spent": "reason",
    "breaker_opened": "failures",
    # A persona: `persona` of the event says which
    "persona_started": "performer attempt_try step reason",  # step is left out for plain work
    "performer_blocks": "where",  # the loop of its run, for seconds: time limits and cancel wait; function (file:line)
    "persona_output": "stream text",  # told to listeners; on disk it is a line of the log
    "persona_finished": "ok summary",
    "persona_reused": "step from_attempt summary",
    "usage_reported": "step attempt_try seconds input_tokens output_tokens cost_usd",  # known ones, of this try in all
    "context_trimmed": "left_out where",  # left_out: [{what, size, where}]
    "tool_called": "tool summary kind paths denied",
    "sub_step": "step of",
    "advice_failed": "reason",
    "question_asked": "id question options default runner expires_at",
    "question_answered": "id question answer by problem",
    # A person's acts
    "gate_waiting": "",
    "gate_decided": "verdict by reason seq problem",  # approved, rejected, pushed_back
    "edits_applied": "by keys files reason seq",
    "budget_raised": "more persona by reason seq",
    "forked": "from seq sha256 how",  # fork or import
}
"""Type of an event → the keys that its `data` may have; one that says nothing is left out. A performer may tell
of types of its own too."""

EVENT_TYPES = frozenset(EVENT_DATA)

PERFORMER_TYPES = frozenset("persona_output tool_called sub_step context_trimmed".split())
"""Those that performers tell of their work; all others say what the engine has done."""

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
    """One journal record. `at` is seconds since the epoch, UTC; `seq` counts within its `writer`; `data` has JSON
    values under the keys of `EVENT_DATA`."""

    type: str
    at: float
    session_id: str
    phase: str | None = None
    attempt: int | None = None
    persona: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    writer: str = ""
    seq: int = 0
