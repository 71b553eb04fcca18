"""Linters and type checkers on small real projects: what the project configures is run, counted and left unfixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maestro_tui import TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.performers.toolbox.linters import LINTERS, UnreadableFindings
from tests.performers.bench_fixtures import use_tool, write_files

UNTIDY = "import os\nimport sys\n\n\ndef add(a: int, b: int) -> int:\n    return str(a + b)\n"
RUFF = "[tool.ruff]\nfix = true\n"


def reported(space: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((space / "maestro-out/testing/lint.json").read_text())
    return found


def tree(space: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(space)): path.read_bytes()
        for path in space.rglob("*")
        if path.is_file() and "maestro-out" not in path.parts
    }


async def test_nothing_configured_is_not_measured_and_says_what_was_looked_for(tmp_path: Path) -> None:
    space = write_files(tmp_path / "workspace", {"sample.py": UNTIDY})
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": None} and result.failure is None
    report = (space / "maestro-out/testing/lint.md").read_text()
    assert "not measured" in report and "ruff.toml" in report and ".flake8" in report and "mypy.ini" in report


async def test_findings_are_counted_by_rule_with_their_places_and_no_file_is_changed(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {"pyproject.toml": RUFF, "sample.py": UNTIDY, ".venv/pyvenv.cfg": "", ".venv/lib/x.py": UNTIDY},
    )
    before = tree(space)
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": 2} and result.failure is None
    [ruff] = reported(space)["linters"]
    assert ruff["by_rule"] == {"F401": 2} and ruff["configured_in"] == "pyproject.toml [tool.ruff]"
    assert [(one["path"], one["line"]) for one in ruff["findings"]] == [("sample.py", 1), ("sample.py", 2)]
    assert "`sample.py:1` `F401`" in (space / "maestro-out/testing/lint.md").read_text()
    assert tree(space) == before, "the project asks for fixes, and a measurement makes none"


async def test_type_errors_are_a_metric_of_their_own(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {"setup.cfg": "[mypy]\n[flake8]\nextend-ignore = E501\n", "sample.py": UNTIDY},
    )
    before = tree(space)
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": 2, "type_errors": 1}
    flake8, mypy = reported(space)["linters"]
    assert flake8["by_rule"] == {"F401": 2}
    assert mypy["by_rule"] == {"return-value": 1} and mypy["findings"][0]["line"] == 6
    assert tree(space) == before


async def test_a_tidy_project_has_a_measured_count_of_nothing(tmp_path: Path) -> None:
    space = write_files(tmp_path / "workspace", {"ruff.toml": "", "sample.py": "x = 1\n"})
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": 0}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ruff.toml": "no-such-setting = 1\n", "sample.py": ""}, "ended with exit code 2"),
        ({"mypy.ini": "[mypy]\n", "sample.py": "def (\n"}, "ended with exit code 2"),
        (
            {
                "pyproject.toml": '[tool.mypy]\n[project]\nname = "s"\nversion = "1"\ndependencies = ["no-such-thing-zz"]\n',
                "sample.py": "x = 1\n",
            },
            "lacks no-such-thing-zz",
        ),
    ],
)
async def test_a_linter_that_cannot_look_at_everything_is_not_measured_and_says_why(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    space = write_files(tmp_path / "workspace", files)
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert list(result.metrics.values()) == [None]
    assert words in (space / "maestro-out/testing/lint.md").read_text()


async def test_a_linter_that_is_not_here_is_not_measured_and_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [flake8] = [one for one in LINTERS if one.name == "flake8"]
    monkeypatch.setattr(
        "maestro_tui.performers.toolbox.review.LINTERS",
        (replace(flake8, name="no-such-linter-zz"),),
    )
    space = write_files(tmp_path / "workspace", {".flake8": "[flake8]\n", "sample.py": UNTIDY})
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": None}
    assert "nor on PATH, and nothing is installed for it" in reported(space)["linters"][0]["told"]


async def test_names_that_others_chose_can_neither_steer_a_linter_nor_the_report(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {".flake8": "[flake8]\n", "ruff.toml": "", "--version.py": UNTIDY, "a\x1b]52;c;AA\x07.py": UNTIDY},
    )
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": 8}
    report = (space / "maestro-out/testing/lint.md").read_text()
    assert "--version.py:1" in report and not set(report) & {"\x1b", "\x07"}


async def test_a_linter_with_nothing_to_look_at_has_measured_nothing(tmp_path: Path) -> None:
    space = write_files(tmp_path / "workspace", {"ruff.toml": "", "notes.md": "x\n"})
    result = await use_tool(tmp_path, "code_reviewer", workspace=space)
    assert result.metrics == {"lint_findings": None}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"filename": "x"}]', "[" * 100_000])
def test_a_report_that_is_none_is_a_reason_and_never_a_count_of_nothing(text: str) -> None:
    ruff = LINTERS[0]
    with pytest.raises(UnreadableFindings):
        ruff.read(text)
    assert ruff.read("[]") == []


async def test_only_a_limit_of_the_workflow_makes_findings_fail_the_gate(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {"ruff.toml": "", "sample.py": UNTIDY, "test_sample.py": "def test_one():\n    pass\n"},
    )
    phase = 'name = "w"\n[[phases]]\nname = "testing"\nobjective = "Run the project\'s own tests"\n'
    for limits, status in (("", "completed"), ("limits = { lint_findings = 1 }\n", "failed")):
        engine = TeamExecutionEngineV2SplitMode(
            tmp_path / "checkpoints", workflow=Workflow.parse(phase + limits), workspace=space
        )
        context = await engine.execute_batch("x", session_id=f"s-{status}")
        result = context.phase_results["testing"]
        assert str(result.status) == status
        assert (result.quality["tests"], result.quality["lint_findings"]) == (1.0, 2)
    assert result.error is not None
    assert "lint_findings is 2, and the gate allows at most 1" in result.error.message


async def test_a_red_suite_does_not_keep_the_reviewer_from_measuring(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace", {"ruff.toml": "", "test_sample.py": "def test_one():\n    assert False\n"}
    )
    phase = 'name = "w"\n[[phases]]\nname = "testing"\nobjective = "Run the project\'s own tests"\n'
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "checkpoints", workflow=Workflow.parse(phase), workspace=space
    )
    result = (await engine.execute_batch("x", session_id="s")).phase_results["testing"]
    assert str(result.status) == "failed" and result.quality["lint_findings"] == 0
    assert result.contract is not None and result.contract.missing == ()
    assert result.error is not None and result.error.persona == "test_engineer"
