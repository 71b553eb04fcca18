"""A drill really kills a copy of a session at each boundary, finds what does not end the same, touches nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_tui import Persona, Phase, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.cli import commands
from maestro_tui.engine.drill import BOUNDARIES, _Bench, drill
from maestro_tui.engine.drill_child import TOLD
from maestro_tui.engine.launch import Launch
from maestro_tui.model.errors import InputError
from maestro_tui.model.plan import Estimate
from maestro_tui.store.lease import hold_session
from tests.sessions import Project, line
from tests.store.small_sessions import context
from tests.waiting import wait_until

PHASES = ("a", "b")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*PHASES))


def work(project: Project, code: str) -> None:
    """Let every phase run this Python code, which says its result by `said`."""
    (project.folder / "step.py").write_text(
        "import json, os, pathlib, sys\n"
        "phase, attempt = os.environ['MAESTRO_PHASE'], os.environ['MAESTRO_ATTEMPT']\n"
        "said = {}\n"
        f"{code}\n"
        "pathlib.Path(os.environ['MAESTRO_RESULT']).write_text(json.dumps({'outputs': said}))\n"
    )


def picture(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_drill_kills_at_each_boundary_of_each_phase_and_finds_the_same_end(tmp_path: Path) -> None:
    """The second phase waits for a person: in the copy the drill approves it, in the session it still waits."""
    project = Project(tmp_path / "shop", line(*PHASES), {"b": "approval = true"})
    work(
        project,
        "pathlib.Path(f'{phase}.txt').write_text(phase)\nsaid = {'pid': os.getpid(), 'place': os.getcwd()}",
    )
    project.json("run", "x", "--session-id", "s1", "--trust", code=3)
    before = picture(project.folder) | picture(project.root)
    found = project.json("drill", "s1", code=0)
    assert found["phases"] == list(PHASES)
    assert [(trial["phase"], trial["killed"]) for trial in found["trials"]] == [
        (phase, killed) for phase in PHASES for killed in BOUNDARIES.values()
    ]
    assert found["ok"], found
    assert found["not_compared"] == ["a: outputs.pid", "b: outputs.pid"], "it differs without a kill too"
    assert picture(project.folder) | picture(project.root) == before
    assert project.json("list", code=0)[0]["status"] == "waiting"


def test_a_phase_that_fails_is_killed_at_its_boundaries_too(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a"))
    work(project, "sys.exit(1)")
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    found = project.json("drill", "s1", code=0)
    assert [(trial["killed"], trial["problems"]) for trial in found["trials"]] == [
        (killed, []) for killed in BOUNDARIES.values()
    ]


def test_what_does_not_bear_to_be_done_twice_is_found_and_named(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a"))
    work(project, "with open('counter', 'a') as counter:\n    counter.write('once')")
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    done = project.call("drill", "s1")
    assert done.returncode == 1
    lines = [text.strip() for text in done.stdout.splitlines()]
    assert "a, killed when it had begun: ✓ resumed, ended the same" in lines
    assert any(
        text.startswith("a, killed when work was done and nothing committed: ✗ file counter is")
        for text in lines
    )
    assert "a, killed right after its commit: ✓ resumed, ended the same" in lines
    assert lines[-1].startswith("s1: 3 kills in 1 phases of a copy, 1 did not end the same.")


def test_commands_are_drilled_only_after_they_were_approved(project: Project, own_home: Path) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    (own_home / ".state" / "maestro-tui" / "trusted.json").unlink()
    ran = project.runs("a")
    refused = project.call("drill", "s1")
    assert refused.returncode == 2
    assert "not trusted yet; nothing was run" in refused.stderr
    assert project.runs("a") == ran


@pytest.mark.parametrize("case", ["no such session", "workspace gone", "names the workspace", "held"])
def test_what_cannot_be_drilled_is_refused_by_a_sentence(project: Project, case: str) -> None:
    code, words = 2, ""
    if case == "names the workspace":
        step = json.dumps([sys.executable, str(project.folder / "step.py")])
        project.file.write_text(
            project.file.read_text().replace(json.dumps([sys.executable, "step.py"]), step)
        )
        words = "so that its copy would change the original"
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    session = "s1"
    if case == "no such session":
        session, words = "s9", "There is no session 's9'"
    elif case == "workspace gone":
        project.folder.rename(project.folder.with_name("elsewhere"))
        project.folder = project.folder.with_name("elsewhere")
        words = "is gone; bring it back"
    elif case == "held":
        with hold_session(project.root / "s1"):
            done = project.call("drill", "s1")
        code, words = 4, "Drill it when it has stopped"
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        return
    done = project.call("drill", session)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


ARCHITECT = Persona(name="architect", performer="llm")


@pytest.mark.parametrize(
    ("place", "flow"),
    [
        ("design", Workflow(name="paid", phases=(Phase(name="design", personas=(ARCHITECT,)),))),
        ("any phase", Workflow(name="paid", phases=(Phase(name="design"),), personas=(ARCHITECT,))),
        ("advisor", Workflow(name="paid", phases=(Phase(name="design"),), advisor=ARCHITECT)),
    ],
)
def test_what_costs_something_is_never_drilled(tmp_path: Path, place: str, flow: Workflow) -> None:
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", workspace=tmp_path)
    engine.store.create(context("s1", workflow=flow))
    with pytest.raises(InputError, match=f"{place} is carried out by 'llm', which costs something"):
        drill(engine, "s1", lambda line: pytest.fail(f"it began: {line}"))


def spent_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost_usd: float | None) -> Path:
    """A session of two phases whose earlier runs took a minute each and that much."""
    usual = Estimate(seconds=60, cost_usd=cost_usd, runs=3)
    monkeypatch.setattr(
        "maestro_tui.engine.drill.usual_estimates", lambda root, flow: {"a": usual, "b": usual}
    )
    monkeypatch.setattr("maestro_tui.engine.drill.drill", lambda *_: FOUND)
    flow = Workflow(name="flow", phases=(Phase(name="a"), Phase(name="b", needs=("a",), approval=True)))
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", workspace=tmp_path)
    engine.store.create(context("s1", workflow=flow, workspace=str(tmp_path), pause_after=("a",)))
    return engine.store.root


FOUND = {"session_id": "s1", "ok": True, "phases": [], "trials": [], "not_compared": []}


def test_what_a_drill_takes_is_told_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = spent_before(tmp_path, monkeypatch, None)
    commands.main(["--checkpoint-dir", str(root), "drill", "s1"], standalone_mode=False)
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "A drill of 2 phases does as much as 9 whole runs: about 18m (from 3 earlier runs)"
    ]
    assert told.out.startswith("s1: 0 kills")


def test_where_runs_have_cost_money_a_drill_needs_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = spent_before(tmp_path, monkeypatch, 0.25)
    words = ["--checkpoint-dir", str(root), "drill", "s1"]
    with pytest.raises(InputError, match="say --yes to drill it all the same"):
        commands.main(words, standalone_mode=False)
    told = capsys.readouterr()
    assert "about 18m, about $4.50 (from 3 earlier runs)" in told.err and told.out == ""
    commands.main([*words, "--yes"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("s1: 0 kills")


def test_a_drill_that_is_stopped_leaves_neither_its_folder_nor_its_children(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("a"))
    engine = TeamExecutionEngineV2SplitMode(project.root, project.file, project.folder)
    engine.create(Launch("x", session_id="s1"))
    project.order("a", wait_for="never")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    drilling = subprocess.Popen(
        project.command("drill", "s1", "--trust"),
        cwd=project.folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(
            lambda: bool(list(temporary.glob("*/workspace/at-a"))) or drilling.poll() is not None,
            "the phase in the copy",
        )
        assert working_in(temporary), "the phase's command works in the copy"
        drilling.terminate()
        _, said = drilling.communicate(timeout=60)
    finally:
        drilling.kill()
    assert drilling.returncode == 130 and "Stopped." in said, said
    assert list(temporary.iterdir()) == []
    assert working_in(temporary) == []


def working_in(folder: Path) -> list[int]:
    """Living processes whose current folder is, or was, in this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(entry.joinpath("cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended meanwhile, or is nobody's of ours
    return found


def test_modules_in_the_current_folder_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("maestro_tui", "asyncio"):
        (tmp_path / "stranger" / name).mkdir(parents=True)
        (tmp_path / "stranger" / name / "__init__.py").write_text("open('owned', 'w')\n")
    monkeypatch.chdir(tmp_path / "stranger")
    bench = _Bench(tmp_path / "top", context(), tmp_path / "work", tmp_path / "root")
    child = bench._child()
    assert child.returncode == TOLD and b"There is no session 's1'" in child.stderr
    assert not (tmp_path / "stranger" / "owned").exists()
