"""Output is kept as it came, shown clean, written soon, and a full disk is said instead of hidden."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.errors import StoreError
from maestro_tui.store.logs import LINE_LIMIT, LogLine, PhaseLog, parse_log_line

NOW = 1_795_466_211.123


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "design.1.log"


def lines(path: Path) -> list[bytes]:
    return [line + b"\n" for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_line_has_the_agreed_form_and_its_text_is_as_it_came(path: Path) -> None:
    log = PhaseLog(path, clock=lambda: NOW)
    assert log.write("architect", "out", "50 %\r100 % \x1b[31mred\tä") == NOW
    log.write("architect", "err", "")
    log.close()
    assert (
        path.read_bytes()
        == (
            "2026-11-23T20:36:51.123Z\tarchitect\tout\t50 %\r100 % \x1b[31mred\tä\n"
            "2026-11-23T20:36:51.123Z\tarchitect\terr\t\n"
        ).encode()
    )


def test_what_is_shown_of_a_line_is_clean(path: Path) -> None:
    log = PhaseLog(path, clock=lambda: NOW)
    log.write("architect", "out", "50 %\r\x1b[31mred\u202e")
    log.close()
    [line] = lines(path)
    assert parse_log_line(line) == LogLine(NOW, "architect", "out", "50 %␍red<U+202E>", ((5, 16, "red"),))


def test_several_lines_in_one_text_become_several_lines(path: Path) -> None:
    log = PhaseLog(path, clock=lambda: NOW)
    log.write("a\tb\nc", "out", "one\ntwo")
    log.close()
    assert [parse_log_line(line) for line in lines(path)] == [
        LogLine(NOW, "a b c", "out", "one"),
        LogLine(NOW, "a b c", "out", "two"),
    ]


def test_a_very_long_line_is_split_between_characters(path: Path) -> None:
    text = "ä" * LINE_LIMIT + "✓" * 7
    log = PhaseLog(path, clock=lambda: NOW)
    log.write("a", "out", text)
    log.close()
    parts = [line.split(b"\t", 3)[3].removesuffix(b"\n") for line in lines(path)]
    assert len(parts) == 3 and max(map(len, parts)) <= LINE_LIMIT
    assert "".join(part.decode() for part in parts) == text


def test_text_that_utf8_cannot_carry_is_made_encodable(path: Path) -> None:
    log = PhaseLog(path, clock=lambda: NOW)
    log.write("a\ud800", "out", "x\ud800y")
    log.close()
    assert parse_log_line(lines(path)[0]).text == "x?y"


@pytest.mark.parametrize(
    "line",
    [
        b"plain text\n",
        b"",
        b"\n",
        b"a\tb\tc\td\n",
        b"9999-99-99T00:00:00Z\ta\tout\tx\n",
        b"\xff\xfe\x00\n",
        b"\t\t\t\n",
        b"2026-11-23T20:36:51.123Z\tonly two\n",
    ],
)
def test_a_foreign_line_is_all_text_and_clean(line: bytes) -> None:
    parsed = parse_log_line(line)
    assert parsed.at is None and parsed.persona == ""
    assert parsed.text.isprintable()


def test_a_line_is_on_disk_soon_while_the_log_is_open(path: Path) -> None:
    log = PhaseLog(path)
    log.write("a", "out", "first")
    deadline = time.monotonic() + 10
    while not path.read_bytes():
        assert time.monotonic() < deadline, "the line was not written"
        threading.Event().wait(0.005)
    assert parse_log_line(path.read_bytes()).text == "first"
    log.close()


def test_much_output_does_not_wait_for_the_clock(path: Path) -> None:
    log = PhaseLog(path)
    for _ in range(100):
        log.write("a", "out", "x" * 2_000)
    assert path.stat().st_size > 100_000
    log.close()


def test_threads_lose_and_mix_nothing(path: Path) -> None:
    log = PhaseLog(path)

    def work(name: str) -> None:
        for number in range(500):
            log.write(name, "out", f"{number} " + "x" * (number % 90))

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    parsed = [parse_log_line(line) for line in lines(path)]
    for name in ("t0", "t1", "t2", "t3"):
        own = [int(line.text.split()[0]) for line in parsed if line.persona == name]
        assert own == list(range(500))


def test_after_close_nothing_is_written_and_nothing_breaks(path: Path) -> None:
    log = PhaseLog(path)
    log.write("a", "out", "one")
    log.close()
    log.close()
    log.write("a", "out", "two")
    assert len(lines(path)) == 1


def test_a_second_log_of_the_same_attempt_goes_on_after_the_first(path: Path) -> None:
    for text in ("one", "two"):
        log = PhaseLog(path)
        log.write("a", "out", text)
        log.close()
    assert [parse_log_line(line).text for line in lines(path)] == ["one", "two"]


def test_a_full_disk_is_told_once_and_ends_no_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = PhaseLog(path)
    monkeypatch.setattr(os, "write", full)
    log.write("a", "out", "x" * 100_000)
    with pytest.raises(StoreError, match=r"design\.1\.log: No space left on device; the last commit is safe"):
        log.write("a", "out", "more")
    log.write("a", "out", "even more")
    log.close()


def test_a_full_disk_at_the_last_line_is_told_at_the_close(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = PhaseLog(path)
    monkeypatch.setattr(os, "write", full)
    log.write("a", "out", "x")
    with pytest.raises(StoreError, match="No space left on device"):
        log.close()
    log.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_something_else_where_the_log_should_be_is_a_sentence(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(StoreError, match=r"design\.1\.log"):
        PhaseLog(path)
    assert not (path.parent / "elsewhere").exists()


def test_a_log_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        PhaseLog(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
