"""What a phase delivered is judged from the files that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.engine.contracts import check_contract, judge, measure_quality
from maestro_tui.model.context import ContractCheck
from maestro_tui.model.contract import Contract
from maestro_tui.model.phase import Phase


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
        ("docs/[z-a].md", False),
        ("docs/[!].md", False),
        ("odd/[z-a].md", True),
        ("odd/[[].md", True),
    ],
)
def test_a_deliverable_is_a_regular_file_with_content_that_matches(
    tmp_path: Path, pattern: str, found: bool
) -> None:
    (tmp_path / "docs/x/y").mkdir(parents=True)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/[z-a].md").write_text("no class of characters: itself")
    (tmp_path / "odd/[.md").write_text("[")
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


API = Contract(
    name="api",
    deliverables=("api/*.json",),
    json_schema={"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}},
    provider="architect",
)


def test_a_missing_file_is_told_with_who_owes_it_and_what_is_there_instead(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "design.txt").write_text("x")
    contract = Contract(name="design", deliverables=("docs/design.md",), provider="architect")
    check = check_contract(tmp_path, [], [], [contract])
    assert check.missing == ("docs/design.md",)
    assert check.violations == (
        "contract 'design', owed by architect: 'docs/design.md' is missing; found instead: docs/design.txt",
    )


def test_every_file_of_a_contract_is_held_against_its_schema(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "a.json").write_text('{"version": "1"}')
    (tmp_path / "api" / "b.json").write_text('{"version": 1}')
    (tmp_path / "api" / "c.json").write_text("{")
    check = check_contract(tmp_path, [], [], [API])
    assert check.schemas == (1, 3) and check.missing == ()
    assert check.violations[0].startswith(
        "contract 'api', owed by architect: api/b.json breaks its schema: $.version: 1 is not of type 'string'"
    )
    assert "api/c.json breaks its schema: is no JSON" in check.violations[1]
    quality = measure_quality(check, {}, False)
    assert quality["schema"] == 0.3333
    assert judge(Phase(name="a", contracts=(API,)), check, quality).verdict == "failed"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nonsense"}, "is no JSON schema"),
        ("gone.json", "its schema gone.json is not there"),
        ("five.json", "its $schema is no text"),
        ("list.json", "list instead of an object or a boolean"),
        ({"$schema": 5}, "its $schema is no text"),
        ({"$ref": 5}, "is no JSON schema"),
        ({"pattern": "("}, "is no JSON schema"),
        ({"properties": {"n": {"multipleOf": 0.5}}}, "the schema cannot be applied to it (OverflowError"),
        (
            {"$ref": "https://example.org/schema.json"},
            "refers to https://example.org/schema.json, which is not in it",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_violation_and_nothing_is_fetched(
    tmp_path: Path, schema: Any, words: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"n": 10**400}))
    (tmp_path / "five.json").write_text('{"$schema": 5}')
    (tmp_path / "list.json").write_text("[]")
    contract = Contract(name="a", deliverables=("a.json",), json_schema=schema)
    check = check_contract(tmp_path, [], [], [contract])
    assert any(words in sentence for sentence in check.violations), check.violations


@pytest.mark.parametrize("outside", [False, True])
def test_a_file_behind_a_link_fulfils_nothing(tmp_path: Path, outside: bool) -> None:
    work = tmp_path / "work"
    real = tmp_path / "real" if outside else work / "real"
    work.mkdir()
    real.mkdir()
    (real / "x.json").write_text("[]")
    (work / "out").symlink_to(real)
    contract = Contract(name="x", deliverables=("out/x.json",), json_schema={"type": "array"})
    check = check_contract(work, ["out/*.json"], ["out/x.json"], [contract])
    assert (check.fulfilled, check.missing) == ((), ("out/*.json", "out/x.json"))
    assert any("'out/x.json' is missing" in sentence for sentence in check.violations)


@pytest.mark.parametrize("named", ["node_modules/x.json", "./x.json", "a//x.json"])
def test_what_fulfils_a_contract_is_held_against_its_schema_wherever_it_lies(
    tmp_path: Path, named: str
) -> None:
    (tmp_path / named).parent.mkdir(exist_ok=True)
    (tmp_path / named).write_text("not json")
    contract = Contract(name="x", deliverables=(named,), json_schema={"type": "array"})
    check = check_contract(tmp_path, [], [], [contract])
    assert check.schemas == (0, 1)
    assert "breaks its schema" in check.violations[0]


def test_nothing_in_the_checkpoint_directory_is_a_deliverable_whatever_its_name(tmp_path: Path) -> None:
    root = tmp_path / "own-checkpoints"
    (root / "s").mkdir(parents=True)
    (root / "s" / "checkpoint_design.json").write_text("{}")
    contract = Contract(name="x", deliverables=("**/*.json",), json_schema={"type": "array"})
    named = "own-checkpoints/s/checkpoint_design.json"
    check = check_contract(tmp_path, [named], [], [contract], exclude=root)
    assert (check.fulfilled, check.missing, check.schemas) == ((), (named, "**/*.json"), None)
    (tmp_path / "made.json").write_text("[]")
    assert check_contract(tmp_path, [], [], [contract], exclude=root).schemas == (1, 1)


def test_a_metric_above_its_limit_fails_the_gate_and_an_unmeasured_one_too() -> None:
    phase = Phase(name="a", limits={"lint_findings": 3})
    assert judge(phase, ContractCheck(), {"lint_findings": 3.0}).verdict == "passed"
    assert judge(phase, ContractCheck(), {"lint_findings": 4.0}).failures == (
        "lint_findings is 4, and the gate allows at most 3",
    )
    assert "was not measured" in judge(phase, ContractCheck(), {}).failures[0]


def test_one_failed_metric_fails_the_gate_whatever_the_mean_is() -> None:
    phase = Phase(name="a", threshold={"tests": 0.9, "coverage": 0.8})
    table = {"tests": 1.0, "coverage": 0.79, "quality": 0.9}
    assert judge(phase, ContractCheck(), table).failures == (
        "coverage is 0.79, and the gate asks for at least 0.8",
    )
