"""What is kept of the workspace is checked: packs by their checksums, names by what they lead to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro_tui.store.verify_trees import tree_problems
from tests.sessions import Project, line


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "shop", line("a"))
    made.json("run", "x", "--session-id", "s1", "--trust", code=0)
    return made


def _pack(repository: Path) -> Path:
    return next((repository / "objects" / "pack").glob("*.pack"))


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)


def _wrong_name(repository: Path) -> None:
    next(path for path in (repository / "refs" / "maestro").rglob("*") if path.is_file()).write_text(
        "0" * 40 + "\n"
    )


def _no_name(repository: Path) -> None:
    next(path for path in (repository / "refs" / "maestro").rglob("*") if path.is_file()).write_text(
        "what?\n"
    )


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped byte": (lambda r: _flip(_pack(r)), "its checksum does not match its bytes"),
    "cut off": (lambda r: _pack(r).write_bytes(_pack(r).read_bytes()[:-30]), "its checksum does not match"),
    "empty": (lambda r: _pack(r).write_bytes(b""), "its checksum does not match"),
    "a pack that is gone": (lambda r: shutil.rmtree(r / "objects" / "pack"), "is not there any more"),
    "an index that is gone": (lambda r: _pack(r).with_suffix(".idx").unlink(), "its index is missing"),
    "a flipped index": (lambda r: _flip(_pack(r).with_suffix(".idx")), "its index does not belong to it"),
    "a name that leads nowhere": (_wrong_name, "is not there any more"),
    "a name that is none": (_no_name, "has no name that can be read"),
}


def test_trees_as_they_were_written_are_fine_and_none_is_fine_too(project: Project) -> None:
    assert list(tree_problems(project.root / "s1")) == []
    assert project.json("verify", "s1", code=0)[0]["ok"]
    shutil.rmtree(project.root / "s1" / "workspace.git")
    assert project.json("verify", "s1", code=0)[0]["ok"]


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_of_a_kept_tree_is_told_in_a_line(project: Project, name: str) -> None:
    spoil, words = DAMAGE[name]
    spoil(project.root / "s1" / "workspace.git")
    [found] = project.json("verify", "s1", code=1)
    assert any(words in problem for problem in found["problems"]), found
    assert all("\n" not in problem for problem in found["problems"])


def test_files_that_were_changed_later_show_only_when_asked_for(project: Project) -> None:
    (project.folder / "a.txt").write_text("later work")
    assert project.json("verify", "s1", code=0)[0]["ok"]
    [found] = project.json("verify", "s1", "--artifacts", code=1)
    assert found["problems"] == ["artifact a.txt (a): it was changed after its phase"]
