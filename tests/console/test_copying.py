"""What leaves the console: only on a key, only clean, bounded, and never over a file that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from maestro_tui.console import copying
from maestro_tui.console.actions import actions_for
from maestro_tui.console.lines import line
from maestro_tui.console.screens.main import MainScreen
from maestro_tui.console.screens.wall import WallScreen
from maestro_tui.console.widgets.rows_view import RowsView
from maestro_tui.model.errors import StoreError
from maestro_tui.model.text import clean
from tests.console.fakes import ROOT, busy_fleet, console, fleet, post, session
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.pane_data import PaneApp, failed_session, hostile_session, ready
from tests.sessions import Project
from tests.sessions import line as phases_in_line


class Copied:
    """A console whose clipboard and words are recorded."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.texts: list[str] = []
        self.said: list[str] = []
        app.copy_to_clipboard = self.texts.append
        app.say = lambda sentence, **_: self.said.append(sentence)


@pytest.mark.usefixtures("plain_pane")
async def test_each_key_copies_what_it_says_and_nothing_is_copied_without_a_key() -> None:
    took = Copied(console(busy_fleet()))
    async with took.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await post(took.app, pilot, busy_fleet())
        assert took.texts == []
        await pilot.press("j", "c", "ctrl+y", "y")
        assert took.texts[0] == "payments-refactor"
        assert took.texts[1] == f"{ROOT}/payments-refactor"
        assert took.texts[2].startswith("payments-refactor  design  failed 3m  attempt 2 failed")
        await pilot.press("Y")
        assert len(took.texts[3].splitlines()) == 8
        assert took.said[-1] == "Copied 8 lines."


@pytest.mark.usefixtures("plain_pane")
async def test_the_wall_is_copied_as_its_sessions() -> None:
    took = Copied(console(busy_fleet()))
    async with took.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w", "j", "y", "Y", "c")
        assert isinstance(took.app.screen, WallScreen)
        assert took.texts[0].startswith("payments-refactor")
        assert took.texts[1].splitlines()[0].startswith("kyc-flow")
        assert took.texts[2] == "payments-refactor"


@pytest.mark.usefixtures("plain_pane")
async def test_with_nothing_to_copy_it_says_so() -> None:
    took = Copied(console(fleet()))
    async with took.app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("y", "c", "E", "ctrl+y", "space")
        assert took.texts == []
        assert took.said[0] == "There is nothing to copy here."
        assert set(took.said[1:]) == {"There is no session under the cursor."}


@pytest.mark.usefixtures("plain_pane")
async def test_with_marks_and_an_empty_list_no_key_fails() -> None:
    took = Copied(console(busy_fleet()))
    async with took.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("space", "slash", *"nothing-like-it", "enter")
        assert took.app.main.table.current is None and took.app.main.marked
        await pilot.press("c", "C", "space", "ctrl+y", "E", "y")
        assert took.app.is_running
        assert took.texts == []


# ── Lines of each view ────────────────────────────────────────────────────────────────────────────────────


async def test_the_line_in_focus_of_log_timeline_and_lists(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=(100, 40)) as pilot:
        pane = await ready(pilot)
        log = pane.log_view.log_lines
        log.refresh_file()
        assert "refused" in (copying.line_in_focus(log, 0) or ""), "a failed session opens at its first error"
        log.action_follow()
        last = log.line(log.row_count - 1).text
        assert copying.line_in_focus(log, 0) == last
        log.action_top()
        await pilot.pause()
        if not log.following:
            assert copying.line_in_focus(log, 0) == log.line(0).text
        log.focus()
        await pilot.pause()
        assert copying.whole_view(app.screen, 0)[-1] in {log.line(row).text for row in range(log.row_count)}
        pane.timeline.cursor = 1
        told = copying.line_in_focus(pane.timeline, 1_795_442_580.0)
        assert told is not None and told.startswith("design #1")
        pane.action_tab("artifacts")
        await pilot.pause()
        focused = app.focused
        assert isinstance(focused, RowsView)
        assert copying.line_in_focus(focused, 0) == focused.lines[focused.cursor].text


async def test_the_path_in_focus_is_that_of_the_log_or_the_artifact(tmp_path: Path) -> None:
    told = failed_session(tmp_path)
    app: Any = PaneApp(told)
    app.root = told.root  # what it needs of the console
    async with app.run_test(size=(100, 40)) as pilot:
        pane = await ready(pilot)
        assert copying.path_in_focus(app, told.summary) == told.root / told.summary.session_id
        pane.action_tab("log")
        await pilot.pause()
        assert copying.path_in_focus(app, told.summary) == pane.log_view.log_lines.path
        pane.action_tab("artifacts")
        await pilot.pause()
        workspace = Path(told.summary.workspace or "")
        assert copying.path_in_focus(app, told.summary) in {
            workspace / one.path for one in told.detail.artifacts
        }


