"""Several sessions run at once, each in its own thread; cancelling is quick and never waits for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui.config import TrustBook, UntrustedWorkflow
from maestro_tui.engine.host import EngineHost
from maestro_tui.engine.launch import Launch
from maestro_tui.model.errors import InputError
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore
from tests.sessions import Project, line
from tests.waiting import wait_until


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line("a", "b"))


@pytest.fixture
def host(project: Project, tmp_path: Path):
    host = EngineHost(project.root, limit=2, trust=TrustBook(tmp_path / "trusted.json"))
    host.trust(Workflow.load(project.file), "maestro.toml")
    yield host
    assert host.stop_all(20) == ()


def launch(project: Project, session_id: str, **more: object) -> Launch:
    return Launch("x", workspace=str(project.folder), session_id=session_id, **more)


def status(project: Project, session_id: str, phase: str) -> str | None:
    result = CheckpointStore(project.root).head(session_id).context.phase_results.get(phase)
    return str(result.status) if result else None


def test_a_launched_session_is_on_disk_at_once_and_runs_to_its_end(
    project: Project, host: EngineHost
) -> None:
    assert host.launch(launch(project, "s1")) == "s1"
    assert (project.root / "s1" / "checkpoint_init.json").is_file()
    wait_until(lambda: status(project, "s1", "b") == "completed", "b completed")
    wait_until(lambda: host.running() == (), "the runner ended")
    assert host.problems() == []


def test_no_more_than_the_limit_run_at_once_and_the_rest_wait_their_turn(tmp_path: Path) -> None:
    projects = [Project(tmp_path / f"p{n}", line("a")) for n in range(3)]
    host = EngineHost(tmp_path / "root", limit=2, trust=TrustBook(tmp_path / "trusted.json"))
    for project in projects:
        project.order("a", wait_for="go")
    host.trust(Workflow.load(projects[0].file), "maestro.toml")
    for number, project in enumerate(projects):
        host.launch(launch(project, f"s{number}"))
    wait_until(lambda: sum((p.folder / "at-a").exists() for p in projects) == 2, "two began")
    assert len(host.running()) == 3
    first = next(p for p in projects if (p.folder / "at-a").exists())
    (first.folder / "go").touch()
    wait_until(lambda: all((p.folder / "at-a").exists() for p in projects), "the third began")
    assert host.stop_all(20) == ()


def test_cancel_returns_at_once_and_the_session_resumes(project: Project, host: EngineHost) -> None:
    project.order("b", wait_for="go")
    host.launch(launch(project, "s1"))
    wait_until((project.folder / "at-b").exists, "b began")
    assert host.cancel("s1")
    wait_until(lambda: host.running() == (), "the session stopped", 10)
    assert status(project, "s1", "b") == "cancelled"
    error = CheckpointStore(project.root).head("s1").context.phase_results["b"].error
    assert error is not None and error.message == "cancelled by the operator"
    (project.folder / "go").touch()
    host.resume("s1", host.plan_resume("s1").hash)
    wait_until(lambda: status(project, "s1", "b") == "completed", "b completed")
    assert project.runs("a") == 1
    wait_until(lambda: host.running() == (), "the session ended")
    assert not host.cancel("s1")


def test_a_session_that_runs_here_is_not_started_twice(project: Project, host: EngineHost) -> None:
    project.order("a", wait_for="go")
    host.launch(launch(project, "s1"))
    wait_until((project.folder / "at-a").exists, "a began")
    with pytest.raises(InputError, match="runs here already"):
        host.resume("s1")
    (project.folder / "go").touch()
    wait_until(lambda: host.running() == (), "the session ended")


def test_commands_that_nobody_trusts_are_named_and_not_run(project: Project, tmp_path: Path) -> None:
    host = EngineHost(project.root, trust=TrustBook(tmp_path / "empty.json"))
    with pytest.raises(UntrustedWorkflow) as refusal:
        host.launch(launch(project, "s1"))
    assert len(refusal.value.commands) == 2
    assert "step.py" in refusal.value.commands[0]
    assert not project.root.exists()


def test_what_was_approved_is_that_content_and_not_what_the_file_holds_by_then(
    project: Project, host: EngineHost
) -> None:
    host.launch(launch(project, "s1", phases=("a",)))
    wait_until(lambda: host.running() == (), "the session ended")
    project.file.write_text(project.file.read_text().replace('name = "worker"', 'name = "walker"'))
    with pytest.raises(UntrustedWorkflow) as refusal:
        host.resume("s1", from_phase="a")
    assert project.runs("a") == 1
    project.file.write_text(project.file.read_text().replace('name = "walker"', 'name = "talker"'))
    host.trust(refusal.value.workflow, refusal.value.source)
    with pytest.raises(UntrustedWorkflow, match="not trusted yet"):
        host.resume("s1", from_phase="a")
    assert project.runs("a") == 1


def test_stop_all_leaves_sessions_that_resume(project: Project, tmp_path: Path) -> None:
    host = EngineHost(project.root, trust=TrustBook(tmp_path / "t.json"))
    host.trust(Workflow.load(project.file), "maestro.toml")
    project.order("a", wait_for="go")
    host.launch(launch(project, "s1"))
    wait_until((project.folder / "at-a").exists, "a began")
    assert host.stop_all(20) == ()
    assert status(project, "s1", "a") == "cancelled"
    with pytest.raises(InputError, match="is closing"):
        host.launch(launch(project, "s2"))
