"""What may be spent is held against what was spent; what is spent pauses, and a recorded raise goes on."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui import PlanError
from maestro_tui.model.context import Usage
from maestro_tui.model.policy import Breaker, BreakerState, Budget, spent_of
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.store.summaries import read_summary
from tests.engine.scripted import Bench, Team, Work, said
from tests.waiting import wait_until

LINE = """
name = "w"
{session}
[[phases]]
name = "design"
{phase}
[[phases.personas]]
name = "author"
performer = "llm"
options = {{ model = "m" }}
{persona}
[[phases.personas]]
name = "second"
performer = "llm"
options = {{ model = "m" }}
[[phases]]
name = "build"
[[phases.personas]]
name = "builder"
argv = ["x"]
"""


def line(session: str = "", phase: str = "", persona: str = "") -> str:
    return LINE.format(session=session, phase=phase, persona=persona)


def dear(cost: float) -> Team:
    """An author that goes on spending until it is stopped."""

    async def author(task: Task, port: Port) -> PerformerResult:
        for step in range(1, 100):
            port.spend(Usage(input_tokens=100 * step, output_tokens=step, cost_usd=round(cost * step, 6)))
            await asyncio.sleep(0)
        return said(task, port)

    return Team(author=author)


@pytest.mark.parametrize(
    ("session", "phase", "words"),
    [
        ("budget = { cost_usd = 0.5 }", "", "The session's budget is spent ($0.60 of $0.50)"),
        ("", "budget = { cost_usd = 0.5 }", "budget of phase 'design' is spent ($0.60 of $0.50)"),
        ("", "budget = { tokens = 250 }", "budget of phase 'design' is spent (303 of 250 tokens)"),
    ],
)
async def test_a_spent_budget_pauses_the_session_and_a_recorded_raise_goes_on(
    tmp_path: Path, session: str, phase: str, words: str
) -> None:
    bench = Bench(tmp_path, line(session, phase), dear(0.2))
    context = await bench.engine.execute_batch("x", session_id="s")
    result = context.phase_results["design"]
    assert result.error is not None and result.error.kind == "budget"
    assert words in result.error.message and "maestro-tui raise s" in result.error.message
    assert bench.told("session_paused") == [{"reason": "budget", "phases": ["design"]}]
    assert str(read_summary(bench.root / "s", bench.now).status) == "paused"
    assert context.usage.input_tokens == result.usage.input_tokens is not None
    assert bench.team.who == ["author"]

    planned = bench.engine.plan("s").phase("design")
    assert planned.action == "blocked" and "maestro-tui raise s" in planned.reason
    await bench.engine.resume("s")
    assert bench.team.who == ["author"], "nothing may be spent before the raise"

    where = "design" if phase else None
    with pytest.raises(PlanError, match="Say why"):
        bench.engine.raise_budget("s", Budget(cost_usd=100, tokens=None), phase=where) if "cost" in (
            session + phase
        ) else bench.engine.raise_budget("s", Budget(tokens=100_000), phase=where)
    more = Budget(cost_usd=100) if "cost" in session + phase else Budget(tokens=1_000_000)
    bench.engine.raise_budget("s", more, phase=where, by="ada", reason="it is worth it")
    context = await bench.engine.resume("s")
    assert str(context.phase_results["build"].status) == "completed"
    [raised] = context.raises
    assert (raised.by, raised.reason, raised.phase) == ("ada", "it is worth it", where)


async def test_what_finished_before_the_budget_was_spent_is_not_paid_twice(tmp_path: Path) -> None:
    def author(task: Task, port: Port) -> PerformerResult:
        return PerformerResult(outputs={"text": "dear"}, usage=Usage(cost_usd=0.6))

    bench = Bench(tmp_path, line(phase="budget = { cost_usd = 0.5 }"), Team(author=author))
    await bench.engine.execute_batch("x", session_id="s")
    assert bench.team.who == ["author"], "the second may not begin"
    bench.engine.raise_budget("s", Budget(cost_usd=1), phase="design", reason="go on")
    context = await bench.engine.resume("s")
    assert bench.team.who == ["author", "second", "builder"]
    assert bench.told("persona_reused")[0]["from_attempt"] == 1
    assert context.phase_results["design"].outputs["text"] == "dear"
    assert context.spent["design"].cost_usd == pytest.approx(0.6)


async def test_a_budget_of_a_persona_stops_that_persona(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(persona="budget = { tokens = 150 }"), dear(0.1))
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["design"].error
    assert (
        error is not None and "Persona 'author' has used up its budget (202 of 150 tokens)" in error.message
    )


async def test_a_raise_of_a_budget_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(), Team())
    await bench.engine.execute_batch("x", session_id="s")
    with pytest.raises(PlanError, match="no budget in cost_usd"):
        bench.engine.raise_budget("s", Budget(cost_usd=1), reason="more")
    assert bench.engine.store.head("s").context.raises == ()


def test_what_is_not_known_is_not_held_against_a_budget() -> None:
    assert spent_of(Budget(cost_usd=1.0), Usage(input_tokens=10**9)) is None


SPENDER = """
import asyncio, pathlib, sys
sys.path.insert(0, {here!r})
from maestro_tui.model.context import Usage
from tests.engine.scripted import Bench, Team

