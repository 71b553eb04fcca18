"""Names of styles become the colours of the theme that is in use; a theme without our names gets fitting ones."""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.widget import Widget

_FALLBACK = {
    "phase-running": "primary",
    "phase-waiting": "warning",
    "phase-failed": "error",
    "phase-silent": "warning",
    "phase-interrupted": "error",
    "phase-completed": "success",
}
_OF_TERMINAL = {
    "grey": "muted",
    "red": "phase-failed",
    "green": "phase-completed",
    "yellow": "phase-waiting",
    "blue": "phase-running",
    "magenta": "phase-interrupted",
    "cyan": "phase-provided",
}
"""Colours that programs ask the terminal for → ours, which can be read on the theme's background."""
_MUTED = frozenset(
    ["phase-pending", "phase-paused", "phase-cancelled", "phase-provided", "phase-skipped", "phase-stale"]
)


class Palette:
    """The styles of one theme by name."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self.background = self._colour("background") or Color(18, 18, 18)
        self.foreground = self._colour("foreground") or Color(224, 224, 224)
        self.muted = self._colour("muted") or self.background.blend(self.foreground, 0.62)
        self.accent = self._colour("accent") or self.foreground
        self.ansi = self.foreground.ansi is not None
        self._styles: dict[str, Style] = {}

    def style(self, names: str) -> Style:
        """The style of one or several names, such as `bold muted`."""
        known = self._styles.get(names)
        if known is None:
            known = Style()
            for name in names.split():
                known += self._named(name)
            self._styles[names] = known
        return known

    def cursor(self, focused: bool) -> Style:
        """The background of the line under the cursor."""
        if self.ansi:
            return Style(reverse=True) if focused else Style(bold=True)
        name = "cursor-background" if focused else "cursor-blurred"
        fallback = self.background.blend(self._first("primary", "foreground"), 0.3 if focused else 0.14)
        return Style(bgcolor=(self._colour(name) or fallback).rich_color)

    def _named(self, name: str) -> Style:
        name = _OF_TERMINAL.get(name, name)
        if name in ("bold", "italic", "underline", "reverse"):
            return Style.parse(name)
        if name == "muted":
            return Style(color=self.muted.rich_color, dim=self.ansi or None)
        if name == "match":
            if self.ansi:
                return Style(reverse=True)
            return Style(color=self.background.rich_color, bgcolor=self.accent.rich_color)
        if name == "added":
            return Style(color=self._first("phase-completed", "success").rich_color)
        if name == "removed":
            return Style(color=self._first("phase-failed", "error").rich_color)
        if name in _MUTED:
            return Style(color=self._first(name, "muted").rich_color)
        if name == "code-string":
            return Style(color=self._first("phase-completed", "success").rich_color)
        if name == "code-number":
            return Style(color=self._first("phase-waiting", "warning").rich_color)
        if name == "literal":
            return Style(color=self._first("accent-text", "primary").rich_color)
        return Style(color=self._first(name, _FALLBACK.get(name, "foreground")).rich_color)

    def _first(self, *names: str) -> Color:
        for name in names:
            found = self._colour(name)
            if found is not None:
                return found
        return self.muted

    def _colour(self, name: str) -> Color | None:
        value = self._variables.get(name)
        if value is None or value.startswith("auto"):
            return None
        try:
            colour = Color.parse(value)
        except ColorParseError:
            return None
        if colour.ansi is not None:
            return colour
        base = self._variables.get("background", "#121212")
        return (
            colour
            if colour.a == 1 or name == "background"
            else Color.parse(base).blend(colour, colour.a, 1.0)
        )


@lru_cache(maxsize=16)
def _palette(variables: tuple[tuple[str, str], ...]) -> Palette:
    return Palette(dict(variables))


_last: tuple[dict[str, str], Palette] | None = None


def palette(widget: Widget) -> Palette:
    """The palette of the app's theme as it is now."""
    global _last
    variables = widget.app.theme_variables
    if _last is None or _last[0] is not variables:
        _last = (variables, _palette(tuple(variables.items())))
    return _last[1]
