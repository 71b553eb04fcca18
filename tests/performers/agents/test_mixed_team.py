"""One session by tools, a model, the real claude and a person, killed in every phase and resumed each time."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.events import Event
from maestro_tui.performers.orphans import marked_processes
from maestro_tui.store.journal import read_events
from tests.model_server import chat_completions as chat
from tests.model_server.server import CallTool, ModelServer, Say, Silence
from tests.performers.agents.real import KEYS, options, serving
from tests.performers.bench_fixtures import sample_project
from tests.sessions import Project
from tests.waiting import wait_until

pytestmark = [pytest.mark.agents, pytest.mark.timeout(600)]

REQUIREMENT = "An amount can be shared among payers. The shares must add up to the amount."
NEW_MODULE = "src/sample/shares.py"
DRAFT = "def shares(amount, payers):\n    return [amount // payers] * payers\n"
MENDED = (
    "    share, left = divmod(amount, payers)\n"
    "    return [share + (index < left) for index in range(payers)]\n"
)
TEST = (
    "import unittest\nfrom sample.shares import shares\n\n"
    "class Shares(unittest.TestCase):\n"
    "    def test_shares_add_up_to_the_amount(self):\n        self.assertEqual(shares(10, 3), [4, 3, 3])\n"
)
DECIDED = {
    "summary": "One function in a module of its own.",
    "outputs": {"module": NEW_MODULE},
    "documents": [
        {"path": "maestro-out/design/decided.md", "content": "# Decided\nWhole units, no floats.\n"}
    ],
    "decisions": [
        {"about": "rounding", "choice": "first payers pay more", "alternatives": ["the last pays"]}
    ],
}
WORKFLOW = """
name = "mixed"
[[phases]]
name = "requirements"
[[phases.personas]]
name = "requirement_analyst"
[[phases.personas]]
name = "project_surveyor"
[[phases]]
name = "design"
deliverables = ["maestro-out/design/decided.md"]
[[phases.personas]]
name = "designer"
performer = "llm"
options = {{ model = "qwen3", base_url = {model} }}
[[phases]]
name = "implementation"
deliverables = ["src/sample/shares.py"]
[[phases.personas]]
name = "developer"
performer = "agent_cli"
options = {{ {claude} }}
env = ["{key}"]
[[phases.personas]]
name = "build_engineer"
[[phases]]
name = "testing"
[[phases.personas]]
name = "test_engineer"
[[phases]]
name = "deployment"
approval = true
[[phases.personas]]
name = "release_engineer"
"""
PYTHON = """#!/bin/sh
# The project's own Python; while the file HOLD is there it waits before work whose words contain HOLD's.
if [ -e {hold} ]; then
  case "$*" in *"$(cat {hold})"*)
    : > {at}
    while [ -e {hold} ]; do sleep 0.05; done;;
  esac
fi
exec {python} "$@"
"""


class Mixed(Project):
    """A project that lacks the module which one of its tests needs, and a team that makes it."""

    def __init__(self, folder: Path, model: chat.ModelServer, claude: ModelServer) -> None:
        super().__init__(folder, {})
        self._hold, self._at = folder.parent / "hold", folder.parent / "at"
        # A project with a dependency has the surveyor ask the project's own Python for it.
        sample_project(folder, files={"tests/test_shares.py": TEST}, dependencies='["packaging"]')
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        (folder / ".venv" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
        words = {"hold": self._hold, "at": self._at, "python": sys.executable}
        python.write_text(PYTHON.format(**{key: shlex.quote(str(value)) for key, value in words.items()}))
        python.chmod(0o755)
        given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options("claude", claude).items())
        self.file.write_text(
            WORKFLOW.format(model=json.dumps(model.base_url), claude=given, key=KEYS["claude"])
        )
        self.session = self.root / "s"

    def told(self, type: str, phase: str | None = None) -> list[Event]:
        """The journal's events of that type."""
        events = read_events(self.session / "journal.jsonl").events
        return [one for one in events if one.type == type and phase in (None, one.phase)]

    def history(self) -> set[tuple[str, int]]:
        """Phase and attempt of every commit beside those that only record what was spent."""
        commits = [json.loads(file.read_text()) for file in (self.session / "history").iterdir()]
        return {(one["phase"], one["attempt"]) for one in commits if one["phase"] != "init"}

    def committed(self) -> dict[str, Any]:
        """The newest commit's context."""
        newest = max((self.session / "history").iterdir())
        return dict(json.loads(newest.read_text())["context"])

    def told_once(self, type: str) -> dict[str | None, int | None]:
        """Phase → attempt of that event, which must be there once for each phase."""
        told = self.told(type)
        found = {one.phase: one.attempt for one in told}
        assert len(found) == len(told), told
        return found

    def kill_while(self, phase: str, working: Callable[[], object], *words: str) -> None:
        """`maestro-tui` with these words, killed with SIGKILL as soon as `working` holds in that phase."""
        victim = subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_until(lambda: working() or victim.poll() is not None, f"{phase} is at work", 120)
            begun = [one.phase for one in self.told("phase_started")]
            ended = victim.poll()
        finally:
            victim.kill()
            said, _ = victim.communicate()
        assert ended is None and begun[-1] == phase, said
        assert phase not in self.committed()["phase_results"]
        wait_until(lambda: not self.left_over(), "what the dead runner had started has ended")

    def kill_in_tool(self, phase: str, at: str, *words: str) -> None:
        """The same while the project's Python is held at work whose words contain `at`."""
        self._hold.write_text(at)
        self.kill_while(phase, self._at.exists, *words)
        self._hold.unlink()
        self._at.unlink()

    def left_over(self) -> list[int]:
        """Living processes that were started for this session."""
        return [one.pid for one in marked_processes() if one.session == str(self.session)]