async def author(task, port):
    port.spend(Usage(input_tokens=700, cost_usd=0.7))
    pathlib.Path(sys.argv[1], "spent").touch()
    await asyncio.sleep(600)

bench = Bench(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1], "w.toml").read_text(), Team(author=author))
asyncio.run(bench.engine.execute_batch("x", session_id="s"))
"""


DEAD = SPENDER.replace("input_tokens=700, cost_usd=0.7", "cost_usd=8.7").replace(
    'execute_batch("x", session_id="s")', 'execute_phase("a", "x", session_id="s")'
)


async def test_what_a_killed_attempt_had_spent_counts(tmp_path: Path) -> None:
    workflow = line(phase="budget = { cost_usd = 0.5 }").replace("budget", "retries = 0\nbudget")
    workflow = workflow.replace("cost_usd = 0.5", "cost_usd = 1.0")
    (tmp_path / "w.toml").write_text(workflow)
    script = tmp_path / "spender.py"
    script.write_text(SPENDER.format(here=str(Path(__file__).parents[2])))
    victim = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    wait_until((tmp_path / "spent").exists, "it has spent")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    bench = Bench(tmp_path, workflow, dear(0.2))
    context = await bench.engine.resume("s")
    assert context.spent["design"].cost_usd == pytest.approx(1.1), "0.7 of the killed one, 0.4 of the next"
    assert context.recovered == {"design": 1}
    error = context.phase_results["design"].error
    assert error is not None and "$1.10 of $1.00" in error.message


SIDE_BY_SIDE = """
name = "w"
budget = { cost_usd = 9 }
[[phases]]
name = "a"
[[phases.personas]]
name = "author"
performer = "llm"
options = { model = "m" }
[[phases]]
name = "b"
needs = []
[[phases.personas]]
name = "author"
performer = "llm"
options = { model = "m" }
"""

NEIGHBOUR = """
import asyncio, pathlib, sys
sys.path.insert(0, {here!r})
from maestro_tui.model.context import Usage
from tests.engine.scripted import Bench, Team
from tests.engine.test_budgets import SIDE_BY_SIDE, at_the_same_time

