"""Whole sessions whose design is made by a model: real `maestro-tui` processes and a loopback model server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.model_server.chat_completions import Fault, Hangs, ModelServer, Says, model_server
from tests.performers.llm.asking import KEY, WORK
from tests.sessions import Project, line
from tests.waiting import wait_until


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Requirements by a command, design by a model (once `at` names its server), testing by a command."""
    return Project(tmp_path / "shop", line("requirements", "design", "testing"))


def at(project: Project, server: ModelServer, *, phase: str = "", persona: str = "") -> None:
    """Give the design to a model at this server."""
    head, design, tail = project.file.read_text().split("[[phases]]")[1:]
    design = (
        '\nname = "design"\nneeds = ["requirements"]\nobjective = "How it is built"\n'
        f'deliverables = ["docs/design.md"]\n{phase}\n[[phases.personas]]\nname = "designer"\nperformer = "llm"\n{persona}\n'
        f'[phases.personas.options]\nmodel = "qwen3"\nbase_url = "{server.base_url}"\nkey_env = "MY_SERVER"\n'
    )
    project.file.write_text("[[phases]]".join(['name = "steps"\n', head, design, tail]))


def committed(project: Project, phase: str) -> dict[str, Any]:
    """The phase's result as it stands in its checkpoint."""
    file = project.root / "s1" / f"checkpoint_{phase}.json"
    result: dict[str, Any] = json.loads(file.read_text())["context"]["phase_results"][phase]
    return result


def journal(project: Project) -> list[dict[str, Any]]:
    text = (project.root / "s1" / "journal.jsonl").read_text()
    return [json.loads(row[row.index("{") :]) for row in text.splitlines()]


def test_a_models_design_is_committed_measured_and_handed_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Says(WORK, tokens=(1200, 340))) as server:
        at(project, server)
        document = project.json("run", "Refunds are idempotent", "--session-id", "s1", "--trust", code=0)
    assert document["status"] == "completed"
    result = committed(project, "design")
    assert result["outputs"] == {"tables": 2} and result["summary"] == "Two tables."
    assert [(made["path"], made["change"]) for made in result["artifacts"]] == [("docs/design.md", "new")]
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (1200, 340)
    assert result["usage"].get("cost_usd") is None
    assert result["quality"] == {"contract": 1.0, "opinion": 0.7, "quality": None}
    assert [one["decided_by"] for one in result["decisions"] if one["about"] == "store"] == ["qwen3"]
    (request,) = server.requests
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    question = str(request["body"]["messages"])
    assert "Refunds are idempotent" in question and "requirements done" not in question
    assert '"said": "requirements"' in question.replace("\\n", "").replace('\\"', '"')
    assert committed(project, "testing")["outputs"]["saw"]["design"] == {"tables": 2}
    assert "wrote docs/design.md" in (project.root / "s1" / "logs" / "design.1.log").read_text()
    spent = [row for row in journal(project) if row["type"] == "usage_reported"]
    assert [row["data"]["output_tokens"] for row in spent] == [340]
    kept = [file for file in project.root.rglob("*") if file.is_file()]
    assert len(kept) > 10 and not [file for file in kept if KEY.encode() in file.read_bytes()]


def test_a_claim_without_the_document_fails_the_phase(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Says({**WORK, "documents": [], "summary": "I wrote docs/design.md."})) as server:
        at(project, server)
        document = project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    assert "deliverable 'docs/design.md' is missing" in document["phases"][1]["error"]
    assert project.runs("testing") == 0


def test_an_endpoint_that_turns_away_is_asked_again_where_it_can_be_seen(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Fault(429, "slow down", {"Retry-After": "0"}), Says(WORK)) as server:
        at(project, server, phase="retries = 1")
        project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    assert len(server.requests) == 2
    types = [row["type"] for row in journal(project) if row.get("phase") == "design"]
    assert types.count("persona_started") == 2 and types.count("phase_retried") == 1