async def test_hostile_lines_are_copied_clean(tmp_path: Path) -> None:
    told = hostile_session(tmp_path)
    app = PaneApp(told)
    async with app.run_test(size=(100, 40)) as pilot:
        pane = await ready(pilot)
        for name in ("log", "artifacts", "checkpoint", "decisions", "events", "diff"):
            pane.action_tab(name)
            await pilot.pause()
            text, _ = copying.bounded(copying.whole_view(app.screen, 0))
            assert not NEVER_RAW & set(text), name
            one = copying.line_in_focus(app.focused, 0)
            assert one is None or not NEVER_RAW & set(copying.bounded([one])[0])


def test_what_goes_to_the_clipboard_is_clean_and_bounded() -> None:
    text, count = copying.bounded([HOSTILE, "x" * 10_000_000, "\n rm -rf /\n"])
    assert count == 3
    assert not NEVER_RAW & set(text)
    assert len(text.splitlines()) == 3
    text, count = copying.bounded(["é" * 1_000] * 500)
    assert len(text.encode()) <= copying.MOST_BYTES
    assert 0 < count < 500
    assert copying.bounded(["a"] * 5_000)[1] == copying.MOST_LINES


def test_part_of_a_view_is_told_as_part() -> None:
    took = Copied(console(fleet()))
    copying.put(took.app, ["x" * 3_000] * 100)
    assert took.said == ["Copied the first 24 of 100 lines; a terminal takes no more."]


@pytest.mark.usefixtures("plain_pane")
async def test_a_path_that_is_not_safe_to_paste_is_not_copied() -> None:
    bad = session("s", "failed")
    took = Copied(console(fleet(bad), root=f"{ROOT}/a\nb"))
    async with took.app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("ctrl+y")
        assert took.texts == []
        assert "not safe to paste" in took.said[-1]


async def test_a_view_without_lines_is_copied_as_it_is_painted() -> None:
    class Plain(App[None]):
        def compose(self) -> Any:
            from textual.widgets import Static

            yield Static("one\ntwo", markup=False)

    async with Plain().run_test(size=(20, 4)) as pilot:
        await pilot.pause()
        assert copying.whole_view(pilot.app.screen, 0)[:2] == ["one", "two"]


def test_rows_without_a_cursor_give_the_line_at_the_top() -> None:
    view = RowsView(with_cursor=False)
    view._lines = (line("a", "first"), line("b", "second"))
    assert copying.line_in_focus(view, 0) == "first"
    assert copying.line_in_focus(None, 0) is None


# ── Files ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "s-report.md").write_text("mine")
    first = copying.save_new(tmp_path, "s", "-report.md", "one")
    second = copying.save_new(tmp_path, "s", "-report.md", "two \ud800")
    assert (first.name, second.name) == ("s-2-report.md", "s-3-report.md")
    assert (tmp_path / "s-report.md").read_text() == "mine"
    assert second.read_text() == "two ?"
    with pytest.raises(StoreError, match="No such file"):
        copying.save_new(tmp_path / "gone", "s", ".md", "x")


async def test_the_report_and_the_picture_are_written_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "shop", phases_in_line("design"))
    assert project.call("run", "Refunds", "--session-id", "s1", "--trust").returncode == 0
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    took = Copied(console(fleet(session("s1", "completed")), root=project.root))
    async with took.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("E")
        await took.app.workers.wait_for_complete()
        report = tmp_path / "out" / "s1-report.md"
        assert took.said[-1] == f"Written: {report}"
        assert report.read_text().startswith("# Session `s1`: completed")
        await pilot.press("ctrl+s")
        await took.app.workers.wait_for_complete()
        picture = tmp_path / "out" / "maestro-tui-20261123-140300.svg"
        assert took.said[-1] == f"Written: {picture}"
        assert picture.read_text().startswith("<svg")
        assert "s1" in picture.read_text()


@pytest.mark.usefixtures("plain_pane")
async def test_what_cannot_be_exported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    took = Copied(console(fleet(session("gone", "failed")), root=tmp_path / ".maestro"))
    async with took.app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("E")
        await took.app.workers.wait_for_complete()
        assert took.said[-1].startswith("Nothing was written: There is no session 'gone'")
        assert list(tmp_path.glob("*.md")) == []


def test_read_only_writes_no_file() -> None:
    left = {action.id for action in actions_for(True)}
    assert left.isdisjoint({"export", "picture"})
    assert {"copy_id", "copy_line", "copy_view", "copy_path", "wall"} <= left


@pytest.mark.usefixtures("plain_pane")
async def test_a_picture_holds_no_raw_sign_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = clean(HOSTILE)
    took = Copied(console(fleet(session("s", "failed", requirement=words, error=words))))
    async with took.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert isinstance(took.app.screen, MainScreen)
        await pilot.press("ctrl+s")
        await took.app.workers.wait_for_complete()
    (picture,) = tmp_path.glob("*.svg")
    assert not NEVER_RAW & set(picture.read_text(encoding="utf-8"))
