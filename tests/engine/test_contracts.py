"""What a phase delivered is judged from the files that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui.engine.contracts import check_contract, judge, measure_quality
from maestro_tui.model.context import ContractCheck
from maestro_tui.model.workflow import Phase


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("report.md", True),
        ("*.md", True),
        ("docs/*.md", True),
        ("docs/**/*.json", True),
        ("**/deep.json", True),
        ("**", True),
        ("docs/[ab].md", True),
        ("docs/[!a].md", False),
        ("*.json", False),
        ("empty.md", False),
        ("link.md", False),
        ("docs", False),
        ("r?port.md", True),
    ],
)
def test_a_deliverable_is_a_regular_file_with_content_that_matches(
    tmp_path: Path, pattern: str, found: bool
) -> None:
    (tmp_path / "docs/x/y").mkdir(parents=True)
    (tmp_path / "report.md").write_text("r")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "docs/a.md").write_text("a")
    (tmp_path / "docs/x/y/deep.json").write_text("{}")
    (tmp_path / "link.md").symlink_to("report.md")
    check = check_contract(tmp_path, [pattern], [])
    assert (check.fulfilled, check.missing) == (((pattern,), ()) if found else ((), (pattern,)))


def test_quality_is_the_mean_of_what_was_measured_unless_it_was_measured_itself() -> None:
    contract = ContractCheck(deliverables=("a", "b"), fulfilled=("a",), missing=("b",))
    assert measure_quality(contract, {"tests": 1.0, "coverage": 0.5}, False)["quality"] == 0.75
    assert measure_quality(contract, {}, False) == {"contract": 0.5, "quality": None}
    assert measure_quality(contract, {"quality": 0.2}, False)["quality"] == 0.2
    assert measure_quality(ContractCheck(), {"tests": None}, False) == {"tests": None, "quality": None}


def test_a_red_suite_never_passes_whatever_the_threshold() -> None:
    gate = judge(Phase(name="testing", threshold=0.5), ContractCheck(), {"tests": 0.999, "quality": 0.999})
    assert gate.verdict == "failed"
    assert "red suite" in gate.failures[0]


def test_each_metric_has_its_own_threshold_and_not_measured_is_no_pass() -> None:
    phase = Phase(name="testing", threshold={"coverage": 0.8, "quality": 0.5})
    gate = judge(phase, ContractCheck(), {"coverage": None, "quality": 0.6})
    assert gate.failures == ("coverage was not measured, and the gate asks for at least 0.8",)
    assert judge(phase, ContractCheck(), {"coverage": 0.8, "quality": 0.5}).verdict == "passed"


def test_approval_waits_only_for_what_passed() -> None:
    assert judge(Phase(name="a", approval=True), ContractCheck(), {}).verdict == "waiting"
    missing = ContractCheck(deliverables=("x",), missing=("x",))
    assert judge(Phase(name="a", approval=True), missing, {}).verdict == "failed"
