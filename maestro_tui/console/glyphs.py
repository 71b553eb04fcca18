"""The signs that stand before a status: one glyph for each status word, and the colour that goes with it.

A glyph never stands without its word or its place in a legend; the colour only repeats what it says.
"""

from __future__ import annotations

from types import MappingProxyType

GLYPHS = MappingProxyType(
    {
        "running": "●",
        "waiting": "⚑",
        "failed": "✗",
        "silent": "◌",
        "interrupted": "⊘",
        "paused": "‖",
        "cancelled": "■",
        "completed": "✓",
        "new": "○",
        "pending": "○",
        "provided": "◇",
        "skipped": "↷",
        "stale": "~",
    }
)
"""Status word → sign, for sessions and for phases."""

ASCII_GLYPHS = MappingProxyType(
    {
        "running": "*",
        "waiting": "!",
        "failed": "x",
        "silent": "?",
        "interrupted": "/",
        "paused": "=",
        "cancelled": "#",
        "completed": "v",
        "new": ".",
        "pending": ".",
        "provided": "+",
        "skipped": ">",
        "stale": "~",
    }
)
"""The same for terminals and fonts that have nothing but ASCII."""

COLOURS = MappingProxyType(
    {
        "running": "phase-running",
        "waiting": "phase-waiting",
        "failed": "phase-failed",
        "silent": "phase-silent",
        "interrupted": "phase-interrupted",
        "paused": "phase-paused",
        "cancelled": "phase-cancelled",
        "completed": "phase-completed",
        "new": "phase-pending",
        "pending": "phase-pending",
        "provided": "phase-provided",
        "skipped": "phase-skipped",
        "stale": "phase-stale",
    }
)
"""Status word → name of the theme variable that colours its glyph and its bar."""

UNKNOWN = "?"
"""For a status word that this version does not know."""


def glyph(status: str, ascii_only: bool = False) -> str:
    """The sign of a status word."""
    return (ASCII_GLYPHS if ascii_only else GLYPHS).get(status, UNKNOWN)


_OTHER_SIGNS = {
    **dict.fromkeys("▏▎▍▌▋▊▉█▐", "#"),
    "┄": "-",
    "╎": "|",
    "▕": "|",
    "…": "~",
    "→": ">",
    "·": "-",
    "–": "-",
    "×": "x",
    "“": '"',
    "”": '"',
    "◆": "*",
    "•": "*",
    "▸": "+",
    "▾": "-",
}
PLAIN_SIGNS = str.maketrans({**{sign: ASCII_GLYPHS[word] for word, sign in GLYPHS.items()}, **_OTHER_SIGNS})
"""Code point → one ASCII character for each of our signs, so that no column moves."""
