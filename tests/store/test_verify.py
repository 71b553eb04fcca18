"""Verify tells each thing that is not as it was written; mending uses what is intact and removes no only copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.context import Artifact, PhaseResult, PhaseStatus
from maestro_tui.model.errors import DamagedFile, FencedError, StoreError
from maestro_tui.store import durable
from maestro_tui.store import journal as journals
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.durable import TEMP_PREFIX, same_file
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.summaries import read_summary
from tests.store.small_sessions import changed, commit, context, session


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "root")


def damage(path: Path) -> None:
    """Change the file's bytes in place, as its other names see it too."""
    with path.open("r+b") as stream:
        stream.seek(300)
        stream.write(b"#")


def swap_in(path: Path, data: bytes) -> None:
    """Put a new file in the place of this one; its other names keep the old."""
    path.unlink()
    path.write_bytes(data)


# ── The journal ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_that_tells_much_that_is_not_there_is_told_in_bounds(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    journal = Journal(folder / "journal.jsonl", "s1")
    for seq in (10**300, -1, 7.0, "7", 10**9):
        journal.append("phase_committed", phase="x", data={"seq": seq, "sha256": "0" * 64})
    assert store.verify("s1") == []
    for seq in [*range(2_000), *range(2_000)]:
        journal.append("noted", phase="x" * 40, data={"seq": seq, "sha256": "0" * 64})
    journal.close()
    told = store.verify("s1")
    assert told[0] == "history/0000.json: it is not the commit that the journal tells of"
    assert told[2].startswith("history/0002.json: it is missing, though the journal tells of it (xxx")
    assert len(told) == 1_001 and told[-1].startswith("journal.jsonl: it tells of further commits")


