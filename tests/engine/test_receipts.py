"""A persona that finished before its phase was broken off is not paid twice, if its work still stands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui import Workflow
from maestro_tui.model.errors import StoreError
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.store.receipts import RECEIPTS
from tests.engine.scripted import Bench, Team, said, writing
from tests.sessions import Project
from tests.waiting import wait_until

WORKFLOW = """
name = "w"
[[phases]]
name = "design"
{extra}
[[phases.personas]]
name = "first"
argv = ["x"]
[[phases.personas]]
name = "second"
argv = ["x"]
"""


def failing_once(problem: PerformerFailed) -> Team:
    problems = iter([problem])

    def second(task: Task, port: Port) -> PerformerResult:
        for one in problems:
            raise one
        return said(task, port)

    return Team(first=writing("first.md"), second=second)


async def test_finished_work_of_a_failed_attempt_is_reused_with_its_outputs_and_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra=""), failing_once(PerformerFailed("network")))
    await bench.engine.execute_batch("x", session_id="s")
    context = await bench.engine.resume("s")
    assert bench.team.who == ["first", "second", "second"]
    result = context.phase_results["design"]
    assert result.outputs == {"first": "done", "second": "done"}
    assert bench.told("persona_reused")[0]["from_attempt"] == 1
    [artifact] = result.artifacts
    assert (artifact.path, artifact.change, artifact.persona) == ("first.md", "new", "first")
    assert (artifact.size, artifact.attempt) == ((bench.folder / "first.md").stat().st_size, 2)
    trees = bench.root / "s" / "workspace.git" / "refs" / "maestro" / "design" / "2"
    assert (trees / "after").exists(), "a tree with the reused work is kept"
    assert not any((bench.root / "s" / RECEIPTS).iterdir()), "what is committed needs no receipt"


async def test_a_file_that_was_changed_since_has_its_author_work_again_with_the_reason(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra=""), failing_once(PerformerFailed("network")))
    await bench.engine.execute_batch("x", session_id="s")
    (bench.folder / "first.md").write_text("by hand")
    await bench.engine.resume("s")
    assert bench.team.who == ["first", "second", "first", "second"]
    reasons = [told["reason"] for told in bench.told("persona_started") if "reason" in told]
    assert reasons == ["its work of attempt 1 is not reused: its file first.md is not as it left it"]


async def test_reused_work_that_a_later_persona_goes_on_with_is_one_change_of_the_phase(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra=""), failing_once(PerformerFailed("network")))
    await bench.engine.execute_batch("x", session_id="s")
    bench.team.work["second"] = writing("first.md", "second.md")
    context = await bench.engine.resume("s")
    made = [(one.path, one.change, one.persona) for one in context.phase_results["design"].artifacts]
    assert made == [("first.md", "new", "second"), ("second.md", "new", "second")]


async def test_a_mended_workspace_has_everybody_work_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra=""), failing_once(PerformerFailed("exit 1", kind="exit")))
    (bench.folder / "source.py").write_text("broken")
    await bench.engine.execute_batch("x", session_id="s")
    (bench.folder / "source.py").write_text("mended")
    await bench.engine.resume("s")
    assert bench.team.who == ["first", "second", "first", "second"]


async def test_work_that_missed_its_contract_is_all_done_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra='deliverables = ["wanted.md"]'), Team())
    await bench.engine.execute_batch("x", session_id="s")
    bench.team.work["second"] = writing("wanted.md")
    context = await bench.engine.resume("s")
    assert bench.team.who == ["first", "second", "first", "second"]
    assert str(context.phase_results["design"].status) == "completed"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("retries = 2\nbudget = { seconds = 900 }\ntimeout_seconds = 800", ["second"]),
        ("limits = { todos = 9 }\nmax_iterations = 3", ["second"]),
        ("", ["second"]),
        ("threshold = 0.5", ["first", "second"]),
        ('objective = "Design something else"', ["first", "second"]),
    ],
)
async def test_more_time_or_money_for_a_phase_does_not_make_finished_work_be_done_again(
    tmp_path: Path, change: str, again: list[str]
) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra="retries = 0"), failing_once(PerformerFailed("network")))
    await bench.engine.execute_batch("x", session_id="s")
    mended = WORKFLOW.format(extra=change).replace('argv = ["x"]', 'argv = ["x"]\ntimeout_seconds = 700')
    bench.workflow = Workflow.parse(mended.replace('"second"', '"second"\ndescription = "the other"'))
    await bench.engine.resume("s")
    assert bench.team.who[2:] == again


async def test_an_approval_lets_go_of_the_receipts_and_is_told_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra="approval = true"), Team())
    receipts = bench.root / "s" / RECEIPTS
    await bench.engine.execute_batch("x", session_id="s")
    assert len(list(receipts.iterdir())) == 2, "until somebody decides the work may be wanted again"
    bench.engine.decide("s", "design", "approved", by="ada")
    assert not any(receipts.iterdir())
    assert "problem" not in bench.told("gate_decided")[-1]

    def refused(session_dir: Path, phase: str) -> None:
        raise StoreError("Cannot remove receipts: read-only")

    monkeypatch.setattr("maestro_tui.engine.decisions.drop_receipts", refused)
    await bench.engine.execute_batch("x", session_id="t")
    context = bench.engine.decide("t", "design", "approved", by="ada")
    assert context.phase_results["design"].done
    assert bench.told("gate_decided")[-1]["problem"] == "Cannot remove receipts: read-only"


SIDE_BY_SIDE = WORKFLOW.format(extra='mode = "parallel"')


async def test_work_in_a_folder_of_its_own_is_reused_when_a_neighbour_failed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SIDE_BY_SIDE, failing_once(PerformerFailed("network")))
    bench.team.work["first"] = writing("maestro-out/design/first/part.md")
    await bench.engine.execute_batch("x", session_id="s")
    await bench.engine.resume("s")
    assert sorted(bench.team.who) == ["first", "second", "second"]


@pytest.mark.parametrize("stray", ["notes.md", "there.md", "maestro-out/design/notes.md"])
async def test_work_beside_others_that_left_files_outside_the_own_folders_is_not_reused_and_told(
    tmp_path: Path, stray: str
) -> None:
    bench = Bench(tmp_path, SIDE_BY_SIDE, failing_once(PerformerFailed("network")))
    bench.team.work["first"] = writing("maestro-out/design/first/part.md", stray)
    (bench.folder / "there.md").write_text("before")
    await bench.engine.execute_batch("x", session_id="s")
    (bench.folder / stray).unlink()
    await bench.engine.resume("s")
    assert sorted(bench.team.who) == ["first", "first", "second", "second"]
    assert (bench.folder / stray).is_file()
    logs = "".join(one.read_text() for one in (bench.root / "s").rglob("*.log"))
    assert f"{stray} changed outside the folders of those who work side by side" in logs


async def test_a_phase_is_given_what_it_needs_and_nothing_that_runs_beside_it(tmp_path: Path) -> None:
    workflow = (
        WORKFLOW.format(extra='needs = ["plan"]')
        + """
