"""What a file was at each attempt is read from the trees that the session keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maestro_tui.model.errors import StoreError
from maestro_tui.store import file_versions as module
from maestro_tui.store.file_versions import file_versions, version_content
from maestro_tui.store.workspace import Tree, Workspace

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git keeps the trees; it is not installed"
)
ATTEMPTS = [("design", 1), ("design", 2), ("testing", 1)]


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A file that two attempts change, somebody changes between, and one that appears late."""
    folder, place = tmp_path / "root" / "s-1", tmp_path / "project"
    folder.mkdir(parents=True)
    place.mkdir()
    workspace = Workspace(folder, place)

    def put(name: str, text: str | None) -> Tree:
        if text is not None:
            (place / "näme with space.md").write_text(text)
        return workspace.snapshot(name)

    for name, before, after in (
        ("design/1", None, "one\n"),
        ("design/2", None, "two\n"),
        ("testing/1", "two, by hand\n", None),
    ):
        workspace.keep(put(f"{name}/before", before), put(f"{name}/after", after))
    return folder


def test_each_content_is_told_once_with_the_attempt_that_found_or_left_it(session: Path) -> None:
    versions = file_versions(session, "näme with space.md", ATTEMPTS)
    assert [(one.phase, one.attempt, one.moment) for one in versions] == [
        ("design", 1, "before"),
        ("design", 1, "after"),
        ("design", 2, "after"),
        ("testing", 1, "before"),
    ]
    assert [version_content(session, one, 100) for one in versions] == [
        b"",
        b"one\n",
        b"two\n",
        b"two, by hand\n",
    ]


@pytest.mark.parametrize("path", ["nothing.md", "../outside", "a\nb", "", "-x", "design:1"])
def test_a_path_that_no_tree_holds_has_no_version(session: Path, path: str) -> None:
    assert file_versions(session, path, ATTEMPTS) == []


def test_attempts_without_a_tree_are_left_out(session: Path) -> None:
    attempts = [("../../x", 1), ("design", 9), *ATTEMPTS]
    assert len(file_versions(session, "näme with space.md", attempts)) == 4


def test_a_session_without_trees_has_no_version(tmp_path: Path) -> None:
    assert file_versions(tmp_path, "a.md", ATTEMPTS) == []


def test_a_version_that_is_too_big_is_told_not_read(session: Path) -> None:
    newest = file_versions(session, "näme with space.md", ATTEMPTS)[-1]
    with pytest.raises(StoreError, match="13 bytes at attempt 1 of testing: too many to show"):
        version_content(session, newest, 12)


def test_without_git_the_reason_is_a_sentence(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(StoreError, match="git is not installed here"):
        file_versions(session, "näme with space.md", ATTEMPTS)


def test_a_damaged_repository_is_told_in_one_sentence(session: Path) -> None:
    versions = file_versions(session, "näme with space.md", ATTEMPTS)
    shutil.rmtree(session / "workspace.git" / "objects")
    with pytest.raises(StoreError, match="All commits are safe"):
        version_content(session, versions[-1], 100)
