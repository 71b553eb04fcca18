"""A session's summary says what its commits, journal and lease say, quickly, and never raises for damage."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.context import PhaseResult, PhaseStatus, TeamExecutionContext
from maestro_tui.model.fingerprint import stale_reasons
from maestro_tui.model.phase import Phase
from maestro_tui.model.summary import SessionStatus
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from maestro_tui.store import checkpoint_shape, summaries
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.commit_facts import workflow_order
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.summaries import SummaryReader, read_summary
from tests.bench.make_fleet import STATUSES, leave_runner, make_session, without_syncing

NOW = 1_900_000_000.0
EXPECTED = {"stale": "completed", "damaged": "paused"}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    (tmp_path / "root").mkdir()
    return CheckpointStore(tmp_path / "root")


def make(store: CheckpointStore, status: str, name: str = "s-1", seed: int = 3) -> Path:
    with without_syncing():
        make_session(store, name, status, NOW, random.Random(seed))
    return store.session_dir(name)


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def newest(folder: Path) -> Path:
    return max((folder / "history").glob("*.json"))


# ── What it says ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_told(store: CheckpointStore, status: str, seed: int) -> None:
    summary = read_summary(make(store, status, seed=seed), NOW)
    assert summary.status == EXPECTED.get(status, status)
    assert bool(summary.damage) == (status == "damaged")


def test_the_summary_agrees_with_the_newest_commit(store: CheckpointStore) -> None:
    folder = make(store, "failed")
    head = store.head("s-1")
    summary = read_summary(folder, NOW)
    assert (summary.seq, summary.sha256) == (head.seq, head.sha256)
    assert summary.requirement == head.context.requirement
    assert summary.workspace == head.context.workspace
    assert [phase.name for phase in summary.phases] == list(head.workflow.order)
    for phase in summary.phases:
        result = head.context.phase_results.get(phase.name)
        assert phase.status == (result.status if result else "pending")
        if result and result.started_at:
            assert phase.started_at == pytest.approx(result.started_at.timestamp(), abs=0.001)
    assert summary.error == next(phase.error for phase in summary.phases if phase.status == "failed")
    assert summary.cost_usd == pytest.approx(head.context.usage.cost_usd)


def test_stale_phases_are_told_with_the_models_reason(store: CheckpointStore) -> None:
    summary = read_summary(make(store, "stale"), NOW)
    head = store.head("s-1")
    assert {phase.name: phase.stale for phase in summary.phases if phase.stale} == stale_reasons(
        head.workflow, head.context
    )
    assert any(phase.stale for phase in summary.phases)


def test_a_running_phase_has_the_attempt_and_start_of_the_journal(store: CheckpointStore) -> None:
    summary = read_summary(make(store, "running"), NOW)
    running = summary.current
    assert running is not None
    assert (running.status, running.attempt, running.finished_at) == ("running", 1, None)
    assert summary.owner is not None and summary.owner.alive


def test_a_dead_runner_turns_a_running_session_into_an_interrupted_one(store: CheckpointStore) -> None:
    folder = make(store, "running")
    reader = SummaryReader(folder)
    assert reader.read(NOW).status == SessionStatus.RUNNING
    running = reader.read(NOW).current
    assert running is not None
    leave_runner(folder, 1, running.name, NOW, dead_pid(), 1)
    summary = reader.read(NOW)
    assert summary.status == SessionStatus.INTERRUPTED
    assert summary.current is not None and summary.current.status == "running"


def test_an_attempt_of_an_earlier_runner_is_not_taken_for_the_present_ones(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    before = read_summary(folder, NOW)
    assert before.current is not None
    other = before.phases[-1].name
    with closing(Journal(folder / "journal.jsonl", "s-1")) as journal:
        journal.append("runner_acquired")
        leave_runner(folder, 2, other, NOW, os.getpid(), _own_ticks())
        journal.append("phase_started", phase=other, attempt=1)
    phases = {phase.name: phase.status for phase in read_summary(folder, NOW).phases}
    assert phases[other] == "running"
    assert phases[before.current.name] == "pending"


def test_a_commit_without_its_event_closes_the_attempt(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    name = read_summary(folder, NOW).current
    assert name is not None
    with hold_session(folder) as hold:
        done = PhaseResult(status=PhaseStatus.COMPLETED, attempt=1)
        store.commit(
            "s-1", name.name, 1, lambda head: (head.context.with_result(name.name, done), None), hold=hold
        )
    phases = {phase.name: phase.status for phase in read_summary(folder, NOW).phases}
    assert phases[name.name] == "completed"


def test_a_question_makes_a_running_session_wait(store: CheckpointStore) -> None:
    folder = make(store, "running")
    current = read_summary(folder, NOW).current
    assert current is not None
    with closing(Journal(folder / "journal.jsonl", "s-1")) as journal:
        journal.append(
            "question_asked", phase=current.name, attempt=1, persona="analyst", data={"question": "A or B?"}
        )
        waiting = read_summary(folder, NOW)
        journal.append("question_answered", phase=current.name, attempt=1, persona="analyst")
    assert waiting.status == SessionStatus.WAITING
    assert waiting.last_event == "analyst asks: A or B?"
    assert read_summary(folder, NOW).status == SessionStatus.RUNNING


def test_a_growing_log_counts_as_written(store: CheckpointStore) -> None:
    folder = make(store, "running")
    reader = SummaryReader(folder)
    before = reader.read(NOW)
    current = before.current
    assert current is not None
    later = before.updated_at + 500
    os.utime(folder / "logs" / f"{current.name}.1.log", (later, later))
    assert reader.read(NOW).updated_at == pytest.approx(later)


def test_phases_that_were_not_asked_for_are_told(store: CheckpointStore) -> None:
    flow = Workflow(name="two", phases=(Phase(name="a"), Phase(name="b")))
    store.create(
        TeamExecutionContext(
            session_id="s-1", requirement="x", workflow=flow, scope=("a",), created_at=datetime.now(UTC)
        )
    )
    assert [phase.selected for phase in read_summary(store.session_dir("s-1"), NOW).phases] == [True, False]


def test_the_order_of_phases_is_the_workflows(store: CheckpointStore) -> None:
    flow = Workflow(
        name="x",
        phases=(
            Phase(name="z", needs=("a", "m")), Phase(name="m", needs=("a",)), Phase(name="b", needs=()),
            Phase(name="a", needs=()), Phase(name="k", needs=("b",)),
        ),
    )  # fmt: skip
    raw = flow.model_dump(mode="json")["phases"]
    assert tuple(workflow_order(raw)) == flow.order


# ── Reading again ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", STATUSES)
def test_an_unchanged_session_gives_the_same_object(store: CheckpointStore, status: str) -> None:
    reader = SummaryReader(make(store, status))
    assert reader.read(NOW) is reader.read(NOW + 60)


def test_a_new_commit_is_seen_where_a_folders_time_does_not_tell_of_it(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = summaries._stat
    monkeypatch.setattr(
        summaries, "_stat", lambda path: (9, 9, 9) if path.endswith("history") else real(path)
    )
    folder = make(store, "running")
    reader = SummaryReader(folder)
    before = reader.read(NOW)
    (folder / "runner.json").unlink()
    with hold_session(folder) as hold:
        for attempt in (7, 8):
            result = PhaseResult(status=PhaseStatus.FAILED, attempt=attempt)
            made = store.commit(
                "s-1",
                "design",
                attempt,
                lambda head, result=result: (head.context.with_result("design", result), None),
                hold,
            )
            assert reader.read(NOW).seq == made.seq > before.seq


@pytest.mark.parametrize("status", STATUSES)
def test_reading_again_tells_the_same_as_reading_anew(store: CheckpointStore, status: str) -> None:
    folder = make(store, status)
    reader = SummaryReader(folder)
    reader.read(NOW)
    with (
        closing(Journal(folder / "journal.jsonl", "s-1", seal=True)) as journal,
        hold_session(folder) as hold,
    ):
        for attempt in (7, 8):
            journal.append("phase_started", phase="design", attempt=attempt)
            assert reader.read(NOW) == read_summary(folder, NOW)
            result = PhaseResult(status=PhaseStatus.FAILED, attempt=attempt)
            store.commit(
                "s-1",
                "design",
                attempt,
                lambda head, result=result: (head.context.with_result("design", result), None),
                hold=hold,
            )
            assert reader.read(NOW) == read_summary(folder, NOW)
            journal.append("phase_failed", phase="design", attempt=attempt)
            assert reader.read(NOW) == read_summary(folder, NOW)


def test_a_heartbeat_alone_is_no_news(store: CheckpointStore) -> None:
    folder = make(store, "paused")
    with hold_session(folder, clock=lambda: NOW) as hold:
        hold._clock = lambda: NOW + 2  # type: ignore[attr-defined]
        reader = SummaryReader(folder)
        before = reader.read(NOW)
        hold.beat(())
        assert reader.read(NOW + 2) is before
        hold._clock = lambda: NOW + 60  # type: ignore[attr-defined]
        hold.beat(())
        assert reader.read(NOW + 60).owner.heartbeat_at == NOW + 60  # type: ignore[union-attr]


def test_a_replaced_or_shortened_journal_is_read_anew(store: CheckpointStore) -> None:
    folder = make(store, "failed")
    reader = SummaryReader(folder)
    reader.read(NOW)
    journal = folder / "journal.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)[:3]
    journal.write_bytes(b"".join(kept))
    assert reader.read(NOW) == read_summary(folder, NOW)
    (folder / "other").write_bytes(kept[0] * 900)
    (folder / "other").replace(journal)
    assert reader.read(NOW) == read_summary(folder, NOW)


# ── Damage ────────────────────────────────────────────────────────────────────────────────────────────────


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _deep(path: Path) -> None:
    _sealed(path, b"[" * 20_000)


def _newer(path: Path) -> None:
    _sealed(path, path.read_bytes()[81:].replace(b"maestro-checkpoint/1", b"maestro-checkpoint/2"))


def _not_ours(path: Path) -> None:
    _sealed(path, b',\n "format": "maestro-checkpoint/1", "session_id": "other", "seq": 1}')


def _no_list(path: Path) -> None:
    _sealed(path, b", 5]")


def _sealed(path: Path, rest: bytes) -> None:
    """A file whose digest is right, whatever is in it."""
    import hashlib

    head = b'{\n  "sha256": "'
    digest = hashlib.sha256(head + b"0" * 64 + b'"' + rest.removeprefix(b'"')).hexdigest().encode()
    path.write_bytes(head + digest + b'"' + rest.removeprefix(b'"'))


DAMAGES = [_cut, _flip, _empty, _folder, _pipe, _link, _deep, _newer, _not_ours, _no_list]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_commit_is_told_and_the_one_before_is_used(
    store: CheckpointStore, damage: Any
) -> None:
    folder = make(store, "completed")
    path = newest(folder)
    before = store.load("s-1", store.head("s-1").seq - 1)
    damage(path)
    summary = read_summary(folder, NOW)
    assert (summary.seq, summary.sha256) == (before.seq, before.sha256)
    assert len(summary.damage) == 1
    assert path.name in summary.damage[0]
    assert "\n" not in summary.damage[0]


def test_a_session_without_an_intact_commit_stays_in_sight(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    for path in (folder / "history").glob("*.json"):
        _flip(path)
    summary = read_summary(folder, NOW)
    assert summary.status == SessionStatus.FAILED
    assert summary.seq == -1
    assert summary.error is not None and "nothing was deleted" in summary.error
    assert 0 < len(summary.damage) <= 6


def test_a_hole_in_the_history_is_told(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    (folder / "history" / "0001.json").unlink()
    summary = read_summary(folder, NOW)
    assert summary.damage == ("history/0001.json: it is missing",)
    assert summary.status == SessionStatus.COMPLETED


def test_damage_that_was_mended_is_no_longer_told(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    raw = newest(folder).read_bytes()
    reader = SummaryReader(folder)
    whole = reader.read(NOW)
    _cut(newest(folder))
    assert reader.read(NOW).damage
    newest(folder).write_bytes(raw)
    assert reader.read(NOW) == whole


def test_a_damaged_record_of_the_journal_is_told_once(store: CheckpointStore) -> None:
    folder = make(store, "failed")
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"phase", b"phsae", 1)
    lines[4] = b"nonsense\n"
    journal.write_bytes(b"".join(lines))
    summary = read_summary(folder, NOW)
    assert summary.damage == (
        f"journal.jsonl: 2 records are damaged (the first at byte {len(lines[0]) + len(lines[1])}) and passed over; "
        "the commits do not depend on it",
    )
    assert summary.status == SessionStatus.FAILED


def test_an_unfinished_last_line_is_no_damage(store: CheckpointStore) -> None:
    folder = make(store, "running")
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"crc":"00')
    assert read_summary(folder, NOW).damage == ()


def test_a_torn_line_that_the_next_runner_sealed_is_no_damage(store: CheckpointStore) -> None:
    folder = make(store, "interrupted")
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"crc":"00')
    with closing(Journal(folder / "journal.jsonl", "s-1", seal=True)) as journal:
        journal.append("runner_acquired")
        journal.append("session_paused")
    assert read_summary(folder, NOW).damage == ()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_a_journal_that_is_no_file_is_told(store: CheckpointStore, kind: str) -> None:
    folder = make(store, "completed")
    {"folder": _folder, "pipe": _pipe, "link": _link}[kind](folder / "journal.jsonl")
    summary = read_summary(folder, NOW)
    assert len(summary.damage) == 1 and summary.damage[0].startswith("journal.jsonl: it cannot be read")
    assert summary.status == SessionStatus.COMPLETED


@pytest.mark.parametrize("raw", [b"{", b"[" * 50_000, b'{"epoch": 1, "holders": 5}', b"\xff\xfe"])
def test_a_damaged_lease_is_told(store: CheckpointStore, raw: bytes) -> None:
    folder = make(store, "completed")
    (folder / "runner.json").write_bytes(raw)
    summary = read_summary(folder, NOW)
    assert any("runner.json" in line for line in summary.damage)
    assert summary.owner is None


def test_strange_values_behind_a_right_digest_never_raise(store: CheckpointStore) -> None:
    folder = make(store, "completed")
    path = newest(folder)
    data = json.loads(path.read_bytes())
    chance = random.Random(5)
    strange: list[Any] = [None, 5, -1, "x", [], {}, True, 1e300, ["x"], {"x": 1}, [[]], [{}]]
    for _ in range(300):
        copy = json.loads(json.dumps(data))
        place: Any = copy
        for _ in range(chance.randrange(1, 6)):
            keys = (
                list(place)
                if isinstance(place, dict)
                else range(len(place))
                if isinstance(place, list)
                else []
            )
            if not keys:
                break
            parent, key = place, chance.choice(list(keys))
            place = place[key]
        parent[key] = chance.choice(strange)
        _sealed(path, json.dumps(copy, indent=2).encode().partition(b'"sha256": "')[2][64:])
        summary = read_summary(folder, NOW)
        assert summary.session_id == "s-1"


# ── What others wrote ─────────────────────────────────────────────────────────────────────────────────────

HOSTILE = "\x1b]52;c;aGk=\x07[@click=app.quit]x[/] \u202e\u200b\r\n\0 end"


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        return [text for each in fields(value) for text in _texts(getattr(value, each.name))]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []


def test_every_text_of_a_summary_is_clean(store: CheckpointStore) -> None:
    flow = Workflow(name="x", phases=(Phase(name="a"), Phase(name="b")))
    store.create(
        TeamExecutionContext(
            session_id="s-1", requirement=HOSTILE * 50, workflow=flow, workspace=f"/tmp/{HOSTILE}",
            created_at=datetime.now(UTC),
        )
    )  # fmt: skip
    folder = store.session_dir("s-1")
    with closing(Journal(folder / "journal.jsonl", HOSTILE)) as journal:
        for kind in (
            "phase_started",
            "persona_started",
            "persona_finished",
            "question_asked",
            "phase_failed",
            HOSTILE,
        ):
            journal.append(
                kind, phase=HOSTILE, attempt=1, persona=HOSTILE,
                data={key: HOSTILE for key in ("summary", "error", "question", "verdict", "by", "reason")},
            )  # fmt: skip
            for text in _texts(read_summary(folder, NOW)):
                assert text == clean(text)
                assert len(text) <= 1_000


def test_a_summary_is_read_without_the_models_where_nothing_is_stale(store: CheckpointStore) -> None:
    folder = make(store, "running")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\n"
            "from maestro_tui.store import commit_facts, summaries\n"
            "commit_facts.stale_phases = lambda *a: {}\n"
            f"s = summaries.read_summary(pathlib.Path({str(folder)!r}), 1.0)\n"
            "print(s.status, 'pydantic' in sys.modules, 'watchfiles' in sys.modules)",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["running", "False", "False"]


def test_a_large_journal_is_summed_up_without_parsing_every_line(store: CheckpointStore) -> None:
    folder = make(store, "running")
    plain = b'{"crc":"00000000","seq":1,"w":"w","at":"2026-11-23T20:36:51.123Z","type":"progress","data":{}}'
    line = plain.replace(b"00000000", f"{zlib.crc32(plain):08x}".encode(), 1) + b"\n"
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(line * 50_000)
    parsed = []
    from maestro_tui.store import fold

    original = fold._record
    fold._record = lambda body: parsed.append(1) or original(body)  # type: ignore[assignment,func-returns-value]
    try:
        summary = read_summary(folder, NOW)
    finally:
        fold._record = original
    assert summary.status == SessionStatus.RUNNING
    assert summary.last_event == "session: progress"
    assert len(parsed) < 200


def _own_ticks() -> int | None:
    from maestro_tui.store.runner_file import start_ticks

    return start_ticks(os.getpid())


def test_the_list_knows_every_status_that_a_phase_can_have() -> None:
    assert {str(status) for status in PhaseStatus} == checkpoint_shape.STATUSES
