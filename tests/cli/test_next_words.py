"""What cannot be done is one sentence with its exit code and leaves nothing; what was recorded says what is next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maestro_tui.cli import main
from maestro_tui.console.launch_form import Form
from maestro_tui.store.lease import hold_phase

FLOW = """
name = "w"
[[phases]]
name = "a"
approval = true
[[phases.personas]]
name = "p"
shell = "true"
[[phases]]
name = "b"
[[phases.personas]]
name = "p"
shell = "true"
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the program in this process in a folder with that workflow: exit code, output, error output."""
    (tmp_path / "maestro.toml").write_text(FLOW)
    (tmp_path / "odd.json").write_text('{"a": 1}')
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            main(words)
            code = 0
        except SystemExit as end:
            assert isinstance(end.code, int)
            code = end.code
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


REFUSED = {
    "import of TOML": (
        ("import", "maestro.toml"),
        "maestro.toml is neither a file of Maestro Hive nor a bundle.",
    ),
    "import of other JSON": (
        ("import", "odd.json"),
        "odd.json is neither a file of Maestro Hive nor a bundle.",
    ),
    "root that cannot be made": (
        ("--checkpoint-dir", "/proc/x", "run", "x", "--trust"),
        "The checkpoint directory /proc/x cannot be made: ",
    ),
    "root below a file": (
        ("--checkpoint-dir", "odd.json/x", "run", "x", "--trust"),
        "odd.json is in the way: it is not a folder. Nothing was run;",
    ),
    "requirement like an option": (
        ("run", "--- do it", "--trust"),
        "No such option '--- do it'. A requirement that begins with '-' goes last, after '--': ",
    ),
    "requirement like a short option": (("run", "-do it"), "A requirement that begins with '-' goes last"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_sentence_with_exit_code_2_and_leaves_nothing(
    call: Call, tmp_path: Path, case: str
) -> None:
    words, sentence = REFUSED[case]
    before = sorted(tmp_path.iterdir())
    code, out, err = call(*words)
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1, err
    assert sorted(tmp_path.iterdir()) == before


def test_a_requirement_that_begins_with_dashes_is_taken_after_two_dashes(call: Call) -> None:
    code, out, _ = call("run", "--dry-run", "--", "--- do it")
    assert code == 0 and out.startswith("Plan for ") and "do-it" in out
    assert Form(requirement="- do it", workflow="w.toml").command() == (
        "maestro-tui run --workflow w.toml -- '- do it'"
    )


def test_what_was_recorded_says_what_is_next(call: Call, tmp_path: Path) -> None:
    code, _, err = call("run", "x", "--session-id", "s1", "--trust")
    assert code == 3 and err.splitlines()[-2:] == [
        "⚑ a waits for approval: maestro-tui approve s1 a",
        "‖ paused (approval) · then go on: maestro-tui resume s1",
    ]
    code, _, err = call("fork", "s1", "--at", "99")
    assert code == 2 and "Session 's1' has no commit 99; " in err and err.endswith("Nothing was forked.\n")
    assert [one.name for one in (tmp_path / ".maestro").iterdir() if one.is_dir()] == ["s1"]
    waits = "Recorded. a waits for your word: maestro-tui approve s1 a (or reject, push-back)\n"
    assert call("edit", "s1", "a", "odd.json")[1] == waits
    again = "Recorded. Go on: maestro-tui resume s1 (runs a, then a waits for your approval)\n"
    assert call("reject", "s1", "--reason", "no")[1] == again
    assert call("resume", "s1")[0] == 3
    assert call("approve", "s1")[1] == "Recorded. Go on: maestro-tui resume s1 (runs b)\n"
    with hold_phase(tmp_path / ".maestro" / "s1", "a"):
        refused = "maestro-tui: Phase 'a' of session s1 is running now (pid "
        assert call("blueprint", "s1", "a", "--mode", "parallel")[2].startswith(refused)
        beside = "Recorded. Its runner (pid "
        assert call("blueprint", "s1", "b", "--mode", "parallel")[1].startswith(beside)
    assert call("skip", "s1", "b", "--reason", "no need")[1] == "Recorded. Nothing is left to run.\n"


def test_git_is_told_to_ignore_the_default_checkpoint_directory_and_nothing_else(
    call: Call, tmp_path: Path
) -> None:
    assert call("run", "x", "--session-id", "s1", "--phases", "b", "--trust")[0] == 0
    ignore = tmp_path / ".maestro" / ".gitignore"
    assert ignore.read_text() == "*\n"
    _, out, _ = call("show", "s1")
    assert ".gitignore" not in out, "it is no file that the phase has left"
    ignore.write_text("mine\n")
    assert call("run", "x", "--session-id", "s2", "--phases", "b")[0] == 0
    assert ignore.read_text() == "mine\n"
    ignore.unlink()
    assert call("run", "x", "--session-id", "s3", "--phases", "b")[0] == 0
    assert not ignore.exists(), "who takes it away from a directory that is there wants it so"
    assert call("--checkpoint-dir", "kept", "run", "x", "--phases", "b")[0] == 0
    assert [one.is_dir() for one in (tmp_path / "kept").iterdir()] == [True]
