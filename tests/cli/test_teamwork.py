"""Who works and what it may cost, by command line, with real processes."""

from __future__ import annotations

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
