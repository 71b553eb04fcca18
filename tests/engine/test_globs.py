"""A glob matches what it says, and a hostile one takes no longer than others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.engine.globs import matcher, matching


def names_fit(globs: Sequence[str], names: Sequence[str]) -> bool:
    """The meaning, word by word, with every choice taken back: for short ones only."""
    if not globs:
        return not names
    if globs[0] == "**":
        if len(globs) == 1:
            return bool(names)
        return names_fit(globs[1:], names) or (bool(names) and names_fit(globs, names[1:]))
    return bool(names) and signs_fit(globs[0], names[0]) and names_fit(globs[1:], names[1:])


def signs_fit(glob: str, name: str) -> bool:
    if not glob:
        return not name
    if glob[0] == "*":
        return signs_fit(glob[1:], name) or (bool(name) and signs_fit(glob, name[1:]))
    return bool(name) and glob[0] in ("?", name[0]) and signs_fit(glob[1:], name[1:])


@given(
    st.lists(st.one_of(st.just("**"), st.text("ab\n*?", min_size=1, max_size=5)), min_size=1, max_size=5),
    st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_a_glob_matches_what_it_says(globs: list[str], names: list[str]) -> None:
    assert matcher("/".join(globs))("/".join(names)) == names_fit(globs, names)


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("./docs/*.md", "docs/a.md", True),
        ("docs/", "docs", True),
        ("docs/**", "docs", False),
        ("x[!a]b", "x/b", False),
        ("x[!a]b", "xcb", True),
        ("[]a]*[", "]x[", True),
        ("*ab", "aab", True),
        ("ab*ab", "ab", False),
    ],
)
def test_corners_of_globs(glob: str, path: str, fits: bool) -> None:
    assert matcher(glob)(path) is fits
    assert matching(["none", glob])(path) is fits


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("**/" * 100 + "z", "a/" * 500 + "a"),
        ("**/a/" * 100 + "z", "a/" * 500 + "a"),
        ("*a" * 100 + "z", "a" * 250),
        ("**/" + "*a*?" * 50 + "/z", ("a" * 250 + "/") * 16),
    ],
)
def test_a_glob_that_was_made_to_take_for_ever_is_over_at_once(glob: str, path: str) -> None:
    assert not matcher(glob)(path)
