"""The whole story in a real terminal: launch, watch, kill -9, start again, resume, completed, quit."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro_tui.config import TrustBook
from maestro_tui.model.workflow import Workflow
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
    # A killed program leaves the terminal raw, so a line ends with LF until it is set right.
    terminal.type("stty sane; tput rmcup; tput reset")
    terminal.press("C-j")

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
