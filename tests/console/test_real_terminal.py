"""The whole story in a real terminal: launch, watch, kill -9, start again, resume, completed, quit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro_tui.config import TrustBook
from maestro_tui.model.workflow import Workflow
from tests.asking import AskingProject
from tests.console.terminal import Terminal
from tests.sessions import Project, line

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("tmux") is None, reason="tmux is not installed; this test drives a real terminal"
    ),
]

PHASES = ("requirements", "design", "testing")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "shop", line(*PHASES))
    TrustBook().remember(Workflow.load(project.file), str(project.file))
    return project


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def opened(*words: object, **size: int) -> Terminal:
        made.append(Terminal(*words, **size))
        return made[-1]

    yield opened
    for terminal in made:
        terminal.close()


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24)])
def test_launch_watch_kill_start_again_resume_completed_quit(
    project: Project, open_terminal: Callable[..., Terminal], columns: int, rows: int
) -> None:
    project.order("design", wait_for="go")
    terminal = open_terminal(project.command(), project.folder, columns=columns, rows=rows)
    terminal.wait_for(lambda shown: "n" in shown and "session" in shown.lower())

    terminal.press("n")
    terminal.wait_for("New session")
    terminal.type("Build a shop")
    terminal.wait_for("Build a shop")
    terminal.press("C-s")
    terminal.wait_for(lambda shown: "New session" not in shown and "build-a-shop" in shown)
    terminal.wait_for("design")
    assert (project.root).is_dir()
    deadline_file = project.folder / "at-design"
    terminal.wait_for(lambda _: deadline_file.exists())

    os.kill(terminal.pid, signal.SIGKILL)
    terminal.wait_for(lambda shown: "Killed" in shown)
    # A killed program leaves the terminal raw, so a line ends with LF until it is set right; what is
    # typed before it is, is thrown away.
    terminal.type("stty sane; tput rmcup; tput reset; echo set-$((6 * 7))")
    terminal.press("C-j")
    terminal.wait_for("set-42")

    terminal.start(project.command())
    terminal.wait_for("interrupted")
    (project.folder / "go").touch()
    terminal.press("r")
    terminal.wait_for("was interrupted")
    terminal.press("y")
    terminal.wait_for(lambda shown: "completed" in shown and "interrupted" not in shown)
    assert [project.runs(name) for name in PHASES] == [1, 2, 1]

    terminal.press("q")
    terminal.wait_for(lambda shown: "build-a-shop" not in shown)
    assert project.call("verify").returncode == 0


def test_a_session_of_another_process_is_seen_live(
    project: Project, open_terminal: Callable[..., Terminal]
) -> None:
    import subprocess

    terminal = open_terminal(project.command(), project.folder)
    project.order("design", wait_for="go")
    process = subprocess.Popen(
        project.command("run", "elsewhere", "--session-id", "other"),
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    terminal.wait_for(lambda shown: "other" in shown and "running" in shown)
    terminal.wait_for(f"pid {process.pid}")
    (project.folder / "go").touch()
    assert process.wait(60) == 0
    terminal.wait_for(lambda shown: "other" in shown and "completed" in shown)
    terminal.press("q")


def test_sigterm_restores_the_terminal_and_leaves_the_session_resumable(
    project: Project, open_terminal: Callable[..., Terminal]
) -> None:
    project.order("design", wait_for="go")
    terminal = open_terminal(project.command(), project.folder)
    terminal.wait_for(lambda shown: "session" in shown.lower())
    terminal.press("n")
    terminal.wait_for("New session")
    terminal.type("Build a shop")
    terminal.press("C-s")
    at_design = project.folder / "at-design"
    terminal.wait_for(lambda _: at_design.exists())
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.wait_for(lambda shown: "build-a-shop" not in shown)
    terminal.type("echo back-$((40+2))")
    terminal.press("Enter")
    terminal.wait_for("back-42")
    [listed] = project.json("list", code=0)
    assert listed["status"] == "cancelled"


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24)])
def test_a_question_of_another_process_is_answered_here_and_it_goes_on(
    tmp_path: Path, open_terminal: Callable[..., Terminal], columns: int, rows: int
) -> None:
    asking = AskingProject(tmp_path / "shop")
    run = asking.begin("run", "Refunds are idempotent", "--session-id", "refunds", "--trust")
    terminal = open_terminal(asking.command(), asking.folder, columns=columns, rows=rows)
    terminal.wait_for(lambda shown: "refunds" in shown and "waiting" in shown)
    terminal.press("a")
    shown = terminal.wait_for("developer asks in implementation #1 of refunds")
    assert "Write refunds.py (edit)" in shown and "without an answer: No." in shown
    terminal.press("y")
    terminal.press("1")
    terminal.wait_for("completed")
    _, told = run.communicate(timeout=60)
    assert run.returncode == 0, told
    assert asking.answers() == ["allow_once"]
    terminal.press("q")


EDITOR = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("interrupted, going on", flush=True))
print("the editor has the terminal", flush=True)
while not pathlib.Path("leave").exists():
    time.sleep(0.02)
path = pathlib.Path(sys.argv[1])
outputs = json.loads(path.read_text())
path.write_text(json.dumps({**outputs, "said": "edited by hand"}))
"""