[[phases]]
name = "plan"
needs = ["ask"]
[[phases.personas]]
name = "planner"
argv = ["x"]
[[phases]]
name = "ask"
needs = []
[[phases.personas]]
name = "asker"
argv = ["x"]
[[phases]]
name = "beside"
needs = []
deliverables = ["beside.md"]
[[phases.personas]]
name = "neighbour"
argv = ["x"]
"""
    )
    bench = Bench(tmp_path, workflow, failing_once(PerformerFailed("network")))
    bench.team.work |= {"asker": writing("ask.md"), "neighbour": writing("beside.md")}
    await bench.engine.execute_batch("x", session_id="s", phases=["ask", "plan", "design"])
    await bench.engine.execute_phase("beside", session_id="s")
    context = await bench.engine.resume("s")
    assert bench.team.who == ["asker", "planner", "first", "second", "neighbour", "second"]
    assert str(context.phase_results["design"].status) == "completed"
    given = bench.team.tasks[-1].context
    assert sorted(given["outputs"]) == ["ask", "design", "plan"]
    assert [one["path"] for one in given["artifacts"]] == ["ask.md"]
    assert {one.get("phase") for one in given["decisions"]} <= {None, "ask", "plan"}
    assert {one["phase"] for one in given["contracts"]} == set()


@pytest.mark.parametrize("damage", ["torn", "foreign", "other"])
async def test_a_receipt_that_cannot_be_used_costs_a_repetition_and_nothing_else(
    tmp_path: Path, damage: str
) -> None:
    bench = Bench(tmp_path, WORKFLOW.format(extra=""), failing_once(PerformerFailed("network")))
    await bench.engine.execute_batch("x", session_id="s")
    [receipt] = [one for one in (bench.root / "s" / RECEIPTS).iterdir() if "~first~" in one.name]
    whole = json.loads(receipt.read_text())
    receipt.write_text(
        {
            "torn": receipt.read_text()[:100],
            "foreign": "[]",
            "other": json.dumps({**whole, "persona": "second"}),
        }[damage]
    )
    context = await bench.engine.resume("s")
    assert bench.team.who == ["first", "second", "first", "second"]
    assert str(context.phase_results["design"].status) == "completed"


STEP = """
import os, pathlib, time
who = os.environ["MAESTRO_PERSONA"]
with open(f"ran-{who}", "a") as counter:
    counter.write("x")
if who == "second" and not pathlib.Path("go").exists():
    pathlib.Path("at-second").touch()
    time.sleep(600)
"""


def test_after_a_real_kill_9_only_the_interrupted_persona_runs_again(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", {"design": []})
    (project.folder / "step.py").write_text(STEP)
    argv = json.dumps([sys.executable, "step.py"])
    project.file.write_text(
        'name = "steps"\n[[phases]]\nname = "design"\n'
        + "".join(f'[[phases.personas]]\nname = "{who}"\nargv = {argv}\n' for who in ("first", "second"))
    )
    victim = subprocess.Popen(
        project.command("run", "x", "--session-id", "s", "--trust"),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    wait_until((project.folder / "at-second").exists, "the second persona works")
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    (project.folder / "at-second").unlink()
    (project.folder / "go").touch()
    done = project.json("resume", "s", code=0)
    assert done["status"] == "completed"
    assert (project.folder / "ran-second").read_text() == "xx"
    assert (project.folder / "ran-first").read_text() == "x", done
