"""Bad input gets one clear sentence, exit code 2, and nothing is run or written."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from maestro_tui.cli import main
from maestro_tui.config import state_dir, write_crash
from maestro_tui.model.errors import InputError
from tests.sessions import Project, line

PHASES = ("requirements", "design", "testing")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line(*PHASES))


CASES = {
    "unknown phase": (
        ["run", "x", "--phases", "desing", "--trust"],
        "no phase 'desing'; did you mean 'design'?",
    ),
    "unknown start": (["run", "x", "--from", "bananas", "--trust"], "no phase 'bananas'"),
    "no phase selected": (["run", "x", "--phases", ",", "--trust"], "No phase is selected"),
    "empty requirement": (["run", "  ", "--trust"], "The requirement is empty"),
    "requirement file missing": (
        ["run", "@nowhere.md", "--trust"],
        "Cannot read the requirement from nowhere.md",
    ),
    "session id with a path": (["run", "x", "--session-id", "../up", "--trust"], "is no session id"),
    "session id of a device": (["run", "x", "--session-id", "con", "--trust"], "name of a device"),
    "input without a file": (["run", "x", "--input", "design", "--trust"], "--input takes PHASE=FILE"),
    "input missing": (
        ["run", "x", "--from", "testing", "--input", "design=no.json", "--trust"],
        "There is no file no.json",
    ),
    "input for the start": (
        ["run", "x", "--from", "design", "--input", "design=maestro.toml", "--trust"],
        "both the phase to start from and provided",
    ),
    "pause after an unknown phase": (["run", "x", "--pause-after", "nope", "--trust"], "no phase 'nope'"),
    "workspace missing": (["run", "x", "--workspace", "nowhere", "--workflow", "sdlc"], "is not a folder"),
    "workflow missing": (["run", "x", "--workflow", "nowhere.toml"], "no workflow file nowhere.toml"),
    "workflow name unknown": (["run", "x", "--workflow", "payments"], "no workflow called 'payments'"),
    "untrusted commands": (["run", "x"], "not trusted yet"),
    "input twice": (
        ["run", "x", "--input", "design=a", "--input", "design=b", "--trust"],
        "names one phase twice",
    ),
    "empty session id": (["run", "x", "--session-id", "", "--trust"], "is no session id"),
    "checkpoint directory that is a file": (
        ["run", "x", "--checkpoint-dir", "maestro.toml", "--trust"],
        "is not a folder",
    ),
    "unknown session": (["resume", "nobody"], "no session 'nobody'"),
    "bad session id": (["resume", "../x"], "is no session id"),
    "show unknown": (["show", "nobody"], "no session 'nobody'"),
    "verify unknown": (["verify", "nobody"], "no session 'nobody'"),
    "phase of unknown session": (["phase", "nobody", "design"], "no session 'nobody'"),
    "raise without an amount": (["raise", "s1"], "Say how much more: --cost USD, --tokens N or --seconds S"),
    "raise without a session": (["raise"], "Missing argument 'SESSION'"),
    "unknown option": (["run", "x", "--fast"], "No such option"),
    "unknown command": (["launch"], "There is neither a command nor a session called"),
    "console without a terminal": ([], "needs a terminal"),
    "no session named": (["approve"], "list' names the sessions"),
}


@pytest.mark.parametrize(
    "words", ["raise s1 --cost", "run x --max-cost", "raise s1 --tokens", "raise s1 --seconds"]
)
@pytest.mark.parametrize("amount", ["abc", "nan", "inf", "0", "-3", "1e999"])
def test_what_is_no_amount_is_one_sentence_and_exit_code_2(
    words: str, amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), amount])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1
    assert f"'{amount}' is no number of " in told and "give one above 0" in told


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_sentence_and_exit_code_2(project: Project, name: str) -> None:
    words, sentence = CASES[name]
    done = project.call(*words)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not any(project.runs(phase) for phase in PHASES)
    assert not project.root.exists() or not any(project.root.iterdir())


BROKEN_WORKFLOWS = {
    "no TOML": ("name = ", "is not valid TOML"),
    "unknown key": (
        'name="w"\n[[phases]]\nname="a"\nobjectiv="x"',
        "'objectiv' is not a known key; did you mean 'objective'?",
    ),
    "unknown need": (
        'name="w"\n[[phases]]\nname="a"\nneeds=["b"]',
        "phase 'a' needs 'b', which is not a phase",
    ),
    "cycle": (
        'name="w"\n[[phases]]\nname="a"\nneeds=["b"]\n[[phases]]\nname="b"\nneeds=["a"]',
        "need each other in a circle: a → b → a",
    ),
    "needs itself": ('name="w"\n[[phases]]\nname="a"\nneeds=["a"]', "needs itself"),
    "two of one name": ('name="w"\n[[phases]]\nname="a"\n[[phases]]\nname="a"', "two phases are called 'a'"),
    "no phases": ('name="w"', "'phases' is missing"),
    "bad phase name": ('name="w"\n[[phases]]\nname="a/b"', "'a/b' is no name for a phase"),
    "command without words": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.personas]]\nname="p"\nperformer="command"',
        "a command needs either argv",
    ),
    "two personas of one name": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.personas]]\nname="p"\nshell="true"\n[[phases.personas]]\nname="p"\nshell="true"',
        "two personas are called 'p'",
    ),
    "unknown key of a contract": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.contracts]]\nname="c"\ndeliverables=["x"]\nschem={}',
        "contract 1 ('c'): 'schem' is not a known key; did you mean 'schema'?",
    ),
    "contract owed by nobody": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.contracts]]\nname="c"\ndeliverables=["x"]\nprovider="q"\n'
        '[[phases.personas]]\nname="p"\nshell="true"',
        "contract 'c' is owed by 'q', which is no persona of this phase",
    ),
    "contract leads outside": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.contracts]]\nname="c"\ndeliverables=["../x"]',
        "must be a pattern relative to the workspace, without '..'",
    ),
    "budget of nothing": ('name="w"\nbudget={cost_usd=0}\n[[phases]]\nname="a"', "cost_usd"),
    "unknown budget": (
        'name="w"\n[[phases]]\nname="a"\nbudget={dollars=1}',
        "'dollars' is not a known key (known: seconds, tokens, cost_usd)",
    ),
    "options that JSON cannot hold": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.personas]]\nname="p"\nperformer="llm"\noptions={model=2026-01-01}',
        "options holds what JSON has no word for",
    ),
    "advisor that is no model": (
        'name="w"\n[advisor]\nname="p"\nshell="true"\n[[phases]]\nname="a"',
        "the advisor must have performer",
    ),
    "unknown advice": (
        'name="w"\nadvice=["weather"]\n[[phases]]\nname="a"',
        "advice",
    ),
    "too many rounds": ('name="w"\n[[phases]]\nname="a"\nrounds=9', "rounds"),
    "threshold too high": (
        'name="w"\n[[phases]]\nname="a"\nthreshold=8',
        "threshold must be between 0 and 1",
    ),
    "negative timeout": (
        'name="w"\n[[phases]]\nname="a"\ntimeout_seconds=-1',
        "'timeout_seconds' input should be greater than 0",
    ),
    "deliverable outside": (
        'name="w"\n[[phases]]\nname="a"\ndeliverables=["../x"]',
        "must be a pattern relative to the workspace",
    ),
    "wrong type": (
        'name="w"\n[[phases]]\nname="a"\napproval="yes please"',
        "'approval' must be true or false",
    ),
    "infinite threshold": ('name="w"\n[[phases]]\nname="a"\nthreshold=inf', "'threshold'"),
    "approval as a number": (
        'name="w"\n[[phases]]\nname="a"\napproval=1',
        "'approval' must be true or false",
    ),
    "retries as a truth": ('name="w"\n[[phases]]\nname="a"\nretries=true', "'retries'"),
    "unknown performer": (
        'name="w"\n[[phases]]\nname="a"\n[[phases.personas]]\nname="p"\nperformer="wizard"',
        "wizard",
    ),
}


@pytest.mark.parametrize("name", BROKEN_WORKFLOWS)
def test_a_broken_workflow_file_is_told_with_file_and_place_before_anything_runs(
    project: Project, name: str
) -> None:
    text, sentence = BROKEN_WORKFLOWS[name]
    project.file.write_text(text)
    done = project.call("run", "x", "--trust")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not project.root.exists() or not any(project.root.iterdir())


def test_the_line_of_a_problem_in_a_phase_is_named(project: Project) -> None:
    project.file.write_text(
        'name = "w"\n\n[[phases]]\nname = "a"\n\n[[phases]]\nname = "b"\nretries = "many"\n'
    )
    done = project.call("run", "x", "--trust")
    assert "maestro.toml:8: phase 2 ('b'): 'retries' must be a whole number" in done.stderr


def test_a_session_id_that_exists_is_refused_and_the_old_session_is_untouched(project: Project) -> None:
    assert project.call("run", "x", "--session-id", "s1", "--trust").returncode == 0
    done = project.call("run", "y", "--session-id", "s1", "--trust")
    assert done.returncode == 2
    assert "s1" in done.stderr
    assert [project.runs(phase) for phase in PHASES] == [1, 1, 1]


def test_a_hidden_command_is_never_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word, meant in (("nope", None), ("opne", None), ("resme", "'resume'")):
        with pytest.raises(SystemExit):
            main(["--checkpoint-dir", str(tmp_path), word])
        told = capsys.readouterr().err
        assert "'open'" not in told and (meant is None or meant in told)


def test_an_empty_home_is_none_and_a_user_without_one_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "")
    with pytest.raises(SystemExit):
        main(["show", "nobody"])
    assert state_dir() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/maestro-tui"

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(InputError, match="set HOME or XDG_STATE_HOME"):
        state_dir()
    assert write_crash(ValueError("so")) == "it says: so"
    with pytest.raises(SystemExit) as ended:
        main(["show", "nobody"])
    assert ended.value.code == 2
