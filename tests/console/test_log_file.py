"""Reading a log by offset: the lines are the file's lines, whatever its size and however it grows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_tui.console import log_tail
from maestro_tui.console.log_search import Wanted, find_lines
from maestro_tui.console.log_tail import LogFile, count_blocks
from maestro_tui.console.log_window import LogWindow
from tests.console.pane_data import BEGUN, log_line


def opened(path: Path) -> LogFile:
    file = LogFile(path)
    file.refresh()
    if not file.complete:
        file.prepend(count_blocks(file.descriptor, 0, file.base))
    return file


def window_of(path: Path) -> LogWindow:
    window = LogWindow()
    window.open(path)
    window.refresh()
    settle(window)
    return window


def settle(window: LogWindow) -> None:
    while scans := window.due_scans():
        for scan in scans:
            window.take(scan.run())


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=40), max_size=40),
    block=st.integers(min_value=3, max_value=64),
    first_look=st.integers(min_value=1, max_value=80),
)
def test_lines_and_offsets_are_those_of_the_file_for_any_content_block_and_growth(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], block: int, first_look: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    path.write_bytes(b"".join(pieces[: len(pieces) // 2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_tail, "BLOCK", block)
        patch.setattr(log_tail, "FIRST_LOOK", first_look)
        file = opened(path)
        with path.open("ab") as stream:
            for piece in pieces[len(pieces) // 2 :]:
                stream.write(piece)
                stream.flush()
                file.refresh()
        whole = path.read_bytes()
        expected = whole.split(b"\n")
        if expected[-1] == b"":
            expected.pop()
        assert file.line_count == len(expected)
        # What is longer than a block is cut there.
        shown = [text[:block] for text in expected]
        assert file.lines(0, len(expected) + 5) == shown
        offset = 0
        for number, text in enumerate(expected):
            assert file.offset_of(number) == offset
            assert file.line_at(offset) == number
            assert file.lines(number, 1) == [text[:block]]
            offset += len(text) + 1
        file.close()


def test_a_log_that_was_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("one\ntwo\nthree\n")
    file = opened(path)
    path.write_text("new\n")
    assert file.refresh().anew
    assert file.lines(0, 9) == [b"new"]
    other = tmp_path / "y.log"
    other.write_text("a\nb\n")
    other.replace(path)
    assert file.refresh().anew
    assert file.lines(0, 9) == [b"a", b"b"]


def test_a_removed_log_stays_readable(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("one\ntwo\n")
    file = opened(path)
    path.unlink()
    assert file.refresh().lines == 0
    assert file.lines(0, 2) == [b"one", b"two"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.log"
    if kind == "link":
        (tmp_path / "secret").write_text("secret\n")
        path.symlink_to(tmp_path / "secret")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError):
        LogFile(path).refresh()


def test_the_unfinished_last_line_is_shown_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(log_line(BEGUN, "a", "done") + "begun")
    window = window_of(path)
    assert [window.line(row).text for row in range(window.row_count)] == ["done", "begun"]
    with path.open("a") as stream:
        stream.write(" and ended\nnext\n")
    assert window.refresh() == (False, 1)
    assert [window.line(row).text for row in range(window.row_count)] == ["done", "begun and ended", "next"]


def test_a_line_of_ten_megabytes_costs_one_bounded_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"first\n" + b"x" * 10_000_000 + b"\nlast\n")
    window = window_of(path)
    assert window.row_count == 3
    assert len(window.line(1).text) <= 4_000
    assert window.line(2).text == "last"


def test_search_finds_only_text_and_minds_capitals_only_when_typed(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    lines = ["Reset of the peer", "all quiet", "connection reset", "RESET"]
    path.write_text("".join(log_line(BEGUN + n, "reset_bot", text) for n, text in enumerate(lines)))
    file = opened(path)

    def rows(query: str) -> list[int]:
        return [
            file.line_at(offset) for offset in find_lines(file.descriptor, 0, file.end, Wanted.text(query))
        ]

    assert rows("reset") == [0, 2, 3]
    assert rows("Reset") == [0]
    assert rows("2026") == []  # the time stamp is no text
    assert rows("") == []


def test_search_and_trouble_read_through_colours(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    texts = [
        "\x1b[32mall\x1b[0m quiet",
        "plain",
        "\x1b[1m\x1b[31mError\x1b[0m: a \x1b[4mfile\x1b[24m is gone",
        "31m",
    ]
    path.write_text("".join(log_line(BEGUN + n, "bot", text) for n, text in enumerate(texts)))
    file = opened(path)

    def rows(wanted: Wanted) -> list[int]:
        return [file.line_at(offset) for offset in find_lines(file.descriptor, 0, file.end, wanted)]

    assert rows(Wanted.text("a file is")) == [2]
    assert rows(Wanted.text("all quiet")) == [0]
    assert rows(Wanted.text("31m")) == [3]
    assert rows(Wanted.trouble()) == [2]


def test_a_persona_filter_shows_only_its_lines_and_takes_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("".join(log_line(BEGUN + n, "ab"[n % 2], f"{n} says b\tb\t") for n in range(10)))
    window = window_of(path)
    window.show_persona("b")
    settle(window)
    assert [window.line(row).text[0] for row in range(window.row_count)] == ["1", "3", "5", "7", "9"]
    with path.open("a") as stream:
        stream.write(log_line(BEGUN, "a", "x") + log_line(BEGUN, "b", "last"))
    assert window.refresh() == (False, 1)
    assert window.line(5).text == "last"
    window.show_persona(None)
    assert window.row_count == 12


def test_a_result_about_another_log_is_dropped(tmp_path: Path) -> None:
    for name in ("x.log", "y.log"):
        (tmp_path / name).write_text("a\n" * 500_000)
    window = LogWindow()
    window.open(tmp_path / "x.log")
    window.refresh()
    scans = window.due_scans()
    assert [scan.kind for scan in scans] == ["earlier"]
    window.open(tmp_path / "y.log")
    assert window.take(scans[0].run()) is None


def test_opening_a_big_log_reads_only_its_end_at_first(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"a line of the log\n" * 1_000_000)
    window = LogWindow()
    window.open(path)
    window.refresh()
    assert 0 < window.row_count < 20_000
    assert not window.complete
    settle(window)
    assert window.row_count == 1_000_000
