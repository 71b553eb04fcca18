"""Editor and pager: what they are given is safe, what they leave is checked, shown as a diff and then recorded."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.console import shell_out
from maestro_tui.console.screens.edit import EditSheet, edited_outputs, outputs_text
from maestro_tui.console.screens.review import ReviewSheet
from maestro_tui.model.errors import InputError
from tests.console.fakes import FakeHost, busy_fleet, console
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.test_sheets import opened, result, said, settle

Outside = Callable[[Callable[[Path], None]], list[Path]]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    """Puts a function in the place of the program that gets the terminal."""

    def put(does: Callable[[Path], None]) -> list[Path]:
        given: list[Path] = []

        def run(app: object, words: list[str]) -> None:
            given.append(Path(words[-1]))
            does(given[-1])

        monkeypatch.setattr(shell_out, "run_outside", run)
        return given

    monkeypatch.setenv("EDITOR", sys.executable)
    monkeypatch.setenv("PAGER", sys.executable)
    return put


# ── The review's edit ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("plain_pane")
async def test_an_edit_is_shown_as_a_diff_and_recorded_with_its_reason(outside: Outside) -> None:
    host = FakeHost()
    modes: list[int] = []

    def change(path: Path) -> None:
        modes.extend(stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent))
        path.write_text(path.read_text().replace("1.0", "2.0"))

    given = outside(change)
    app = console(busy_fleet(), host=host, results=result)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, "a", "e")
        assert isinstance(app.screen, EditSheet) and host.calls == []
        assert modes == [0o600, 0o700] and not given[0].exists()
        changes = said(app, "#changes")
        assert "version" in changes and '"1.0"' in changes and '"2.0"' in changes
        await pilot.press("enter", "enter")
        assert host.calls == [] and "Say why" in said(app, "#sentence")
        await pilot.press(*"typo", "enter", "enter")
        await settle(pilot)
        assert host.calls == [("edit", "kyc-flow", "deployment", {"version": "2.0"}, None, "typo")]
        assert isinstance(app.screen, ReviewSheet)


@pytest.mark.usefixtures("plain_pane")
@pytest.mark.parametrize(
    ("leave", "found"), [(("escape",), ("1.0", "2.0")), (("tab", "enter"), ("1.0", "1.0"))]
)
async def test_an_edit_that_is_left_is_edited_on_until_it_is_thrown_away(
    outside: Outside, leave: tuple[str, ...], found: tuple[str, ...]
) -> None:
    seen: list[str] = []

    def change(path: Path) -> None:
        seen.append(json.loads(path.read_text())["version"])
        path.write_text(path.read_text().replace("1.0", "2.0"))

    outside(change)
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, "a", "e")
        await opened(pilot, *leave)
        assert isinstance(app.screen, ReviewSheet)
        await opened(pilot, "e")
        assert isinstance(app.screen, EditSheet) and tuple(seen) == found


@pytest.mark.usefixtures("plain_pane")
@pytest.mark.parametrize(
    ("left", "words"),
    [
        ('{"version": ', "not valid JSON"),
        ("[1]", "a JSON object"),
        ('{"version": NaN, "files": []}', "NaN is not JSON"),
        ('{"version": "1.0"}', "cannot take an output away (files)"),
        (None, "Nothing was changed"),
    ],
)
async def test_what_the_editor_left_is_refused_in_a_sentence(
    outside: Outside, left: str | None, words: str
) -> None:
    host = FakeHost()
    outside(lambda path: None if left is None else path.write_text(left) and None)
    app = console(busy_fleet(), host=host, results=result)
    async with app.run_test(size=(100, 30)) as pilot:
        sheet = await opened(pilot, "a", "e")
        assert isinstance(sheet, ReviewSheet) and words in said(app, "#sentence")
        assert host.calls == [] and not sheet.busy


def test_what_is_edited_can_be_read_but_cannot_steer_and_comes_back_the_same() -> None:
    before: dict[str, Any] = {"näme": HOSTILE.replace("\ud800", ""), "deep": [{"a": "שלום 名前"}]}
    text = outputs_text(before)
    assert not NEVER_RAW & set(text) and "näme" in text and "名前" in text
    assert edited_outputs(before, text) == {}


def test_a_change_of_kind_counts_as_a_change() -> None:
    assert edited_outputs({"a": 1, "b": 1}, '{"a": true, "b": 1.0, "c": null}') == {
        "a": True,
        "b": 1.0,
        "c": None,
    }


# ── Files of the workspace ────────────────────────────────────────────────────────────────────────────────


def test_the_pager_gets_a_clean_private_copy(outside: Outside, tmp_path: Path) -> None:
    seen: list[str] = []
    (tmp_path / "log.txt").write_bytes(b"one\r\n" + HOSTILE.encode("utf-8", "replace") + b"\nlast")
    given = outside(lambda path: seen.append(path.read_text()))
    shell_out.open_in_pager(console(), str(tmp_path), "log.txt")
    assert not NEVER_RAW & set(seen[0]) and seen[0].startswith("one\n") and seen[0].endswith("\nlast")
    assert tmp_path not in given[0].parents and not given[0].exists()


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
def test_copies_are_for_their_owner_alone_under_any_umask(
    outside: Outside, tmp_path: Path, umask: int
) -> None:
    modes: list[int] = []
    (tmp_path / "log.txt").write_text("one")

    def look(path: Path) -> None:
        modes.extend(one.stat().st_mode & 0o777 for one in (path, path.parent))

    outside(look)
    app = console()
    before = os.umask(umask)
    try:
        shell_out.open_in_pager(app, str(tmp_path), "log.txt")
        assert shell_out.edit_text(app, "two", ".md") == "two"
    finally:
        os.umask(before)
    assert modes == [0o600, 0o700] * 2


def test_the_editor_gets_the_file_itself(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "-rf.md").write_text("x")
    given = outside(lambda path: None)
    shell_out.open_in_editor(console(), str(tmp_path), "docs/-rf.md")
    assert given == [tmp_path.resolve() / "docs" / "-rf.md"]


@pytest.mark.parametrize(
    "path", ["link", "folder/inside", "../out.txt", "/etc/passwd", "fifo", "gone", "", "a\0b"]
)
@pytest.mark.parametrize("opens", [shell_out.open_in_editor, shell_out.open_in_pager])
def test_nothing_but_a_regular_file_inside_is_opened(
    outside: Outside, tmp_path: Path, path: str, opens: Callable[..., None]
) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    (tmp_path / "out.txt").write_text("secret")
    (tmp_path / "inside").write_text("secret")
    (workspace / "link").symlink_to(tmp_path / "out.txt")
    (workspace / "folder").symlink_to(tmp_path)
    os.mkfifo(workspace / "fifo")
    given = outside(lambda path: None)
    with pytest.raises(InputError, match="not opened"):
        opens(console(), str(workspace), path)
    with pytest.raises(InputError, match="no workspace"):
        opens(console(), None, path)
    assert given == []


def test_the_operators_own_program_is_taken_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", f"{sys.executable} -m 'my editor'")
    assert shell_out.program("editor") == [sys.executable, "-m", "my editor"]
    monkeypatch.setenv("VISUAL", "no-such-program-anywhere")
    monkeypatch.setenv("EDITOR", sys.executable)
    assert shell_out.program("editor") == [sys.executable]
    monkeypatch.setenv("VISUAL", "'broken")
    with pytest.raises(InputError, match=r"VISUAL|EDITOR"):
        shell_out.program("editor")
    for name in ("VISUAL", "EDITOR", "PATH"):
        monkeypatch.setenv(name, "")
    with pytest.raises(InputError, match="No editor was found"):
        shell_out.program("editor")


def test_ctrl_c_in_the_program_does_not_end_the_console_and_its_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with shell_out._keys_are_its_own():
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("plain_pane")
async def test_without_a_terminal_to_lend_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", sys.executable)
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, "a", "e")
        assert "no program can take the terminal" in said(app, "#sentence")
