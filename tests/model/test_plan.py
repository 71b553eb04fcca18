"""A plan says what would happen and why, and changes when the session does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from maestro_tui.model.context import (
    Gate,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    TeamExecutionContext,
)
from maestro_tui.model.errors import PlanError
from maestro_tui.model.fingerprint import inputs_of, stale_reasons
from maestro_tui.model.phase import Phase
from maestro_tui.model.plan import Request, plan
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.workflow import Workflow

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
DIAMOND = Workflow(
    name="diamond",
    phases=(
        Phase(name="a"),
        Phase(name="b", needs=("a",)),
        Phase(name="c", needs=("a",)),
        Phase(name="d", needs=("b", "c")),
    ),
)


def context_of(workflow: Workflow, *done: str, **update: object) -> TeamExecutionContext:
    context = TeamExecutionContext(
        session_id="s1", requirement="x", workflow=workflow, created_at=NOW
    ).model_copy(update=update)
    for name in done:
        context = context.with_result(name, result_of(workflow, context, name))
    return context


def result_of(
    workflow: Workflow,
    context: TeamExecutionContext,
    name: str,
    status: PhaseStatus = PhaseStatus.COMPLETED,
    **update: object,
) -> PhaseResult:
    return PhaseResult(
        status=status,
        started_at=NOW,
        finished_at=NOW,
        inputs=inputs_of(workflow, context, name),
        outputs={"of": name},
    ).model_copy(update=update)


def actions(
    workflow: Workflow, context: TeamExecutionContext, request: Request | None = None, **more: object
) -> dict[str, str]:
    made = plan(workflow, context, request or Request(), **more)
    return {planned.phase: str(planned.action) for planned in made.phases}


def test_a_new_session_runs_everything_in_an_order_that_respects_needs() -> None:
    assert actions(DIAMOND, context_of(DIAMOND)) == {"a": "run", "b": "run", "c": "run", "d": "run"}


def test_committed_phases_are_reused_and_a_failed_one_is_retried_with_its_reason() -> None:
    context = context_of(DIAMOND, "a", "b")
    failed = result_of(
        DIAMOND, context, "c", PhaseStatus.FAILED, error=PhaseError(kind="exit", message="exit code 3")
    )
    context = context.with_result("c", failed)
    made = plan(DIAMOND, context, Request())
    assert [str(planned.action) for planned in made.phases] == ["reuse", "reuse", "run", "run"]
    assert made.phase("c").reason == "failed at attempt 1: exit code 3"
    assert made.phase("c").attempt == 2


def test_an_interrupted_attempt_is_named_and_its_number_is_not_used_again() -> None:
    made = plan(DIAMOND, context_of(DIAMOND, "a"), Request(), interrupted={"b": 3}, attempts={"b": 3})
    assert made.phase("b").reason == "attempt 3 was interrupted"
    assert made.phase("b").attempt == 4


def test_one_phase_alone_leaves_all_others_and_says_what_goes_stale() -> None:
    made = plan(DIAMOND, context_of(DIAMOND, "a", "b", "c", "d"), Request(kind="phase", phase="b"))
    assert made.runs == ("b",)
    assert [planned.phase for planned in made.phases if planned.goes_stale] == ["d"]


def test_one_phase_alone_is_blocked_by_what_it_needs() -> None:
    made = plan(DIAMOND, context_of(DIAMOND, "a"), Request(kind="phase", phase="d"))
    assert made.phase("d").reason == "needs b, which is not completed"
    assert made.runs == ()


def test_rerun_from_takes_all_that_depends_on_it_and_no_other_branch() -> None:
    assert actions(
        DIAMOND, context_of(DIAMOND, "a", "b", "c", "d"), Request(kind="rerun_from", phase="b")
    ) == {
        "a": "reuse",
        "b": "run",
        "c": "reuse",
        "d": "run",
    }


def test_a_waiting_approval_blocks_what_depends_on_it() -> None:
    context = context_of(DIAMOND, "a")
    waiting = result_of(DIAMOND, context, "b", gate=Gate(verdict="waiting"))
    made = plan(DIAMOND, context.with_result("b", waiting), Request())
    assert made.phase("b").reason == "waits for approval"
    assert made.phase("d").reason == "needs b, which waits for approval"
    assert made.runs == ("c",)


def test_a_stop_for_review_holds_back_only_what_depends_on_it() -> None:
    made = plan(DIAMOND, context_of(DIAMOND, "a", pause_after=("b",)), Request())
    assert made.runs == ("b", "c")
    assert made.phase("b").pause
    assert made.phase("d").reason == "the session stops for review after b"


def test_selected_phases_come_first_and_resume_goes_on_with_the_rest() -> None:
    context = context_of(DIAMOND, scope=("a", "b"))
    assert plan(DIAMOND, context, Request()).runs == ("a", "b")
    done = context_of(DIAMOND, "a", "b", scope=("a", "b"))
    assert plan(DIAMOND, done, Request()).runs == ("c", "d")
    assert plan(DIAMOND, done, Request(widen=False)).runs == ()


def test_a_changed_requirement_or_definition_is_named_as_the_reason() -> None:
    context = context_of(DIAMOND, "a", "b")
    changed = Workflow(name="diamond", phases=(Phase(name="a", objective="new"), *DIAMOND.phases[1:]))
    reasons = stale_reasons(changed, context)
    assert reasons["a"] == "its definition changed"
    assert reasons["b"] == "it needs a, which is stale"
    assert (
        stale_reasons(DIAMOND, context.model_copy(update={"requirement": "y"}))["a"]
        == "the requirement changed"
    )


def test_the_hash_changes_with_the_session_the_request_and_the_workflow() -> None:
    context = context_of(DIAMOND, "a")
    hashes = {
        plan(DIAMOND, context, Request(), basis="1").hash,
        plan(DIAMOND, context, Request(), basis="2").hash,
        plan(DIAMOND, context, Request(kind="phase", phase="b"), basis="1").hash,
        plan(DIAMOND, context, Request(kind="rerun_from", phase="a"), basis="1").hash,
    }
    assert len(hashes) == 4
    assert plan(DIAMOND, context, Request(), basis="1").hash in hashes


def test_an_unknown_phase_is_refused_by_sentence() -> None:
    with pytest.raises(PlanError, match="no phase 'nope'"):
        plan(sdlc(), context_of(sdlc()), Request(kind="phase", phase="nope"))


@pytest.mark.parametrize(
    ("alias", "phase"),
    [
        ("requirement_analysis", "requirements"),
        ("architecture", "design"),
        ("backend_development", "implementation"),
        ("Frontend-Development", "implementation"),
        ("QA", "testing"),
        ("review", "testing"),
        ("release", "deployment"),
    ],
)
def test_hives_aliases_name_the_standard_phases(alias: str, phase: str) -> None:
    assert sdlc().resolve(alias) == phase
