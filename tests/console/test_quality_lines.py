"""What was measured of a phase: an opinion is called one, not measured is no figure, unknown spending stays open."""

from __future__ import annotations

from maestro_tui.console.detail_parts import judgements, measured
from maestro_tui.console.judged_lines import judged_lines
from maestro_tui.console.quality_lines import contract_lines, quality_lines, usage_words
from maestro_tui.console.record_lines import artifact_lines
from maestro_tui.console.session_header import facts
from maestro_tui.model.context import Artifact, ContractCheck, Decision, Gate, PhaseResult, PhaseStatus, Usage
from maestro_tui.model.phase import Phase
from maestro_tui.model.summary import SessionSummary
from maestro_tui.store.detail import SessionDetail
from tests.console.fakes import NOW, session
from tests.console.hostile import HOSTILE, NEVER_RAW

PHASE = Phase(name="design", threshold={"tests": 0.9, "schema": 1.0}, limits={"lint_findings": 0})
RESULT = PhaseResult(
    status=PhaseStatus.FAILED,
    quality={"tests": 0.98765, "coverage": None, "lint_findings": 3.0, "opinion": 0.62},
    gate=Gate(
        verdict="failed", threshold={"tests": 0.9, "schema": 1.0}, failures=("schema was not measured",)
    ),
    contract=ContractCheck(
        deliverables=("docs/*.md", "api.json"),
        missing=("api.json",),
        violations=("contract 'api', owed by architect: deliverable 'api.json' is missing",),
        schemas=(1, 2),
    ),
    usage=Usage(seconds=252.0, input_tokens=12_345, cost_usd=None),
)


def rows(width: int = 100) -> list[list[str]]:
    return [one.text.split() for one in quality_lines(RESULT, PHASE)]


def test_each_metric_stands_beside_what_is_asked_of_it() -> None:
    assert rows() == [
        ["tests", "0.9877", "at", "least", "0.9"],
        ["coverage", "not", "measured"],
        ["lint_findings", "3", "at", "most", "0"],
        ["opinion", "0.62", "an", "opinion,", "not", "a", "measurement"],
        ["schema", "not", "measured", "at", "least", "1"],
    ]


def test_what_is_missed_is_coloured_and_not_measured_is_never_a_pass() -> None:
    colours = {one.key[1]: one.parts[-1][1] for one in quality_lines(RESULT, PHASE)}  # type: ignore[index]
    assert colours["tests"] == "muted"
    assert colours["lint_findings"] == colours["schema"] == "phase-failed"


def test_every_broken_promise_is_a_sentence_of_its_own() -> None:
    assert RESULT.contract is not None
    texts = [one.text.strip() for one in contract_lines(RESULT.contract, 100)]
    assert texts == [
        "docs/*.md: there",
        "api.json: missing",
        "1 of 2 files satisfy their schema",
        "! contract 'api', owed by architect: deliverable 'api.json' is missing",
    ]


def test_what_was_spent_and_is_not_known_stays_open() -> None:
    assert usage_words(RESULT.usage) == "4m12s · 12,345 tokens in, – out · cost –"


def spent(**changes: object) -> str:
    one: SessionSummary = session("s", "paused", **changes)  # type: ignore[arg-type]
    return " · ".join(facts(one, NOW, 100))


def test_the_head_of_a_session_tells_unknown_spending_from_none() -> None:
    assert "2k tokens · $–" in spent(input_tokens=2_000)
    assert "– tokens · $0.41" in spent(cost_usd=0.41)
    assert "tokens" not in spent() and "$" not in spent()


def test_the_gate_of_a_phase_is_followed_by_what_it_was_made_from() -> None:
    one = session("s", "failed", at=1)
    detail = SessionDetail(
        summary=one,
        phases=(PHASE,),
        results={"design": RESULT},
        decisions=(Decision(phase="design", about="blueprint", choice="parallel: a", decided_by="rules"),),
    )
    text = "\n".join(line.text for line in judged_lines(judgements(detail), measured(detail), 90))
    assert (
        text.index("design · gate") < text.index("0.9877") < text.index("is missing") < text.index("cost –")
    )
    keys = [line.key for line in judged_lines(judgements(detail), measured(detail), 90)]
    assert len(set(keys)) == len(keys)


def test_who_wrote_a_file_stands_beside_it_where_there_is_room() -> None:
    files = [
        Artifact(path="a.md", size=5, sha256="0", phase="design", persona="architect"),
        Artifact(path="b.md", size=5, sha256="0", phase="design"),
    ]
    assert [one.text.split()[-1] for one in artifact_lines(files, {}, 70)[1:]] == ["architect", "new"]
    assert [one.text.split()[-1] for one in artifact_lines(files, {}, 40)[1:]] == ["new", "new"]
    assert all(one.width <= 70 for one in artifact_lines(files, {}, 70))


def test_hostile_names_and_sentences_come_out_clean() -> None:
    words = HOSTILE.replace("\ud800", "")
    result = RESULT.model_copy(
        update={
            "quality": {words: 0.5},
            "contract": ContractCheck(deliverables=(words,), missing=(words,), violations=(words * 9,)),
        }
    )
    assert result.contract is not None
    lines = [*quality_lines(result, PHASE), *contract_lines(result.contract, 60)]
    lines += artifact_lines([Artifact(path=words, size=1, sha256="0", phase="p", persona=words)], {}, 80)
    assert not NEVER_RAW & set("".join(one.text for one in lines))
