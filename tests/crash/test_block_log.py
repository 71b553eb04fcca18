"""The log of a disk is read back as it was written, and broken off only in ways that a disk allows."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.crash.block_log import (
    SECTOR,
    Flushed,
    LogWriter,
    Loss,
    Marked,
    Replay,
    Wrote,
    copy_sparse,
    losses,
    read_log,
    spans,
)
from tests.crash.real_disk import FILE_SYSTEMS, missing
from tests.crash.real_disks import main

BLOCK = 4096


def logged(path: Path) -> Path:
    """Two flushes: A safe with a note, then B and C pending with another note, then D over A, never flushed."""
    log = LogWriter(path)
    log.wrote(0, b"A" * BLOCK)
    log.marked(0, pickle.dumps("first"))
    log.flushed()
    log.wrote(BLOCK, b"B" * BLOCK)
    note = pickle.dumps("second")
    log.marked(0, note[:5])
    log.wrote(2 * BLOCK, b"C" * BLOCK)
    log.marked(5, note[5:])
    log.flushed()
    log.flushed()
    log.wrote(0, b"D" * BLOCK)
    log.close()
    return path


def broken_off(tmp_path: Path, number: int, loss: Loss) -> bytes:
    """The disk of three blocks when the power fails so in this span."""
    image, copy = tmp_path / "image", tmp_path / "copy"
    image.write_bytes(b"." * (3 * BLOCK))
    entries = read_log(tmp_path / "log")
    replay = Replay(image, tmp_path / "log", entries)
    replay.forward(spans(entries)[number].safe)
    replay.broken_off(loss, copy)
    replay.close()
    return copy.read_bytes()


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = read_log(logged(tmp_path / "log"))
    assert [type(entry) for entry in entries] == [
        Wrote, Marked, Flushed, Wrote, Marked, Wrote, Flushed, Flushed, Wrote
    ]  # fmt: skip
    assert [entry.fact for entry in entries if isinstance(entry, Marked)] == ["first", "second"]


@pytest.mark.parametrize("cut", [1, BLOCK, BLOCK + 3])
def test_a_log_that_breaks_off_is_refused(tmp_path: Path, cut: int) -> None:
    data = logged(tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(data[:-cut])
    with pytest.raises(ValueError, match="breaks off"):
        read_log(tmp_path / "log")


def test_a_note_counts_from_where_it_began_and_to_the_end_of_its_span(tmp_path: Path) -> None:
    found = spans(read_log(logged(tmp_path / "log")))
    assert [(span.safe, len(span.pending), span.facts) for span in found] == [
        (0, 1, ("first",)),
        (3, 2, ("first", "second")),
        (8, 1, ("first", "second")),
    ]


def test_what_was_flushed_is_never_lost_and_nothing_else_is_there_for_certain(tmp_path: Path) -> None:
    span = spans(read_log(logged(tmp_path / "log")))[1]
    states = {loss.what: broken_off(tmp_path, 1, loss) for loss in losses(span)}
    assert all(state[:BLOCK] == b"A" * BLOCK for state in states.values())
    assert states["nothing since the last flush"][BLOCK:] == b"." * (2 * BLOCK)
    assert states["all since the last flush"][BLOCK:] == b"B" * BLOCK + b"C" * BLOCK


def test_a_later_write_lies_over_an_earlier_one(tmp_path: Path) -> None:
    span = spans(read_log(logged(tmp_path / "log")))[2]
    states = {loss.what: broken_off(tmp_path, 2, loss) for loss in losses(span)}
    assert states["nothing since the last flush"][:BLOCK] == b"A" * BLOCK
    assert states["all since the last flush"][:BLOCK] == b"D" * BLOCK


def test_a_torn_write_is_whole_in_each_sector(tmp_path: Path) -> None:
    span = spans(read_log(logged(tmp_path / "log")))[1]
    torn = [broken_off(tmp_path, 1, loss) for seed in range(20) for loss in losses(span, seed) if loss.torn]
    sectors = {state[at : at + SECTOR] for state in torn for at in range(BLOCK, 3 * BLOCK, SECTOR)}
    assert sectors == {sign * SECTOR for sign in (b".", b"B", b"C")}
    assert any(len(set(state[BLOCK : 2 * BLOCK])) == 2 for state in torn)


def test_ways_that_are_the_same_are_tried_once_and_are_the_same_at_each_run(tmp_path: Path) -> None:
    for span in spans(read_log(logged(tmp_path / "log"))):
        ways = list(losses(span))
        assert len({loss.parts for loss in ways}) == len(ways)
        assert ways == list(losses(span))


def test_an_image_never_goes_back(tmp_path: Path) -> None:
    entries = read_log(logged(tmp_path / "log"))
    (tmp_path / "image").write_bytes(b"." * (3 * BLOCK))
    replay = Replay(tmp_path / "image", tmp_path / "log", entries)
    replay.forward(8)
    with pytest.raises(ValueError, match="already"):
        replay.forward(3)
    replay.close()


def test_a_sparse_file_is_copied_with_its_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 24)
        file.seek(1 << 22)
        file.write(b"x" * BLOCK)
    copy_sparse(tmp_path / "sparse", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= (tmp_path / "sparse").stat().st_blocks


def test_without_what_it_needs_it_says_so_and_tries_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert {"mount", "losetup", "mkfs.xfs"} <= set(missing(FILE_SYSTEMS))
    assert main(["--fs", "xfs"]) == 2
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("This needs root, /dev/fuse") and line.endswith("Nothing was tried.")
