"""Whole runs of `maestro-tui` with a real agent in the workflow: the engine measures what the agent left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.model_server.server import ModelServer, Say
from tests.performers.agents.real import AGENTS, CONTENT, KEYS, SAID, options, serving, writes

pytestmark = pytest.mark.agents


def member(name: str, agent: str, server: ModelServer, more: str = "", **further: Any) -> str:
    """The TOML of a persona that this agent carries out."""
    given = ", ".join(
        f"{key} = {json.dumps(value)}" for key, value in {**options(agent, server), **further}.items()
    )
    return (
        f'[[phases.personas]]\nname = "{name}"\nperformer = "agent_cli"\n'
        f'options = {{ {given} }}\nenv = ["{KEYS[agent]}"]\n{more}\n'
    )


class Run:
    """One finished `maestro-tui run` of a workflow with one phase, which has to deliver `made.txt`."""

    def __init__(self, folder: Path, programs: Path, *members: str, mode: str = "sequential") -> None:
        self.workspace = folder / "project"
        self.workspace.mkdir()
        self._root = folder / "checkpoints"
        (self.workspace / "maestro.toml").write_text(
            f'name = "one-file"\n[[phases]]\nname = "implementation"\ndeliverables = ["made.txt"]\n'
            f'mode = "{mode}"\n{"".join(members)}'
        )
        words = ["run", "Write the file made.txt", "--workspace", str(self.workspace), "--trust"]
        self.done = subprocess.run(
            [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(self._root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            env={
                **os.environ,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                **dict.fromkeys(KEYS.values(), "a-key-for-loopback"),
            },
        )

    @property
    def session(self) -> Path:
        """The folder of the one session."""
        (found,) = [entry for entry in self._root.iterdir() if entry.is_dir()]
        return found

    @property
    def result(self) -> dict[str, Any]:
        """The phase's result as it was committed."""
        newest = max((self.session / "history").iterdir())
        data = json.loads(newest.read_text())
        return dict(data["context"]["phase_results"]["implementation"])

    def told(self, type: str) -> list[dict[str, Any]]:
        """The journal's records of that type."""
        records = [json.loads(line) for line in (self.session / "journal.jsonl").read_text().splitlines()]
        return [record for record in records if record["type"] == type]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_phase_is_carried_out_by_a_real_agent_and_its_file_is_measured(
    tmp_path: Path, real_agents: Path, agent: str
) -> None:
    file = tmp_path / "project" / "made.txt"
    with serving(agent, [writes(agent, file), Say(SAID)]) as server:
        run = Run(tmp_path, real_agents, member("writer", agent, server))
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert file.read_text() == CONTENT
    assert run.result["status"] == "completed" and run.result["outputs"] == {"text": SAID}
    made = [(artifact["path"], artifact["size"]) for artifact in run.result["artifacts"]]
    assert ("made.txt", len(CONTENT)) in made
    assert run.result["contract"]["fulfilled"] == ["made.txt"]
    assert run.result["usage"]["input_tokens"] >= 22
    assert run.told("tool_called") and run.told("usage_reported")
    (log,) = (run.session / "logs").iterdir()
    assert SAID in log.read_text()


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_an_agent_that_only_claims_to_have_written_the_file_misses_its_contract(
    tmp_path: Path, real_agents: Path, agent: str
) -> None:
    with serving(agent, [Say(SAID)]) as server:
        run = Run(tmp_path, real_agents, member("writer", agent, server))
    assert run.done.returncode == 1
    assert run.result["status"] == "failed" and run.result["error"]["kind"] == "contract"
    assert "made.txt" in run.result["error"]["message"]
    # What it said is kept; that it said so changes nothing.
    assert run.result["outputs"] == {"text": SAID}


def test_a_budget_that_claude_has_spent_pauses_the_session(tmp_path: Path, real_agents: Path) -> None:
    file = tmp_path / "project" / "made.txt"
    with serving("claude", [writes("claude", file), Say(SAID)]) as server:
        run = Run(tmp_path, real_agents, member("writer", "claude", server, "budget = { cost_usd = 0.0001 }"))
    assert run.done.returncode == 3, run.done.stdout + run.done.stderr
    (spent,) = run.told("budget_spent")
    assert "budget" in json.dumps(spent)
    assert run.told("usage_reported")[-1]["data"]["cost_usd"] > 0.0001


def test_claude_that_is_denied_its_tool_fails_the_phase_with_what_was_denied(
    tmp_path: Path, real_agents: Path
) -> None:
    file = tmp_path / "project" / "made.txt"
    with serving("claude", [writes("claude", file), Say(SAID)]) as server:
        run = Run(tmp_path, real_agents, member("writer", "claude", server, permission_mode="plan"))
    assert run.done.returncode == 1
    assert "was not allowed to use Write (made.txt)" in run.result["error"]["message"]
    assert any(record["data"].get("denied") for record in run.told("tool_called"))


def test_one_agent_writes_another_reviews_without_writing_and_the_first_revises(
    tmp_path: Path, real_agents: Path
) -> None:
    file, forbidden = tmp_path / "project" / "made.txt", tmp_path / "project" / "review.txt"
    revised, comment = "I took it up.", "The file names no date."
    with (
        serving("claude", [writes("claude", file), Say(SAID), Say(revised)]) as author,
        serving("codex", [writes("codex", forbidden), Say(comment)]) as colleague,
    ):
        run = Run(
            tmp_path,
            real_agents,
            member("writer", "claude", author),
            member("reviewer", "codex", colleague),
            mode="collaborative",
        )
        told_author = str([request.body for request in author.requests])
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert file.exists() and not forbidden.exists()
    assert run.result["outputs"]["text"] == revised
    assert comment in json.dumps(run.result["outputs"]["comments"]) and comment in told_author
