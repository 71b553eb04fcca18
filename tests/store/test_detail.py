"""One session in full: every attempt, commit, artifact, decision, event and log, also from a damaged folder."""

from __future__ import annotations

import random
import threading
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from maestro_tui.model.context import PhaseResult, PhaseStatus
from maestro_tui.store import detail as module
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import newest_events, read_detail
from maestro_tui.store.fold import JournalFold
from maestro_tui.store.journal import Journal, utc
from maestro_tui.store.lease import hold_session
from maestro_tui.store.runner_file import read_lease, write_lease
from maestro_tui.store.summaries import read_summary
from tests.bench.make_fleet import STATUSES, make_session, without_syncing

NOW = 1_900_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    (tmp_path / "root").mkdir()
    return CheckpointStore(tmp_path / "root")


def make(store: CheckpointStore, status: str, seed: int = 3) -> Path:
    with without_syncing():
        make_session(store, "s-1", status, NOW, random.Random(seed))
    return store.session_dir("s-1")


def test_it_holds_what_the_newest_commit_holds(store: CheckpointStore) -> None:
    detail = read_detail(make(store, "failed"), NOW)
    head = store.head("s-1")
    assert detail.artifacts == head.context.artifacts
    assert detail.decisions == head.context.decisions
    assert dict(detail.results) == head.context.phase_results
    assert [phase.name for phase in detail.phases] == list(head.workflow.order)
    assert [info.seq for info in detail.history] == list(range(head.seq + 1))
    assert detail.head_json["sha256"] == head.sha256
    assert all(one.gate is not None and one.quality["coverage"] is None for one in detail.results.values())
    assert detail.contracts == {}


@pytest.mark.parametrize("status", STATUSES)
def test_its_summary_is_the_sessions(store: CheckpointStore, status: str) -> None:
    folder = make(store, status)
    detail, summary = read_detail(folder, NOW), read_summary(folder, NOW)
    assert detail.summary == summary


def test_every_attempt_has_its_outcome_commit_and_personas(store: CheckpointStore) -> None:
    detail = read_detail(make(store, "stale"), NOW)
    first, second = (a for a in detail.attempts if a.phase == detail.phases[0].name)
    assert (first.attempt, second.attempt) == (1, 2)
    for attempt in detail.attempts:
        assert attempt.status == "completed"
        assert attempt.finished_at is not None and attempt.finished_at > attempt.started_at
        assert [span.status for span in attempt.personas] == ["completed"]
        info = detail.history[attempt.seq or 0]
        assert (info.phase, info.attempt) == (attempt.phase, attempt.attempt)
        assert (attempt.phase, attempt.attempt) in {(log.phase, log.attempt) for log in detail.logs}
    assert [attempt.started_at for attempt in detail.attempts] == sorted(
        a.started_at for a in detail.attempts
    )


def test_an_attempt_runs_while_its_runner_lives_and_is_interrupted_after(store: CheckpointStore) -> None:
    running = read_detail(make(store, "running"), NOW).attempts[-1]
    assert (running.status, running.finished_at) == ("running", None)
    assert [span.status for span in running.personas] == ["running"]


