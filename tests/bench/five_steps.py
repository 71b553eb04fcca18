"""What the five phases of the cost benches are called and what each leaves; both sides of a comparison use it."""

from __future__ import annotations

import random
import string

NAMES = ("one", "two", "three", "four", "five")
GROWTH = 10_000
"""Bytes by which the context grows with each phase."""


def words(size: int, chance: random.Random) -> dict[str, object]:
    """Outputs of about so many bytes: text in lines, as a phase leaves it."""
    line = "".join(chance.choices(string.ascii_letters + "     ", k=97))
    return {"lines": [line] * max(1, size // 103), "number": chance.random()}
