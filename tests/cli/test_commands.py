"""The commands' documents and exit codes, from real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui.engine.report import WAITING, exit_code
from tests.sessions import Project, line
from tests.waiting import wait_until

PHASES = ("requirements", "design", "testing")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*PHASES))


def test_run_prints_one_document_with_every_phase(project: Project) -> None:
    document = project.json("run", "Build it", "--session-id", "s1", "--trust", code=0)
    assert document["session_id"] == "s1"
    assert document["status"] == "completed"
    first = document["phases"][0]
    assert set(first) == {
        "phase", "status", "attempt", "stale", "reason", "duration_seconds", "quality", "artifacts", "error",
    }  # fmt: skip
    assert [entry["phase"] for entry in document["phases"]] == list(PHASES)
    assert {artifact["path"] for artifact in first["artifacts"]} == {"ran-requirements", "requirements.txt"}
    assert all(len(artifact["sha256"]) == 64 and artifact["size"] > 0 for artifact in first["artifacts"])
    assert first["duration_seconds"] > 0


def test_a_failing_phase_exits_1_and_its_error_holds_the_last_lines(project: Project) -> None:
    project.order("design", exit=7)
    document = project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    assert document["status"] == "failed"
    error = document["phases"][1]["error"]
    assert "7" in error
    assert "design begins" in error
    assert document["phases"][2]["status"] == "pending"


def test_a_pause_exits_3_and_resume_goes_on(project: Project) -> None:
    document = project.json("run", "x", "--session-id", "s1", "--pause-after", "design", "--trust", code=3)
    assert document["status"] == "paused"
    assert project.json("resume", "s1", code=0)["status"] == "completed"
    assert [project.runs(phase) for phase in PHASES] == [1, 1, 1]


def test_approval_exits_3_and_the_decision_is_recorded(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", line("a", "b"), {"a": "approval = true"})
    assert project.json("run", "x", "--session-id", "s1", "--trust", code=3)["status"] == "waiting"
    assert project.call("reject", "s1").returncode == 2
    assert project.call("phase", "s1", "b").returncode == 3, "what it needs waits"
    assert project.call("approve", "s1", "a", "--by", "Ann", "--reason", "fine").returncode == 0
    assert project.json("resume", "s1", code=0)["status"] == "completed"


def test_dry_run_prints_the_plan_and_runs_nothing(project: Project) -> None:
    plan = project.json("run", "x", "--dry-run", code=0)
    assert set(plan) >= {"session_id", "plan_hash", "phases"}
    assert [(entry["phase"], entry["action"]) for entry in plan["phases"]] == [
        (name, "run") for name in PHASES
    ]
    assert set(plan["phases"][0]) >= {"phase", "action", "reason", "estimate"}
    assert not project.root.exists()
    project.order("testing", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    plan = project.json("resume", "s1", "--dry-run", code=0)
    assert [entry["action"] for entry in plan["phases"]] == ["reuse", "reuse", "run"]
    assert "failed at attempt 1" in plan["phases"][2]["reason"]
    plan = project.json("phase", "s1", "design", "--dry-run", code=0)
    assert [entry["action"] for entry in plan["phases"]] == ["reuse", "run", "skip"]
    assert project.runs("design") == 1


def test_a_subset_runs_only_what_was_named(project: Project) -> None:
    document = project.json(
        "run", "x", "--session-id", "s1", "--phases", "requirements,design", "--trust", code=0
    )
    assert [entry["status"] for entry in document["phases"]] == ["completed", "completed", "pending"]
    assert project.json("resume", "s1", code=0)["status"] == "completed"


def test_hives_other_names_of_the_phases_are_understood(project: Project) -> None:
    project.json(
        "run", "x", "--session-id", "s1", "--phases", "requirement_analysis,architecture", "--trust", code=0
    )
    assert [project.runs(phase) for phase in PHASES] == [1, 1, 0]


def test_one_phase_alone_makes_later_ones_stale(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    document = project.json("phase", "s1", "design", code=0)
    assert document["phases"][1]["attempt"] == 2
    assert document["phases"][2]["stale"] is True
    assert "design ran again" in document["phases"][2]["reason"]
    document = project.json("phase", "s1", "design", "--if-needed", code=0)
    assert document["phases"][1]["attempt"] == 2 and project.runs("design") == 2


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("completed", None, 0), ("provided", "from a.json", 0), ("skipped", "bought", 0), ("failed", None, 1),
        ("completed", WAITING, 3), ("pending", None, 3), ("cancelled", None, 130),
    ],
)  # fmt: skip
def test_the_exit_code_of_one_phase_says_what_became_of_it(
    status: str, reason: str | None, code: int
) -> None:
    assert exit_code({"phases": [{"phase": "a", "status": status, "reason": reason}]}, "a") == code


def test_list_and_show_and_verify_tell_the_same_session(project: Project) -> None:
    project.json("run", "Build it", "--session-id", "s1", "--trust", code=0)
    listed = project.json("list", code=0)
    assert [(entry["session_id"], entry["status"]) for entry in listed] == [("s1", "completed")]
    shown = project.json("show", "s1", code=0)
    assert shown["requirement"] == "Build it"
    assert shown["workflow"] == "steps"
    assert [row["phase"] for row in shown["checkpoints"]] == ["init", *PHASES]
    assert all(Path(row["path"]).is_file() for row in shown["checkpoints"])
    assert project.json("verify", code=0) == [{"session_id": "s1", "ok": True, "problems": []}]
    newest = Path(shown["checkpoints"][-1]["path"])
    data = newest.read_bytes()
    newest.write_bytes(data.replace(b"Build it", b"Build IT"))
    broken = project.call("verify", "s1")
    assert broken.returncode == 1
    assert "0003.json" in broken.stdout
    for command in (["list"], ["show", "s1"]):
        told = project.call(*command)
        assert (told.returncode, told.stderr) == (0, "")
        assert (
            len([line for line in told.stdout.splitlines() if "0003.json" in line and "digest" in line]) == 1
        )


def test_the_checkpoint_directory_goes_before_or_after_the_command(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    words = [sys.executable, "-m", "maestro_tui", "list", "--json", "--checkpoint-dir", str(project.root)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=project.folder)
    assert [entry["session_id"] for entry in json.loads(done.stdout)] == ["s1"]


def test_the_requirement_comes_from_a_file_or_standard_input(project: Project) -> None:
    (project.folder / "wish.md").write_text("From a file")
    project.json("run", "@wish.md", "--session-id", "s1", "--phases", "requirements", "--trust", code=0)
    assert project.json("show", "s1")["requirement"] == "From a file"
    done = project.call(
        "run", "-", "--session-id", "s2", "--phases", "requirements", "--trust", stdin="From a pipe"
    )
    assert done.returncode == 0
    assert project.json("show", "s2")["requirement"] == "From a pipe"


def test_trust_is_remembered_for_exactly_this_content(project: Project) -> None:
    assert project.call("run", "x", "--session-id", "s1", "--trust").returncode == 0
    assert project.call("run", "x", "--session-id", "s2").returncode == 0
    project.file.write_text(project.file.read_text().replace("step.py", "./step.py"))
    refused = project.call("run", "x", "--session-id", "s3")
    assert refused.returncode == 2
    assert "not trusted" in refused.stderr


def test_list_imports_neither_textual_nor_pydantic(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    project.json("list", code=0)  # writes the index
    code = (
        "import sys\nfrom maestro_tui.cli import main\n"
        f"try: main(['--checkpoint-dir', {str(project.root)!r}, 'list'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('textual', 'pydantic', 'watchfiles') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "s1" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_measured_is_called_so_and_is_no_quality(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", {"a": []}, {"a": 'deliverables = ["maestro.toml"]\nthreshold = 0.9'})
    document = project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    assert document["phases"][0]["quality"] == {"contract": 1.0, "quality": None}
    assert "not measured" in document["phases"][0]["error"]


def test_an_empty_workspace_completes_with_nothing_measured(tmp_path: Path, project: Project) -> None:
    (tmp_path / "empty").mkdir()
    document = project.json("run", "x", "--workflow", "sdlc", "--workspace", str(tmp_path / "empty"), code=0)
    assert {entry["quality"]["quality"] for entry in document["phases"]} == {None}
    assert document["phases"][3]["quality"]["tests"] is None


def test_a_selection_in_the_middle_runs_and_what_it_leaves_out_is_recorded(project: Project) -> None:
    document = project.json("run", "x", "--session-id", "s1", "--phases", "testing", "--trust", code=0)
    assert [entry["status"] for entry in document["phases"]] == ["skipped", "skipped", "completed"]
    assert document["phases"][0]["reason"] == "not selected"
    assert [project.runs(phase) for phase in PHASES] == [0, 0, 1]


def test_a_session_whose_history_was_lost_is_brought_back_from_its_checkpoints(project: Project) -> None:
    project.order("testing", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    for path in (project.root / "s1" / "history").iterdir():
        path.unlink()
    (project.root / "s1" / "history").rmdir()
    assert project.call("verify").returncode == 1
    shown = project.call("show", "s1")
    assert shown.returncode == 5
    assert "has lost its history" in shown.stderr
    again = project.call("run", "y", "--session-id", "s1", "--trust")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    project.clear("testing")
    done = project.call("resume", "s1")
    assert done.returncode == 0, done.stderr
    assert "reuse" in done.stderr
    assert [project.runs(phase) for phase in PHASES] == [1, 1, 2]


def test_a_lost_newest_commit_is_brought_back_before_the_plan_is_told(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--phases", "requirements,design", "--trust", code=0)
    (project.root / "s1" / "history" / "0002.json").unlink()
    done = project.call("resume", "s1")
    assert done.returncode == 0
    assert [line.split()[2] for line in done.stderr.splitlines()[1:4]] == ["reuse", "reuse", "run"]
    assert [project.runs(phase) for phase in PHASES] == [1, 1, 1]


def test_an_attempt_number_is_not_used_again_when_the_journal_is_lost(project: Project) -> None:
    project.order("design", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    (project.root / "s1" / "journal.jsonl").unlink()
    project.clear("design")
    assert project.json("resume", "s1", code=0)["phases"][1]["attempt"] == 2


def test_a_session_that_runs_is_not_planned_as_if_it_were_interrupted(project: Project) -> None:
    project.order("design", wait_for="go")
    process = subprocess.Popen(
        project.command("run", "x", "--session-id", "s1", "--trust"),
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until((project.folder / "at-design").exists, "the phase began")
    for words in (["resume", "s1"], ["resume", "s1", "--dry-run"], ["phase", "s1", "testing", "--dry-run"]):
        refused = project.call(*words)
        assert refused.returncode == 4
        assert str(process.pid) in refused.stderr
        assert "interrupted" not in refused.stdout + refused.stderr
    (project.folder / "go").touch()
    assert process.wait(60) == 0


def test_what_belongs_to_the_console_is_refused_before_a_command_runs(project: Project) -> None:
    for words in (["--read-only"], ["--ascii"], ["-f", "x"]):
        done = project.call(*words, "run", "x", "--trust")
        assert done.returncode == 2 and "belongs to the console, not to 'run'" in done.stderr
    assert not project.root.exists()


def test_an_id_without_its_date_is_told_with_the_whole_one(project: Project) -> None:
    run = project.call("run", "Build it", "--session-id", "20261126-101112-build-it-7f3a", "--trust")
    assert run.returncode == 0
    for words in (["show", "build-it-7f3a"], ["resume", "build-it-7f3a"], ["build-it-7f3a"]):
        done = project.call(*words)
        assert done.returncode == 2
        assert "did you mean 20261126-101112-build-it-7f3a?" in done.stderr, done.stderr


def test_a_checkpoint_directory_that_is_not_there_is_never_called_undamaged(project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maestro_tui", "verify", "--checkpoint-dir", str(project.folder / "gone")],
        capture_output=True,
        text=True,
        cwd=project.folder,
    )
    assert done.returncode == 2 and "There is no checkpoint directory" in done.stderr