def test_cancelling_in_the_middle_of_an_answer_closes_the_connection_and_keeps_what_was_committed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Hangs('{"summary": "I beg'), Says(WORK)) as server:
        at(project, server)
        words = project.command("run", "x", "--session-id", "s1", "--trust")
        run = subprocess.Popen(words, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: server.hanging.is_set() or run.poll() is not None, "the model is asked")
            run.send_signal(signal.SIGINT)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()
        assert run.returncode == 130, output
        assert server.left.wait(60)
        assert committed(project, "requirements")["status"] == "completed"
        assert not (project.folder / "docs").exists()
        assert project.json("resume", "s1", code=0)["status"] == "completed"
    assert project.runs("requirements") == 1 and len(server.requests) == 2


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        ("phase", "The budget of phase 'design' is spent"),
        ("persona", "Persona 'designer' has used up its budget"),
    ],
)
def test_a_spent_budget_pauses_the_session_in_the_engines_words(
    project: Project, monkeypatch: pytest.MonkeyPatch, whose: str, words: str
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Says({"nothing": "of use"}, tokens=(900, 200))) as server:
        at(project, server, **{whose: "budget = { tokens = 1000 }"})
        document = project.json("run", "x", "--session-id", "s1", "--trust", code=3)
        assert document["status"] == "paused"
        assert words in document["phases"][1]["error"]
        assert len(server.requests) == 1
    spent = [row for row in journal(project) if row["type"] == "usage_reported"]
    assert [(row["data"]["input_tokens"], row["data"]["output_tokens"]) for row in spent] == [(900, 200)]


def test_colleagues_with_models_comment_and_the_author_revises(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    comment = {"severity": "high", "place": "docs/design.md", "comment": "No index."}
    second = {**WORK, "documents": [{"path": "docs/design.md", "content": "# Design with an index"}]}
    with model_server(Says(WORK), Says({"comments": [comment], "opinion": 0.5}), Says(second)) as server:
        at(project, server, phase='mode = "collaborative"')
        critic = (
            '[[phases.personas]]\nname = "critic"\nperformer = "llm"\n[phases.personas.options]\n'
            f'model = "other"\nbase_url = "{server.base_url}"\n'
        )
        head, marker, tail = project.file.read_text().rpartition("[[phases]]")
        project.file.write_text(head + critic + marker + tail)
        project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    assert (project.folder / "docs" / "design.md").read_text() == "# Design with an index"
    draft, review, revision = (str(request["body"]["messages"]) for request in server.requests)
    assert "Two tables." in review and "Carry out the objective" in draft
    assert "No index." in revision and "Revise your draft" in revision
    said = committed(project, "design")["outputs"]["comments"]
    assert said == {"round 1": {"critic": {"comments": [comment]}}}


def test_a_key_that_is_not_set_stops_before_anything_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_SERVER", raising=False)
    with model_server(Says(WORK)) as server:
        at(project, server)
        refused = project.call("run", "x", "--session-id", "s1", "--trust")
    assert refused.returncode == 2 and "MY_SERVER is not set" in refused.stderr
    assert project.runs("requirements") == 0 and server.requests == []


def test_listing_sessions_of_models_imports_no_client(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Says(WORK)) as server:
        at(project, server)
        project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    project.json("list", code=0)
    code = (
        "import sys\nfrom maestro_tui.cli import main\n"
        f"try: main(['--checkpoint-dir', {str(project.root)!r}, 'list'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('pydantic_ai', 'openai', 'jsonschema', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "s1" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_client_is_imported_beside_the_loop_that_asks(tmp_path: Path) -> None:
    code = """
import asyncio, pathlib, sys, threading
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.performers.llm import LlmPerformer
from maestro_tui.performers.port import PerformerFailed, Task

folder = pathlib.Path(sys.argv[1])
persona = Persona(name="d", performer="llm", options={"model": "m", "base_url": "http://127.0.0.1:9/v1"})
performer = LlmPerformer(persona)
threads = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("pydantic_ai", "openai"):
            threads[name] = threading.current_thread() is threading.main_thread()

class Port:
    def line(self, *a): pass
    def emit(self, *a, **b): pass
    def spend(self, usage): pass

async def main():
    sys.meta_path.insert(0, Watch())
    task = Task("s", Phase(name="design"), 1, persona, "x", folder, folder, {})
    try:
        await performer.perform(task, Port())
    except PerformerFailed as error:
        print(error)

asyncio.run(main())
print(sorted(threads.items()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    said, threads = done.stdout.splitlines()[-2:]
    assert "the connection to http://127.0.0.1:9/v1 failed" in said, done.stderr
    assert threads == "[('openai', False), ('pydantic_ai', False)]"
