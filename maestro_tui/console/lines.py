"""Lines as the session's views show them: pieces of clean text with the name of their style, and nothing else.

The projections of `console` make them, `RowsView` paints them. No screen is needed to test them.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len, set_cell_size

Part = tuple[str, str]
"""Clean text and the names of its styles, such as `muted` or `bold phase-failed`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line on the screen. `key` says what it stands for, so that cursor and scroll find it again."""

    key: Hashable
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(text for text, _ in self.parts)

    @property
    def width(self) -> int:
        """Columns that the line takes."""
        return sum(cell_len(text) for text, _ in self.parts)


def line(key: Hashable, *parts: Part | str) -> Line:
    """A line of parts; a bare string has the plain style."""
    return Line(key, tuple((part, "") if isinstance(part, str) else part for part in parts if part))


def fit(text: str, width: int, end: str = "…") -> str:
    """The text cut with an ellipsis or padded with spaces, so that it takes exactly `width` columns."""
    if width <= 0:
        return ""
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(text, width - cell_len(end)) + end if width > cell_len(end) else end[:width]
    return text + " " * (width - cells)


def fit_right(text: str, width: int) -> str:
    """The text at the right of `width` columns; cut when it is longer."""
    cells = cell_len(text)
    return fit(text, width) if cells > width else " " * (width - cells) + text


def short(text: str, width: int) -> str:
    """The text, cut with an ellipsis when it takes more than `width` columns."""
    return fit(text, width).rstrip() if cell_len(text) > width else text


def shorten_middle(text: str, width: int) -> str:
    """A path or id cut in its middle, because its end tells most."""
    if cell_len(text) <= width or width < 5:
        return short(text, width)
    tail = max(2, (width - 1) * 2 // 3)
    head = width - 1 - tail
    return set_cell_size(text, head) + "…" + _last_cells(text, tail)


def _last_cells(text: str, width: int) -> str:
    kept = 0
    for index in range(len(text) - 1, -1, -1):
        kept += cell_len(text[index])
        if kept > width:
            return text[index + 1 :]
    return text


def at_home(path: str) -> str:
    """A path with `~` for the home folder."""
    home = str(Path.home())
    return "~" + path[len(home) :] if home != "/" and (path == home or path.startswith(home + "/")) else path


def column_width(texts: Iterable[str], least: int, most: int) -> int:
    """Width of a column that fits its texts, within limits."""
    return max(least, min(most, max(map(cell_len, texts), default=least)))


def wrap_words(text: str, width: int, most: int = 1_000) -> list[str]:
    """The text broken at spaces into lines of at most `width` columns; long words are broken anywhere."""
    width = max(width, 1)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        current, used = "", 0
        for word in paragraph.split(" "):
            cells = cell_len(word)
            if current and used + 1 + cells <= width:
                current, used = f"{current} {word}", used + 1 + cells
                continue
            if current:
                lines.append(current)
                current, used = "", 0
            while cells > width:
                head = _first_cells(word, width)
                lines.append(head)
                word = word[len(head) :]
                cells = cell_len(word)
            current, used = word, cells
        lines.append(current)
        if len(lines) >= most:
            break
    return lines[:most]


def _first_cells(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > width and index:
            return text[:index]
    return text


def about(seconds: float) -> str:
    """A duration that is an estimate, without false precision: `40s`, `6m`, `1h20m`."""
    if seconds < 60:
        return f"{max(1, round(seconds))}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest:02d}m" if hours < 10 and rest else f"{hours}h"


def clock_time(at: float | None) -> str:
    """Time of day where the operator is: `13:59:02`."""
    return "        " if at is None else time.strftime("%H:%M:%S", time.localtime(at))


def date_time(at: float | None) -> str:
    """Day and time where the operator is: `2026-11-23 13:59:02`."""
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def plain(lines: Sequence[Line]) -> list[str]:
    """The texts of the lines, for searching and copying."""
    return [item.text for item in lines]
