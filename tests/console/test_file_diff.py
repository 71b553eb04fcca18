"""The versions of a file are compared: by structure where it is JSON, as text else, and never as raw bytes."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from maestro_tui.console.widgets.diff_view import DiffView
from maestro_tui.store.workspace import Workspace
from tests.console.hostile import HOSTILE, NEVER_RAW
from tests.console.pane_data import ID, PaneApp, Told, failed_session, painted, ready, until

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git keeps the trees; it is not installed"
)
SIZE = (120, 40)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """The failed session, with trees of its two attempts of design; what they left differs from now."""
    told = failed_session(tmp_path)
    place = Path(told.summary.workspace or "")
    now = {file: file.read_bytes() for file in (place / "docs/design.md", place / "survey.json")}
    workspace = Workspace(told.root / ID, place)

    def put(name: str, text: str, data: str, blob: bytes) -> None:
        (place / "docs/design.md").write_text(text)
        (place / "survey.json").write_text(data)
        (place / "refund.py").write_bytes(blob)
        tree = workspace.snapshot(name)
        workspace.keep(tree, tree)

    put("design/1/after", "# Design\n\nFirst thought.\n", '{"files": 12}', b"\x00\x01one")
    evil = HOSTILE.replace("\ud800", "").replace("\0", "")
    put("design/2/before", "# Design\n\nFirst thought.\n", '{"files": 12}', b"\x00\x01one")
    put("design/2/after", f"# Design\n\nSecond. {evil}\n", '{"files": 14, "tests": []}', b"\x00\x01two!")
    for file, content in now.items():
        file.write_bytes(content)
    return told


async def choose(pilot: object, app: PaneApp, path: str) -> DiffView:
    pane = await ready(pilot)  # type: ignore[arg-type]
    await pilot.press("2")  # type: ignore[attr-defined]
    files = pane.query_one("#artifacts").files  # type: ignore[attr-defined]
    await until(pilot, lambda: files.lines)  # type: ignore[arg-type]
    place = next(
        index for index, one in enumerate(files.lines) if isinstance(one.key, tuple) and one.key[-1] == path
    )
    files.cursor = place
    await pilot.press("d")  # type: ignore[attr-defined]
    diff = pane.query_one(DiffView)
    await until(pilot, lambda: diff.pair is not None and diff._compared is not None)  # type: ignore[arg-type]
    assert pane.tab == "diff"
    return diff


async def test_a_text_is_compared_with_what_is_there_now_and_with_any_attempt(told: Told) -> None:
    app = PaneApp(told)
    async with app.run_test(size=SIZE) as pilot:
        diff = await choose(pilot, app, "docs/design.md")
        await until(pilot, lambda: "-Second." in painted(app))
        shown = painted(app)
        assert "docs/design.md" in shown and "design #2  →  now" in shown
        assert "+Refunds are **idempotent**" in shown and not NEVER_RAW & set(shown)
        await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(
            pilot, lambda: "design #1  →  design #2" in painted(app) and "-First thought." in painted(app)
        )
        assert diff.pair == (0, 1)


async def test_json_is_compared_by_structure_and_as_text_on_a_key(told: Told) -> None:
    app = PaneApp(told)
    async with app.run_test(size=SIZE) as pilot:
        diff = await choose(pilot, app, "survey.json")
        await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(pilot, lambda: diff.pair == (0, 1) and len(diff.changes) == 2)
        assert [(one.path, one.kind) for one in diff.changes] == [("files", "changed"), ("tests", "added")]
        await pilot.press("u")
        await until(pilot, lambda: '+{"files": 14' in painted(app))


async def test_what_is_no_text_is_told_by_size_and_digest(told: Told) -> None:
    app = PaneApp(told)
    async with app.run_test(size=SIZE) as pilot:
        await choose(pilot, app, "refund.py")
        await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(pilot, lambda: "- 5 B, sha256" in painted(app) and "+ 6 B, sha256" in painted(app))


async def test_o_goes_back_to_the_commits(told: Told) -> None:
    app = PaneApp(told)
    async with app.run_test(size=SIZE) as pilot:
        diff = await choose(pilot, app, "survey.json")
        await pilot.press("o")
        await until(pilot, lambda: diff.pair == (2, 3) and diff.changes and "survey.json" not in painted(app))


async def test_a_file_of_which_no_tree_was_kept_says_so(tmp_path: Path) -> None:
    app = PaneApp(failed_session(tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        pane = await ready(pilot)
        await pilot.press("2", "d")
        await until(pilot, lambda: "No other version of this file is kept" in painted(app))
        assert pane.tab == "diff"


async def test_the_chosen_versions_stay_while_the_session_goes_on(told: Told) -> None:
    app = PaneApp(told)
    async with app.run_test(size=SIZE) as pilot:
        diff = await choose(pilot, app, "docs/design.md")
        await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(pilot, lambda: diff.pair == (0, 1) and diff._compared is not None)
        pane = app.screen.query_one("SessionPane")
        newer = dataclasses.replace(told.summary, updated_at=told.summary.updated_at + 1)
        pane.show(newer)  # type: ignore[attr-defined]
        await pilot.pause()
        assert diff.pair == (0, 1) and "docs/design.md" in painted(app)
