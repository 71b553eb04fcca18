"""A file changed in the editor from the Artifacts tab is offered for the record, and recorded in a real session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maestro_tui.console import shell_out
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.host import ConsoleHost
from maestro_tui.console.production import phase_result
from maestro_tui.console.screens.edit_file import EditFileSheet
from maestro_tui.console.widgets.session_pane import SessionPane
from maestro_tui.store.checkpoints import CheckpointStore
from tests.console.fakes import console, fleet, owner
from tests.console.test_sheets import said, settle
from tests.console.test_team_sheets import made

SIZE = (120, 40)


@pytest.fixture
def finished(tmp_path: Path) -> tuple[ConsoleHost, str]:
    return made(tmp_path)


def edits(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """The editor adds these words to the file that it is given."""
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.delenv("VISUAL", raising=False)

    def run(app: MaestroApp, command: list[str]) -> None:
        with Path(command[-1]).open("a") as stream:
            stream.write(words)

    monkeypatch.setattr(shell_out, "run_outside", run)


@pytest.mark.parametrize("running", [False, True])
async def test_what_the_editor_changed_is_recorded_on_y(
    finished: tuple[ConsoleHost, str], monkeypatch: pytest.MonkeyPatch, running: bool
) -> None:
    host, name = finished
    edits(monkeypatch, "by hand\n")
    summary = host.summary(name)
    if running:
        summary = replace(summary, owner=owner())
    app = console(fleet(summary), host=host, root=host.root)  # type: ignore[arg-type]
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("enter", "2", "e")
        await settle(pilot)
        assert isinstance(app.screen, EditFileSheet) and "out.txt   4 B → 12 B" in said(app, "#file")
        await pilot.press(*"typo", "enter", "enter")
        await settle(pilot)
        assert len(app.screen_stack) == 1
    (edit,) = CheckpointStore(host.root).head(name).context.edits
    assert (edit.phase, edit.reason) == ("one", "typo")
    assert [one.path for one in edit.artifacts] == ["out.txt"]
    # What a review shows is what later phases are given.
    shown = phase_result(host.root, name, "one")
    assert shown.artifacts == edit.artifacts and shown.contract == edit.contract


def test_a_review_shows_the_outputs_as_they_were_edited(finished: tuple[ConsoleHost, str]) -> None:
    host, name = finished
    host.edit(name, "one", {"version": 2}, None, "wrong number")
    assert phase_result(host.root, name, "one").outputs["version"] == 2


@pytest.mark.parametrize("case", ["unchanged", "read_only"])
async def test_nothing_is_offered_where_there_is_nothing_to_record(
    finished: tuple[ConsoleHost, str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    host, name = finished
    edits(monkeypatch, "" if case == "unchanged" else "by hand\n")
    only = case == "read_only"
    app = console(fleet(host.summary(name)), host=host, root=host.root, read_only=only)  # type: ignore[arg-type]
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("enter", "2")
        pane = app.screen.query_one(SessionPane)
        assert pane.detail is not None and pane.detail.artifacts
        await pilot.press("e")
        await settle(pilot)
        assert len(app.screen_stack) == 1
    assert CheckpointStore(host.root).head(name).context.edits == ()