def test_of_a_long_journal_no_event_is_kept_that_is_not_asked_for(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_CHUNK", 1 << 15)
    folder = session(store, "requirements")
    journal = Journal(folder / "journal.jsonl", "s1")
    journal.append("noted", data={"text": "x" * 1_000})
    journal.close()
    path = folder / "journal.jsonl"
    record = path.read_bytes().splitlines(keepends=True)[-1]
    with path.open("ab") as stream:
        stream.write(record * 2_000)
    store.verify("s1")
    tracemalloc.start()
    try:
        assert store.verify("s1") == []
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < path.stat().st_size / 4


# ── Views ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["missing", "older", "foreign", "damaged", "a link", "a pipe"])
def test_a_wrong_view_is_told_and_mended(store: CheckpointStore, what: str) -> None:
    folder = session(store, "requirements", "design")
    view = folder / "checkpoint_design.json"
    view.unlink()
    if what == "older":
        os.link(folder / "history" / "0001.json", view)
    elif what == "foreign":
        view.write_bytes(b"{}")
    elif what == "damaged":
        view.write_bytes((folder / "history" / "0002.json").read_bytes()[:-9])
    elif what == "a link":
        view.symlink_to("history/0002.json")
    elif what == "a pipe":
        os.mkfifo(view)
    [problem] = store.verify("s1")
    assert "checkpoint_design.json" in problem and "\n" not in problem
    store.repair_views("s1")
    assert same_file(view, folder / "history" / "0002.json")
    assert store.verify("s1") == []


def test_a_folder_in_the_place_of_a_view_is_left_and_told(store: CheckpointStore) -> None:
    folder = session(store, "design")
    (folder / "checkpoint_design.json").unlink()
    (folder / "checkpoint_design.json").mkdir()
    with pytest.raises(StoreError, match="is in the way: it is a folder"):
        store.repair_views("s1")
    assert store.head("s1").seq == 1


def test_mending_twice_changes_nothing_more(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    (folder / "checkpoint_init.json").unlink()
    store.repair_views("s1")
    before = {path: path.stat().st_ino for path in folder.rglob("*")}
    store.repair_views("s1")
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == before


def test_a_copied_session_without_hard_links_is_whole(store: CheckpointStore, tmp_path: Path) -> None:
    folder = session(store, "requirements", "design")
    shutil.copytree(folder, tmp_path / "other" / "s1")
    other = CheckpointStore(tmp_path / "other")
    assert other.verify("s1") == []
    other.repair_views("s1")
    assert other.verify("s1") == [] and other.head("s1") == store.head("s1")


def test_when_a_phase_s_newest_checkpoint_is_damaged_the_view_goes_back_to_the_good_one(
    store: CheckpointStore,
) -> None:
    folder = session(store, "design")
    with hold_session(folder) as hold:
        commit(store, hold, "design", attempt=2)
    damage(folder / "history" / "0002.json")
    store.repair_views("s1")
    assert same_file(folder / "checkpoint_design.json", folder / "history" / "0001.json")
    assert (folder / "history" / "0002.json").exists()


def test_a_view_whose_only_source_is_damaged_stays(store: CheckpointStore) -> None:
    folder = session(store, "design")
    damage(folder / "history" / "0001.json")
    before = (folder / "checkpoint_design.json").read_bytes()
    store.repair_views("s1")
    assert (folder / "checkpoint_design.json").read_bytes() == before


def test_temporary_files_are_swept_and_nothing_else(store: CheckpointStore) -> None:
    folder = session(store, "design")
    for place in (folder, folder / "history"):
        (place / f"{TEMP_PREFIX}dead").write_bytes(b"half")
        (place / "theirs.txt").write_bytes(b"theirs")
    store.repair_views("s1")
    assert not list(folder.rglob(f"{TEMP_PREFIX}*"))
    assert len(list(folder.rglob("theirs.txt"))) == 2


# ── Commits that only a view still has ────────────────────────────────────────────────────────────────────


def test_a_deleted_newest_commit_comes_back_from_its_view(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    head = store.head("s1")
    (folder / "history" / "0002.json").unlink()
    assert store.head("s1").seq == 1
    store.repair_views("s1")
    assert store.head_with_damage("s1") == (head, ())
    assert store.verify("s1") == []


def test_several_deleted_commits_come_back_in_their_order(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design", "testing")
    head = store.head("s1")
    for path in (folder / "history").glob("*.json"):
        path.unlink()
    store.repair_views("s1")
    assert store.head("s1") == head and len(store.history("s1")) == 4
    assert store.verify("s1") == []


def test_a_commit_that_was_overwritten_comes_back_and_the_other_file_is_kept(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    head = store.head("s1")
    swap_in(folder / "history" / "0002.json", b"something else")
    store.repair_views("s1")
    assert store.head("s1") == head
    assert (folder / "history" / "0002.json.damaged.1").read_bytes() == b"something else"
    assert store.verify("s1") == []


def test_a_view_that_contradicts_the_history_is_not_brought_back(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    view = folder / "checkpoint_design.json"
    raw = (folder / "history" / "0002.json").read_bytes()
    (folder / "history" / "0002.json").unlink()
    for forged in (changed(raw, prev="0" * 64), changed(raw, session_id="s2"), b"x" * 3_000):
        swap_in(view, forged)
        store.repair_views("s1")
        assert store.head("s1").seq == 1
        assert not (folder / "history" / "0002.json").exists()


# ── Journal, lease, artifacts ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def told(store: CheckpointStore) -> Iterator[Path]:
    """A session whose journal tells of its commits."""
    folder = session(store, "requirements", "design")
    journal = Journal(folder / "journal.jsonl", "s1")
    for info in store.history("s1")[1:]:
        journal.append(
            "phase_committed",
            phase=info.phase,
            attempt=info.attempt,
            data={"seq": info.seq, "sha256": info.sha256},
        )
    journal.close()
    yield folder


def test_a_commit_that_the_journal_tells_of_and_that_is_gone_is_told(
    store: CheckpointStore, told: Path
) -> None:
    assert store.verify("s1") == []
    (told / "history" / "0002.json").unlink()
    problems = store.verify("s1")
    assert "history/0002.json: it is missing, though the journal tells of it (design)" in problems


def test_another_commit_than_the_journal_tells_of_is_told(store: CheckpointStore, told: Path) -> None:
    path = told / "history" / "0002.json"
    path.write_bytes(changed(path.read_bytes(), attempt=5))
    assert "history/0002.json: it is not the commit that the journal tells of" in store.verify("s1")


def test_the_torn_record_of_a_killed_runner_is_no_damage_but_a_changed_one_is(
    store: CheckpointStore, told: Path
) -> None:
    path = told / "journal.jsonl"
    raw = path.read_bytes()
    path.write_bytes(raw + raw[:50])
    assert store.verify("s1") == []
    Journal(path, "s1", seal=True).close()
    assert store.verify("s1") == []
    path.write_bytes(raw.replace(b'"design"', b'"resign"'))
    [problem] = store.verify("s1")
    assert problem.startswith("journal.jsonl: the record at byte ")


def test_a_damaged_lease_is_told(store: CheckpointStore) -> None:
    folder = session(store)
    (folder / "runner.json").write_bytes(b"{")
    [problem] = store.verify("s1")
    assert problem == "runner.json: it is not readable as JSON (JSONDecodeError)"


@pytest.mark.parametrize("left", [b"", b"\0" * 4096], ids=["empty", "zeros"])
def test_what_a_power_loss_leaves_of_a_lease_is_no_damage(store: CheckpointStore, left: bytes) -> None:
    folder = session(store)
    with hold_session(folder) as hold:
        (folder / "runner.json").write_bytes(left)
        with pytest.raises(FencedError, match="lost its lease"):
            hold.check()
    assert store.verify("s1") == []
    assert read_summary(folder, 0.0).damage == ()
    assert hold_session(folder).epoch > 0


def with_artifacts(store: CheckpointStore, workspace: Path, *artifacts: Artifact) -> None:
    result = PhaseResult(status=PhaseStatus.COMPLETED, artifacts=artifacts)
    store.create(context(workspace=str(workspace), phase_results={"design": result}))


def artifact(path: str, content: bytes = b"x", **facts: Any) -> Artifact:
    digest = hashlib.sha256(content).hexdigest()
    return Artifact(path=path, size=len(content), sha256=digest, phase="design", **facts)


def test_artifacts_are_held_against_their_hashes_when_asked(store: CheckpointStore, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    (workspace / "sub").mkdir(parents=True)
    for name in ("good", "changed", "sub/good", "again"):
        (workspace / name).write_bytes(b"y" if name == "changed" else b"x")
    os.mkfifo(workspace / "pipe")
    with_artifacts(
        store,
        workspace,
        *map(artifact, ["good", "changed", "sub/good", "missing", "pipe", "../out", "sub/../../out"]),
        artifact("again", change="deleted"),
        artifact("gone", change="deleted"),
    )
    assert store.verify("s1") == []
    assert store.verify("s1", artifacts=True) == [
        "artifact changed (design): it was changed after its phase",
        "artifact missing (design): it is missing",
        f"artifact pipe (design): {workspace}/pipe cannot be read: it is a pipe, not a regular file",
        "artifact ../out (design): its path leads out of the workspace; not read",
        "artifact sub/../../out (design): its path leads out of the workspace; not read",
        "artifact again (design): it was deleted by its phase and is there again",
    ]


def test_an_artifact_is_never_read_through_a_link_out_of_the_workspace(
    store: CheckpointStore, tmp_path: Path
) -> None:
    workspace, outside = tmp_path / "work", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    (workspace / "folder").symlink_to(outside)
    (workspace / "file").symlink_to(outside / "secret")
    with_artifacts(store, workspace, artifact("folder/secret"), artifact("file"))
    assert store.verify("s1", artifacts=True) == [
        "artifact folder/secret (design): its path leads out of the workspace; not read",
        "artifact file (design): it was changed after its phase",
    ]


def test_names_that_are_no_text_are_found_and_names_that_held_a_secret_are_not_called_missing(
    store: CheckpointStore, tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    for name in (b"odd\xff.txt", b"both\xfe", b"both\\xfe"):
        (workspace / os.fsdecode(name)).write_bytes(b"x" if name != b"both\xfe" else b"other")
    names = ["odd\\xff.txt", "both\\xfe", "gone\\xff", "report-‹API_TOKEN›.txt", "report-‹of the day›.txt"]
    with_artifacts(store, workspace, *map(artifact, names))
    assert store.verify("s1", artifacts=True) == [
        "artifact gone\\xff (design): it is missing",
        "artifact report-‹API_TOKEN›.txt (design): its name held a secret, which is not recorded; not checked",
        "artifact report-‹of the day›.txt (design): it is missing",
    ]


def test_a_workspace_that_is_gone_is_told_once(store: CheckpointStore, tmp_path: Path) -> None:
    with_artifacts(store, tmp_path / "gone", artifact("a"), artifact("b"))
    [problem] = store.verify("s1", artifacts=True)
    assert "is not there; not checked" in problem


def test_a_session_without_commits_is_told(store: CheckpointStore) -> None:
    (store.root / "s1" / "history").mkdir(parents=True)
    assert store.verify("s1") == ["history: it holds no commit"]


def test_a_folder_that_was_renamed_or_copied_is_told_as_such_in_one_line(store: CheckpointStore) -> None:
    folder = session(store, "requirements", "design")
    shutil.copytree(folder, folder.with_name("copy"))
    [line] = store.verify("copy")
    assert line.startswith(
        "history: it is a copy of session s1, which is here too; a copy that goes on is made by"
    )
    folder.rename(folder.with_name("renamed"))
    [line] = store.verify("renamed")
    assert line == "history: it is session s1 under another name; give the folder its name back: s1"
    with pytest.raises(
        DamagedFile, match="Session renamed cannot be used: it is session s1 under another name"
    ):
        store.head("renamed")
    summary = read_summary(folder.with_name("renamed"), 0.0)
    assert summary.damage == (line,) and summary.error in line
    folder.with_name("renamed").rename(folder)
    assert store.verify("s1") == []


def test_a_session_that_is_called_in_other_letters_where_case_makes_no_difference_is_told_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path)
    session(store, "requirements")
    shutil.copytree(store.session_dir("s1"), store.session_dir("S1"))
    # As on exFAT, where both names lead to one folder.
    real = durable.names_in
    monkeypatch.setattr(durable, "names_in", lambda folder: [name for name in real(folder) if name != "S1"])
    said = "it is session s1: upper and lower case are one on this file system; call it s1"
    assert store.verify("S1") == [f"history: {said}"]
    with pytest.raises(DamagedFile, match=f"Session S1 cannot be used: {said}. Nothing was changed."):
        store.head("S1")


def test_a_foreign_commit_among_ones_own_is_no_other_name(store: CheckpointStore) -> None:
    folder = session(store, "requirements")
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    store.create(context("s2"))
    swap_in(other / "history" / "0000.json", (folder.parent / "s2" / "history" / "0000.json").read_bytes())
    assert [line.endswith("misplaced") for line in store.verify("other")[:2]] == [True, True]


def test_a_session_that_may_not_be_looked_into_is_as_old_as_its_folder(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(store, "requirements")
    os.utime(folder, (1_000, 1_000))
    real_stat, real_list = os.lstat, os.listdir

    def closed(real: Any) -> Any:
        def asked(path: Any, *words: Any, **named: Any) -> Any:
            if str(path).startswith(f"{folder}/"):
                raise PermissionError(13, "Permission denied")
            return real(path, *words, **named)

        return asked

    monkeypatch.setattr(os, "lstat", closed(real_stat))
    monkeypatch.setattr(os, "listdir", closed(real_list))
    summary = read_summary(folder, 0.0)
    assert (summary.updated_at, summary.created_at) == (
        1_000,
        1_000,
    ) and "Permission denied" in summary.damage[0]
