"""With `--ascii` every cell of every screen is ASCII: our signs, the screen library's, and what others wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from maestro_tui.console.glyphs import ASCII_GLYPHS, GLYPHS
from maestro_tui.console.plain_ascii import plain
from tests.console.fakes import busy_fleet, console, fleet, session
from tests.console.hostile import HOSTILE
from tests.console.pane_data import painted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a → b · 3 × 4 …", "a > b - 3 x 4 ~"),
        ("Grüße, café", "Gru?e, cafe"),
        ("名前 x", "???? x"),
        ("┌─┬━┐│║", "+-+=+||"),
        ("e\u0301 \U0001f680", "e ??"),
        ("[▼] ▶ ⭘", "[v] > o"),
    ],
)
def test_signs_and_letters_become_what_is_like_them(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_every_status_sign_becomes_the_ascii_one() -> None:
    assert {word: plain(sign) for word, sign in GLYPHS.items()} == dict(ASCII_GLYPHS)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_any_text_is_as_wide_as_it_was(text: str) -> None:
    assert plain(text).isascii() and len(plain(text)) == cell_len(text)


async def test_the_screens_of_the_console_hold_nothing_but_ascii(tmp_path: Path) -> None:
    words = HOSTILE.replace("\ud800", "")
    rows = [session(f"s-{number}", "failed", requirement="Größe – 名前 " + words) for number in range(80)]
    snapshot = fleet(*busy_fleet().sessions.values(), *rows)
    app = console(snapshot, ascii_only=True)
    seen: set[str] = set()
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        for keys in (
            (),
            ("space", "G"),
            ("w",),
            ("escape", "n"),
            ("escape", "question_mark"),
            ("escape", "colon"),
            ("escape", "g", "a"),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            app.say("“Größe” ⚑ … 名前")
            await pilot.pause()
            shown = painted(app)
            assert shown.isascii(), set(filter(lambda one: not one.isascii(), shown))
            assert {len(line) for line in shown.splitlines()} == {100}
            seen.add(shown)
    assert len(seen) == 7, "each is another screen"
