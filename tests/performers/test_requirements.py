"""The requirement analyst splits text into statements and says which are too vague, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro_tui.performers.toolbox.statements import split_requirement
from tests.performers.bench_fixtures import use_tool


def texts(requirement: str) -> list[str]:
    return [statement.text for statement in split_requirement(requirement)]


def test_sentences_and_list_items_become_statements_of_their_own() -> None:
    text = """# Orders

    The list must show 20 rows. It answers within 200 ms. Errors are logged; They name the order.
    - the total is shown in euros,
      with two digits
    * [ ] version 1.2 e.g. 1.2.3 is printed
    2) no order is lost

    ```
    code is not a requirement.
    ```
    """
    assert texts(text) == [
        "The list must show 20 rows.",
        "It answers within 200 ms.",
        "Errors are logged",
        "They name the order.",
        "the total is shown in euros, with two digits",
        "version 1.2 e.g. 1.2.3 is printed",
        "no order is lost",
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The page must load fast", "fast"),
        ("The tool shows several rows", "several"),
        ("The server must support uploads", "support"),
        ("It prints names, dates, etc.", "etc"),
        ("Old files are removed if possible", "if possible"),
        ("The colour of the bar is TBD", "tbd"),
        ("Can the user leave the page?", "?"),
        ("The user might log in twice", "might"),
        ("Handle errors", "handle errors"),
    ],
)
def test_a_vague_statement_is_flagged_with_the_word_and_a_reason(text: str, word: str) -> None:
    (statement,) = split_requirement(text)
    assert not statement.testable
    assert word in [flag.word for flag in statement.flags]
    assert all(flag.reason for flag in statement.flags)


@pytest.mark.parametrize(
    "text",
    [
        "The page must load fast: within 200 ms",
        "naturalsize must never return a negative size",
        "A request with a wrong key is answered with status 401",
    ],
)
def test_what_can_be_measured_or_observed_is_testable(text: str) -> None:
    (statement,) = split_requirement(text)
    assert statement.testable


def test_two_obligations_in_one_statement_are_noted_but_not_refused() -> None:
    (statement,) = split_requirement("The file must be read and the sum must be printed")
    assert statement.testable and "more than one thing" in statement.notes[0]


async def test_the_report_numbers_every_statement_and_counts_the_testable_ones(tmp_path: Path) -> None:
    result = await use_tool(
        tmp_path, "requirement_analyst", requirement="The list must show 20 rows. It should be nice."
    )
    assert result.metrics == {"testable_statements": 0.5}
    assert result.summary == "2 statements, 1 testable, 1 vague (R2)."
    assert result.outputs["vague"] == ["R2"]
    written = json.loads((tmp_path / "workspace/maestro-out/requirements/requirements.json").read_text())
    assert [s["id"] for s in written["statements"]] == ["R1", "R2"]
    assert "`nice`" in (tmp_path / "workspace/maestro-out/requirements/requirements.md").read_text()


async def test_text_from_outside_cannot_write_markup_or_control_characters_into_the_report(
    tmp_path: Path,
) -> None:
    await use_tool(tmp_path, "requirement_analyst", requirement="The <script> | \x1b[31m[x](y) must be ‮shown")
    report = (tmp_path / "workspace/maestro-out/requirements/requirements.md").read_text()
    assert "\x1b" not in report and "‮" not in report
    assert "\\<script\\> \\|" in report and "\\[x\\](y)" in report
