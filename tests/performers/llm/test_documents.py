"""Documents from outside land in the workspace, whole, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro_tui.performers import documents
from maestro_tui.performers.documents import Document, DocumentRefused, problem_with, write_documents


def one(path: str, content: str = "text") -> list[Document]:
    return [Document(path=path, content=content)]


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path / "space"


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../x", "a/../../x", "./x", "a//b", "a/", "a\\b", "C:x", "x\0y", "a\nb", "\u202ex", "g\u200dit",
        ".git/config", "sub/.GIT/hooks/pre-commit", ".maestro/s/history/0009.json", " x", "x ", "x" * 300, "é" * 150,
    ],
)  # fmt: skip
def test_a_path_that_might_lead_elsewhere_is_refused_before_anything_is_written(
    space: Path, path: str
) -> None:
    with pytest.raises(DocumentRefused):
        write_documents([*one("fine.md"), *one(path)], space)
    assert list(space.rglob("*")) == [] and list(space.parent.joinpath("outside").iterdir()) == []


def test_folders_are_made_and_a_file_is_replaced_with_its_permissions(space: Path) -> None:
    write_documents(one("docs/a/b.md", "one"), space)
    script = space / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    assert write_documents([*one("run.sh", "new"), *one("docs/a/b.md", "two\ud800")], space) == (
        "run.sh",
        "docs/a/b.md",
    )
    assert script.read_text() == "new" and script.stat().st_mode & 0o777 == 0o750
    assert (space / "docs/a/b.md").read_text() == "two?"
    assert sorted(path.name for path in space.rglob("*")) == ["a", "b.md", "docs", "run.sh"]


def test_no_link_is_followed_neither_on_the_way_nor_at_the_end(space: Path) -> None:
    outside = space.parent / "outside"
    (outside / "precious").write_text("mine")
    (space / "away").symlink_to(outside)
    (space / "deep").mkdir()
    (space / "deep" / "away").symlink_to("../../outside")
    (space / "file").symlink_to(outside / "precious")
    (space / "nowhere").symlink_to(outside / "new")
    for path in ("away/precious", "away/new", "deep/away/new", "file", "nowhere"):
        with pytest.raises(DocumentRefused, match="a link or a file stands in its way"):
            write_documents(one(path), space)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "mine"


def test_a_hard_link_to_a_file_outside_is_cut_not_written_through(space: Path) -> None:
    precious = space.parent / "outside" / "precious"
    precious.write_text("mine")
    os.link(precious, space / "same")
    write_documents(one("same", "theirs"), space)
    assert precious.read_text() == "mine" and (space / "same").read_text() == "theirs"


def test_a_folder_or_a_pipe_in_the_way_is_a_sentence_that_says_what_was_written(space: Path) -> None:
    (space / "folder").mkdir()
    os.mkfifo(space / "pipe")
    for path in ("folder", "pipe"):
        with pytest.raises(DocumentRefused, match=r"Written before it: first\.md\.$"):
            write_documents([*one("first.md"), *one(path)], space)
    with pytest.raises(DocumentRefused, match=r"a link or a file stands in its way.*Nothing was written"):
        write_documents(one("pipe/x"), space)
    assert not list(space.glob("**/*.part"))


def test_the_checkpoint_directory_is_closed_wherever_it_lies(space: Path) -> None:
    session = space / "runs" / "s-1"
    (session / "history").mkdir(parents=True)
    scratch = session / "tmp" / "design.1" / "designer.1"
    scratch.mkdir(parents=True)
    for path in ("runs/x.md", "runs/s-1/history/0001.json", "runs/s-2/x.md"):
        with pytest.raises(DocumentRefused, match="checkpoint directory"):
            write_documents(one(path), space, scratch=scratch)
    assert write_documents(one("docs/x.md"), space, scratch=scratch) == ("docs/x.md",)
    assert sorted(path.name for path in (space / "runs").iterdir()) == ["s-1"]


def test_a_workspace_that_is_itself_a_link_is_the_operators_word(space: Path) -> None:
    link = space.parent / "link"
    link.symlink_to(space)
    write_documents(one("x.md"), link)
    assert (space / "x.md").read_text() == "text"


def test_an_own_folder_is_where_everything_goes(space: Path) -> None:
    assert write_documents([*one("a.md"), *one("mine/b.md")], space, own_folder="mine") == (
        "mine/a.md",
        "mine/b.md",
    )
    (space / "linked").symlink_to(space.parent / "outside")
    with pytest.raises(DocumentRefused):
        write_documents(one("a.md"), space, own_folder="linked")


def test_sizes_are_bounded_and_a_path_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENT_LIMIT", 10)
    monkeypatch.setattr(documents, "TOTAL_LIMIT", 25)
    monkeypatch.setattr(documents, "COUNT_LIMIT", 5)
    assert problem_with(one("a", "é" * 5)) is None
    assert "too much" in (problem_with(one("a", "é" * 6)) or "")
    assert "too much" in (problem_with([*one("a", "x" * 10), *one("b", "x" * 10), *one("c", "x" * 10)]) or "")
    assert "at most 5" in (problem_with([part for name in "abcdef" for part in one(name)]) or "")
    assert "twice" in (problem_with([*one("a"), *one("a")]) or "")
