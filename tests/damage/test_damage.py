"""Whatever damage there is: one line with the reason, the last good commit is used, nothing is changed, little is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.scene import PHASES
from tests.damage import examine
from tests.damage.examine import CASES, LOOK, Told, chosen, may_make_devices, problems_of
from tests.damage.scene import ALL, READERS, Case, commit_of, copy_of, make_template

REPOSITORY = Path(__file__).parents[2]
PARTS = 2


@pytest.mark.parametrize("part", range(PARTS))
def test_every_damage_is_told_in_a_line_by_each_reader_and_the_last_good_commit_is_used(part: int) -> None:
    """In a process of its own, which gets 400 MB of address space beside what the imports took."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.damage.examine", "--json", "--part", str(part), str(PARTS)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.stdout, done.stderr
    facts = json.loads(done.stdout)
    assert facts["problems"] == {}
    assert facts["cases"] == [case.name for case in chosen("", part, PARTS)]


def test_there_are_five_hundred_cases_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len([case for case in CASES if not case.needs_root]) >= 500
    asked_for = (
        "newest commit cut off", "newest commit flipped", "newest commit zeroed", "are gone", "place", "once more",
        "a folder as", "a pipe as", "the device", "a link to itself", "very file", "5 MB", "20,000 levels", "NaN",
        "1e999", "5,000 digits", "a key twice", "byte order mark", "invalid UTF-8", "a lone surrogate",
        "session id: up", "artifact path: up",
    )  # fmt: skip
    assert [words for words in asked_for if not any(words in name for name in names)] == []


def test_device_nodes_are_tried_where_they_can_be_made() -> None:
    if not may_make_devices():
        pytest.skip("this user may not make device nodes")
    assert any(case.needs_root for case in chosen("the device", 0, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_template(tmp_path / "template")
    return copy_of(tmp_path / "template", tmp_path / "copy")


def test_the_harness_finds_a_reader_that_says_nothing(folder: Path) -> None:
    quiet = Case("nothing is wrong", lambda _: None, told_by=ALL, words="never said")
    assert len([text for text in problems_of(quiet, folder) if "not a word" in text]) == len(READERS)


def test_the_harness_finds_a_false_alarm_and_a_wrong_commit(folder: Path) -> None:
    loud = Case("a flipped byte", lambda path: commit_of(path).write_bytes(b"x"), told_by=frozenset())
    found = list(problems_of(loud, folder))
    assert len([text for text in found if "a false alarm" in text]) == len(READERS)
    assert len([text for text in found if "instead of" in text]) == len(READERS)


def test_the_harness_finds_a_reader_that_deletes_breaks_or_reads_without_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deletes(root: Path) -> Told:
        (root / "s1" / "checkpoint_init.json").unlink()
        return Told((), dict.fromkeys(PHASES, "completed"))

    def breaks(root: Path) -> Told:
        raise RecursionError("deep")

    def reads_on(root: Path) -> Told:
        with Path("/dev/zero").open("rb") as stream:
            for _ in range(110):
                stream.read(1_000_000)
        return Told(("\x1b[2J",), dict.fromkeys(PHASES, "completed"))

    monkeypatch.setattr(examine, "LOOK", {"list": deletes, "show": breaks, "verify": reads_on})
    found = "\n".join(problems_of(Case("nothing", lambda _: None, told_by=frozenset(["x"])), folder))
    for words in (
        "changed on disk",
        "RecursionError instead of a line",
        "bytes were read",
        "no line for people",
    ):
        assert words in found
    assert len(LOOK) == 4
