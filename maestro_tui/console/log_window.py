"""The rows of a log as they are shown: all lines or those of one persona, with the places that match a search.

Long readings are handed out as `Scan`s for a thread; their results come back through `take`.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maestro_tui.console.log_search import Wanted, find_lines
from maestro_tui.console.log_tail import LogFile, count_blocks
from maestro_tui.store.logs import LogLine, parse_log_line

MOST_CACHED = 2_000
AHEAD = 64
MOST_PERSONAS = 64

Kind = Literal["earlier", "persona", "search"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A reading through the file for a thread. `run` is called once; it closes its own descriptor."""

    generation: int
    kind: Kind
    descriptor: int
    end: int
    wanted: Wanted | None = None

    def run(self) -> Scanned:
        """Reads; takes as long as the file is big."""
        try:
            if self.wanted is None:
                return Scanned(self, blocks=tuple(count_blocks(self.descriptor, 0, self.end)))
            return Scanned(self, offsets=find_lines(self.descriptor, 0, self.end, self.wanted))
        finally:
            os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found."""

    scan: Scan
    blocks: tuple[tuple[int, int, int], ...] = ()
    offsets: array[int] | None = None


@dataclass(slots=True)
class _Lines:
    """Offsets of the lines that were looked for; None while a thread still looks."""

    wanted: Wanted
    offsets: array[int] | None = None
    until: int = 0
    asked: bool = False


class LogWindow:
    """One log file and what is shown of it."""

    def __init__(self) -> None:
        self._file: LogFile | None = None
        self._generation = 0
        self._counting = False
        self._parsed: OrderedDict[int, LogLine] = OrderedDict()
        self._filter: _Lines | None = None
        self._search: _Lines | None = None
        self.personas: list[str] = []
        """Who has written the lines seen so far."""

    # -- the file

    @property
    def path(self) -> Path | None:
        """The log that is shown."""
        return self._file.path if self._file is not None else None

    @property
    def exists(self) -> bool:
        """True once the file was there."""
        return self._file is not None and self._file.exists

    @property
    def complete(self) -> bool:
        """True when the lines are counted from the file's beginning."""
        return self._file is None or self._file.complete

    @property
    def scanning(self) -> bool:
        """True while a thread reads."""
        return self._counting or any(
            lines is not None and lines.asked and lines.offsets is None
            for lines in (self._filter, self._search)
        )

    def open(self, path: Path | None) -> None:
        """Another file, or none."""
        self._generation += 1
        if self._file is not None:
            self._file.close()
        self._file = LogFile(path) if path is not None else None
        self._filter = self._search = None
        self._counting = False
        self._parsed.clear()
        self.personas = []

    def refresh(self) -> tuple[bool, int]:
        """Takes in what was added: whether it is read anew, and the rows that came. OSError if unreadable."""
        file = self._file
        if file is None:
            return False, 0
        before = self.row_count
        growth = file.refresh()
        if growth.anew:
            self._generation += 1
            self._counting = False
            self._parsed.clear()
            for lines in (self._filter, self._search):
                if lines is not None:
                    lines.offsets, lines.until, lines.asked = None, 0, False
            return True, self.row_count
        if growth.lines or growth.grown:
            if self._filter is None:
                # The unfinished last line may have become longer.
                self._parsed.pop(before - 1, None)
            for lines in (self._filter, self._search):
                if lines is not None and lines.offsets is not None:
                    end = self._whole_end()
                    lines.offsets.extend(find_lines(file.descriptor, lines.until, end, lines.wanted))
                    lines.until = end
        return False, max(0, self.row_count - before)

    def _whole_end(self) -> int:
        """Where the last finished line ends."""
        file = self._file
        assert file is not None
        return file.offset_of(file.line_count - 1) if file.ends_open else file.end

    # -- threads

    def due_scans(self) -> list[Scan]:
        """Readings that should be started now; each is handed out once."""
        file = self._file
        if file is None or not file.exists:
            return []
        if not file.complete:
            if self._counting:
                return []
            self._counting = True
            return [Scan(self._generation, "earlier", os.dup(file.descriptor), file.base)]
        scans: list[Scan] = []
        asked: tuple[tuple[Kind, _Lines | None], ...] = (("persona", self._filter), ("search", self._search))
        for kind, lines in asked:
            if lines is not None and lines.offsets is None and not lines.asked:
                lines.asked = True
                scans.append(
                    Scan(self._generation, kind, os.dup(file.descriptor), self._whole_end(), lines.wanted)
                )
        return scans

    def take(self, scanned: Scanned) -> int | None:
        """Takes in a result: the rows that came before the first one, or None when it is out of date."""
        file, scan = self._file, scanned.scan
        if file is None or scan.generation != self._generation:
            return None
        if scan.kind == "earlier":
            self._counting = False
            before = file.prepend(list(scanned.blocks))
            self._parsed.clear()
            return before
        lines = self._filter if scan.kind == "persona" else self._search
        if lines is None or lines.wanted != scan.wanted:
            return None
        lines.offsets, lines.until = scanned.offsets, scan.end
        if scan.kind == "persona":
            self._parsed.clear()
        return 0

    # -- filter and search

    @property
    def filtered(self) -> bool:
        """True when only one persona's lines are shown."""
        return self._filter is not None

    def show_persona(self, persona: str | None) -> None:
        """Only the lines of a persona; None for all."""
        self._parsed.clear()
        self._filter = _Lines(Wanted.persona(persona)) if persona is not None else None

    def look_for(self, query: str) -> None:
        """Looks for a text; an empty one ends the search."""
        self._search = _Lines(Wanted.text(query)) if query else None

    def look_for_trouble(self) -> None:
        """Looks for the first line that speaks of an error."""
        self._search = _Lines(Wanted.trouble())

    @property
    def matches(self) -> array[int] | None:
        """Offsets of the matching lines; None without a search or while a thread looks."""
        return self._search.offsets if self._search is not None else None

    # -- rows

    @property
    def row_count(self) -> int:
        """Lines that are shown."""
        if self._file is None:
            return 0
        if self._filter is not None:
            return len(self._filter.offsets) if self._filter.offsets is not None else 0
        return self._file.line_count

    def offset_of(self, row: int) -> int:
        """Where a row's line begins in the file."""
        if self._file is None or row < 0:
            return 0
        if self._filter is None:
            return self._file.offset_of(row)
        offsets = self._filter.offsets
        return offsets[row] if offsets is not None and row < len(offsets) else self._file.end

    def row_at(self, offset: int) -> int | None:
        """The row of a line that begins at an offset; None when it is not shown."""
        if self._file is None:
            return None
        if self._filter is None:
            return self._file.line_at(offset)
        offsets = self._filter.offsets
        if offsets is None:
            return None
        row = bisect_left(offsets, offset)
        return row if row < len(offsets) and offsets[row] == offset else None

    def line(self, row: int) -> LogLine:
        """A row's line; the rows around it are read along."""
        known = self._parsed.get(row)
        if known is not None:
            return known
        file = self._file
        assert file is not None
        first = max(0, row - AHEAD // 2)
        if self._filter is not None:
            raw = [
                file.line_from(self.offset_of(index))
                for index in range(first, min(row + AHEAD, self.row_count))
            ]
        else:
            raw = file.lines(first, AHEAD * 2)
        for index, data in enumerate(raw, first):
            parsed = parse_log_line(data)
            self._parsed[index] = parsed
            if parsed.persona and parsed.persona not in self.personas and len(self.personas) < MOST_PERSONAS:
                self.personas.append(parsed.persona)
        while len(self._parsed) > MOST_CACHED:
            self._parsed.popitem(last=False)
        return self._parsed.get(row) or parse_log_line(b"")
