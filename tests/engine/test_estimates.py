"""What a phase usually takes is the median of what was recorded; what nobody measured stays unknown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from maestro_tui.engine.estimates import usual_estimates
from maestro_tui.model.context import PhaseResult, PhaseStatus, Usage
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import hold_session
from tests.store.small_sessions import FLOW, MOMENT, context


def ran(root: Path, session_id: str, usage: Usage, seconds: float = 60, status: str = "completed") -> None:
    """A session whose first phase took that long and spent that much."""
    store = CheckpointStore(root)
    store.create(context(session_id=session_id))
    result = PhaseResult(
        status=PhaseStatus(status),
        attempt=1,
        started_at=MOMENT,
        finished_at=MOMENT + timedelta(seconds=seconds),
        usage=usage,
    )
    with hold_session(store.session_dir(session_id)) as hold:
        store.commit(
            session_id,
            "requirements",
            1,
            lambda head: (head.context.with_result("requirements", result), None),
            hold,
        )


def test_seconds_tokens_and_dollars_are_medians_over_completed_runs(tmp_path: Path) -> None:
    for number, (cost, seconds) in enumerate(((0.1, 10), (0.5, 50), (0.2, 20))):
        ran(tmp_path, f"s{number}", Usage(input_tokens=20, output_tokens=10 * number, cost_usd=cost), seconds)
    ran(tmp_path, "failed", Usage(input_tokens=9_000, cost_usd=90), 900, "failed")
    [(name, estimate)] = usual_estimates(tmp_path, FLOW.name).items()
    assert name == "requirements"
    assert (estimate.seconds, estimate.tokens, estimate.cost_usd, estimate.runs) == (20, 30, 0.2, 3)


@pytest.mark.parametrize("usage", [Usage(), Usage(seconds=3)])
def test_what_nobody_counted_is_unknown_not_free(tmp_path: Path, usage: Usage) -> None:
    ran(tmp_path, "s", usage)
    estimate = usual_estimates(tmp_path, FLOW.name)["requirements"]
    assert (estimate.seconds, estimate.tokens, estimate.cost_usd) == (60, None, None)


def test_a_damaged_session_takes_nothing_from_the_others(tmp_path: Path) -> None:
    ran(tmp_path, "good", Usage(cost_usd=0.3))
    ran(tmp_path, "bad", Usage(cost_usd=9))
    (tmp_path / "bad" / "history" / "0001.json").write_text("{")
    assert usual_estimates(tmp_path, FLOW.name)["requirements"].cost_usd == 0.3
