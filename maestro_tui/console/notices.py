"""What the console tells for a while: at most two sentences at once, and the same one never twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["information", "warning", "error"]
MOST = 2
SECONDS = {"information": 6.0, "warning": 8.0, "error": 20.0}
"""How long a sentence stands, by its weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """One sentence. Two with the same words are different notices: the later one stands longer."""

    words: str
    level: Level = "information"


def with_notice(notices: tuple[Notice, ...], new: Notice) -> tuple[Notice, ...]:
    """Those that are told once this one is; what weighs least goes first, among equals the oldest."""
    told = [one for one in notices if one.words != new.words]
    while len(told) >= MOST:
        told.remove(min(told, key=lambda one: SECONDS[one.level]))
    return (*told, new)