folder = pathlib.Path(sys.argv[1])
bench = Bench(folder, SIDE_BY_SIDE, Team(author=at_the_same_time(folder)))
asyncio.run(bench.engine.execute_phase("b", session_id="s"))
"""


def at_the_same_time(folder: Path) -> Work:
    """Spends a dollar after the other, once both phases are under way."""

    async def author(task: Task, port: Port) -> PerformerResult:
        folder.joinpath(f"{task.phase.name}.begun").touch()
        while not all(folder.joinpath(f"{name}.begun").exists() for name in "ab"):
            await asyncio.sleep(0.005)
        for dollars in range(1, 10):
            port.spend(Usage(cost_usd=float(dollars)))
            await asyncio.sleep(0.005)
        return said(task, port)

    return author


async def test_a_session_s_budget_holds_over_phases_that_run_in_processes_of_their_own(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, SIDE_BY_SIDE, Team(author=at_the_same_time(tmp_path)))
    first = asyncio.ensure_future(bench.engine.execute_phase("a", "x", session_id="s"))
    while not (tmp_path / "a.begun").exists():
        await asyncio.sleep(0.005)
    script = NEIGHBOUR.format(here=str(Path(__file__).parents[2]))
    neighbour = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path))
    await first
    assert await neighbour.wait() == 0
    context = bench.engine.store.head("s").context
    assert context.usage.cost_usd is not None and 9 <= context.usage.cost_usd <= 10
    for name in "ab":
        error = context.phase_results[name].error
        assert error is not None and error.kind == "budget" and "session's budget" in error.message
    journal = bench.root / "s" / "journal.jsonl"
    assert journal.read_bytes().count(b'"type":"session_paused"') == 2


async def test_a_neighbour_that_says_nothing_is_stopped_when_the_last_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maestro_tui.engine.persona_port.LOOK_SECONDS", 0.02)
    waits = asyncio.Event()

    async def author(task: Task, port: Port) -> PerformerResult:
        if task.phase.name == "a":
            waits.set()
            await asyncio.Event().wait()
        await waits.wait()
        return PerformerResult(usage=Usage(cost_usd=9.5))

    bench = Bench(tmp_path, SIDE_BY_SIDE, Team(author=author))
    context = await bench.engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["b"].status) == "completed", "its last word is paid, and taken"
    error = context.phase_results["a"].error
    assert error is not None and "$9.50 of $9.00" in error.message


async def test_a_dead_neighbour_s_spending_counts_before_anybody_recovered_it(tmp_path: Path) -> None:
    tmp_path.joinpath("w.toml").write_text(SIDE_BY_SIDE)
    victim = subprocess.Popen(
        [sys.executable, "-c", DEAD.format(here=str(Path(__file__).parents[2])), str(tmp_path)]
    )
    wait_until((tmp_path / "spent").exists, "it has spent")
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    async def author(task: Task, port: Port) -> PerformerResult:
        port.spend(Usage(cost_usd=0.5))
        await asyncio.Event().wait()
        return said(task, port)

    bench = Bench(tmp_path, SIDE_BY_SIDE, Team(author=author))
    context = await bench.engine.execute_phase("b", session_id="s")
    error = context.phase_results["b"].error
    assert error is not None and "$9.20 of $9.00" in error.message, "8.7 of the dead one, 0.5 of this"
    assert context.usage.cost_usd == pytest.approx(0.5), "a's own next runner recovers it"


BREAKER = """
name = "w"
[[phases]]
name = "a"
breaker = { failures = 2, reset_seconds = 300 }
[[phases.personas]]
name = "m"
argv = ["x"]
"""


async def test_a_circuit_breaker_opens_after_its_failures_allows_a_trial_and_closes(tmp_path: Path) -> None:
    broken = True

    def work(task: Task, port: Port) -> PerformerResult:
        if broken:
            raise PerformerFailed("The endpoint is down.")
        return said(task, port)

    bench = Bench(tmp_path, BREAKER, Team(m=work))
    await bench.engine.execute_batch("x", session_id="s")
    assert bench.engine.plan("s").phase("a").action == "run"
    await bench.engine.resume("s")
    assert bench.told("breaker_opened") == [{"failures": 2}]
    planned = bench.engine.plan("s").phase("a")
    assert planned.action == "blocked" and "open after 2 failures in a row" in planned.reason
    await bench.engine.resume("s")
    assert len(bench.team.calls) == 2
    bench.now += 301
    await bench.engine.resume("s")
    assert len(bench.team.calls) == 3, "one trial"
    assert bench.engine.plan("s").phase("a").action == "blocked", "a failed trial opens it anew"
    broken = False
    context = await bench.engine.execute_phase("a", session_id="s")
    assert str(context.phase_results["a"].status) == "completed", "the operator asked for this one phase"
    assert context.breakers["a"] == BreakerState()


def test_a_closed_breaker_counts_only_failures_in_a_row() -> None:
    from datetime import UTC, datetime

    now, breaker = datetime(2026, 11, 26, tzinfo=UTC), Breaker(failures=2)
    state = BreakerState().after(breaker, True, now).after(breaker, False, now).after(breaker, True, now)
    assert state.failures == 1 and state.blocks(breaker, now) is None