def test_an_interrupted_attempt_ends_with_its_last_sign_of_life(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    attempt = read_detail(folder, NOW).attempts[-1]
    last = newest_events(folder / "journal.jsonl")[0][-1]
    assert (attempt.status, attempt.finished_at) == ("interrupted", pytest.approx(last.at))
    assert [span.status for span in attempt.personas] == ["interrupted"]


def test_a_log_and_the_lease_of_the_dead_may_know_of_a_later_sign_of_life(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    before = read_detail(folder, NOW)
    attempt, owner = before.attempts[-1], before.summary.owner
    assert attempt.finished_at is not None and owner is not None and attempt.phase in owner.phases
    later = attempt.finished_at + 60
    log = folder / "logs" / f"{attempt.phase}.{attempt.attempt}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"{utc(later)}\tsleeper\tout\tstill here\nno line of ours\n")
    assert read_detail(folder, NOW).attempts[-1].finished_at == pytest.approx(later, abs=0.01)
    lease = read_lease(folder)
    dead = replace(lease.holders[0], heartbeat_at=later + 60)
    write_lease(folder, replace(lease, holders=(dead,)))
    seen = read_detail(folder, NOW).attempts[-1]
    assert (seen.status, seen.finished_at) == ("interrupted", later + 60)
    assert [span.finished_at for span in seen.personas] == [later + 60]


def test_the_next_runner_keeps_when_the_dead_one_was_last_seen(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    last = read_detail(folder, NOW).attempts[-1]
    phase, again = last.phase, last.attempt + 1
    with closing(Journal(folder / "journal.jsonl", "s-1")) as journal:
        journal.append("runner_acquired", data={"lost": {phase: NOW + 90, "other": NOW + 99}})
        journal.append("phase_started", phase=phase, attempt=again)
    fold = JournalFold()
    fold.update(folder / "journal.jsonl")
    by_key = {(one.phase, one.attempt): one for one in fold.summaries(frozenset([(phase, again)]))}
    first, second = by_key[phase, again - 1], by_key[phase, again]
    assert (first.status, first.finished_at) == ("interrupted", NOW + 90)
    assert (second.status, second.finished_at) == ("running", None)


def test_an_outcome_that_only_a_commit_tells_of_is_there(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    name = read_detail(folder, NOW).attempts[-1].phase
    with hold_session(folder) as hold:
        done = PhaseResult(status=PhaseStatus.COMPLETED, attempt=1)
        commit = store.commit(
            "s-1", name, 1, lambda head: (head.context.with_result(name, done), None), hold=hold
        )
    attempt = read_detail(folder, NOW).attempts[-1]
    assert (attempt.phase, attempt.status, attempt.seq) == (name, "completed", commit.seq)


def test_an_unchanged_session_gives_the_same_object(store: CheckpointStore) -> None:
    folder = make(store, "waiting")
    assert read_detail(folder, NOW) is read_detail(folder, NOW + 5)


def test_a_new_event_shows_in_the_next_reading(store: CheckpointStore) -> None:
    folder = make(store, "running")
    before = read_detail(folder, NOW)
    with closing(Journal(folder / "journal.jsonl", "s-1")) as journal:
        journal.append("phase_started", phase="late", attempt=4)
    after = read_detail(folder, NOW)
    assert len(after.attempts) == len(before.attempts) + 1
    assert after.events[-1].phase == "late"
    assert after.history is before.history


def test_only_the_end_of_a_large_journal_is_read_for_its_events(store: CheckpointStore) -> None:
    folder = make(store, "running")
    plain = b'{"crc":"00000000","seq":1,"w":"w","at":"2026-11-23T20:36:51.123Z","type":"progress","data":{"x":"%s"}}'
    line = plain % (b"y" * 900)
    line = line.replace(b"00000000", f"{zlib.crc32(line):08x}".encode(), 1) + b"\n"
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(line * 2_000)
    events, older = newest_events(folder / "journal.jsonl")
    assert older
    assert 200 < len(events) <= module.EVENTS_SHOWN
    assert {event.type for event in events} == {"progress"}
    assert read_detail(folder, NOW).attempts[-1].status == "running"


def test_an_older_damaged_commit_is_told(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    path = folder / "history" / "0002.json"
    path.write_bytes(path.read_bytes().replace(b"done", b"gone", 1))
    detail = read_detail(folder, NOW)
    assert detail.history[2].problem is not None
    assert any("0002.json" in line for line in detail.summary.damage)
    assert detail.artifacts


def test_a_session_without_an_intact_commit_is_shown_empty(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    for path in (folder / "history").glob("*.json"):
        path.write_bytes(b"")
    detail = read_detail(folder, NOW)
    assert detail.head_json == {}
    assert detail.artifacts == detail.decisions == ()
    assert detail.summary.damage
    assert detail.attempts


def test_a_folder_that_is_gone_is_shown_empty(store: CheckpointStore) -> None:
    detail = read_detail(store.root / "nowhere", NOW)
    assert (detail.attempts, detail.events, detail.logs, detail.history) == ((), (), (), ())
    assert detail.summary.damage


def test_logs_are_found_by_their_names_and_links_are_left_out(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    logs = folder / "logs"
    (logs / "secret.1.log").symlink_to("/etc/passwd")
    (logs / "notes.txt").write_text("x")
    detail = read_detail(folder, NOW)
    assert {log.phase for log in detail.logs} == {phase.name for phase in detail.phases}
    assert all(log.size == log.path.stat().st_size for log in detail.logs)


def test_several_threads_may_read_the_same_session(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    found = []
    threads = [threading.Thread(target=lambda: found.append(read_detail(folder, NOW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert all(detail is found[0] for detail in found)


def test_a_personas_draft_comments_and_revision_are_spans_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    moments = iter(range(100, 200))
    with closing(Journal(path, "s", clock=lambda: float(next(moments)))) as book:
        book.append("phase_started", phase="design", attempt=1, data={})
        for persona, step in (("author", "work"), ("critic", "comment-1"), ("author", "revise-1")):
            extra = {} if step == "work" else {"step": step}
            for number in (1, 2):  # the first try of each fails
                book.append(
                    "persona_started",
                    phase="design",
                    attempt=1,
                    persona=persona,
                    data={"attempt_try": number, **extra},
                )
                book.append(
                    "persona_finished", phase="design", attempt=1, persona=persona, data={"ok": number == 2}
                )
    fold = JournalFold()
    fold.update(path)
    (attempt,) = fold.summaries(frozenset())
    spans = [(one.persona, one.status, one.started_at, one.finished_at) for one in attempt.personas]
    assert spans == [
        ("author", "completed", 101.0, 104.0),
        ("critic comment-1", "completed", 105.0, 108.0),
        ("author revise-1", "completed", 109.0, 112.0),
    ]
