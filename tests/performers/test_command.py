"""Commands: what they are told, what they may answer, and what becomes of a bad answer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.command import CommandPerformer
from maestro_tui.performers.port import PerformerFailed, PerformerResult
from tests.performers.bench_fixtures import RememberingPort, make_task


def python(code: str, **words: object) -> Persona:
    return Persona.model_validate({"name": "worker", "argv": [sys.executable, "-c", code], **words})


async def perform(
    tmp_path: Path, persona: Persona, **words: object
) -> tuple[PerformerResult, RememberingPort]:
    port = RememberingPort()
    task = make_task(tmp_path, persona, **words)  # type: ignore[arg-type]
    return await CommandPerformer().perform(task, port), port


def answering(result: str) -> Persona:
    return Persona(name="worker", argv=("sh", "-c", f"cat > $MAESTRO_RESULT <<'EOF'\n{result}\nEOF"))


async def test_a_command_receives_earlier_outputs_and_returns_its_own(tmp_path: Path) -> None:
    code = (
        "import json, os\n"
        "c = json.load(open(os.environ['MAESTRO_CONTEXT']))\n"
        "r = {'outputs': {'double': c['outputs']['design']['n'] * 2}, 'metrics': {'tests': 1, 'lint': None},\n"
        "     'decisions': ['go on', {'about': 'x', 'choice': 'y', 'decided_by': 'gpt', 'score': 0.5}],\n"
        "     'summary': c['requirement']}\n"
        "json.dump(r, open(os.environ['MAESTRO_RESULT'], 'w'))\n"
    )
    result, _ = await perform(tmp_path, python(code), outputs={"design": {"n": 21}})
    assert result.outputs == {"double": 42}
    assert result.metrics == {"tests": 1.0, "lint": None}
    assert [(d.choice, d.decided_by) for d in result.decisions] == [("go on", "worker"), ("y", "gpt")]
    assert result.summary == "The list must show 20 rows."


async def test_a_command_runs_in_the_workspace_and_needs_no_result(tmp_path: Path) -> None:
    result, port = await perform(tmp_path, Persona(name="worker", shell="pwd; echo made > made.txt"))
    assert result == PerformerResult()
    assert port.lines == [("out", str(tmp_path / "workspace"))]
    assert (tmp_path / "workspace" / "made.txt").read_text() == "made\n"


async def test_secrets_of_the_surroundings_are_not_passed_on_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("OTHER_API_KEY", "named")
    _, port = await perform(tmp_path, Persona(name="worker", argv=("env",), env=("OTHER_API_KEY",)))
    seen = dict(text.split("=", 1) for _, text in port.lines if "=" in text)
    assert "SOME_API_KEY" not in seen and seen["OTHER_API_KEY"] == "named"
    assert seen["MAESTRO_PHASE"] == "requirements" and seen["MAESTRO_PERSONA"] == "worker"
    assert seen["MAESTRO_ATTEMPT"] == "1" and seen["MAESTRO_SESSION_ID"] == "s-1"
    assert seen["MAESTRO_WORKSPACE"] == str(tmp_path / "workspace") and seen["PATH"] == os.environ["PATH"]
    assert seen["TERM"] == "dumb"


async def test_a_failing_command_tells_its_exit_code_and_its_last_lines(tmp_path: Path) -> None:
    persona = Persona(name="worker", shell="seq 1 50; printf '\\033[31mbroken\\033[0m\\n' >&2; exit 3")
    with pytest.raises(PerformerFailed, match=r"ended with exit code 3: [^\x1b␛]+$") as caught:
        await perform(tmp_path, persona)
    assert caught.value.kind == "exit" and len(caught.value.tail) == 20
    assert "broken" in caught.value.tail


async def test_what_make_says_last_does_not_stand_for_the_reason(tmp_path: Path) -> None:
    said = "curl: (7) Failed to connect\nmake[1]: *** [Makefile:2: up] Error 7\nmake[1]: Leaving directory '/w'\nmake: *** [all] Error 2"
    persona = Persona(name="worker", argv=("sh", "-c", f'echo "{said}"; exit 2'))
    with pytest.raises(PerformerFailed, match=r"ended with exit code 2: curl: \(7\) Failed to connect$"):
        await perform(tmp_path, persona)
    persona = Persona(name="worker", shell="echo 'make: *** No rule to make target' >&2; exit 2")
    with pytest.raises(PerformerFailed, match=r"exit code 2: make: \*\*\* No rule to make target$"):
        await perform(tmp_path, persona)


async def test_a_result_beside_a_failing_exit_code_is_not_believed(tmp_path: Path) -> None:
    persona = Persona(name="worker", shell="echo '{\"outputs\": {}}' > $MAESTRO_RESULT; exit 1")
    with pytest.raises(PerformerFailed, match="exit code 1 without a word"):
        await perform(tmp_path, persona)


async def test_a_timeout_is_a_failure_of_its_own_kind(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match=r"after its limit of 0\.1 s") as caught:
        await perform(tmp_path, Persona(name="worker", argv=("sleep", "300"), timeout_seconds=0.1))
    assert caught.value.kind == "timeout"


async def test_a_missing_program_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="'no-such-tool' was not found on PATH"):
        await perform(tmp_path, Persona(name="worker", argv=("no-such-tool",)))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("[]", "it holds a list, where an object was expected"),
        ("{", "it is not valid JSON"),
        ("", "it is empty"),
        ('{"output": {}}', "unknown key 'output'; the keys are outputs, decisions, metrics, summary"),
        ('{"outputs": []}', "'outputs' is a list"),
        ('{"summary": 3}', "'summary' is a number"),
        ('{"metrics": {"tests": "all"}}', "metric 'tests' is text"),
        ('{"metrics": {"tests": true}}', "metric 'tests' is true or false"),
        ('{"metrics": {"x": NaN}}', "it holds NaN"),
        ('{"metrics": {"x": 1e999}}', "a number that is too large"),
        ('{"metrics": {"x": 1' + "0" * 400 + "}}", "metric 'x' is too large"),
        ('{"outputs": {"a": -Infinity}}', "it holds -Infinity"),
        ('{"outputs": {"a": 1' + "0" * 5000 + "}}", "it is not valid JSON"),
        ('{"outputs": {"a": ' + "[" * 5000 + "]" * 5000 + "}}", "nested"),
        ('{"decisions": {}}', "'decisions' is an object"),
        ('{"decisions": [1]}', "decision 1 is a number"),
        ('{"decisions": ["fine", {"choice": "x"}]}', "decision 2: 'about' is wrong"),
        ('{"decisions": [{"about": "x", "choice": "y", "why": "z"}]}', "unknown key 'why'"),
    ],
)
async def test_a_bad_result_fails_the_phase_with_the_reason(tmp_path: Path, result: str, reason: str) -> None:
    with pytest.raises(PerformerFailed) as caught:
        await perform(tmp_path, answering(result))
    assert caught.value.kind == "result" and reason in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.symlink('/etc/passwd', r)", "it cannot be read"),
        ("os.mkfifo(r)", "it is not a regular file"),
        ("open(r, 'wb').write(b'\\xff{}')", "it is not UTF-8 text"),
        ("open(r, 'wb').truncate(20_000_000)", "20,000,000 bytes, more than"),
    ],
)
async def test_a_result_that_is_no_plain_file_is_refused(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(PerformerFailed, match=reason):
        await perform(tmp_path, python(f"import os; r = os.environ['MAESTRO_RESULT']; {code}"))


async def test_lone_surrogates_in_a_result_can_be_written_afterwards(tmp_path: Path) -> None:
    result, _ = await perform(
        tmp_path, answering('{"outputs": {"a\\ud800": "\\udfff"}, "summary": "\\ud800"}')
    )
    assert json.dumps(dict(result.outputs), ensure_ascii=False).encode("utf-8")
    assert result.summary == "?"
