"""What `list` tells comes from the index only where it is what the files say."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from maestro_tui.listing import list_lines
from maestro_tui.model.summary import (
    SILENT_AFTER,
    PhaseSummary,
    SessionBrief,
    SessionStatus,
    SessionSummary,
    brief_of,
)
from maestro_tui.store import index, index_file
from maestro_tui.store.briefs import load_briefs, read_briefs
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.holder_life import holder_lines
from maestro_tui.store.index import read_all
from maestro_tui.store.index_file import BETWEEN, INDEX, first_glance, load_index
from maestro_tui.store.journal import Journal
from maestro_tui.store.runner_file import start_ticks
from maestro_tui.store.summaries import read_summary
from tests.bench.make_fleet import STATUSES, leave_runner, make_fleet, make_session, without_syncing
from tests.store.hive_files import WORKFLOW, checkpoint, put

NOW = 1_900_000_000.0
COUNT = len(STATUSES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fleet of each status, and an index that tells what is there."""
    make_fleet(tmp_path / "root", COUNT, NOW)
    assert len(read_briefs(tmp_path / "root", NOW)) == len(load_briefs(tmp_path / "root")) == COUNT
    return tmp_path / "root"


def briefs(root: Path) -> dict[str, SessionBrief]:
    return {brief.session_id: brief for brief in read_briefs(root, NOW)}


def truth(root: Path) -> dict[str, SessionBrief]:
    """Every session read on its own, without an index."""
    return {
        folder.name: brief_of(read_summary(folder, NOW))._replace(
            notes=tuple(holder_lines(folder, NOW, living=False))
        )
        for folder in root.iterdir()
        if (folder / "journal.jsonl").exists() or (folder / "history" / "0000.json").exists()
    }


def _never(*words: object) -> None:
    raise AssertionError("this is not needed")


def test_of_unchanged_sessions_only_the_briefs_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SummaryReader", _never)
    monkeypatch.setattr(index_file, "_Decoder", _never)
    found = briefs(root)
    monkeypatch.undo()
    assert found == truth(root)
    assert {brief.status for brief in found.values()} == set(SessionStatus)
    assert any(brief.damage for brief in found.values()) and any(brief.notes for brief in found.values())


def _event(folder: Path) -> None:
    with closing(Journal(folder / "journal.jsonl", folder.name)) as journal:
        journal.append("phase_started", phase="design", attempt=7, data={"reason": "again"})


def _in_place(folder: Path) -> None:
    newest = max((folder / "history").glob("*.json"))
    newest.write_bytes(newest.read_bytes().replace(b"done", b"gone", 1))


def _cut_off(folder: Path) -> None:
    newest = max((folder / "history").glob("*.json"))
    os.truncate(newest, 500)


