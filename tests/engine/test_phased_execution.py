"""The life cycle: create, interrupt, resume — with real processes."""

from __future__ import annotations

import asyncio
import graphlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui import (
    HeldError,
    InputError,
    PlanError,
    TeamExecutionEngineV2SplitMode,
    Workflow,
)
from maestro_tui.store.journal import read_events
from tests.sessions import Project, line
from tests.waiting import wait_until

SDLC = ("requirements", "design", "implementation", "testing", "deployment")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*SDLC))


def engine_of(project: Project) -> TeamExecutionEngineV2SplitMode:
    return TeamExecutionEngineV2SplitMode(project.root, Workflow.load(project.file), project.folder)


async def test_a_batch_completes_every_phase_and_hands_on_what_was_made(project: Project) -> None:
    context = await engine_of(project).execute_batch("Build a shop", session_id="s1")
    assert [str(context.phase_results[name].status) for name in SDLC] == ["completed"] * 5
    seen = context.phase_results["deployment"].outputs["saw"]
    assert sorted(seen) == sorted(SDLC[:-1])
    assert seen["requirements"]["said"] == "requirements"
    assert [a.path for a in context.phase_results["design"].artifacts] == ["design.txt", "ran-design"]
    assert {d.choice for d in context.decisions} >= set(SDLC)


async def test_the_init_checkpoint_exists_before_the_first_phase_starts(project: Project) -> None:
    engine = engine_of(project)
    seen: list[bool] = []

    def listen(event) -> None:
        if event.type == "phase_started":
            seen.append((project.root / "s1" / "checkpoint_init.json").is_file())

    engine = TeamExecutionEngineV2SplitMode(
        project.root, Workflow.load(project.file), project.folder, on_event=listen
    )
    await engine.execute_batch("x", session_id="s1", phases=["requirements"])
    assert seen == [True]


async def test_a_failed_phase_stops_the_session_and_is_retried_on_resume_not_skipped(
    project: Project,
) -> None:
    project.order("design", exit=3)
    engine = engine_of(project)
    context = await engine.execute_batch("x", session_id="s1")
    assert str(context.phase_results["design"].status) == "failed"
    assert "implementation" not in context.phase_results
    assert "3" in context.phase_results["design"].error.message
    assert any("design begins" in told for told in context.phase_results["design"].error.tail)
    project.clear("design")
    context = await engine.resume("s1")
    assert [str(context.phase_results[name].status) for name in SDLC] == ["completed"] * 5
    assert context.phase_results["design"].attempt == 2
    assert [project.runs(name) for name in SDLC] == [1, 2, 1, 1, 1]


