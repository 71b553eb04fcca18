"""An event is one whole line; torn and changed lines are passed over and told; writers never tear each other's lines."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_tui.model.errors import StoreError
from maestro_tui.store import journal as module
from maestro_tui.store.journal import Journal, read_events
from tests.store.runners import REPOSITORY

NOW = 1_795_466_211.123


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def make(path: Path, **named: Any) -> Journal:
    return Journal(path, "s1", clock=lambda: NOW, **named)


def types(path: Path) -> list[str]:
    return [event.type for event in read_events(path).events]


def test_an_event_is_read_as_it_was_written(path: Path) -> None:
    journal = make(path)
    written = [
        journal.append("phase_started", phase="design", attempt=2, data={"reason": "ä\n\x1b[31m\u2028"}),
        journal.append("persona_output", phase="design", attempt=2, persona="architect", data={"n": [1, {}]}),
        journal.append("session_paused"),
    ]
    journal.close()
    part = read_events(path)
    assert part.events == written
    assert part.damage == [] and part.next_offset == path.stat().st_size


def test_a_record_has_the_agreed_form(path: Path) -> None:
    make(path).append("phase_started", phase="design", attempt=1, data={"a": 1})
    raw = path.read_bytes()
    assert raw.endswith(b"}\n") and raw.count(b"\n") == 1 and raw.isascii()
    record = json.loads(raw)
    assert list(record) == ["crc", "seq", "w", "at", "session", "phase", "attempt", "type", "data"]
    assert record["at"] == "2026-11-23T20:36:51.123Z" and record["seq"] == 1
    line = raw.removesuffix(b"\n")
    zeroed = line.replace(record["crc"].encode(), b"00000000", 1)
    assert record["crc"] == f"{zlib.crc32(zeroed):08x}"


def test_a_new_journal_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        make(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_event_is_one_write_and_synced_only_where_its_type_asks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, calls = make(path), []
    write, sync = os.write, os.fdatasync
    monkeypatch.setattr(os, "write", lambda *a: (calls.append("write"), write(*a))[1])
    monkeypatch.setattr(os, "fdatasync", lambda *a: (calls.append("sync"), sync(*a))[1])
    journal.append("persona_output", data={"text": "x" * 100_000})
    # Its outcome is in the commit: the next event that is synced brings it to the disk as well.
    journal.append("phase_committed", phase="design")
    journal.append("phase_started", phase="testing")
    assert calls == ["write", "write", "write", "sync"]


def test_reading_goes_on_where_it_stopped(path: Path) -> None:
    journal = make(path)
    journal.append("a")
    offset = read_events(path).next_offset
    assert read_events(path, offset).events == []
    journal.append("b")
    part = read_events(path, offset)
    assert [event.type for event in part.events] == ["b"]
    assert read_events(path, part.next_offset).events == []


def test_a_missing_journal_is_an_empty_one(path: Path) -> None:
    part = read_events(path, 5)
    assert (part.events, part.next_offset, part.damage) == ([], 0, [])


def test_a_line_that_is_still_being_written_is_neither_shown_nor_damage(path: Path) -> None:
    make(path).append("a")
    whole = path.read_bytes()
    make(path).append("b", data={"text": "x" * 50})
    both = path.read_bytes()
    for cut in range(len(whole), len(both)):
        path.write_bytes(both[:cut])
        part = read_events(path)
        assert [event.type for event in part.events] == ["a"]
        assert part.damage == [] and part.next_offset == len(whole)


def test_a_torn_tail_is_sealed_and_never_truncated(path: Path) -> None:
    make(path).append("a")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    journal = make(path, seal=True)
    journal.append("b")
    raw = path.read_bytes()
    assert raw.startswith(whole + whole[:40] + b"\n")
    part = read_events(path)
    assert [event.type for event in part.events] == ["a", "b"]
    assert (
        part.damage
        == [f"journal.jsonl: the record at byte {len(whole)} breaks off; passed over"]
        == part.torn
    )


@pytest.mark.parametrize("cut", [1, 5, 8, 20, -2])
@pytest.mark.parametrize("zeros", [0, 300])
def test_every_tail_that_a_crash_can_leave_counts_as_torn(path: Path, cut: int, zeros: int) -> None:
    make(path).append("a")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut] + b"\0" * zeros)
    make(path, seal=True).append("b")
    part = read_events(path)
    assert [event.type for event in part.events] == ["a", "b"]
    assert len(part.damage) == 1 and part.torn == part.damage


def test_a_whole_tail_and_an_empty_journal_are_not_sealed(path: Path) -> None:
    make(path, seal=True)
    assert path.read_bytes() == b""
    make(path).append("a")
    size = path.stat().st_size
    make(path, seal=True)
    assert path.stat().st_size == size


def test_a_changed_record_is_told_and_the_others_are_read(path: Path) -> None:
    journal = make(path)
    for kind in "abc":
        journal.append(kind, data={"text": "hello"})
    lines = path.read_bytes().splitlines(keepends=True)
    for place in range(len(lines[1]) - 1):
        broken = bytearray(lines[1])
        broken[place] ^= 0x02
        if broken[place] == ord("\n"):
            continue
        path.write_bytes(lines[0] + bytes(broken) + lines[2])
        part = read_events(path)
        assert [event.type for event in part.events] == ["a", "c"], place
        assert len(part.damage) == 1 and "\n" not in part.damage[0]
        assert f"byte {len(lines[0])} " in part.damage[0]


def test_a_shorter_journal_is_read_anew_and_told(path: Path) -> None:
    journal = make(path)
    journal.append("a")
    journal.append("b")
    part = read_events(path, 100_000)
    assert [event.type for event in part.events] == ["a", "b"]
    assert "shorter than it was" in part.damage[0] and part.next_offset == path.stat().st_size


def _record(**changes: Any) -> bytes:
    record: dict[str, Any] = {"crc": "00000000", "seq": 1, "w": "w", "at": "2026-11-23T20:36:51.123Z"}
    record |= {"type": "a", "data": {}, **changes}
    line = json.dumps(record, separators=(",", ":")).encode()
    return line.replace(b"00000000", f"{zlib.crc32(line):08x}".encode(), 1) + b"\n"


def test_a_record_with_the_fewest_keys_is_read(path: Path) -> None:
    path.write_bytes(_record())
    [event] = read_events(path).events
    assert (event.type, event.session_id, event.phase, event.data) == ("a", "", None, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"type": 3},
        {"type": None},
        {"at": "yesterday"},
        {"at": 5},
        {"at": "0001-01-01T00:00:00"},
        {"w": None},
        {"seq": "1"},
        {"session": 7},
        {"phase": ["design"]},
        {"attempt": "1"},
        {"persona": {}},
        {"data": []},
        {"data": 3},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_told_though_its_sum_is_right(
    path: Path, changes: dict[str, Any]
) -> None:
    path.write_bytes(_record(**changes) + _record())
    part = read_events(path)
    assert len(part.events) == 1 and len(part.damage) == 1 and part.torn == []


@pytest.mark.parametrize(
    "data", ["[" * 20_000 + "]" * 20_000, "9" * 5_000], ids=["20,000 deep", "5,000 digits"]
)
def test_json_that_readers_stumble_over_is_told(path: Path, data: str) -> None:
    line = (
        b'{"crc":"00000000","seq":1,"w":"w","at":"2026-11-23T20:36:51Z","type":"a","data":'
        + data.encode()
        + b"}"
    )
    path.write_bytes(line.replace(b"00000000", f"{zlib.crc32(line):08x}".encode(), 1) + b"\n" + _record())
    part = read_events(path)
    assert len(part.events) == 1 and len(part.damage) == 1


def test_a_flood_of_damage_is_told_in_few_lines(path: Path) -> None:
    path.write_bytes(b"x\n" * 50_000 + _record())
    part = read_events(path)
    assert len(part.events) == 1 and len(part.damage) == 101
    assert part.damage[-1] == "journal.jsonl: 49,900 more records cannot be read"


def test_a_line_without_end_does_not_fill_the_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_LIMIT", 1_000_000)
    make(path).append("a")
    with path.open("ab") as stream:
        stream.truncate(path.stat().st_size + 500_000_000)
    part = read_events(path)
    assert [event.type for event in part.events] == ["a"]
    assert "it is not a journal; not read further" in part.damage[0]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    path.write_bytes(_record() + data + b"\n" + _record())
    part = read_events(path)
    assert len(part.events) >= 1 and part.next_offset == path.stat().st_size
    assert all("\n" not in line for line in part.damage)


# ── What cannot be written ────────────────────────────────────────────────────────────────────────────────


def test_data_that_json_cannot_hold_never_loses_the_event(path: Path) -> None:
    journal = make(path)
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    for data in ({"x": circle}, {"x": deep}, {(1, 2): 3}):
        journal.append("phase_failed", data=data)
    events = read_events(path).events
    assert [event.type for event in events] == ["phase_failed"] * 3
    assert all("cannot be written as JSON" in event.data["left_out"] for event in events)


def test_not_a_number_is_written_as_not_known_and_objects_by_their_words(path: Path) -> None:
    make(path).append("a", data={"nan": math.nan, "inf": [math.inf], "path": Path("/x"), "n": 1.5})
    assert b"NaN" not in path.read_bytes()
    assert read_events(path).events[0].data == {"nan": None, "inf": [None], "path": "/x", "n": 1.5}


def test_a_lone_surrogate_is_kept_and_the_file_stays_ascii(path: Path) -> None:
    make(path).append("a", data={"text": "\ud800"})
    assert path.read_bytes().isascii()
    assert read_events(path).events[0].data == {"text": "\ud800"}


def test_data_beyond_all_bounds_is_left_out_with_a_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_LIMIT", 10_000)
    make(path).append("a", data={"text": "x" * 20_000})
    [event] = read_events(path).events
    assert "too many for the journal" in event.data["left_out"]


# ── The disk ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_tears_no_later_event(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(path)
    journal.append("a")
    real, room = os.write, [30]

    def write(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data)[: room[0]]
        room[0] -= len(part)
        return real(fd, part)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        for _ in range(2):
            with pytest.raises(StoreError, match="No space left on device; the last commit is safe"):
                journal.append("lost", data={"text": "x" * 200})
    journal.append("b")
    part = read_events(path)
    assert [event.type for event in part.events] == ["a", "b"]
    assert len(part.damage) == 1 and part.damage == part.torn


def test_a_disk_that_stays_nearly_full_is_told_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(path)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:10]))
        with pytest.raises(StoreError, match="is the disk full"):
            journal.append("lost")
    journal.append("b")
    assert types(path) == ["b"]


def test_after_a_failed_sync_the_descriptor_is_not_used_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(path)
    spent: list[int] = []

    def sync(fd: int) -> None:
        spent.append(os.fstat(fd).st_ino)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", sync)
        with pytest.raises(StoreError, match="Input/output error"):
            journal.append("phase_started")
        assert journal._fd == -1
    journal.append("phase_failed")
    assert types(path) == ["phase_started", "phase_failed"] and len(spent) == 1


def test_a_closed_journal_says_so(path: Path) -> None:
    journal = make(path)
    journal.close()
    journal.close()
    with pytest.raises(StoreError, match="closed already"):
        journal.append("a")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_something_else_where_the_journal_should_be_is_a_sentence(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(StoreError, match=r"journal\.jsonl"):
        make(path)
    part = read_events(path)
    assert part.events == [] and len(part.damage) == 1
    assert not (path.parent / "elsewhere").exists()


# ── Several writers ───────────────────────────────────────────────────────────────────────────────────────

_WRITER = """
import sys
from pathlib import Path
from maestro_tui.store.journal import Journal
journal = Journal(Path(sys.argv[1]), "s1", seal=True)
for number in range(200):
    journal.append("persona_output", persona=sys.argv[2], data={"n": number, "text": "x" * (number * 37 % 5000)})
