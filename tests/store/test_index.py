"""All sessions at once: the index saves time and never decides what is true."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import SessionStatus
from maestro_tui.store import index as module
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.durable import TEMP_PREFIX
from maestro_tui.store.index import FleetReader, read_all
from maestro_tui.store.index_file import FIRST, INDEX, first_glance, load_index, save_index
from maestro_tui.store.journal import Journal
from maestro_tui.store.summaries import read_summary
from tests.bench.make_fleet import STATUSES, leave_runner, make_fleet, make_session, without_syncing

NOW = 1_900_000_000.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_fleet(tmp_path / "root", 3 * len(STATUSES), NOW)
    return tmp_path / "root"


def plain(root: Path) -> dict[str, object]:
    """Every session read on its own, without an index."""
    return {
        folder.name: read_summary(folder, NOW)
        for folder in sorted(root.iterdir())
        if (folder / "history").is_dir()
    }


def as_read(root: Path) -> dict[str, object]:
    return {summary.session_id: summary for summary in read_all(root, NOW)}


def test_with_and_without_the_index_the_same_is_told(root: Path) -> None:
    expected = plain(root)
    assert as_read(root) == expected
    assert (root / INDEX).exists()
    assert as_read(root) == expected


def test_the_index_gives_back_what_was_put_in(root: Path) -> None:
    fleet = FleetReader(root)
    for name in fleet.names():
        fleet.refresh(name, NOW)
    assert fleet.save()
    assert load_index(root) == fleet.entries


def test_unchanged_sessions_are_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_all(root, NOW)
    monkeypatch.setattr(module, "SummaryReader", _never)
    assert len(read_all(root, NOW)) == 3 * len(STATUSES)


def _never(folder: Path) -> None:
    raise AssertionError(f"{folder} was read")


def test_the_models_are_not_imported_for_an_index(root: Path) -> None:
    read_all(root, NOW)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\nfrom maestro_tui.store.index import read_all\n"
            f"print(len(read_all(pathlib.Path({str(root)!r}), 1.0)), 'pydantic' in sys.modules,"
            " 'watchfiles' in sys.modules, 'textual' in sys.modules)",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(3 * len(STATUSES)), "False", "False", "False"]


def test_a_change_after_the_index_was_written_is_told(root: Path) -> None:
    read_all(root, NOW)
    with closing(Journal(root / "s-00000-completed" / "journal.jsonl", "s-00000-completed")) as journal:
        journal.append("edits_applied", phase="design", data={"by": "ada"})
    assert as_read(root)["s-00000-completed"].last_event == "design edited by ada"  # type: ignore[attr-defined]


def test_a_commit_that_was_changed_in_place_is_told(root: Path) -> None:
    read_all(root, NOW)
    newest = max((root / "s-00000-completed" / "history").glob("*.json"))
    newest.write_bytes(newest.read_bytes().replace(b"done", b"gone", 1))
    assert as_read(root)["s-00000-completed"].damage  # type: ignore[attr-defined]


def test_a_runner_that_died_meanwhile_is_noticed_without_any_file_changing(root: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    from maestro_tui.store.runner_file import start_ticks

    folder = root / "s-00001-running"
    leave_runner(folder, 1, "design", NOW, child.pid, start_ticks(child.pid))
    assert as_read(root)[folder.name].status == SessionStatus.RUNNING  # type: ignore[attr-defined]
    child.communicate()
    assert as_read(root)[folder.name].status == SessionStatus.INTERRUPTED  # type: ignore[attr-defined]


def test_a_removed_session_is_gone_and_a_new_one_there(root: Path) -> None:
    read_all(root, NOW)
    subprocess.run(["rm", "-r", str(root / "s-00000-completed")], check=True)
    with without_syncing():
        make_session(CheckpointStore(root), "node_modules", "paused", NOW, random.Random(1))
    found = as_read(root)
    assert "s-00000-completed" not in found
    assert found["node_modules"].status == SessionStatus.PAUSED  # type: ignore[attr-defined]


def test_folders_that_are_no_sessions_are_left_out(root: Path) -> None:
    count = len(read_all(root, NOW))
    (root / "notes").mkdir()
    (root / "being-made" / "history").mkdir(parents=True)
    (root / "being-made" / "locks").mkdir()
    (root / ".hidden" / "history").mkdir(parents=True)
    (root / "linked").symlink_to(root / "s-00000-completed")
    (root / "file").write_text("x")
    assert len(read_all(root, NOW)) == count


def test_a_session_whose_history_is_gone_stays_in_sight(root: Path) -> None:
    read_all(root, NOW)
    subprocess.run(["rm", "-r", str(root / "s-00000-completed" / "history")], check=True)
    summary = as_read(root)["s-00000-completed"]
    assert summary.seq == -1 and summary.damage  # type: ignore[attr-defined]


def _garble(raw: bytes, chance: random.Random) -> bytes:
    how = chance.randrange(5)
    at = chance.randrange(len(raw))
    if how == 0:
        return raw[:at]
    if how == 1:
        return raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :]
    if how == 2:
        return raw[:at] + b"\0" * 50 + raw[at + 50 :]
    if how == 3:
        return b"[" * 30_000 + raw
    return raw[:at] + raw[at + chance.randrange(1, 40) :]


def test_a_damaged_index_is_made_anew_without_a_word(root: Path) -> None:
    expected = as_read(root)
    whole = (root / INDEX).read_bytes()
    chance = random.Random(11)
    for _ in range(60):
        (root / INDEX).write_bytes(_garble(whole, chance))
        found = load_index(root)
        assert found == {} or {name: entry.summary for name, entry in found.items()} == expected
    assert as_read(root) == expected


def test_what_killed_consoles_left_of_an_index_is_removed_and_what_one_writes_now_is_not(root: Path) -> None:
    old, fresh, other = root / f"{TEMP_PREFIX}old", root / f"{TEMP_PREFIX}fresh", root / "old"
    for path in (old, fresh, other):
        path.write_bytes(b"half")
        if path is not fresh:
            os.utime(path, (1, 1))
    assert save_index(root, {})
    assert (old.exists(), fresh.exists(), other.exists()) == (False, True, True)


def test_the_first_glance_is_at_those_that_need_attention_and_reads_nothing_else(root: Path) -> None:
    read_all(root, NOW)
    some = load_index(root)
    many = {f"{name}-{n}": replace(one, summary=replace(one.summary, session_id=f"{name}-{n}"))
            for n in range(9) for name, one in some.items()}  # fmt: skip
    assert save_index(root, many)
    whole = load_index(root)
    seen = first_glance(root)
    assert seen.loading and len(seen.sessions) == FIRST < len(many)
    assert list(seen.sessions) == list(whole)[:FIRST]
    assert all(whole[name].summary == summary for name, summary in seen.sessions.items())
    assert {str(one.status) for one in seen.sessions.values()} == {
        "waiting",
        "failed",
        "running",
        "interrupted",
    }

    raw = (root / INDEX).read_bytes()
    (root / INDEX).write_bytes(raw[: len(raw) * 3 // 4] + b"damaged")
    assert first_glance(root).sessions == seen.sessions
    assert load_index(root) == {}


def test_a_first_glance_at_a_damaged_index_shows_what_is_right_or_nothing(root: Path) -> None:
    read_all(root, NOW)
    expected = first_glance(root).sessions
    assert len(expected) == 3 * len(STATUSES)
    whole = (root / INDEX).read_bytes()
    chance = random.Random(5)
    for _ in range(60):
        (root / INDEX).write_bytes(_garble(whole, chance))
        assert first_glance(root).sessions in ({}, expected)
    (root / INDEX).unlink()
    assert first_glance(root).sessions == {}


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "empty"])
def test_what_stands_in_the_place_of_the_index_does_no_harm(root: Path, kind: str) -> None:
    expected = plain(root)
    place = root / INDEX
    if kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.touch()
    assert as_read(root) == expected
    assert Path("/etc/passwd").read_text().startswith("root")


def test_an_index_written_by_others_cannot_bring_in_control_characters_or_wrong_types(root: Path) -> None:
    read_all(root, NOW)
    head, _, body = (root / INDEX).read_bytes().partition(b"\n")
    lines = body.removesuffix(b"\n]}\n").split(b",\n")
    briefs, rows = zip(*[json.loads(b"[%s]" % line) for line in lines], strict=True)

    def written(change: object) -> dict[str, object]:
        changed = json.loads(json.dumps(rows))
        change(changed[0])  # type: ignore[operator]
        text = b",\n".join(
            f"{json.dumps(brief)},\t{json.dumps(row)}".encode()
            for brief, row in zip(briefs, changed, strict=True)
        )
        top = json.loads(head + b"]}")
        top["crc"] = zlib.crc32(text)
        (root / INDEX).write_bytes(json.dumps(top).encode().removesuffix(b"]}") + b"\n" + text + b"\n]}\n")
        return {name: entry.summary for name, entry in load_index(root).items()}

    loaded = written(lambda row: row[3].__setitem__(2, "\x1b]52;c;x\x07 \u202e\x7f"))
    assert loaded[rows[0][0]].requirement == "␛]52;c;x␇ <U+202E>␡"  # type: ignore[attr-defined]
    for place, value in (
        (1, "sleeping"),
        (2, 5),
        (5, 1e300),
        (5, "x"),
        (7, [[]]),
        (8, None),
        (13, {}),
        (0, "other"),
    ):
        assert written(lambda row, place=place, value=value: row[3].__setitem__(place, value)) == {}
    assert written(lambda row: row.__setitem__(0, "../x")) == {}
    assert written(lambda row: row.__setitem__(1, "x")) == {}


def test_an_index_of_another_version_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_all(root, NOW)
    assert load_index(root)
    monkeypatch.setattr("maestro_tui.store.index_file._SHAPE", "another")
    assert load_index(root) == {}


def test_a_directory_that_is_not_there_has_no_sessions(tmp_path: Path) -> None:
    assert read_all(tmp_path / "nowhere", NOW) == []


def test_a_root_that_is_no_folder_is_told_by_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Cannot read .*file: Not a directory\."):
        read_all(tmp_path / "file", NOW)


def test_an_index_that_cannot_be_written_costs_only_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plain(root)

    def refuse(*words: object) -> int:
        raise PermissionError(13, "Permission denied")

    def read_only(*words: object, **named: object) -> None:
        # Linux says so even of a file that is not there.
        raise OSError(errno.EROFS, "Read-only file system")

    fleet = FleetReader(root)
    for name in fleet.names():
        fleet.refresh(name, NOW)
    monkeypatch.setattr("maestro_tui.store.index_file.os.open", refuse)
    monkeypatch.setattr(Path, "unlink", read_only)
    assert fleet.save() is False
    monkeypatch.undo()
    assert not (root / INDEX).exists()
    assert as_read(root) == expected


def test_the_index_is_for_its_owner_alone(root: Path) -> None:
    old = os.umask(0)
    try:
        read_all(root, NOW)
    finally:
        os.umask(old)
    assert (root / INDEX).stat().st_mode & 0o777 == 0o600
