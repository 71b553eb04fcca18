"""Standard streams that are closed, or whose reader goes away, cost neither the work nor a message."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui.model.events import Event
from maestro_tui.progress import Progress
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.streams import open_closed
from tests.sessions import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", {"a": []})


def completed(project: Project) -> bool:
    result = CheckpointStore(project.root).head("s1").context.phase_results["a"]
    return str(result.status) == "completed"


def unread(project: Project, *words: str, errors_too: bool = False) -> tuple[int, str]:
    """`maestro-tui` whose reader has gone already: exit code, and what it wrote on standard error."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            project.command(*words),
            cwd=project.folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer if errors_too else subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


def test_a_run_whose_reader_goes_away_goes_on_to_its_end(project: Project) -> None:
    words = ("run", "x", "--session-id", "s1", "--trust")
    assert unread(project, *words, errors_too=True) == (0, "")
    assert completed(project)


def test_a_list_that_nobody_reads_ends_as_other_programs_do(project: Project) -> None:
    assert unread(project, "list") == (141, "")
    assert unread(project, "show", "nobody", errors_too=True) == (2, "")


class Gone(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_progress_goes_quiet_when_nobody_reads_it_on_a_terminal_too() -> None:
    gone = Gone()
    gone.isatty = lambda: True  # type: ignore[method-assign]
    progress = Progress(gone)
    progress(Event("phase_started", 0.0, "s", "a", 1, data={"reason": "never ran"}))
    progress.lines(["a plan"])
    await progress.tick()


def test_closed_standard_streams_are_taken_as_they_are(project: Project) -> None:
    words = project.command("run", "x", "--session-id", "s1", "--trust", "-v")
    line = f"exec {shlex.join(words)} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], cwd=project.folder, timeout=60).returncode == 0
    assert completed(project)


def test_no_file_of_ours_becomes_a_standard_stream() -> None:
    pid = os.fork()
    if pid == 0:
        os.close(0)
        os.close(2)
        sys.stdin = sys.stderr = None  # type: ignore[assignment]
        open_closed()
        next_one = os.open(os.devnull, os.O_RDONLY)
        fine = next_one > 2 and sys.stderr.fileno() == 2 and os.get_inheritable(2)
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
