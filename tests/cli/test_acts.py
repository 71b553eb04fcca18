"""What a person decides is recorded with author, time and reason, and nothing runs by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from maestro_tui.cli import commands
from maestro_tui.model.summary import SessionStatus, SessionSummary
from maestro_tui.store.prune import Pruned
from tests.sessions import Project, line
from tests.waiting import wait_until

PHASES = ("a", "b", "c")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*PHASES))


def test_a_skipped_phase_is_recorded_and_the_rest_goes_on_without_it(project: Project) -> None:
    project.order("b", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    assert project.call("skip", "s1", "b").returncode == 2
    document = project.json("skip", "s1", "b", "--by", "Ann", "--reason", "not this time", code=0)
    assert document["phases"][1]["status"] == "skipped"
    assert "not this time" in document["phases"][1]["reason"]
    assert project.json("resume", "s1", code=0)["status"] == "completed"
    assert [project.runs(name) for name in PHASES] == [1, 1, 1]
    decision = next(d for d in project.json("show", "s1")["decisions"] if d["about"] == "skip")
    assert (decision["decided_by"], decision["rationale"], decision["phase"]) == ("Ann", "not this time", "b")
    assert project.call("skip", "s1", "a", "--reason", "late").returncode == 2


def test_an_edit_is_handed_on_and_makes_later_phases_stale(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    (project.folder / "edit.json").write_text('{"said": "edited"}')
    document = project.json("edit", "s1", "a", "edit.json", "--by", "Ann", "--reason", "clearer", code=0)
    assert [entry["stale"] for entry in document["phases"]] == [False, True, True]
    assert "edited by Ann" in document["phases"][1]["reason"]
    project.json("resume", "s1", "--from", "b", code=0)
    assert project.json("show", "s1")["outputs"]["b"]["saw"]["a"]["said"] == "edited"


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": NaN}', '{"a": 1e999}', '"\\ud800"', "[" * 100_000])
def test_a_broken_edit_is_refused_and_nothing_changes(project: Project, text: str) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    done = project.call("edit", "s1", "a", "-", stdin=text)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert len(project.json("show", "s1")["checkpoints"]) == 4


def test_a_fork_begins_from_any_commit_and_leaves_the_old_session_alone(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    forked = project.json("fork", "s1", "--at", "1", "--session-id", "s2", code=0)
    assert [entry["status"] for entry in forked["phases"]] == ["completed", "pending", "pending"]
    assert project.json("resume", "s2", code=0)["status"] == "completed"
    assert project.json("show", "s2")["lineage"]["session_id"] == "s1"
    assert [project.runs(name) for name in PHASES] == [1, 2, 2]
    assert len(project.json("show", "s1")["checkpoints"]) == 4
    assert project.call("fork", "s1", "--at", "99").returncode == 2


def test_prune_takes_terminal_sessions_only_and_says_first_what_would_go(project: Project) -> None:
    for name in ("s1", "s2", "s3"):
        project.json("run", "x", "--session-id", name, "--trust", code=0)
    project.json("run", "x", "--session-id", "s4", "--pause-after", "a", "--trust", code=3)
    assert project.call("prune").returncode == 2
    assert project.call("prune", "--older-than", "soon").returncode == 2
    assert project.json("prune", "--keep", "1", "--dry-run", code=0) == {"would_remove": ["s2", "s1"]}
    assert len(project.json("list")) == 4
    assert project.json("prune", "--keep", "0", "--older-than", "1d", code=0) == {
        "removed": [],
        "problems": [],
        "failed": [],
    }
    assert project.json("prune", "--keep", "1", code=0) == {
        "removed": ["s2", "s1"],
        "problems": [],
        "failed": [],
    }
    assert {entry["session_id"] for entry in project.json("list")} == {"s3", "s4"}
    assert not [entry for entry in project.root.iterdir() if entry.name.startswith(".pruned")]


def test_prune_says_what_could_not_be_deleted_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "maestro_tui.store.prune.prune_sessions", lambda *_: Pruned((), ("the rest lies in /x",))
    )
    for words, told in (((), "✗ the rest lies in /x"), (("--json",), '"problems": [')):
        done = CliRunner().invoke(
            commands, ["prune", "--checkpoint-dir", str(tmp_path), "--keep", "0", *words]
        )
        assert done.exit_code == 1 and told in done.output, done.output


def test_what_cannot_be_removed_is_not_said_to_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = SessionSummary("s1", SessionStatus.FAILED, "x", "w", None, 0.0, 0.0, (), 1)
    (tmp_path / "s1").mkdir()
    monkeypatch.setattr("maestro_tui.listing.read_fleet", lambda _: [gone])
    for failed, told in ((("s1",), "left: it cannot be removed"), ((), "left: it is in use again")):
        monkeypatch.setattr(
            "maestro_tui.store.prune.prune_sessions", lambda *_, failed=failed: Pruned((), (), failed)
        )
        done = CliRunner().invoke(commands, ["prune", "--checkpoint-dir", str(tmp_path), "--keep", "0"])
        assert told in done.output, done.output


def test_prune_takes_its_rule_from_the_settings_and_shows_it(project: Project, own_home: Path) -> None:
    for name in ("s1", "s2"):
        project.json("run", "x", "--session-id", name, "--trust", code=0)
    settings = own_home / ".config" / "maestro-tui" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[retention]\nkeep = 1\n")
    told = project.call("prune", "--dry-run")
    assert f"[retention] in {settings}: beyond the newest 1." in told.stderr
    assert "s1" in told.stdout and "would go" in told.stdout
    assert project.json("prune", "--keep", "5", code=0) == {"removed": [], "problems": [], "failed": []}, (
        "what is asked for goes first"
    )
    settings.write_text('[retention]\nkepe = 1\nolder_than = "1s"\n')
    wrong = project.call("prune")
    assert (wrong.returncode, len(project.json("list"))) == (2, 2)
    assert 'no setting "kepe"' in wrong.stderr and "Nothing was removed" in wrong.stderr
    settings.write_text("[retention]\nkeep = 1\n")
    assert project.json("prune", code=0) == {"removed": ["s1"], "problems": [], "failed": []}


def test_doctor_tells_who_holds_a_stopped_session_and_a_takeover_is_recorded(project: Project) -> None:
    project.order("b", wait_for="go")
    process = subprocess.Popen(
        project.command("run", "x", "--session-id", "s1", "--trust"),
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((project.folder / "at-b").exists, "the phase began")
    os.kill(process.pid, signal.SIGSTOP)
    found = project.json("doctor", "s1", code=0)
    assert found["owner"]["pid"] == process.pid
    assert found["owner"]["alive"] is True
    assert project.call("resume", "s1").returncode == 4
    assert project.call("doctor", "s1", "--take-over").returncode == 2
    assert project.call("doctor", "s1", "--take-over", "--reason", "it hangs").returncode == 0
    (project.folder / "go").touch()
    assert project.json("resume", "s1", code=0)["status"] == "completed"
    os.kill(process.pid, signal.SIGCONT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "took" in told
    assert project.json("verify", "s1", code=0)[0]["ok"]
    events = [json.loads(row) for row in (project.root / "s1" / "journal.jsonl").read_text().splitlines()]
    taken = next(event for event in events if event["type"] == "runner_lost")
    assert taken["data"]["reason"] == "it hangs"


def test_doctor_of_a_healthy_session_fits_one_screen(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    done = project.call("doctor", "s1")
    assert done.returncode == 0
    assert "Nobody holds it." in done.stdout
    assert len(done.stdout.splitlines()) <= 24
    assert sys.executable not in done.stdout
