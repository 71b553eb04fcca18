"""Markdown for people: what others wrote appears in it as text, never as markup or control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from maestro_tui.model.text import clean

NOT_MEASURED = "not measured"
_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#~])")


def plain(text: object, limit: int = 400) -> str:
    """Text from outside on one line, with Markdown's signs made harmless."""
    return _SIGNS.sub(r"\\\1", clean(text, limit))


def code(text: object, limit: int = 200) -> str:
    """Text from outside as inline code; also safe in a table."""
    return "`" + clean(text, limit).replace("`", "ˋ").replace("|", "¦") + "`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table; its cells are Markdown already (`plain` or `code`). Nothing when there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return []
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, ""]


def bullets(lines: Iterable[str], otherwise: str = "") -> list[str]:
    """A list; `otherwise` when it would be empty."""
    out = [f"- {line}" for line in lines]
    return [*(out or ([otherwise] if otherwise else [])), ""]


def document(title: str, *parts: Sequence[str]) -> str:
    """The whole document from its title and its blocks of lines."""
    lines = [f"# {title}", ""]
    for part in parts:
        lines.extend(part)
        if part and lines[-1]:
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 test`, `2 tests`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def first(names: Sequence[str], limit: int = 5) -> str:
    """The first few of many, with how many more there are."""
    shown = ", ".join(clean(name, 120) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
