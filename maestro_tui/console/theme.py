"""The three looks (dark, light, the terminal's own colours) and the colours that statuses have in each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from textual.theme import Theme

_DARK: Mapping[str, str] = MappingProxyType(
    {
        "muted": "#8d97a6",
        "line": "#343b47",
        "cursor-background": "#262d38",
        "cursor-blurred": "#1e232b",
        "accent-text": "#7fb4ff",
        "phase-running": "#6cb6ff",
        "phase-waiting": "#e6b450",
        "phase-failed": "#f2777a",
        "phase-silent": "#e09a5f",
        "phase-interrupted": "#c99bf0",
        "phase-paused": "#a3adba",
        "phase-cancelled": "#a3adba",
        "phase-completed": "#85bd8a",
        "phase-pending": "#8d97a6",
        "phase-provided": "#74c2ba",
        "phase-skipped": "#8d97a6",
        "phase-stale": "#d3bb7c",
    }
)
_LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "muted": "#5a6370",
        "line": "#c9ced6",
        "cursor-background": "#e2e8f2",
        "cursor-blurred": "#eceff4",
        "accent-text": "#0b57c2",
        "phase-running": "#0b5cad",
        "phase-waiting": "#7f5200",
        "phase-failed": "#b3261e",
        "phase-silent": "#94450a",
        "phase-interrupted": "#75389f",
        "phase-paused": "#55606b",
        "phase-cancelled": "#55606b",
        "phase-completed": "#1d6b37",
        "phase-pending": "#5a6370",
        "phase-provided": "#0f6a63",
        "phase-skipped": "#5a6370",
        "phase-stale": "#705a12",
    }
)
_ANSI: Mapping[str, str] = MappingProxyType(
    {
        "muted": "ansi_default",
        "line": "ansi_bright_black",
        "cursor-background": "ansi_default",
        "cursor-blurred": "ansi_default",
        "accent-text": "ansi_blue",
        "phase-running": "ansi_blue",
        "phase-waiting": "ansi_yellow",
        "phase-failed": "ansi_red",
        "phase-silent": "ansi_yellow",
        "phase-interrupted": "ansi_magenta",
        "phase-paused": "ansi_default",
        "phase-cancelled": "ansi_default",
        "phase-completed": "ansi_green",
        "phase-pending": "ansi_default",
        "phase-provided": "ansi_cyan",
        "phase-skipped": "ansi_default",
        "phase-stale": "ansi_yellow",
    }
)

DARK = Theme(
    name="maestro-dark",
    primary="#7fb4ff",
    secondary="#9aa7b8",
    accent="#7fb4ff",
    warning="#e6b450",
    error="#f2777a",
    success="#85bd8a",
    foreground="#d7dde6",
    background="#14171c",
    surface="#181c22",
    panel="#20252d",
    dark=True,
    variables={
        **_DARK,
        "block-cursor-background": "#7fb4ff",
        "block-cursor-foreground": "#14171c",
        "block-cursor-text-style": "none",
        "input-selection-background": "#35527a",
        "scrollbar": "#343b47",
        "scrollbar-background": "#14171c",
        "scrollbar-hover": "#4a5362",
        "scrollbar-active": "#5d6879",
        "scrollbar-background-hover": "#14171c",
        "scrollbar-background-active": "#14171c",
        "scrollbar-corner-color": "#14171c",
    },
)
LIGHT = Theme(
    name="maestro-light",
    primary="#0b57c2",
    secondary="#4a5666",
    accent="#0b57c2",
    warning="#7f5200",
    error="#b3261e",
    success="#1d6b37",
    foreground="#23282f",
    background="#fbfbfa",
    surface="#f4f5f6",
    panel="#e9ecef",
    dark=False,
    variables={
        **_LIGHT,
        "block-cursor-background": "#0b57c2",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "input-selection-background": "#b9d2f5",
        "scrollbar": "#c9ced6",
        "scrollbar-background": "#fbfbfa",
        "scrollbar-hover": "#aab2bd",
        "scrollbar-active": "#8f99a6",
        "scrollbar-background-hover": "#fbfbfa",
        "scrollbar-background-active": "#fbfbfa",
        "scrollbar-corner-color": "#fbfbfa",
    },
)
ANSI = Theme(
    name="maestro-ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_blue",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **_ANSI,
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "block-cursor-text-style": "none",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_bright_blue",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_bright_blue",
        "screen-selection-foreground": "ansi_black",
    },
)

THEMES = (DARK, LIGHT, ANSI)
THEME_NAMES = tuple(theme.name for theme in THEMES)


def variable_defaults(dark: bool) -> dict[str, str]:
    """Our own variables for a theme that does not set them (one of the screen library's)."""
    return dict(_DARK if dark else _LIGHT)
