"""Pieces of an answer become lines, wherever they were cut."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.performers.live_lines import LiveLines


def lines(pieces: list[str], *, escaped: bool) -> list[str]:
    out: list[str] = []
    live = LiveLines(out.append, escaped=escaped)
    for piece in pieces:
        live.feed(piece)
    live.end()
    return out


def test_a_line_is_handed_on_as_soon_as_it_is_whole() -> None:
    out: list[str] = []
    live = LiveLines(out.append)
    live.feed("one\ntw")
    assert out == ["one"]
    live.feed("o")
    live.end()
    assert out == ["one", "two"]


def test_json_text_is_shown_with_its_line_breaks_and_signs() -> None:
    text = json.dumps({"content": 'a "b"\\n\nnext \t😀\u2028'})
    assert lines([text], escaped=True) == ['{"content": "a "b"\\n', 'next     😀\u2028"}']


@given(st.text(), st.integers(min_value=1, max_value=9))
def test_where_the_pieces_are_cut_changes_nothing(text: str, size: int) -> None:
    coded = json.dumps(text)
    pieces = [coded[at : at + size] for at in range(0, len(coded), size)]
    assert lines(pieces, escaped=True) == lines([coded], escaped=True)
    whole = "\n".join(lines(pieces, escaped=True))
    kept = [part for part in f'"{text}"'.split("\n") if part.strip()]
    if not set("\r\t\b\f") & set(text):
        assert whole == "\n".join(kept)
