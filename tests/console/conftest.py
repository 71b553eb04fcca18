"""Makes pictures repeatable: no animation, no colours from the environment, UTC, no settings of this user."""

from __future__ import annotations

import os
import time

# Before the screen library is imported anywhere.
os.environ["TEXTUAL_ANIMATIONS"] = "none"
for _name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM", "COLUMNS", "LINES"):
    os.environ.pop(_name, None)

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("MAESTRO_CHECKPOINT_DIR", "/home/ann/shop/.maestro")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture(autouse=True)
def _still_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    from textual.widgets import Input, TextArea

    # Half of all pictures would otherwise lack the cursor of the field in focus.
    monkeypatch.setattr(Input.cursor_blink, "_default", False)
    monkeypatch.setattr(TextArea.cursor_blink, "_default", False)


@pytest.fixture
def plain_pane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a bare widget in the inspector's place: for tests of everything around it."""
    from textual.widget import Widget

    from maestro_tui.console.screens import main

    class PlainPane(Widget, can_focus=True):
        def show(self, summary: object, usual: object = None) -> None:
            self.summary = summary

        def render(self) -> str:
            return ""

    monkeypatch.setattr(main, "make_pane", lambda root, clock: PlainPane())
