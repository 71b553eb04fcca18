"""Writes text from outside into Markdown so that it stays text: cleaned, escaped, in fences it cannot end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from maestro_tui.model.text import clean, clean_lines

MOST_ROWS = 2_000
"""Rows of one table; the rest is counted in a line below it."""
_SPECIAL = re.compile(
    r"[\\`*\[\]<>~$@|]|_(?![^\W_])|(?<![^\W_])_|&(?=[#\w])|:(?=//)|(?<=[wW]{3})\.|^[-+#=]|(?<=^\d)[.)]"
)
_NUMBERED = re.compile(r"^(\d{2,9})([.)])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}
"""A pipe as an entity: no reading of backslashes makes it the end of a table's cell."""
_BACKTICKS = re.compile(r"`+")


def words(value: object, limit: int = 1_000) -> str:
    """Text from outside within a line: cleaned, and every sign that Markdown or HTML would read is escaped."""
    text = " ".join(clean(value, limit).split())
    return _NUMBERED.sub(
        r"\1\\\2", _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), text)
    )


def code(value: object, limit: int = 1_000) -> str:
    """Text from outside as it is, in a code span that it cannot end."""
    text = clean(value, limit)
    if not text.strip():
        return "–"
    if "|" in text:
        return f"<code>{words(text, limit)}</code>"
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(text)), default=0) + 1)
    space = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{space}{text}{space}{fence}"


def block(value: object, lines: int = 400) -> str:
    """Longer text from outside, in a fenced block that it cannot end."""
    text = clean_lines(value, lines=lines).rstrip("\n")
    fence = "`" * max(3, max((len(run) for run in _BACKTICKS.findall(text)), default=0) + 1)
    return f"{fence}text\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of cells that are Markdown already; `right` are the columns that align right."""
    kept: list[Sequence[str]] = []
    left_out = 0
    for row in rows:
        if len(kept) < MOST_ROWS:
            kept.append(row)
        else:
            left_out += 1
    rule = ["---:" if index in right else "---" for index in range(len(head))]
    out = [_row(head), "| " + " | ".join(rule) + " |", *map(_row, kept)]
    if left_out:
        out.append(f"\n… and {left_out:,} more.")
    return "\n".join(out)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
