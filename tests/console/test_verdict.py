"""What is said below a session that stands still: what happened, what is safe, what to do next."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from maestro_tui.console.session_header import header_lines
from maestro_tui.console.verdict import failing_attempt, safe_words, said_and_then, verdict
from maestro_tui.model.summary import AttemptSummary, Owner, PhaseSummary, SessionStatus, SessionSummary

NOW = 1_795_442_580.0
DONE = PhaseSummary("requirements", "completed", 1, NOW - 100, NOW - 60)
DEAD = Owner(4121, "build-7", "ann", NOW - 100, NOW - 30, False, False, 1)


def session(status: SessionStatus, *phases: PhaseSummary, owner: Owner | None = None) -> SessionSummary:
    return SessionSummary("s", status, "r", "w", "/w", NOW - 100, NOW - 30, phases, 1, owner=owner)


def words(summary: SessionSummary, *attempts: AttemptSummary, width: int = 200) -> list[str]:
    return [one.text.strip() for one in verdict(summary, attempts, NOW, width)]


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (
            session(SessionStatus.FAILED, DONE, PhaseSummary("design", "failed", 2, error="exit code 3")),
            ["✗ design #2 failed: exit code 3", "requirements is safe. r resumes at design."],
        ),
        (
            session(SessionStatus.INTERRUPTED, DONE, PhaseSummary("design", "running", 1), owner=DEAD),
            [
                "⊘ Its runner (pid 4121 on build-7) is dead; it was at design.",
                "requirements is safe. r resumes at design as a new attempt.",
            ],
        ),
        (
            session(
                SessionStatus.WAITING,
                DONE,
                PhaseSummary("design", "completed", 1, NOW - 90, NOW - 60, waiting=True),
            ),
            [
                "⚑ design was done 1m00s ago and waits for your approval.",
                "requirements is safe. a opens the review; until then nothing after it runs.",
            ],
        ),
        (
            session(SessionStatus.PAUSED, DONE, PhaseSummary("design")),
            ["‖ Paused before design.", "requirements is safe. r goes on."],
        ),
        (
            session(SessionStatus.CANCELLED, PhaseSummary("design", "cancelled", 1)),
            ["■ Cancelled at design.", "No phase is committed yet. r resumes at design."],
        ),
        (
            replace(
                session(SessionStatus.FAILED, PhaseSummary("design", "failed", 2, error="no")),
                foreign="hive 1.0",
            ),
            ["✗ design #2 failed: no", "It is history of hive 1.0: 'maestro-tui import' takes it over."],
        ),
        (session(SessionStatus.COMPLETED, DONE), ["✓ All is done. R runs again from a phase."]),
        (replace(session(SessionStatus.COMPLETED, DONE), foreign="hive 1.0"), ["✓ All is done."]),
        (
            session(SessionStatus.COMPLETED, replace(DONE, stale="requirement changed")),
            ["✓ All is done, but requirements is stale. R runs again from there."],
        ),
        (
            session(SessionStatus.COMPLETED, DONE, PhaseSummary("design", selected=False)),
            ["✓ All that was asked for is done; design was not."],
        ),
        (
            session(SessionStatus.NEW, PhaseSummary("design")),
            ["○ Nothing has run yet. r begins with design."],
        ),
        (
            session(SessionStatus.RUNNING, PhaseSummary("design", "running", 1)),
            ["● design runs; it is the last."],
        ),
        (
            session(
                SessionStatus.RUNNING,
                *(PhaseSummary(name, "running", 1) for name in ("docs", "notes")),
                PhaseSummary("left out", selected=False),
                PhaseSummary("ship"),
            ),
            ["● docs and notes run; next: ship."],
        ),
        (
            replace(
                session(SessionStatus.RUNNING, PhaseSummary("design", "running", 1)), updated_at=NOW - 1320
            ),
            ["● design runs, silent for 22m00s. D looks at its runner, x cancels."],
        ),
        (
            session(SessionStatus.RUNNING, DONE, PhaseSummary("design")),
            ["● Its runner prepares the next phase; next: design."],
        ),
    ],
    ids=lambda value: value.status.value if isinstance(value, SessionSummary) else "",
)
def test_each_status_has_its_sentences(summary: SessionSummary, said: list[str]) -> None:
    attempt = AttemptSummary("design", 2, "failed", NOW - 50, NOW - 40)
    assert words(summary, attempt) == said


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (
            session(SessionStatus.FAILED, DONE, PhaseSummary("design", "failed", 2, error="exit code 3")),
            ("design failed: exit code 3", "requirements is safe."),
        ),
        (session(SessionStatus.NEW, PhaseSummary("design")), ("Nothing has run yet.", "")),
        (session(SessionStatus.COMPLETED, DONE), ("All is done.", "")),
        (
            session(SessionStatus.COMPLETED, replace(DONE, stale="x")),
            ("All is done, but requirements is stale.", ""),
        ),
        (
            session(SessionStatus.RUNNING, PhaseSummary("design", "running", 1)),
            ("design runs, silent for long. D looks at its runner.", ""),
        ),
    ],
)
def test_where_nothing_can_be_done_no_key_is_named_for_it(
    summary: SessionSummary, said: tuple[str, str]
) -> None:
    assert said_and_then(summary, silent=True, act=False) == said


def test_damage_is_told_even_of_a_completed_session_and_never_floods() -> None:
    damaged = replace(
        session(SessionStatus.COMPLETED, DONE), damage=tuple(f"file {n} is damaged" for n in range(9))
    )
    assert words(damaged)[1:] == ["! file 0 is damaged", "! file 1 is damaged", "and 7 more damaged files"]


def test_many_safe_phases_are_told_by_their_ends() -> None:
    phases = [replace(DONE, name=name) for name in "abcde"]
    assert safe_words(phases) == "a to e (5 phases) are safe."
    assert safe_words(phases[:3]) == "a, b and c are safe."


def test_a_long_error_takes_a_few_lines_and_no_more() -> None:
    summary = session(SessionStatus.FAILED, PhaseSummary("design", "failed", 1, error="word " * 500))
    said = verdict(summary, (), NOW, 60)
    assert len(said) <= 5 and all(one.width <= 60 for one in said)


def test_a_long_error_keeps_its_end() -> None:
    summary = session(
        SessionStatus.FAILED, PhaseSummary("design", "failed", 1, error="word " * 80 + "connection refused")
    )
    said = " ".join(one.text.strip() for one in verdict(summary, (), NOW, 60))
    assert "connection refused" in said


def test_the_attempt_to_open_is_the_newest_of_the_phase_that_the_session_is_at() -> None:
    attempts = [
        AttemptSummary("design", 1, "failed", NOW - 80),
        AttemptSummary("design", 2, "failed", NOW - 60),
        AttemptSummary("other", 1, "completed", NOW - 10),
    ]
    failed = session(
        SessionStatus.FAILED, PhaseSummary("design", "failed", 2), PhaseSummary("other", "completed")
    )
    assert failing_attempt(failed, attempts) == attempts[1]
    assert failing_attempt(session(SessionStatus.COMPLETED, DONE), attempts) == attempts[2]
    assert failing_attempt(failed, []) is None


def test_in_the_head_the_path_gives_way_before_anything_else() -> None:
    summary = replace(
        session(SessionStatus.RUNNING, DONE, owner=DEAD), workspace="/home/ann/work/shops/invoices"
    )
    facts = header_lines(summary, NOW, 60)[2].text
    assert facts.endswith(time.strftime("begun %H:%M", time.localtime(NOW - 100))) and "…" in facts
    assert "/home/ann/work/shops/invoices · w" in header_lines(summary, NOW, 100)[2].text


@pytest.mark.parametrize("width", [20, 54, 80, 120])
def test_the_head_fits_any_width(width: int) -> None:
    summary = replace(
        session(SessionStatus.FAILED, DONE, owner=DEAD), session_id="x" * 128, requirement="y " * 300
    )
    assert all(one.width <= width for one in header_lines(summary, NOW, width))