CHANGES: dict[str, Callable[[Path], object]] = {
    "an event": _event,
    "the newest commit, in place": _in_place,
    "the newest commit, cut off": _cut_off,
    "the newest commit is gone": lambda folder: max((folder / "history").glob("*.json")).unlink(),
    "the first commit is gone": lambda folder: (folder / "history" / "0000.json").unlink(),
    "a commit of nobody": lambda folder: (folder / "history" / "0099.json").write_bytes(b"{}"),
    "the history is gone": lambda folder: shutil.rmtree(folder / "history"),
    "a runner": lambda folder: leave_runner(folder, 9, "design", NOW, 1, start_ticks(1)),
    "a dead runner": lambda folder: leave_runner(folder, 9, "design", NOW, 1, 1),
    "the lease, in place": lambda folder: (folder / "runner.json").write_bytes(b"{"),
    "the lease is gone": lambda folder: (folder / "runner.json").unlink(),
    "the journal is gone": lambda folder: (folder / "journal.jsonl").unlink(),
    "the session is gone": shutil.rmtree,
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_since_the_index_was_written_is_told(root: Path, change: str) -> None:
    before = briefs(root)
    for status in ("completed", "running", "interrupted"):
        CHANGES[change](root / next(name for name in before if name.endswith(status)))
    found = briefs(root)
    assert found == truth(root)
    assert found != before, "the change is one that the list can tell"
    assert briefs(root) == found


@pytest.mark.parametrize("read", [briefs, lambda root: read_all(root, NOW)], ids=["briefs", "summaries"])
def test_what_was_touched_is_read_once_although_it_tells_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    before = read(root)
    os.utime(root / "s-00000-completed" / "history", (1, 1))
    assert read(root) == before
    monkeypatch.setattr(index, "SummaryReader", _never)
    assert read(root) == before


def test_a_new_session_is_there_and_a_folder_that_is_none_is_not(root: Path) -> None:
    with without_syncing():
        make_session(CheckpointStore(root), "node_modules", "paused", NOW, random.Random(1))
    (root / "notes").mkdir()
    (root / "being-made" / "history").mkdir(parents=True)
    found = briefs(root)
    assert found == truth(root) and len(found) == COUNT + 1


def test_a_runner_that_died_is_noticed_without_any_file_changing(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        folder = root / "s-00001-running"
        leave_runner(folder, 9, "design", NOW, child.pid, start_ticks(child.pid))
        read_all(root, NOW)
        assert briefs(root)[folder.name].status == SessionStatus.RUNNING
        child.communicate()
    found = briefs(root)[folder.name]
    assert found.status == SessionStatus.INTERRUPTED
    assert len(found.notes) == 1 and "ended without giving it back" in found.notes[0]


def test_news_are_put_into_the_index_and_the_others_stay_in_it_whole(root: Path) -> None:
    for name in sorted(briefs(root))[:3]:
        _event(root / name)
    shutil.rmtree(root / "s-00009-damaged")
    found = briefs(root)
    loaded = load_index(root)
    expected = {summary.session_id: summary for summary in read_all(root, NOW)}
    assert {name: entry.summary for name, entry in loaded.items()} == expected
    assert first_glance(root).sessions == expected
    assert {name: kept.summary for name, kept in load_briefs(root).items()} == {
        name: brief._replace(notes=()) for name, brief in found.items()
    }


@pytest.mark.parametrize(
    ("news", "of", "expected"),
    [(0, 0, False), (1, 50, True), (1, 51, False), (19, 10_000, False), (20, 10_000, True)],
)
def test_the_index_is_written_for_many_news_only(news: int, of: int, expected: bool) -> None:
    assert index.worth_an_index(news, of) is expected


def test_a_damaged_index_tells_nothing_wrong(root: Path) -> None:
    expected = load_briefs(root)
    whole = (root / INDEX).read_bytes()
    chance = random.Random(3)
    for _ in range(60):
        at = chance.randrange(len(whole))
        flipped = bytes([whole[at] ^ (1 << chance.randrange(8))])
        for garbled in (whole[:at], whole[:at] + flipped + whole[at + 1 :], whole[:at] + whole[at + 9 :]):
            (root / INDEX).write_bytes(garbled)
            assert load_briefs(root) in ({}, expected)
    assert briefs(root) == truth(root)


def test_an_index_written_by_others_cannot_bring_in_control_characters_or_wrong_types(root: Path) -> None:
    head, _, body = (root / INDEX).read_bytes().partition(b"\n")
    lines = body.removesuffix(b"\n]}\n").split(b",\n")
    brief, _, rest = lines[0].decode().partition(BETWEEN)

    def loaded(place: int, value: object) -> dict[str, object]:
        row = json.loads(brief)
        row[place] = value
        lines[0] = f"{json.dumps(row)}{BETWEEN}{rest}".encode()
        text = b",\n".join(lines)
        top = json.loads(head + b"]}") | {"crc": zlib.crc32(text)}
        (root / INDEX).write_bytes(json.dumps(top).encode().removesuffix(b"]}") + b"\n" + text + b"\n]}\n")
        return {name: kept.summary for name, kept in load_briefs(root).items()}

    name = json.loads(brief)[2]
    assert loaded(5, "\x1b]52;c;x\x07 \u202e\x7f")[name].requirement == "␛]52;c;x␇ <U+202E>␡"  # type: ignore[attr-defined]
    for place, value in (
        (0, "x"), (1, None), (1, True), (2, 5), (3, "sleeping"), (4, "x"), (4, 1e300), (5, None), (6, []),
        (7, 1), (8, 1), (9, 1), (10, None), (11, "x"), (11, [1]),
    ):  # fmt: skip
        assert loaded(place, value) == {}, (place, value)
    assert briefs(root) == truth(root)


def test_history_of_another_system_is_told_with_and_without_sessions_of_ours(
    root: Path, tmp_path: Path
) -> None:
    put(tmp_path / "theirs" / "a.json", checkpoint("requirements"))
    assert briefs(tmp_path / "theirs").keys() == {WORKFLOW}
    ours = briefs(root)
    put(root / "a.json", checkpoint("requirements"))
    found = briefs(root)
    assert found.pop(WORKFLOW).foreign is not None and found == ours


def test_a_line_says_silent_over_budget_and_stale_as_the_console_does(tmp_path: Path) -> None:
    phases = (
        PhaseSummary("plan", "completed", stale="the requirement changed"),
        PhaseSummary("build", "pending", error="its budget is spent"),
        PhaseSummary("test", "pending", selected=False),
    )
    now = time.time()
    spent = SessionSummary("spent", SessionStatus.PAUSED, "x", "w", None, now, now, phases, 1)
    silent = replace(
        spent,
        session_id="silent",
        status=SessionStatus.RUNNING,
        updated_at=now - SILENT_AFTER - 1,
        phases=(PhaseSummary("plan", "running"),),
    )
    first, second = list_lines([brief_of(spent), brief_of(silent)], tmp_path)
    assert first.split()[:5] == ["‖", "spent", "over", "budget", "~○↷"]
    assert second.split()[:4] == ["◌", "silent", "silent", "●"]
