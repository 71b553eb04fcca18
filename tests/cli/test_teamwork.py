"""Who works and what it may cost, by command line, with real processes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sessions import Project, line


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line("a", "b"))


def test_a_time_limit_pauses_the_session_and_a_recorded_raise_goes_on(project: Project) -> None:
    project.order("b", wait_for="go")
    done = project.call("run", "x", "--session-id", "s1", "--trust", "--time-limit", "4s")
    assert done.returncode == 3, done.stderr
    assert "budget is spent" in done.stderr and "maestro-tui raise s1" in done.stderr
    [listed] = project.json("list", code=0)
    assert listed["status"] == "paused"
    plan = project.json("resume", "s1", "--dry-run", code=0)
    assert plan["phases"][1]["action"] == "blocked" and "raise s1" in plan["phases"][1]["reason"]
    assert project.call("resume", "s1").returncode == 3
    assert project.runs("b") == 1, "nothing runs before the raise"
    refused = project.call("raise", "s1", "--seconds", "100")
    assert refused.returncode == 2 and "Say why" in refused.stderr
    refused = project.call("raise", "s1", "--cost", "1", "--reason", "more")
    assert refused.returncode == 2 and "no budget in cost_usd" in refused.stderr
    assert project.call("raise", "s1", "--seconds", "100", "--reason", "it waits for a file").returncode == 0
    (project.folder / "go").touch()
    assert project.json("resume", "s1", code=0)["status"] == "completed"
    assert [project.runs(name) for name in ("a", "b")] == [1, 2]


def test_a_blueprint_by_word_is_recorded_and_followed(project: Project) -> None:
    assert project.call("run", "x", "--session-id", "s1", "--trust").returncode == 0
    refused = project.call("blueprint", "s1", "a", "--personas", "nobody", "--reason", "?")
    assert refused.returncode == 2 and "Nobody is called 'nobody'" in refused.stderr
    assert project.call("blueprint", "s1", "a", "--reason", "?").returncode == 2
    document = project.json(
        "blueprint", "s1", "a", "--personas", "worker", "--mode", "parallel", "--by", "Ann", "--reason", "so", code=0
    )  # fmt: skip
    assert document["phases"][0]["stale"] and "changed by Ann" in document["phases"][0]["reason"]
    shown = project.json("show", "s1", code=0)
    assert any(one["decided_by"] == "Ann" and one["about"] == "blueprint" for one in shown["decisions"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--team", "nobody"], "There is no team 'nobody'; name toolbox, claude"),
        (["--time-limit", "soon"], "--time-limit takes a span"),
        (["--time-limit", "0s"], "greater than nothing"),
        (["--max-cost", "-1"], "--max-cost"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_nothing_is_written(
    project: Project, words: list[str], told: str
) -> None:
    done = project.call("run", "x", "--session-id", "s1", "--trust", *words)
    assert done.returncode == 2 and told in done.stderr, done.stderr
    assert not (project.root / "s1").exists()


@pytest.fixture
def with_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which `claude` is the only agent; a file beside it says whether it was asked to work."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "2.0.41 (Claude Code)" && exit 0\ntouch {folder}/worked\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_the_teams_are_listed_with_what_is_here_and_how_the_rest_is_installed(
    project: Project, with_an_agent: Path
) -> None:
    listed = project.json("teams", code=0)
    teams = {one["name"]: one for one in listed["teams"]}
    assert list(teams) == [
        "toolbox", "claude", "codex", "gemini", "opencode", "llm:MODEL[@BASE_URL]", "hive:MODULE:CLASS",
    ]  # fmt: skip
    claude, codex = teams["claude"], teams["codex"]
    assert (claude["ready"], claude["version"], claude["install"]) == (True, "2.0.41", None)
    assert (codex["ready"], codex["path"]) == (False, None)
    assert codex["install"] == "npm install -g @openai/codex"
    assert listed["performers"][0]["name"] == "acp"
    told = project.call("teams")
    assert told.returncode == 0
    assert "✓ claude" in told.stdout and f"2.0.41 · {with_an_agent}/claude" in told.stdout
    assert "install it with: npm install -g opencode-ai" in told.stdout
    assert not (with_an_agent / "worked").exists()


def test_an_extra_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, project: Project
) -> None:
    code = (
        "import sys\nsys.modules['pydantic_ai'] = None\nsys.modules['acp'] = None\n"
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name: None if name in ('pydantic_ai', 'acp') else find(name)\n"
        "from maestro_tui.cli import main\nmain(['teams', '--json'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=project.folder)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    installs = {one["name"]: one["install"] for one in (*listed["teams"], *listed["performers"])}
    assert installs["llm:MODEL[@BASE_URL]"] == "pip install 'maestro-tui[llm]'"
    assert installs["acp"] == "pip install 'maestro-tui[acp]'"


def test_a_run_mentions_agents_on_a_terminal_only_and_uses_none(
    project: Project, with_an_agent: Path
) -> None:
    project.file.unlink()
    words = ("run", "The list must show 20 rows.", "--phases", "requirements")
    silent = project.call(*words, "--session-id", "s1")
    assert silent.returncode == 0, silent.stderr
    assert "--team claude" not in silent.stderr
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.Popen(
            project.command(*words, "--session-id", "s2"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, cwd=project.folder,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = terminal.read(65_536)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert done.wait(60) == 0, shown
    assert shown.count(b"with --team claude: agents cost money and write files") == 1
    assert not (with_an_agent / "worked").exists()