def test_kill_9_of_a_real_run_loses_nothing_and_runs_no_committed_phase_twice(project: Project) -> None:
    project.order("implementation", wait_for="go")
    process = subprocess.Popen(
        project.command("run", "Build a shop", "--session-id", "s1", "--trust"),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    wait_until((project.folder / "at-implementation").exists, "implementation began")
    held = project.call("resume", "s1", "--trust")
    assert held.returncode == 4
    assert str(process.pid) in held.stderr
    process.kill()
    process.wait()
    shown = project.json("show", "s1", code=0)
    assert shown["status"] == "interrupted"
    assert [entry["status"] for entry in shown["phases"]][:2] == ["completed", "completed"]
    plan = project.json("resume", "s1", "--dry-run", code=0)
    assert [entry["action"] for entry in plan["phases"]] == ["reuse", "reuse", "run", "run", "run"]
    assert "interrupted" in plan["phases"][2]["reason"]
    (project.folder / "go").touch()
    done = project.json("resume", "s1", code=0)
    assert done["status"] == "completed"
    events = read_events(project.root / "s1" / "journal.jsonl").events
    lost = [event.data.get("lost") for event in events if event.type == "runner_acquired"]
    assert lost[0] is None and set(lost[-1]) == {"implementation"}, "when the dead runner was last seen"
    assert [project.runs(name) for name in SDLC] == [1, 1, 2, 1, 1]
    assert [entry["attempt"] for entry in done["phases"]] == [1, 1, 2, 1, 1]
    assert project.call("verify", "s1").returncode == 0


def test_cancel_stops_the_whole_process_group_and_the_session_resumes(project: Project) -> None:
    (project.folder / "step.py").write_text(
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('grandchild').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen(
        project.command("run", "x", "--session-id", "s1", "--trust"),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    pid_file = project.folder / "grandchild"
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the grandchild began")
    grandchild = int(pid_file.read_text())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130

    def gone() -> bool:
        try:
            return Path(f"/proc/{grandchild}/stat").read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True

    wait_until(gone, "the grandchild ended", 5)
    shown = project.json("show", "s1")
    assert shown["status"] == "cancelled"
    assert shown["phases"][0]["status"] == "cancelled"
    assert shown["phases"][0]["error"] == "cancelled by the operator"


async def test_a_rerun_of_one_phase_makes_what_depends_on_it_stale_with_the_reason(project: Project) -> None:
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    await engine.execute_phase("design", session_id="s1", again=True)
    plan = engine.plan("s1")
    assert plan.phase("requirements").stale is None
    assert "design ran again (attempt 2)" in plan.phase("implementation").stale
    assert "implementation, which is stale" in plan.phase("testing").stale
    assert plan.runs == ()
    assert [project.runs(name) for name in SDLC] == [1, 2, 1, 1, 1]


async def test_rerun_from_runs_the_phase_and_all_that_depends_on_it(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["c"]})
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    await engine.resume("s1", from_phase="b")
    assert [project.runs(name) for name in "abcde"] == [1, 2, 1, 2, 1]


async def test_a_rerun_that_was_interrupted_goes_on_with_the_phases_that_were_asked_for(
    project: Project,
) -> None:
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    project.order("implementation", exit=1)
    await engine.resume("s1", from_phase="design")
    project.clear("implementation")
    context = await engine.resume("s1")
    assert [project.runs(name) for name in SDLC] == [1, 2, 3, 2, 2]
    assert context.rerun == ()


async def test_a_later_phase_can_be_the_start_with_earlier_ones_provided_from_files(
    project: Project, tmp_path: Path
) -> None:
    given = tmp_path / "requirements.json"
    given.write_text(json.dumps({"statements": ["refunds are idempotent"]}))
    context = await engine_of(project).execute_batch(
        "x", session_id="s1", start_from="implementation", inputs={"requirements": given}
    )
    assert str(context.phase_results["requirements"].status) == "provided"
    assert str(context.phase_results["design"].status) == "skipped"
    assert context.phase_results["requirements"].artifacts[0].sha256
    assert context.phase_results["implementation"].outputs["saw"] == {
        "requirements": {"statements": ["refunds are idempotent"]}
    }
    assert [project.runs(name) for name in SDLC] == [0, 0, 1, 1, 1]


async def test_independent_phases_run_at_the_same_time(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", {"a": [], "left": ["a"], "right": ["a"], "end": ["left", "right"]})
    # Each waits until the other one has begun: only together can they finish.
    project.order("left", wait_for="at-right")
    project.order("right", wait_for="at-left")
    context = await asyncio.wait_for(engine_of(project).execute_batch("x", session_id="s1"), 60)
    assert str(context.phase_results["end"].status) == "completed"
    assert sorted(context.phase_results["end"].outputs["saw"]) == ["a", "left", "right"]


async def test_a_pause_stops_at_the_boundary_and_every_further_pause_is_kept(project: Project) -> None:
    engine = engine_of(project)
    context = await engine.execute_mixed("x", session_id="s1", pause_after=["design", "testing"])
    assert list(context.phase_results) == ["requirements", "design"]
    context = await engine.resume("s1")
    assert list(context.phase_results) == ["requirements", "design", "implementation", "testing"]
    context = await engine.resume("s1")
    assert "deployment" in context.phase_results


async def test_a_missing_deliverable_fails_the_phase_and_says_what_was_found_instead(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", line("a", "b"), {"a": 'deliverables = ["report.md"]'})
    context = await engine_of(project).execute_batch("x", session_id="s1")
    error = context.phase_results["a"].error
    assert error.kind == "contract"
    assert "report.md" in error.message
    assert "a.txt" in error.message
    assert "b" not in context.phase_results


async def test_a_missed_threshold_stops_the_session_and_what_was_not_measured_is_no_pass(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path / "p", line("a", "b"), {"a": "threshold = 0.8", "b": "threshold = 0.8"})
    project.order("a", metrics={"quality": 0.5})
    engine = engine_of(project)
    context = await engine.execute_batch("x", session_id="s1")
    assert "quality is 0.5" in context.phase_results["a"].error.message
    project.order("a", metrics={"quality": 0.9})
    context = await engine.resume("s1")
    assert str(context.phase_results["a"].status) == "completed"
    assert context.phase_results["b"].quality["quality"] is None
    assert "not measured" in context.phase_results["b"].error.message


async def test_an_approval_is_waited_for_recorded_and_obeyed(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", line("a", "b"), {"a": "approval = true"})
    engine = engine_of(project)
    context = await engine.execute_batch("x", session_id="s1")
    assert context.phase_results["a"].gate.verdict == "waiting"
    context = await engine.resume("s1")
    assert "b" not in context.phase_results
    engine.decide("s1", "a", "pushed_back", by="Ann", reason="name the refunds")
    context = await engine.resume("s1")
    assert project.runs("a") == 2
    assert context.phase_results["a"].gate.verdict == "waiting"
    engine.decide("s1", "a", "approved", by="Ann", reason="good")
    context = await engine.resume("s1")
    assert str(context.phase_results["b"].status) == "completed"
    assert context.phase_results["a"].gate.by == "Ann"


async def test_edits_are_recorded_handed_on_and_make_later_phases_stale(project: Project) -> None:
    engine = engine_of(project)
    await engine.execute_mixed("x", session_id="s1", pause_after=["design"])
    context = await engine.resume("s1", edits={"design": {"said": "edited by hand"}}, reason="clearer")
    assert context.phase_results["implementation"].outputs["saw"]["design"]["said"] == "edited by hand"
    assert context.edits[0].reason == "clearer"
    await engine.resume("s1", edits={"design": {"said": "again"}})
    assert "was edited by" in engine.plan("s1").phase("implementation").stale


async def test_a_changed_definition_makes_a_committed_phase_stale_and_it_is_not_run_unasked(
    project: Project,
) -> None:
    engine = TeamExecutionEngineV2SplitMode(project.root, workspace=project.folder)
    await engine.execute_batch("x", session_id="s1")
    project.file.write_text(
        project.file.read_text().replace('name = "design"', 'name = "design"\nobjective = "new"')
    )
    context = await engine.resume("s1")
    plan = engine.plan("s1")
    assert "definition changed" in plan.phase("design").stale
    assert plan.changes == ("phase design: objective changed",)
    assert project.runs("design") == 1
    assert str(context.phase_results["deployment"].status) == "completed"


async def test_a_plan_whose_session_has_changed_since_is_refused(project: Project) -> None:
    project.order("design", exit=1)
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    plan = engine.plan("s1")
    await engine.resume("s1")
    with pytest.raises(PlanError, match="has changed since"):
        await engine.resume("s1", plan_hash=plan.hash)


async def test_a_phase_whose_needs_are_not_completed_is_refused(project: Project) -> None:
    engine = engine_of(project)
    with pytest.raises(PlanError, match="needs requirements, which is not completed"):
        await engine.execute_phase("design", "x", session_id="s1")
    with pytest.raises(InputError, match="no phase 'bananas'"):
        await engine.execute_phase("bananas", "x")
    assert engine.store.session_ids() == [], "what cannot begin a session leaves none behind"
    await engine.execute_batch("x", session_id="s1", phases=["requirements"])
    with pytest.raises(PlanError, match="needs design, which is not completed"):
        await engine.execute_phase("implementation", session_id="s1")
    with pytest.raises(InputError, match="no phase 'bananas'"):
        await engine.execute_phase("bananas", session_id="s1")
    assert project.runs("design") == 0


async def test_resume_of_a_finished_session_changes_nothing(project: Project) -> None:
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    head = engine.store.head("s1").seq
    await engine.resume("s1")
    assert engine.store.head("s1").seq == head
    assert [project.runs(name) for name in SDLC] == [1] * 5


async def test_a_copied_checkpoint_file_is_enough_to_go_on_elsewhere(
    project: Project, tmp_path: Path
) -> None:
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1", phases=["requirements", "design"])
    copy = tmp_path / "copy.json"
    copy.write_bytes((project.root / "s1" / "checkpoint_design.json").read_bytes())
    elsewhere = TeamExecutionEngineV2SplitMode(tmp_path / "elsewhere", workspace=project.folder)
    context = await elsewhere.resume_from_checkpoint(copy)
    assert str(context.phase_results["deployment"].status) == "completed"
    assert context.lineage.how == "import"
    assert project.runs("design") == 1
    again = await elsewhere.resume_from_checkpoint(copy)
    assert (again.session_id, elsewhere.store.session_ids()) == ("s1", ["s1"])


async def test_an_older_checkpoint_begins_a_fork_and_leaves_its_session_alone(project: Project) -> None:
    engine = engine_of(project)
    await engine.execute_batch("x", session_id="s1")
    before = engine.store.head("s1").sha256
    context = await engine.resume_from_checkpoint(project.root / "s1" / "checkpoint_design.json")
    assert context.session_id.startswith("s1-at-2-")
    assert context.lineage.session_id == "s1"
    assert engine.store.head("s1").sha256 == before
    assert [project.runs(name) for name in SDLC] == [1, 1, 2, 2, 2]
    again = await engine.resume_from_checkpoint(project.root / "s1" / "checkpoint_design.json")
    assert again.session_id == context.session_id, "asked again, it goes on with what it began"
    assert [project.runs(name) for name in SDLC] == [1, 1, 2, 2, 2]


def test_an_outside_dag_orchestrator_drives_the_phases_from_separate_processes(tmp_path: Path) -> None:
    """The nodes share nothing but the checkpoint directory; two of them run at the same time."""
    needs = {
        "requirements": [],
        "backend": ["requirements"],
        "frontend": ["requirements"],
        "testing": ["backend", "frontend"],
    }
    project = Project(tmp_path / "p", needs)
    project.order("backend", wait_for="at-frontend")
    project.order("frontend", wait_for="at-backend")
    node = (
        "import asyncio, sys\n"
        "from maestro_tui import TeamExecutionEngineV2SplitMode\n"
        "engine = TeamExecutionEngineV2SplitMode(sys.argv[1], workspace=sys.argv[2])\n"
        "context = asyncio.run(engine.execute_phase(sys.argv[3], 'Build a shop', session_id='dag'))\n"
        "sys.exit(0 if context.phase_results[sys.argv[3]].status == 'completed' else 1)\n"
    )
    sorter = graphlib.TopologicalSorter(needs)
    sorter.prepare()
    running: dict[str, subprocess.Popen[bytes]] = {}
    together = 0
    while sorter.is_active():
        for name in sorter.get_ready():
            running[name] = subprocess.Popen(
                [sys.executable, "-c", node, str(project.root), str(project.folder), name]
            )
        together = max(together, len(running))
        wait_until(
            lambda: any(process.poll() is not None for process in running.values()), "a node ended", 90
        )
        for name in [name for name, process in running.items() if process.poll() is not None]:
            assert running.pop(name).returncode == 0, name
            sorter.done(name)
    assert together == 2
    shown = project.json("show", "dag", code=0)
    assert shown["status"] == "completed"
    assert [project.runs(name) for name in needs] == [1, 1, 1, 1]
    outputs = shown["outputs"]["testing"]["saw"]
    assert sorted(outputs) == ["backend", "frontend", "requirements"]
    files = {entry["phase"]: {a["path"] for a in entry["artifacts"]} for entry in shown["phases"]}
    assert "backend.txt" in files["backend"]


async def test_the_second_runner_of_a_phase_is_refused_with_who_holds_it(project: Project) -> None:
    project.order("requirements", wait_for="go")
    engine = engine_of(project)
    first = asyncio.create_task(engine.execute_phase("requirements", "x", session_id="s1"))
    began = (project.folder / "at-requirements").exists
    await asyncio.to_thread(wait_until, began, "requirements began")
    with pytest.raises(HeldError, match=str(os.getpid())):
        await engine.execute_phase("requirements", session_id="s1")
    with pytest.raises(HeldError, match=str(os.getpid())):
        await engine.resume("s1")
    (project.folder / "go").touch()
    context = await first
    assert str(context.phase_results["requirements"].status) == "completed"
    assert project.runs("requirements") == 1
