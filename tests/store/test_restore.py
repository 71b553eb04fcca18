"""A kept tree of the workspace comes out byte by byte as it was, into an empty folder and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from maestro_tui.model.context import PhaseResult, PhaseStatus
from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.store import restore, workspace_files
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.git_objects import TreeFile
from maestro_tui.store.lease import hold_session
from maestro_tui.store.restore import restore_tree
from maestro_tui.store.workspace import Workspace
from maestro_tui.store.workspace_git import TreeStore
from tests.store.small_sessions import MOMENT, context

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git reads the trees; it is not installed"
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """Two phases left a tree each, the second with names and settings that change what git gives out."""
    store = CheckpointStore(tmp_path / "root")
    place = tmp_path / "shop"
    (place / "tests").mkdir(parents=True)
    store.create(context(workspace=str(place)))
    kept = Workspace(store.session_dir("s1"), place)
    with hold_session(store.session_dir("s1")) as hold:
        for number, phase in enumerate(("requirements", "design")):
            (place / "text.txt").write_bytes(b"one\ntwo\r\n" * (number + 1))
            if phase == "design":
                (place / ".gitattributes").write_text(
                    "tests export-ignore\n*.txt export-subst text eol=crlf\n"
                )
                (place / "tests" / "test_a.py").write_text("$Format:%H$\n")
                (place / "run \udcff.sh").write_bytes(b"#!/bin/sh\n")
                (place / "run \udcff.sh").chmod(0o755)
                (place / "link").symlink_to("tests")
                (place / "large.bin").write_bytes(b"L" * 500)
            kept.keep(kept.snapshot(f"{phase}/1/after"))
            result = PhaseResult(
                status=PhaseStatus.COMPLETED, attempt=1, finished_at=MOMENT + timedelta(seconds=number)
            )
            store.commit(
                "s1", phase, 1, lambda head, p=phase, r=result: (head.context.with_result(p, r), None), hold
            )
    return store


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_files, "BLOB_LIMIT", 400)


def picture(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode & 0o170100,
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def test_the_last_tree_comes_out_as_it_was_and_an_earlier_one_by_its_name(
    store: CheckpointStore, tmp_path: Path
) -> None:
    done = restore_tree(store, "s1", tmp_path / "new" / "place")
    assert (done.phase, done.attempt, done.files, done.missing) == ("design", 1, 6, ())
    assert picture(tmp_path / "new" / "place") == picture(tmp_path / "shop")
    for at in ("requirements", "requirements.1"):
        restore_tree(store, "s1", tmp_path / at, at)
        assert picture(tmp_path / at) == {"text.txt": (0o100000, b"one\ntwo\r\n")}


def test_a_large_file_that_is_nowhere_any_more_is_told_and_no_note_is_left_for_it(
    store: CheckpointStore, tmp_path: Path
) -> None:
    (tmp_path / "shop" / "large.bin").write_bytes(b"M" * 500)
    done = restore_tree(store, "s1", tmp_path / "place")
    assert done.missing == ("large.bin: only its size and SHA-256 are kept",) and done.files == 5
    assert not (tmp_path / "place" / "large.bin").exists()
    sha256 = workspace_files.hash_regular(tmp_path / "shop" / "large.bin")[1]
    assert sha256 not in done.missing[0]


def test_only_an_empty_folder_is_written_into_and_only_a_kept_tree(
    store: CheckpointStore, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"is not empty; name a new folder\. Nothing was written"):
        restore_tree(store, "s1", tmp_path / "shop")
    with pytest.raises(InputError, match=r"no tree of 'design\.2' .* kept are: design\.1, requirements\.1"):
        restore_tree(store, "s1", tmp_path / "place", "design.2")
    shutil.rmtree(store.session_dir("s1") / "workspace.git")
    with pytest.raises(InputError, match="keeps no tree of its workspace"):
        restore_tree(store, "s1", tmp_path / "place")
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (("../evil",), DamagedFile),
        ((".git/hooks/post-checkout",), DamagedFile),
        (("sub/.GIT/config",), DamagedFile),
    ],
)
def test_a_hostile_tree_writes_nothing_elsewhere(
    store: CheckpointStore, tmp_path: Path, paths: tuple[str, ...], error: type[StoreError]
) -> None:
    trees = TreeStore(store.session_dir("s1") / "workspace.git")
    blob = trees.blob(b"evil")
    tree = trees.tree([TreeFile(path, blob, link=False, executable=True) for path in paths])
    trees.keep([("design/1/after", tree)])
    with pytest.raises(error, match="which is no file of ours"):
        restore_tree(store, "s1", tmp_path / "place")
    assert not (tmp_path / "place").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "below", ["120000 blob {evil}\tb\n", "100755 blob {evil}\tb\n", "040000 tree {sub}\tb\n"]
)
def test_a_link_and_a_folder_of_one_name_lead_nothing_elsewhere(
    store: CheckpointStore, tmp_path: Path, below: str
) -> None:
    def git(*words: str, given: str) -> str:
        repository = store.session_dir("s1") / "workspace.git"
        words = ("git", "--git-dir", str(repository), *words)
        return subprocess.run(words, input=given, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "victim").mkdir()
    (tmp_path / "place").mkdir()
    out = git("hash-object", "-w", "--stdin", given=str(tmp_path / "victim"))
    evil = git("hash-object", "-w", "--stdin", given="/evil")
    sub = git("mktree", given=f"120000 blob {evil}\tc\n")
    folder = git("mktree", given=below.format(evil=evil, sub=sub))
    tree = git("mktree", given=f"120000 blob {out}\ta\n040000 tree {folder}\ta\n")
    git("update-ref", "refs/maestro/design/1/after", tree, given="")
    with pytest.raises(DamagedFile, match="holds one name twice"):
        restore_tree(store, "s1", tmp_path / "place")
    assert list((tmp_path / "victim").iterdir()) == [] == list((tmp_path / "place").iterdir())


def test_a_folder_that_becomes_a_link_while_it_is_filled_leads_nothing_elsewhere(
    store: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, victim = tmp_path / "place", tmp_path / "victim"
    victim.mkdir()
    place.mkdir()
    contents = restore._contents

    @contextmanager
    def meanwhile(repository: Path) -> Iterator[restore._Reader]:
        (place / "tests").symlink_to(victim)
        with contents(repository) as content:
            yield content

    monkeypatch.setattr(restore, "_contents", meanwhile)
    with pytest.raises(StoreError, match="Cannot write into"):
        restore_tree(store, "s1", place)
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
def test_what_is_restored_is_for_its_owner_alone(store: CheckpointStore, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        restore_tree(store, "s1", tmp_path / "new" / "place")
    finally:
        os.umask(before)
    found = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    modes = {path.name: path.lstat().st_mode & 0o777 for path in found if not path.is_symlink()}
    private = dict.fromkeys(("new", "place", "tests", "run \udcff.sh"), 0o700)
    assert modes == private | dict.fromkeys(("text.txt", ".gitattributes", "test_a.py", "large.bin"), 0o600)


def test_git_archive_gives_the_same_files_whatever_their_attributes_and_the_operators_settings(
    store: CheckpointStore, tmp_path: Path
) -> None:
    repository = store.session_dir("s1") / "workspace.git"
    words = ["git", "-c", "core.autocrlf=true", "--git-dir", str(repository), "archive"]
    packed = subprocess.run([*words, "refs/maestro/design/1/after"], check=True, capture_output=True).stdout
    (tmp_path / "place").mkdir()
    subprocess.run(["tar", "x", "-C", str(tmp_path / "place")], input=packed, check=True)
    for name in ("text.txt", "tests/test_a.py"):
        assert (tmp_path / "place" / name).read_bytes() == (tmp_path / "shop" / name).read_bytes()


def test_a_repository_without_the_attributes_gets_them_when_it_is_used(store: CheckpointStore) -> None:
    repository = store.session_dir("s1") / "workspace.git"
    shutil.rmtree(repository / "info")
    TreeStore(repository).keep(())
    assert (repository / "info" / "attributes").read_text().startswith("* -export-ignore")
