"""Whatever a performer does wrong is its own failure, told in a sentence: nobody else's work is lost or spoilt by it."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import PhaseResult, TeamExecutionEngineV2, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.engine import drive
from maestro_tui.engine.performer_contract import check_result
from maestro_tui.model.checkpoint import DEPTH_LIMIT, DIGITS_LIMIT
from maestro_tui.model.context import Decision, PhaseError, PhaseStatus, TeamExecutionContext, Usage
from maestro_tui.model.events import EVENT_TYPES, PERFORMER_TYPES
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from tests.engine.scripted import Bench, Team, Work, said

BESIDE = """
name = "w"
[[phases]]
name = "bad"
threshold = 0.5
{bad}
[[phases.personas]]
name = "p"
argv = ["true"]
{p}
[[phases]]
name = "good"
needs = []
[[phases.personas]]
name = "q"
argv = ["true"]
"""


def fine(task: Task, port: Port) -> PerformerResult:
    return PerformerResult(outputs={"n": 1}, metrics={"quality": 1.0})


def beside(tmp_path: Path, work: Work, bad: str = "", p: str = "", **others: Work) -> Bench:
    return Bench(tmp_path, BESIDE.format(bad=bad, p=p), Team(**{"p": work, **others}))


async def failure(bench: Bench) -> PhaseError:
    """How the bad phase failed, while the one beside it went on and the session can be resumed."""
    context = await bench.engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["bad"].status) == "failed"
    assert str(context.phase_results["good"].status) == "completed"
    error = context.phase_results["bad"].error
    assert error is not None and "\n" not in error.message and "pydantic" not in error.message
    assert bench.engine.store.verify("s") == []
    bench.team.work["p"] = fine
    again = await bench.engine.resume("s")
    assert {str(result.status) for result in again.phase_results.values()} == {"completed"}
    return error


def returning(value: Any) -> Work:
    return lambda task, port: value


def words(value: Any) -> str:
    """A test's id; numbers of thousands of digits cannot be shown."""
    return value if isinstance(value, str) else "value"


def nested(levels: int) -> Any:
    return reduce(lambda inner, _: [inner], range(levels), 1)


# ── How it ends ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_performer_that_ends_the_program_ends_nothing(tmp_path: Path) -> None:
    def leave(task: Task, port: Port) -> PerformerResult:
        sys.exit(0)

    error = await failure(beside(tmp_path, leave))
    assert error.kind == "internal" and error.message == "The performer of 'p' broke: SystemExit: 0"


async def test_a_performer_whose_own_task_was_cancelled_cancels_nobody_else(tmp_path: Path) -> None:
    async def trip(task: Task, port: Port) -> PerformerResult:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner
        return said(task, port)

    begun = asyncio.Event()

    async def slow(task: Task, port: Port) -> PerformerResult:
        begun.set()
        await asyncio.sleep(0.01)
        return said(task, port)

    error = await failure(beside(tmp_path, trip, q=slow))
    assert begun.is_set() and "'p' was cancelled from within" in error.message


@pytest.mark.parametrize("side_by_side", [False, True])
async def test_a_cancellation_from_outside_stays_one(tmp_path: Path, side_by_side: bool) -> None:
    begun = asyncio.Event()

    async def slow(task: Task, port: Port) -> PerformerResult:
        begun.set()
        await asyncio.sleep(60)
        return said(task, port)

    more = 'mode = "parallel"' if side_by_side else ""
    peer = '[[phases.personas]]\nname = "peer"\nargv = ["true"]' if side_by_side else ""
    bench = beside(tmp_path, slow, more, peer)
    for word, told in (((), "cancelled by its caller"), ((drive.BY_OPERATOR,), "cancelled by the operator")):
        begun.clear()
        run = bench.engine.resume("s") if bench.engine.store.exists("s") else None
        work = asyncio.create_task(run or bench.engine.execute_batch("x", session_id="s"))
        await begun.wait()
        work.cancel(*word)
        with pytest.raises(asyncio.CancelledError):
            await work
        error = bench.engine.store.head("s").context.phase_results["bad"].error
        assert error is not None and (error.kind, error.message) == ("cancelled", told)


async def test_a_time_limit_of_the_calling_code_is_not_the_operator_s_word(tmp_path: Path) -> None:
    async def slow(task: Task, port: Port) -> PerformerResult:
        await asyncio.sleep(60)
        return said(task, port)

    bench = beside(tmp_path, slow)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.engine.execute_batch("x", session_id="s"), 0.2)
    error = bench.engine.store.head("s").context.phase_results["bad"].error
    assert error is not None and error.message == "cancelled by its caller"


