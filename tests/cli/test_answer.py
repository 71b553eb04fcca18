"""What an agent asks in one process is answered in another, by real processes; silence and death allow nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.asking import AskingProject
from tests.waiting import wait_until


@pytest.fixture
def project(tmp_path: Path) -> AskingProject:
    return AskingProject(tmp_path / "shop")


def test_a_run_waits_for_an_answer_from_another_process_and_goes_on(project: AskingProject) -> None:
    run = project.begin("run", "Refunds are idempotent", "--session-id", "s1", "--trust")
    wait_until(lambda: project.status() == "waiting", "the session waits")
    [entry] = project.json("list", code=0)
    assert entry["phases"][0]["reason"] == "question 1 waits for an answer"
    assert "⚑ s1" in project.call("list").stdout
    shown = project.call("show", "s1").stdout
    assert "⚑ s1  waiting" in shown and "question 1 of developer in implementation #1:" in shown
    assert "Write refunds.py (edit)" in shown and "1  Allow once" in shown and "3  No" in shown

    listed = project.call("answer", "s1")
    assert listed.returncode == 3 and "1  Allow once" in listed.stdout and ": No" in listed.stdout
    [question] = project.json("answer", "s1", code=3)["questions"]
    assert (question["persona"], question["default"], question["state"]) == ("developer", "No", "open")
    wrong = project.call("answer", "s1", "perhaps")
    assert wrong.returncode == 2 and "It has: 1 Allow once, 2 Always, 3 No." in wrong.stderr

    given = project.json("answer", "s1", "Allow once", "--question", "1", "--by", "Ann", code=0)
    assert (given["answer"], given["by"], given["state"]) == ("Allow once", "Ann", "answered")
    _, told = run.communicate(timeout=60)
    assert run.returncode == 0, told
    assert "implementation · developer asks: Write refunds.py (edit)" in told
    assert "maestro-tui answer s1 CHOICE --question 1" in told
    assert "developer was answered: Allow once (by Ann)" in told
    assert (project.folder / "refunds.py").read_text() == "ok = True\n"
    late = project.call("answer", "s1", "3", "--question", "1")
    assert late.returncode == 2 and "answered already: Allow once (by Ann," in late.stderr
    nothing = project.call("answer", "s1")
    assert nothing.returncode == 0 and nothing.stdout == "s1 asks nothing now.\n"


def test_without_an_answer_the_request_is_refused_when_time_is_over(tmp_path: Path) -> None:
    project = AskingProject(tmp_path / "shop", ask_timeout_seconds=0.5)
    document = project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    assert project.answers() == ["reject_once"]
    assert not (project.folder / "refunds.py").exists()
    error = document["phases"][0]["error"]
    assert "was refused what it asked for (Write refunds.py) and changed nothing in the workspace" in error


def test_a_killed_run_leaves_its_question_void_and_resume_asks_anew(project: AskingProject) -> None:
    run = project.begin("run", "x", "--session-id", "s1", "--trust")
    wait_until(lambda: project.status() == "waiting", "the session waits")
    run.kill()
    run.communicate(timeout=60)
    assert project.status() == "interrupted"
    assert (
        "question 1 of developer in implementation #1 is void: its runner ended"
        in project.call("show", "s1").stdout
    )
    for words in (["1"], ["1", "--question", "1"]):
        refused = project.call("answer", "s1", *words)
        assert refused.returncode == 2
        assert (
            "asks nothing now" if len(words) == 1 else "is void: the runner that asked it has ended"
        ) in refused.stderr

    again = project.begin("resume", "s1", "--trust", "--json")
    wait_until(lambda: project.status() == "waiting", "it asks anew")
    [question] = project.json("answer", "s1", code=3)["questions"]
    assert (question["question"], question["attempt"]) == (2, 2)
    assert project.call("answer", "s1", "1").returncode == 0
    out, told = again.communicate(timeout=60)
    assert again.returncode == 0, told
    assert json.loads(out)["phases"][0]["attempt"] == 2
    assert (project.folder / "refunds.py").exists()
    assert project.call("verify", "s1").returncode == 0


def test_answering_what_is_not_there_is_a_sentence(project: AskingProject) -> None:
    refused = project.call("answer", "nothing", "1")
    assert refused.returncode == 2 and "There is no session 'nothing'" in refused.stderr