def test_an_output_is_edited_in_the_real_editor_and_the_later_phase_receives_it(
    tmp_path: Path, open_terminal: Callable[..., Terminal]
) -> None:
    project = Project(tmp_path / "shop", line(*PHASES), {"design": "approval = true"})
    TrustBook().remember(Workflow.load(project.file), str(project.file))
    editor = project.folder / "editor"
    editor.write_text(f"#!{sys.executable}\n{EDITOR}")
    editor.chmod(0o700)
    assert project.call("run", "A shop", "--session-id", "edit-me").returncode == 3
    terminal = open_terminal(["env", "-u", "VISUAL", f"EDITOR={editor}", *project.command()], project.folder)
    terminal.wait_for("edit-me")
    terminal.press("a")
    terminal.wait_for("Review design")
    terminal.wait_for("outputs")
    terminal.press("e")
    terminal.wait_for("the editor has the terminal")
    terminal.press("C-c")
    terminal.wait_for("interrupted, going on")
    (project.folder / "leave").touch()
    terminal.wait_for(lambda shown: "Record this edit" in shown and "edited by hand" in shown)
    terminal.type("says it better")
    terminal.wait_for("says it better")
    unfocused = terminal.look_of("Record it")
    terminal.press("Enter")
    terminal.wait_for(lambda _: terminal.look_of("Record it") != unfocused)
    terminal.press("Enter")
    terminal.wait_for(lambda shown: "Record this edit" not in shown and "Review design" in shown)
    terminal.wait_for("as of now")
    terminal.press("y")
    terminal.wait_for(lambda shown: "completed" in shown and "Review" not in shown)
    context = json.loads((project.root / "edit-me" / "checkpoint_testing.json").read_text())["context"]
    assert context["phase_results"]["testing"]["outputs"]["saw"]["design"]["said"] == "edited by hand"
    [edit] = context["edits"]
    assert edit["reason"] == "says it better" and edit["by"] and edit["at"]
    terminal.press("q")


def test_a_burst_of_keys_opens_the_sheet_fills_its_field_and_starts_nothing_unseen(
    project: Project, open_terminal: Callable[..., Terminal]
) -> None:
    terminal = open_terminal(project.command(), project.folder)
    terminal.wait_for("n launches one")
    terminal.type("nBuild a shop; quickly, xyz\x13")
    terminal.wait_for(lambda shown: "Build a shop; quickly, xyz" in shown and "read it, then" in shown)
    assert not list(project.root.glob("*build*"))
    terminal.press("C-s")
    terminal.wait_for(lambda shown: "completed" in shown and "New session" not in shown)
    terminal.type("R\ry")
    terminal.wait_for(lambda shown: "Rerun" in shown and "read it, then" in shown)
    assert project.runs("requirements") == 1
    terminal.press("Escape")
    terminal.press("q")


def test_what_another_process_runs_is_stopped_by_key_and_stays_resumable(
    project: Project, open_terminal: Callable[..., Terminal]
) -> None:
    import subprocess

    terminal = open_terminal(project.command(), project.folder)
    project.order("design", wait_for="go")
    process = subprocess.Popen(
        project.command("run", "elsewhere", "--session-id", "other"),
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    at_design = project.folder / "at-design"
    terminal.wait_for(lambda _: at_design.exists())
    terminal.wait_for(f"pid {process.pid}")
    terminal.press("x")
    terminal.wait_for(f"Stop pid {process.pid}, which runs other?")
    terminal.press("y")
    assert process.wait(60) == 130
    terminal.wait_for(lambda shown: "Stop pid" not in shown and "cancelled" in shown)
    (project.folder / "go").touch()
    terminal.press("r")
    terminal.wait_for("Resume other")
    terminal.wait_for("nobody holds this session")
    terminal.press("y")
    terminal.wait_for(lambda shown: "completed" in shown and "Resume" not in shown)
    assert project.runs("requirements") == 1
    terminal.press("q")