def test_a_mixed_team_killed_in_every_phase_commits_each_once_and_pays_no_finished_work_twice(
    tmp_path: Path, real_agents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{real_agents}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(KEYS["claude"], "a-key-for-loopback")
    file = tmp_path / "shop" / NEW_MODULE
    path = {"file_path": str(file)}
    turns = [
        CallTool("Write", {**path, "content": DRAFT}),
        Silence(),
        CallTool("Read", path),
        CallTool("Edit", {**path, "old_string": DRAFT.partition("\n")[2], "new_string": MENDED}),
        Say("The shares add up now."),
    ]
    thinks = [
        chat.Says({"nothing": "of use"}, tokens=(900, 200)),
        chat.Hangs(),
        chat.Says(DECIDED, (700, 60)),
    ]
    with chat.model_server(*thinks) as model, serving("claude", turns) as claude:
        project = Mixed(tmp_path / "shop", model, claude)
        project.kill_in_tool("requirements", "probe.py", "run", REQUIREMENT, "--session-id", "s", "--trust")
        project.kill_while("design", model.hanging.is_set, "resume", "s")
        project.kill_while(
            "implementation",
            lambda: claude.turns_served == 2 and project.told("usage_reported", "implementation"),
            "resume",
            "s",
        )
        project.kill_in_tool("implementation", "build-env", "resume", "s")
        project.kill_in_tool("testing", "unittest_report.py", "resume", "s")
        project.kill_in_tool("deployment", "clean-env", "resume", "s")
        assert project.json("resume", "s", code=3)["status"] == "waiting"
        approved = project.call("approve", "s", "deployment", "--by", "Ann", "--reason", "tests are green")
        assert approved.returncode == 0, approved.stderr
        assert project.json("resume", "s", code=0)["status"] == "completed"
        asked = len(model.requests), claude.turns_served
    assert asked == (3, 5), "nobody was asked again for what was finished"
    assert file.read_text() == DRAFT.partition("\n")[0] + "\n" + MENDED
    assert project.told_once("phase_committed") == {
        "requirements": 2,
        "design": 2,
        "implementation": 3,
        "testing": 2,
        "deployment": 2,
    }
    assert project.history() == set(project.told_once("phase_committed").items())
    begun = Counter(one.phase for one in project.told("phase_started"))
    assert begun == project.told_once("phase_committed"), "no phase began again after its commit"
    results = project.committed()["phase_results"]
    assert {result["status"] for result in results.values()} == {"completed"}
    reused = [(one.persona, one.data["from_attempt"]) for one in project.told("persona_reused")]
    assert reused == [("requirement_analyst", 1), ("developer", 2)]
    made = {one["path"]: one["persona"] for one in results["implementation"]["artifacts"]}
    assert made[NEW_MODULE] == "developer" and len(made) == 5
    assert results["testing"]["outputs"]["passed"] == results["testing"]["outputs"]["total"] == 3
    gate = results["deployment"]["gate"]
    assert (gate["verdict"], gate["by"], gate["reason"]) == ("approved", "Ann", "tests are green")
    # Both answers of the model; of the killed claude what it had told by then, of the other all three turns.
    spent = project.committed()["usage"]
    assert (spent["input_tokens"], spent["output_tokens"]) == (900 + 700 + 4 * 11, 200 + 60 + 3 * 7)
    assert spent["cost_usd"] == project.told("usage_reported", "implementation")[-1].data["cost_usd"] > 0
    verified = project.call("verify", "s")
    assert verified.returncode == 0, verified.stdout
    assert project.left_over() == []
