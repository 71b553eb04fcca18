"""Whatever others wrote: on no screen, in no tab, sheet, toast or palette entry does it crash, act or steer.

Once in this process, where every painted cell can be looked at, and once in a real terminal, byte by byte.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from maestro_tui.console.screens import main
from tests.console.hostile import NEVER_RAW
from tests.console.hostile_console import SCENES, hostile_app
from tests.console.pane_data import painted

HERE = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_pane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "make_pane", main.make_pane)  # put back afterwards


async def reach(pilot: Pilot[Any], keys: tuple[str, ...]) -> None:
    """Press the keys, each after what the one before it began is done."""
    await pilot.pause()
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
@pytest.mark.parametrize("scene", SCENES)
async def test_nothing_hostile_is_painted_raw_or_can_be_clicked(
    tmp_path: Path, scene: str, size: tuple[int, int]
) -> None:
    keys, words = SCENES[scene]
    app = hostile_app(tmp_path, untrusted=scene == "trust")
    async with app.run_test(size=size, tooltips=True) as pilot:
        await reach(pilot, keys)
        shown = painted(app)
        assert words in shown or size == (80, 24), shown
        assert not NEVER_RAW & set(shown)
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {size[0]}
        acts = {
            str(segment.style.meta)
            for strip in strips
            for segment in strip
            if segment.style is not None and "@click" in segment.style.meta
        }
        assert not any("quit" in act for act in acts), acts
        tips = [str(one.tooltip) for one in app.screen.query(Widget) if one.tooltip is not None]
        titles = [
            str(text)
            for one in app.screen.query(Widget)
            for text in (one.border_title, one.border_subtitle)
            if text is not None
        ]
        assert not NEVER_RAW & set("".join([*tips, *titles, app.title, app.sub_title]))
        assert app.is_running and app.return_code is None
        app.ascii_only = True
        plain = ["".join(one.text for one in strip) for strip in app.screen._compositor.render_strips()]
        assert all(line.isascii() and line.isprintable() for line in plain), plain
        assert {len(line) for line in plain} == {size[0]}, "no column moves"


# ── In a real terminal ────────────────────────────────────────────────────────────────────────────────────

KEYS = {
    "enter": b"\r", "escape": b"\x1b", "down": b"\x1b[B", "space": b" ", "slash": b"/", "colon": b":",
    "question_mark": b"?", "asterisk": b"*", "plus": b"+", "ctrl+s": b"\x13", "shift+tab": b"\x1b[Z",
}  # fmt: skip
ESCAPE = b"\x1b[27u"
"""The key as terminals with the newer protocol send it: no pause has to tell it from a sequence."""
OURS = re.compile(
    rb"\x1b\[[0-9;:?<>=]*[ -/]*[A-Za-z~]"  # what Textual itself writes: colours, places, modes
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
    rb"|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[()][A-Z0-9]|\x1b[=>78Mc]"
)
QUIET = 0.1
"""Seconds without a byte after which the console has painted what a key began."""


class Screen:
    """The hostile console in a pseudo terminal, and every byte that it wrote."""

    def __init__(self, folder: Path, rows: int, columns: int) -> None:
        self.received = b""
        self._main, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(HERE),
            "TEXTUAL_ANIMATIONS": "none",
        }
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.console.hostile_console", str(folder)],
            stdin=child, stdout=child, stderr=child, env=environment, cwd=HERE, start_new_session=True,
        )  # fmt: skip
        os.close(child)

    def send(self, data: bytes) -> None:
        os.write(self._main, data)

    def read(self, wanted: bytes | None = None, seconds: float = 40) -> None:
        """Take in what comes: until these bytes have come, else until nothing comes for a moment."""
        end = time.monotonic() + seconds
        while True:
            ready = select.select([self._main], [], [], QUIET)[0]
            if ready:
                try:
                    self.received += os.read(self._main, 65_536)
                except OSError:
                    return  # the terminal's other end is closed: it has ended
            if wanted is None and not ready:
                return
            if wanted is not None and wanted in self.received:
                return
            assert time.monotonic() < end, (wanted, self.received[-2_000:])

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        os.close(self._main)


@pytest.fixture(params=[(40, 120), (24, 80)], ids=["120x40", "80x24"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Screen]:
    made = Screen(tmp_path, *request.param)
    yield made
    made.close()


@pytest.mark.e2e
def test_a_terminal_receives_no_byte_that_others_wrote_as_a_command(terminal: Screen) -> None:
    terminal.read(b"maestro")
    terminal.read()
    for scene, (keys, _) in SCENES.items():
        if scene.startswith("copied") or scene == "quit":
            continue  # the first two write to the clipboard, which is what that key is for
        for key in keys:
            terminal.send(KEYS.get(key, key.encode()))
        terminal.read()
        assert terminal.process.poll() is None, scene
        for _ in range(4):
            terminal.send(ESCAPE)
            terminal.read()
        terminal.send(b"Ug")
        terminal.read()
    left = OURS.sub(b"", terminal.received)
    assert b"\x1b" not in left, re.findall(rb".{0,40}\x1b.{0,40}", left, re.S)[:5]
    text = left.decode("utf-8")
    controls = {one for one in text if (one < " " and one not in "\r\n") or "\x7f" <= one <= "\x9f"}
    assert not controls, controls
    assert not (NEVER_RAW - {"\r", "\x1b"}) & set(text)
    for steering in (b"\x1b]52", b"\x1b]0;", b"\x1b]9;", b"\x9b31m"):
        assert steering not in terminal.received