def until_over(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() <= end:
        pass


async def blocks(task: Task, port: Port) -> PerformerResult:
    until_over(0.03)
    return said(task, port)


async def swallows(task: Task, port: Port) -> PerformerResult:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        port.line("not now")
    return said(task, port)


@pytest.mark.parametrize("work", [blocks, swallows])
async def test_work_that_went_on_past_its_limit_is_not_completed(tmp_path: Path, work: Work) -> None:
    bench = beside(tmp_path, work, p="timeout_seconds = 0.02")
    error = await failure(bench)
    assert error.kind == "timeout"
    assert "'p' went on past its limit of 0.02 s and could not be stopped" in error.message


async def test_a_phase_s_limit_holds_for_work_that_blocks(tmp_path: Path) -> None:
    def works(task: Task, port: Port) -> PerformerResult:
        bench.stopwatch = lambda: time.monotonic() + 600
        return fine(task, port)

    bench = beside(tmp_path, works, bad="timeout_seconds = 500")
    error = await failure(bench)
    assert error.kind == "timeout"
    assert "Phase 'bad' went on past its limit of 500 s and could not be stopped" in error.message


# ── What it hands back ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "'p' returned NoneType, not a PerformerResult."),
        ({"n": 1}, "'p' returned dict, not a PerformerResult."),
        (PerformerResult(outputs=[1]), "'p' returned a result whose outputs is list, not a mapping."),  # type: ignore[arg-type]
        (PerformerResult(usage=None), "'p' returned a result whose usage is NoneType, not a Usage."),  # type: ignore[arg-type]
    ],
)
async def test_what_is_no_result_is_said_to_be_none(tmp_path: Path, value: Any, sentence: str) -> None:
    error = await failure(beside(tmp_path, returning(value)))
    assert (error.kind, error.message) == ("result", sentence)


@pytest.mark.parametrize("part", ["outputs", "decisions", "metrics", "summary", "usage", "failure"])
async def test_every_part_of_a_result_has_its_type(tmp_path: Path, part: str) -> None:
    error = await failure(beside(tmp_path, returning(PerformerResult(**{part: 3}))))  # type: ignore[arg-type]
    assert f"'p' returned a result whose {part} is int, not " in error.message


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("quality", 92, "'p' reported quality = 92; it is a ratio and must lie between 0 and 1."),
        ("tests", -0.1, "'p' reported tests = -0.1; it is a ratio and must lie between 0 and 1."),
        ("coverage", 1.01, "must lie between 0 and 1"),
        ("opinion", 8, "must lie between 0 and 1"),
        ("tests", True, "'p' reported tests = True, which is no finite number."),
        ("x", "all", "'p' reported x = all, which is no finite number."),
        ("x", float("nan"), "which is no finite number"),
        ("x", 10**400, "'p' reported x, which is too large a number."),
        ("x", 10**5000, "'p' reported x, which is too large a number."),
        (3, 0.5, "'p' reported 3 as a metric, whose name must be text."),
    ],
    ids=words,
)
async def test_a_number_that_nothing_can_measure_passes_no_gate(
    tmp_path: Path, name: Any, value: Any, told: str
) -> None:
    error = await failure(beside(tmp_path, returning(PerformerResult(metrics={"quality": 1.0, name: value}))))
    assert error.kind == "result" and told in error.message


async def test_a_command_s_numbers_are_held_to_the_same_rule(tmp_path: Path) -> None:
    flow = BESIDE.format(bad="", p="").replace(
        'argv = ["true"]', """shell = 'echo "{\\"metrics\\": {\\"quality\\": 92}}" > $MAESTRO_RESULT'""", 1
    )
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "c", Workflow.parse(flow), tmp_path, team=TeamExecutionEngineV2()
    )
    context = await engine.execute_phase("bad", "x", session_id="s")
    error = context.phase_results["bad"].error
    assert error is not None and error.message.endswith("it is a ratio and must lie between 0 and 1.")


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ({"deep": nested(200)}, f"no checkpoint can hold: it is nested deeper than {DEPTH_LIMIT} levels."),
        ({"deep": nested(300)}, f"no checkpoint can hold: it is nested deeper than {DEPTH_LIMIT} levels."),
        ({"deep": nested(5_000)}, "nested too deeply"),
        (
            {"n": 10**DIGITS_LIMIT},
            f"no checkpoint can hold: it holds a number of more than {DIGITS_LIMIT:,} digits.",
        ),
        ({"n": 10**6_000}, f"it holds a number of more than {DIGITS_LIMIT:,} digits"),
        ({1: 2}, "not JSON (the key 1 is no text)."),
        ({"a": [{None: 2}]}, "not JSON (the key None is no text)."),
        ({"a": {1, 2}}, "not JSON"),
        ({"a": float("inf")}, "not JSON"),
    ],
    ids=words,
)
async def test_outputs_that_cannot_be_committed_fail_their_persona(
    tmp_path: Path, outputs: Any, told: str
) -> None:
    error = await failure(beside(tmp_path, returning(PerformerResult(outputs=outputs))))
    assert error.kind == "result" and told in error.message


