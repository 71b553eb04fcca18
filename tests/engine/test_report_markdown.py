"""The Markdown report: complete, true to the details, and nothing from outside can be more than text in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from maestro_tui.engine.markdown import block, code, table, words
from maestro_tui.engine.report_markdown import session_report
from maestro_tui.model.context import (
    Artifact,
    ContractCheck,
    Decision,
    Gate,
    PhaseError,
    PhaseResult,
    PhaseStatus,
    Usage,
)
from maestro_tui.model.summary import AttemptSummary, PersonaSpan, PhaseSummary, SessionStatus, SessionSummary
from maestro_tui.store.checkpoints import CommitInfo
from maestro_tui.store.detail import SessionDetail
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.sessions import Project, line

BEGUN = datetime(2026, 11, 23, 13, 50, tzinfo=UTC)
NOW = BEGUN.timestamp() + 600
MARKDOWN = (
    "# no heading | no cell \\| `no code` ``` **no bold** _no_ ~~no~~ <b>no</b> <!-- no --> ![no](http://x.org/a) "
    "[no](javascript:x) http://x.org www.x.org a@x.org &lt; &copy; $x^2$ \\ 1. no\n\n---\n- no\n> no\n| a | b |\n|---|---|"
)


def detail(text: str = "", path: str = "docs/design.md") -> SessionDetail:
    """A failed session; `text` stands in every place where others may write."""
    told = text or "as it should be"
    error = PhaseError(
        kind="gate", message=text or "tests 0.5 is below 0.9", persona="tester", tail=(told, "exit 1")
    )
    design = PhaseResult(
        status=PhaseStatus.COMPLETED,
        started_at=BEGUN,
        finished_at=BEGUN + timedelta(seconds=64),
        summary=told,
        contract=ContractCheck(deliverables=("docs/*.md",), fulfilled=("docs/*.md",)),
        usage=Usage(seconds=64, input_tokens=1_200, output_tokens=300, cost_usd=0.25),
    )
    testing = PhaseResult(
        status=PhaseStatus.FAILED,
        attempt=2,
        started_at=BEGUN + timedelta(seconds=200),
        finished_at=BEGUN + timedelta(seconds=230),
        contract=ContractCheck(deliverables=("report.xml", path), fulfilled=("report.xml",), missing=(path,)),
        quality={"tests": 0.5, text or "lint": None},
        gate=Gate(
            verdict="failed",
            score=0.5,
            threshold={"tests": 0.9},
            failures=(told,),
            by=text or "Ann",
            reason=told,
        ),
        error=error,
    )
    summary = SessionSummary(
        session_id="20261123-135000-refunds-7f3a",
        status=SessionStatus.FAILED,
        requirement=told,
        workflow=told,
        workspace=text or "/home/ann/shop",
        created_at=BEGUN.timestamp(),
        updated_at=NOW - 60,
        phases=(
            PhaseSummary("design", "completed", 1, stale=text or None),
            PhaseSummary("testing", "failed", 2, error=told),
            PhaseSummary("deployment"),
        ),
        seq=3,
        sha256="ab" * 32,
        error=told,
        damage=(told,) if text else (),
        seconds=94,
        input_tokens=1_200,
        cost_usd=0.25,
    )
    start = BEGUN.timestamp()
    return SessionDetail(
        summary=summary,
        attempts=(
            AttemptSummary(
                "design", 1, "completed", start, start + 64, (PersonaSpan(told, "completed", start),), seq=1
            ),
            AttemptSummary("testing", 1, "failed", start + 100, start + 130, error=told, seq=2),
            AttemptSummary("testing", 2, "failed", start + 200, start + 230, error=told, seq=3),
        ),
        results={"design": design, "testing": testing},
        artifacts=(Artifact(path=path, size=4_321, sha256="cd" * 32, phase="design"),),
        decisions=(
            Decision(
                phase="design",
                about=told,
                choice=told,
                rationale=told,
                alternatives=(told,),
                score=0.5,
                decided_by=told,
            ),
        ),
        history=(
            CommitInfo(
                3,
                "testing",
                2,
                "failed",
                "ef" * 32,
                BEGUN,
                Path("history/0003.json"),
                problem=text or None,
            ),
        ),
        head_json={
            "context": {"requirement": text or "Refunds must be idempotent.\nEvery retry counts once."}
        },
    )


def parsed(report: str) -> list[Token]:
    return MarkdownIt("gfm-like").parse(report)


def flat(tokens: list[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *(token.children or ()))]


def test_a_report_tells_the_whole_session() -> None:
    assert session_report(detail(), NOW) == (Path(__file__).parent / "report.md").read_text(encoding="utf-8")


def test_nothing_is_said_to_be_known_that_is_not() -> None:
    bare = SessionDetail(
        summary=replace(detail().summary, seq=-1, phases=(), cost_usd=None, seconds=None, input_tokens=None)
    )
    report = session_report(bare, NOW)
    assert "Nothing has run yet." in report
    assert "No file was left in the workspace." in report
    assert "Not known." in report
    assert "not measured" in session_report(detail(), NOW)
    assert "$0" not in report


@pytest.mark.parametrize(
    "text", [HOSTILE, MARKDOWN, "|" * 50, "`" * 60, "\\" * 31, "~~~\n```\n    x", "<script>"]
)
def test_what_others_wrote_is_only_text(text: str) -> None:
    plain, report = session_report(detail(), NOW), session_report(detail(text, path=text), NOW)
    assert not NEVER_RAW & set(report)
    found = flat(parsed(report))
    kinds = {token.type for token in found}
    # The line breaks between damaged files are ours, and so is <code> around what holds a pipe.
    html = {token.content for token in found if token.type in ("html_inline", "html_block")}
    assert html <= {"<br>", "<code>", "</code>"}
    assert not kinds & {
        "link_open",
        "image",
        "blockquote_open",
        "hr",
        "s_open",
        "code_block",
        "ordered_list_open",
    }
    headings = [token.tag for token in found if token.type == "heading_open"]
    assert headings == [token.tag for token in flat(parsed(plain)) if token.type == "heading_open"]
    assert report.encode("utf-8")


@pytest.mark.parametrize("text", [HOSTILE, MARKDOWN, "a|b", "a\\|b", "|", "\\", "a\\", "`|`", "``\\|"])
def test_a_cell_stays_one_cell(text: str) -> None:
    for write in (words, code):
        tokens = parsed(table(("One", "Two"), [(write(text), write(text)), ("last", "row")]))
        assert [token.type for token in tokens].count("tr_open") == 3
        assert [token.type for token in tokens].count("td_open") == 4
    row = table(("One", "Two"), [(words(text), code(text))]).splitlines()[-1]
    assert row.count("|") == 3, "no reading of backslashes can split the row"


@pytest.mark.parametrize("text", ["a_b.py, c-d", "build_wheel", "12:30", "v1.2", "3 of 4", "50% (x)"])
def test_ordinary_words_stay_readable(text: str) -> None:
    assert words(text) == text


@pytest.mark.parametrize("text", ["# x", "- x", "+ x", "1. x", "23) x", "=== x", "* x", "> x", "www.x.org"])
def test_the_beginning_of_a_line_is_no_sign_for_markdown(text: str) -> None:
    kinds = [token.type for token in flat(parsed(words(text)))]
    assert kinds[:2] == ["paragraph_open", "inline"]
    assert "link_open" not in kinds


def test_a_block_cannot_be_ended_from_within() -> None:
    tokens = parsed(block("x\n```\n# out\n`````\ny"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "x\n```\n# out\n`````\ny\n"


def test_a_report_is_bounded_whatever_was_written() -> None:
    long = "x" * 10_000_000
    one = detail(long, path=long)
    many = replace(one, artifacts=one.artifacts * 5_000, decisions=one.decisions * 3)
    report = session_report(many, NOW)
    assert "… and 3,000 more." in report
    assert len(report) < 8_000_000


def test_times_that_make_no_sense_are_not_told() -> None:
    strange = replace(detail().attempts[0], started_at=1e300, finished_at=-1e300)
    assert "| – |" in session_report(replace(detail(), attempts=(strange,)), NOW)


def test_the_command_prints_the_report_or_writes_a_new_file(tmp_path: Path) -> None:
    project = Project(tmp_path / "shop", line("design", "testing"))
    project.order("testing", exit=7)
    assert project.call("run", "Refunds", "--session-id", "s1", "--trust").returncode == 1
    printed = project.call("report", "s1")
    assert printed.returncode == 0
    for part in (
        "# Session `s1`: failed",
        "## Timeline",
        "## What went wrong",
        "testing begins",
        "design.txt",
    ):
        assert part in printed.stdout
    assert project.call("report", "s1", "-o", "r.md").returncode == 0
    assert (project.folder / "r.md").read_text().startswith("# Session `s1`")
    again = project.call("report", "s1", "-o", "r.md")
    assert again.returncode == 2 and "there already" in again.stderr
    missing = project.call("report", "nobody")
    assert missing.returncode == 2 and "no session" in missing.stderr
