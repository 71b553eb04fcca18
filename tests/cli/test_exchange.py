"""Sessions come in from Maestro Hive and from bundles, and go out again, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sessions import Project, line
from tests.store.hive_files import PHASES, WORKFLOW, checkpoint, load_strictly, outputs, picture, put


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*PHASES))


@pytest.fixture
def hive(tmp_path: Path) -> Path:
    folder = tmp_path / "hive"
    put(folder / f"{WORKFLOW}_requirements.json", checkpoint("requirements"))
    put(
        folder / f"{WORKFLOW}_design.json",
        checkpoint("requirements", "design", failed=["design"], gate=False),
    )
    (folder / "checkpoint_broken.json").write_text('{"checkpoint_metadata": ')
    return folder


def test_history_of_maestro_hive_is_listed_shown_and_verified_and_stays_as_it_is(
    project: Project, hive: Path
) -> None:
    project.root = hive
    before = picture(hive)
    lines = project.call("list").stdout.splitlines()
    assert len(lines) == 2, "a broken file has one line"
    assert "hive 1.0" in lines[0] and "failed" in next(one for one in lines if WORKFLOW in one)
    assert next(one for one in lines if "broken" in one).endswith(
        "hive 1.0, not readable: checkpoint_broken.json: it breaks off (line 1: Expecting value)"
    )
    document = project.json("show", WORKFLOW, code=0)
    assert document["foreign"] == "hive 1.0" and document["status"] == "failed"
    assert document["outputs"]["requirements"] == outputs("requirements")
    shown = project.call("show", WORKFLOW).stdout
    assert "hive 1.0, read only" in shown and "It missed its quality gate in Maestro Hive" in shown
    for words in (("show",), ("resume",), ("export",)):
        done = project.call(*words, "checkpoint_broken")
        assert done.returncode == 2 and "cannot be read: checkpoint_broken.json: it breaks off" in done.stderr
    found = {one["session_id"]: one["ok"] for one in project.json("verify", code=1)}
    assert found == {WORKFLOW: True, "checkpoint_broken": False}
    assert project.call("report", WORKFLOW).stdout.startswith(f"# Session `{WORKFLOW}`: failed")
    assert "needs a terminal" in project.call(WORKFLOW).stderr, "it would be opened in the console"
    assert picture(hive) == before


@pytest.mark.parametrize(
    "words",
    [
        ("resume", WORKFLOW),
        ("resume", WORKFLOW, "--dry-run"),
        ("phase", WORKFLOW, "design"),
        ("skip", WORKFLOW, "design", "--reason", "x"),
        ("approve", WORKFLOW),
        ("fork", WORKFLOW),
        ("doctor", WORKFLOW),
        ("export", WORKFLOW),
    ],
)
def test_nothing_runs_or_changes_there_and_the_sentence_names_the_import(
    project: Project, hive: Path, words: tuple[str, ...]
) -> None:
    project.root = hive
    before = picture(hive)
    done = project.call(*words)
    assert done.returncode == 2
    assert "is history of Maestro Hive" in done.stderr
    assert f"maestro-tui --checkpoint-dir .maestro import {hive} --only {WORKFLOW}" in done.stderr
    assert picture(hive) == before


def test_an_imported_workflow_goes_on_with_the_phase_that_failed(project: Project, hive: Path) -> None:
    before = picture(hive)
    done = project.call("import", str(hive), "--workflow", "maestro.toml")
    assert done.returncode == 1, "one file is broken"
    assert f"✓ {WORKFLOW} → {WORKFLOW}: requirements provided, design failed" in done.stdout
    assert "✗ checkpoint_broken: checkpoint_broken.json: it breaks off" in done.stdout
    document = project.json("resume", WORKFLOW, "--trust", code=0)
    assert document["status"] == "completed"
    assert [project.runs(name) for name in PHASES] == [0, 1, 1, 1, 1]
    assert [entry["attempt"] for entry in document["phases"]] == [1, 2, 1, 1, 1]
    shown = project.json("show", WORKFLOW, code=0)
    assert shown["lineage"]["how"] == "import"
    assert shown["outputs"]["design"]["saw"]["requirements"] == outputs("requirements")
    assert picture(hive) == before


def test_an_import_again_is_told_and_a_name_of_ones_own_makes_another(project: Project, hive: Path) -> None:
    one = str(hive / f"{WORKFLOW}_design.json")
    assert project.json("import", one, code=0)[0]["session_id"] == WORKFLOW
    (again,) = project.json("import", one, code=1)
    assert again["problem"] == f"It was imported before, as session {WORKFLOW}; --as makes another one of it."
    assert project.json("import", one, "--as", "second", code=0)[0]["session_id"] == "second"
    put(hive / "x.json", checkpoint("requirements", "design", "implementation"))
    (newer,) = project.json("import", str(hive), "--only", WORKFLOW, code=0)
    assert newer["session_id"] not in (WORKFLOW, "second") and "refunds" in newer["session_id"]


def test_an_import_into_their_own_directory_is_refused(project: Project, hive: Path) -> None:
    before = picture(hive)
    project.root = hive
    for path in (hive, hive / f"{WORKFLOW}_design.json"):
        done = project.call("import", str(path))
        assert done.returncode == 2 and "import into another one" in done.stderr
    assert picture(hive) == before


@pytest.mark.parametrize("words", [("nowhere",), ("hive", "--only", "x"), ("hive", "--as", "x"), (".",)])
def test_an_import_that_does_not_fit_is_a_sentence_and_nothing_is_imported(
    project: Project, hive: Path, words: tuple[str, ...]
) -> None:
    named = [str(hive) if word == "hive" else word for word in words]
    done = project.call("import", *named)
    assert done.returncode == 2 and "Nothing was imported." in done.stderr
    assert json.loads(project.call("list", "--json").stdout) == []


def test_a_session_goes_to_maestro_hive_and_comes_back(project: Project, tmp_path: Path) -> None:
    project.order("testing", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    done = project.call("export", "s1", "--format", "hive", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    document = load_strictly((tmp_path / "s1_testing.json").read_bytes())
    assert document["workflow_context"]["phase_results"]["testing"]["status"] == "failed"
    shown = project.json("show", "s1", code=0)
    project.json(
        "import", str(tmp_path / "s1_testing.json"), "--as", "s2", "--workflow", "maestro.toml", code=0
    )
    back = project.json("show", "s2", code=0)
    assert back["outputs"] == shown["outputs"]
    project.clear("testing")
    assert project.json("resume", "s2", "--trust", code=0)["status"] == "completed"
    assert project.call("export", "s1", "--format", "hive", "-o", str(tmp_path)).returncode == 2


def test_a_bundle_is_verified_offline_and_goes_on_elsewhere(project: Project, tmp_path: Path) -> None:
    project.order("testing", exit=1)
    project.json("run", "x", "--session-id", "s1", "--trust", code=1)
    bundle = tmp_path / "s1.bundle"
    assert project.json("export", "s1", "-o", str(bundle), code=0)["left_out"] == []
    assert project.json("verify", str(bundle), code=0) == [
        {"session_id": "s1.bundle", "ok": True, "problems": []}
    ]
    project.clear("testing")
    project.root = tmp_path / "elsewhere"
    assert project.json("import", str(bundle), code=0)[0]["session_id"] == "s1"
    assert project.json("restore", "s1", str(tmp_path / "as-it-was"), code=0)["phase"] == "testing"
    assert (tmp_path / "as-it-was" / "ran-testing").read_text() == "1\n"
    assert project.json("resume", "s1", "--trust", code=0)["status"] == "completed"
    assert [project.runs(name) for name in PHASES] == [1, 1, 1, 2, 1]
    assert project.call("verify", "s1").returncode == 0


def test_a_changed_bundle_is_refused_by_verify_and_import(project: Project, tmp_path: Path) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    bundle = tmp_path / "s1.bundle"
    project.json("export", "s1", "-o", str(bundle), code=0)
    data = bytearray(bundle.read_bytes())
    data[-3_000] ^= 1
    bundle.write_bytes(data)
    (found,) = project.json("verify", str(bundle), code=1)
    assert not found["ok"] and len(found["problems"]) == 1
    project.root = tmp_path / "elsewhere"
    done = project.call("import", str(bundle))
    assert done.returncode == 5 and "Nothing was imported." in done.stderr
    assert list(project.root.iterdir()) == []
    assert project.call("import", str(bundle), "--only", "x").returncode == 2