async def test_details_of_a_decision_are_held_to_the_same(tmp_path: Path) -> None:
    decision = Decision(about="x", choice="y", decided_by="p", details={"at": object()})
    error = await failure(beside(tmp_path, returning(PerformerResult(decisions=(decision,)))))
    assert error.kind == "result" and "not JSON" in error.message


async def test_what_just_fits_is_taken_as_a_comment_too(tmp_path: Path) -> None:
    def fits(value: Any) -> bool:
        try:
            check_result("peer", PerformerResult(outputs=value))
        except PerformerFailed:
            return False
        return True

    deepest = next(levels for levels in range(DEPTH_LIMIT, 0, -1) if fits({"x": nested(levels)}))
    team = Team(peer=returning(PerformerResult(outputs={"x": nested(deepest)})))
    bench = Bench(
        tmp_path,
        """
        name = "w"
        [[phases]]
        name = "a"
        mode = "collaborative"
        [[phases.personas]]
        name = "author"
        argv = ["true"]
        [[phases.personas]]
        name = "peer"
        argv = ["true"]
        """,
        team,
    )
    context = await bench.engine.execute_batch("x", session_id="s")
    assert context.phase_results["a"].outputs["comments"]["round 1"]["peer"] == {"x": nested(deepest)}


# ── What it says on the way ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"kind": "boom"}, "has the kind exit, timeout, result, performer, not 'boom'"),
        ({"retry_after": "5"}, "has seconds or None as retry_after, not '5'"),
        ({"retry_after": -1}, "has seconds or None as retry_after, not -1"),
        ({"usage": {"cost_usd": 1}}, "has a Usage or None as usage, not dict"),
    ],
)
async def test_a_failure_that_is_told_wrongly_keeps_its_words(
    tmp_path: Path, parts: dict[str, Any], told: str
) -> None:
    def fail(task: Task, port: Port) -> PerformerResult:
        raise PerformerFailed("the database is down", **parts)

    error = await failure(beside(tmp_path, fail))
    assert told in error.message and "it was to say: the database is down" in error.message


@pytest.mark.parametrize("kind", ["phase_committed", "usage_reported", "question_asked"])
async def test_a_performer_cannot_speak_for_the_engine(tmp_path: Path, kind: str) -> None:
    def spoof(task: Task, port: Port) -> PerformerResult:
        port.emit(kind, seq=99)
        return said(task, port)

    bench = beside(tmp_path, spoof)
    error = await failure(bench)
    assert f"'p' told the event '{kind}', which is the engine's own" in error.message
    assert not [data for data in bench.told(kind) if data.get("seq") == 99]


@pytest.mark.parametrize(("kind", "data"), [("note", {"persona": "q"}), (3, {})])
async def test_an_event_that_cannot_be_told_is_a_sentence(
    tmp_path: Path, kind: Any, data: dict[str, Any]
) -> None:
    def tell(task: Task, port: Port) -> PerformerResult:
        port.emit(kind, **data)
        return said(task, port)

    assert "'p' told " in (await failure(beside(tmp_path, tell))).message


async def test_a_performer_s_own_events_are_written(tmp_path: Path) -> None:
    def tell(task: Task, port: Port) -> PerformerResult:
        for kind in (*sorted(PERFORMER_TYPES), "of_its_own"):
            port.emit(kind, n=1)
        port.spend(Usage(input_tokens=3))
        return fine(task, port)

    assert PERFORMER_TYPES < EVENT_TYPES
    bench = beside(tmp_path, tell)
    await bench.engine.execute_batch("x", session_id="s")
    assert all(bench.told(kind) for kind in (*PERFORMER_TYPES, "of_its_own", "usage_reported"))


# ── Clocks ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_clock_that_is_set_back_makes_no_duration_less_than_nothing(tmp_path: Path) -> None:
    bench: Bench

    def back(task: Task, port: Port) -> PerformerResult:
        bench.now -= 7200
        return fine(task, port)

    bench = beside(tmp_path, back)
    context: TeamExecutionContext = await bench.engine.execute_batch("x", session_id="s")
    result = context.phase_results["bad"]
    assert result.started_at is not None and result.finished_at is not None
    assert result.finished_at - result.started_at == timedelta(hours=-2)
    assert result.duration_seconds == 0.0
    assert bench.told("phase_committed")[0]["duration_seconds"] >= 0
    assert PhaseResult(status=PhaseStatus.COMPLETED).duration_seconds is None
