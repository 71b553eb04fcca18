"""Text can be read in every theme that names its colours: contrast of at least 4.5 to 1, computed."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from maestro_tui.console.glyphs import ASCII_GLYPHS, COLOURS, GLYPHS
from maestro_tui.console.theme import ANSI, DARK, LIGHT, THEMES, variable_defaults

GROUNDS = ("background", "surface", "panel", "cursor-background", "cursor-blurred")


def colours(theme: Theme) -> dict[str, str]:
    return {**theme.to_color_system().generate(), **theme.variables}


def luminance(colour: Color) -> float:
    def part(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * part(colour.r) + 0.7152 * part(colour.g) + 0.0722 * part(colour.b)


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(Color.parse(one)), luminance(Color.parse(two))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_text_colour_can_be_read_on_every_ground(theme: Theme, ground: str) -> None:
    values = colours(theme)
    texts = {"foreground", "muted", "accent", "accent-text", "error", "warning", "success", *COLOURS.values()}
    poor = {name: round(contrast(values[name], values[ground]), 2) for name in texts}
    assert {name: ratio for name, ratio in poor.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_buttons_and_selected_rows_can_be_read(theme: Theme) -> None:
    values = colours(theme)
    assert contrast(values["background"], values["accent"]) >= 4.5
    assert contrast(values["foreground"], values["line"]) >= 4.5
    assert contrast(values["block-cursor-foreground"], values["block-cursor-background"]) >= 4.5


def test_the_terminals_own_theme_uses_only_its_own_colours() -> None:
    assert ANSI.ansi
    assert all(
        value.startswith("ansi_") for name, value in ANSI.variables.items() if name.startswith("phase-")
    )


def test_every_status_has_a_sign_and_a_colour_in_every_theme() -> None:
    assert set(GLYPHS) == set(ASCII_GLYPHS) == set(COLOURS)
    assert all(sign.isascii() and len(sign) == 1 for sign in ASCII_GLYPHS.values())
    for theme in THEMES:
        assert set(COLOURS.values()) <= set(theme.variables)
    for dark in (True, False):
        assert set(COLOURS.values()) <= set(variable_defaults(dark))