"""


def test_processes_that_write_at_once_lose_and_tear_nothing(path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), f"p{n}"], cwd=REPOSITORY)
        for n in range(3)
    ]
    seen, offset = 0, 0
    while any(process.poll() is None for process in started):
        part = read_events(path, offset)
        assert part.damage == [] and part.next_offset >= offset
        seen, offset = seen + len(part.events), part.next_offset
    assert [process.returncode for process in started] == [0, 0, 0]
    part = read_events(path)
    assert part.damage == [] and len(part.events) == 600
    assert seen + len(read_events(path, offset).events) == 600
    for name in ("p0", "p1", "p2"):
        own = [event for event in part.events if event.persona == name]
        assert [event.data["n"] for event in own] == list(range(200))
        assert [event.seq for event in own] == list(range(1, 201))
        assert len({event.writer for event in own}) == 1


def test_threads_that_share_a_journal_number_their_events_without_gaps(path: Path) -> None:
    journal = make(path)
    threads = [threading.Thread(target=lambda: [journal.append("a") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in read_events(path).events] == list(range(1, 801))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_journal_that_is_taken_away_is_begun_anew_and_says_so(path: Path, replaced: bool) -> None:
    journal = make(path)
    journal.append("phase_started")
    path.unlink()
    if replaced:
        path.write_bytes(b"")
    journal.append("phase_committed")
    journal.append("session_completed")
    assert types(path) == ["journal_lost", "phase_committed", "session_completed"]
    assert "the events before are lost" in read_events(path).events[0].data["reason"]


def test_a_journal_whose_folder_was_moved_goes_on_there(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    journal = make(tmp_path / "s1" / "journal.jsonl")
    journal.append("phase_started")
    (tmp_path / "s1").rename(tmp_path / "s2")
    journal.append("phase_committed")
    assert types(tmp_path / "s2" / "journal.jsonl") == ["phase_started", "phase_committed"]
