"""A requirement's file is chosen by keys, whatever the files are called; nothing that was typed is lost."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from maestro_tui.console import folder_list
from maestro_tui.console.folder_list import Listing, narrowed, read_folder, written
from maestro_tui.console.launch_form import requirement_text
from maestro_tui.console.screens import pick_file
from maestro_tui.console.screens.launch import LaunchSheet
from maestro_tui.console.screens.pick_file import PickFile
from tests.console.fakes import console, fleet
from tests.console.hostile import NEVER_RAW
from tests.console.test_sheets import opened, said, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    (folder / "docs" / "old").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "docs" / "refunds.md").write_text("\n# Refunds\nare idempotent\n")
    (folder / "docs" / "[@click=app.quit]x.md").write_text("one")
    (folder / "README.md").write_text("A shop")
    monkeypatch.chdir(folder)
    return folder


def test_folders_come_first_and_hidden_ones_only_when_asked_for(shop: Path) -> None:
    entries = read_folder(shop).entries
    assert [one.name for one in narrowed(entries, "")] == ["docs", "README.md"]
    assert [one.name for one in narrowed(entries, "READ")] == ["README.md"]
    assert [one.name for one in narrowed(entries, ".g")] == [".git"]


def test_what_cannot_be_a_requirement_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name in (b"two\nlines", b"bidi\xe2\x80\xae", b"\xff\xfe", b"ends "):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    (tmp_path / "good.md").write_text("x")
    problems = {one.shown: one.problem for one in read_folder(tmp_path).entries}
    assert [name for name, problem in problems.items() if not problem] == ["good.md"]
    assert problems["fifo"] == "not a regular file" and len(problems) == 7
    assert not NEVER_RAW & set("".join(problems))
    assert read_folder(tmp_path / "nowhere").problem.startswith("Cannot read this folder")


def test_a_vast_folder_is_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(folder_list, "MOST", 3)
    assert len(read_folder(tmp_path).entries) == 3 and read_folder(tmp_path).cut


def test_a_path_is_written_so_that_it_is_read_as_the_same_file(shop: Path) -> None:
    (shop / "~root").write_text("tilde")
    for name in ("README.md", "docs/refunds.md", "~root"):
        assert requirement_text("@" + written(shop / name, shop)) == (shop / name).read_text()
    assert written(shop / "docs" / "refunds.md", shop) == "docs/refunds.md"


async def typed(pilot: Pilot[Any], *keys: str) -> PickFile:
    sheet = await opened(pilot, *keys)
    await settle(pilot)
    assert isinstance(sheet, PickFile)
    return sheet


async def test_a_file_is_found_by_keys_and_what_was_typed_comes_back(shop: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "n", *"mine", "enter", *"too")
        sheet = await typed(pilot, "ctrl+o")
        assert [one.name for one in sheet.shown] == ["..", "docs", "README.md"]
        await typed(pilot, "enter")
        assert [one.name for one in sheet.shown] == ["..", "old", "[@click=app.quit]x.md", "refunds.md"]
        await typed(pilot, "backspace")
        assert sheet.listing.folder == shop and sheet.shown[1].name == "docs"
        await typed(pilot, "enter")
        await typed(pilot, *"fun")
        assert [one.name for one in sheet.shown] == ["..", "refunds.md"]
        await opened(pilot, "enter")
        launch = app.screen
        assert isinstance(launch, LaunchSheet) and app.focused is not None
        area = launch.query_one("#requirement", TextArea)
        assert area.text == "@docs/refunds.md" and app.focused is area
        assert "3 lines: # Refunds" in said(app, "#wrong-requirement")
        await pilot.press("ctrl+z")
        assert area.text == "mine\ntoo"


async def test_a_typed_folder_is_gone_to_and_escape_takes_nothing(shop: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "n")
        sheet = await typed(pilot, "ctrl+o", *"docs/")
        assert sheet.listing.folder == shop / "docs" and sheet.query_one("#narrow", Input).value == ""
        await typed(pilot, *"nowhere/")
        assert "Cannot read this folder" in said(app, "#sentence") and sheet.shown
        await opened(pilot, "escape")
        assert (
            isinstance(app.screen, LaunchSheet) and app.screen.query_one("#requirement", TextArea).text == ""
        )


async def test_what_is_typed_while_a_folder_is_read_is_meant_for_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slowly(folder: Path) -> Listing:
        assert folder == shop or go.wait(20)
        return read_folder(folder)

    monkeypatch.setattr(pick_file, "read_folder", slowly)
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "n")
        sheet = await typed(pilot, "ctrl+o")
        await pilot.press("enter", *"refu", "enter")
        assert sheet.reading and app.screen is sheet
        go.set()
        await settle(pilot)
        await settle(pilot)
        assert app.screen.query_one("#requirement", TextArea).text == "@docs/refunds.md"


async def test_a_name_with_markup_is_shown_as_it_is_and_is_chosen(shop: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "n")
        sheet = await typed(pilot, "ctrl+o", "enter", *"click")
        options = sheet.query_one(OptionList)
        assert "[@click=app.quit]x.md" in str(options.get_option_at_index(1).prompt)
        await opened(pilot, "enter")
        assert app.screen.query_one("#requirement", TextArea).text == "@docs/[@click=app.quit]x.md"


async def test_the_workflows_field_takes_a_file_too(shop: Path) -> None:
    (shop / "own.toml").write_text('name = "own"\n[[phases]]\nname = "one"\n')
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "n", "tab", "tab")
        sheet = await typed(pilot, "ctrl+o", *"own")
        assert "workflow" in sheet.title_words()
        await opened(pilot, "enter")
        assert app.screen.query_one("#workflow", Input).value == str(shop / "own.toml")
