"""The lines of a log on the screen: follows the end, stops when scrolled up, wraps, filters, marks matches.

With wrapping on, one step of scrolling is one line of the log, however many rows it takes.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from maestro_tui.console.lines import clock_time, fit, wrap_words
from maestro_tui.console.log_tail import LogFile, Wanted, count_blocks, find_lines
from maestro_tui.console.widgets.palette import Palette, palette
from maestro_tui.console.widgets.rows_view import mark_matches
from maestro_tui.model.text import clean
from maestro_tui.store.logs import LogLine, parse_log_line

MOST_CACHED = 2_000
AHEAD = 64
WIDEST_PERSONA = 18


class LogLines(ScrollView, can_focus=True):
    """A window over one log file."""

    DEFAULT_CSS = """
    LogLines {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "top", "Top", show=False),
        Binding("end,G,F", "follow", "Follow", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
        Binding("w", "wrap", "Wrap", show=False),
        Binding("t", "stamps", "Times", show=False),
        Binding("u", "persona", "Persona", show=False),
    ]

    class StateChanged(Message):
        """What the line below the log tells has changed."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest state is of interest."""
            return isinstance(message, LogLines.StateChanged)

    class Scanned(Message):
        """A thread has read through the file: earlier blocks, or the lines that match."""

        def __init__(
            self,
            generation: int,
            kind: str,
            blocks: list[tuple[int, int, int]] | None = None,
            wanted: Wanted | None = None,
            offsets: array[int] | None = None,
            until: int = 0,
        ) -> None:
            super().__init__()
            self.generation = generation
            self.kind = kind
            self.blocks = blocks
            self.wanted = wanted
            self.offsets = offsets
            self.until = until

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._file: LogFile | None = None
        self._generation = 0
        self._parsed: OrderedDict[int, LogLine] = OrderedDict()
        self._persona_columns = 8
        self._widest = 0
        self._pinning = False
        self._layout_key: tuple[object, ...] = ()
        self._layout: list[Strip] = []
        self._filter: Wanted | None = None
        self._filtered: array[int] | None = None
        self._filtered_until = 0
        self._search: Wanted | None = None
        self._found: array[int] | None = None
        self._found_until = 0
        self._jump = 0
        self.query_text = ""
        self.at_offset: int | None = None
        """Where the match begins that was gone to last."""
        self.following = True
        self.unseen = 0
        """Lines that came since following stopped."""
        self.wrap = False
        self.stamps = True
        self.persona: str | None = None
        self.personas: list[str] = []
        self.problem: str | None = None
        self.now_scanning = False

    # -- the file

    @property
    def path(self) -> Path | None:
        """The log that is shown."""
        return self._file.path if self._file else None

    @property
    def row_count(self) -> int:
        """Lines that are shown: all, or those of the persona."""
        if self._file is None:
            return 0
        return len(self._filtered) if self._filtered is not None else self._file.line_count

    @property
    def complete(self) -> bool:
        """True when the lines are counted from the file's beginning."""
        return self._file is None or self._file.complete

    @property
    def match_count(self) -> int | None:
        """Matching lines; None while they are being counted."""
        return len(self._found) if self._found is not None else None

    @property
    def match_place(self) -> int:
        """Number of the match that was gone to, from 1."""
        if self._found is None or self.at_offset is None:
            return 0
        return bisect_left(self._found, self.at_offset) + 1

    def open(self, path: Path | None) -> None:
        """Shows another log, from its end."""
        if self._file is not None:
            if path == self._file.path:
                return
            self._file.close()
        self._file = LogFile(path) if path is not None else None
        self._start_over()
        self.persona = None
        self._filter = None
        self.personas = []
        self.clear_search()
        self.refresh_file()

    def close(self) -> None:
        """Gives the file back."""
        self._generation += 1
        if self._file is not None:
            self._file.close()
            self._file = None

    def on_unmount(self) -> None:
        """The file is closed with its widget."""
        self.close()

    def _start_over(self) -> None:
        self._generation += 1
        self._parsed.clear()
        self._filtered = array("Q") if self._filter else None
        self._filtered_until = 0
        self._found = None
        self._found_until = 0
        self._persona_columns = 8
        self._widest = 0
        self.following = True
        self.unseen = 0
        self.problem = None
        self.now_scanning = False

    def refresh_file(self) -> None:
        """Takes in what was added since; called on every tick while the log is visible."""
        if self._file is None:
            return
        try:
            growth = self._file.refresh()
        except OSError as error:
            problem = f"This log cannot be read: {error.strerror or error}."
            if self.problem != clean(problem):
                self.problem = clean(problem)
                self.post_message(self.StateChanged())
            return
        if growth.anew:
            self._start_over()
            if not self._file.complete:
                self._scan_earlier()
        if growth.lines or growth.anew:
            # The unfinished last line may have become longer.
            self._parsed.pop(self._file.line_count - growth.lines - 1, None)
            added = growth.lines
            if self._filter is not None and self._filtered is not None and self._file.complete:
                added = self._extend(self._filter, self._filtered, "_filtered_until")
            if self._search is not None and self._found is not None and self._file.complete:
                self._extend(self._search, self._found, "_found_until")
            self._grown(added)
            if growth.anew and self._file.complete:
                self._restart_scans()

    def _extend(self, wanted: Wanted, offsets: array[int], mark: str) -> int:
        file = self._file
        assert file is not None
        end = file.offset_of(file.line_count) if not file._ends_open else file.offset_of(file.line_count - 1)
        fresh = find_lines(file.descriptor, getattr(self, mark), end, wanted)
        setattr(self, mark, end)
        offsets.extend(fresh)
        return len(fresh)

    def _grown(self, added: int) -> None:
        if not self.following:
            self.unseen += added
        self._place()
        self.post_message(self.StateChanged())

    # -- threads

    def _in_thread(self, work: object, name: str) -> None:
        self.run_worker(work, name=name, thread=True, exit_on_error=False, group="log-scan")  # type: ignore[arg-type]

    def _scan_earlier(self) -> None:
        file = self._file
        assert file is not None
        self.now_scanning = True
        self._in_thread(
            partial(self._count_earlier, os.dup(file.descriptor), file.base, self._generation), "count lines"
        )

    def _count_earlier(self, descriptor: int, base: int, generation: int) -> None:
        try:
            blocks = count_blocks(descriptor, 0, base)
        finally:
            os.close(descriptor)
        self.post_message(self.Scanned(generation, "earlier", blocks=blocks))

    def _scan(self, kind: str, wanted: Wanted) -> None:
        file = self._file
        if file is None or not file.exists or not file.complete:
            return
        end = file.offset_of(file.line_count) if not file._ends_open else file.offset_of(file.line_count - 1)
        self.now_scanning = True
        self._in_thread(
            partial(self._find, os.dup(file.descriptor), end, self._generation, kind, wanted), f"find {kind}"
        )

    def _find(self, descriptor: int, end: int, generation: int, kind: str, wanted: Wanted) -> None:
        try:
            offsets = find_lines(descriptor, 0, end, wanted)
        finally:
            os.close(descriptor)
        self.post_message(self.Scanned(generation, kind, wanted=wanted, offsets=offsets, until=end))

    def on_log_lines_scanned(self, message: Scanned) -> None:
        """Takes in what a thread has read, unless it is about something that is no longer shown."""
        message.stop()
        file = self._file
        if message.generation != self._generation or file is None:
            return
        self.now_scanning = False
        if message.kind == "earlier" and message.blocks is not None:
            earlier = file.prepend(message.blocks)
            self._parsed.clear()
            if self._filtered is None:
                self._place(shift=earlier)
            self._restart_scans()
        elif message.kind == "persona" and message.wanted == self._filter and message.offsets is not None:
            self._filtered, self._filtered_until = message.offsets, message.until
            self._parsed.clear()
            self.following, self.unseen = True, 0
            self._place()
        elif message.kind == "search" and message.wanted == self._search and message.offsets is not None:
            self._found, self._found_until = message.offsets, message.until
            if self._jump:
                step, self._jump = self._jump, 0
                self.action_next_match(step)
            self.refresh()
        self._layout_key = ()
        self.post_message(self.StateChanged())

    def _restart_scans(self) -> None:
        if self._filter is not None:
            self._scan("persona", self._filter)
        if self._search is not None:
            self._scan("search", self._search)

    # -- search and filter

    def search(self, query: str) -> None:
        """Marks what matches and goes to the newest match above, or else the next one."""
        if not query:
            self.clear_search()
            return
        self.query_text = query
        self._search = Wanted.text(query)
        self._found, self.at_offset = None, None
        self._jump = -1 if self.following else 1
        self._layout_key = ()
        self._scan("search", self._search)
        self.refresh()
        self.post_message(self.StateChanged())

    def clear_search(self) -> None:
        """Takes the marks away; the place stays."""
        self.query_text = ""
        self._search, self._found, self.at_offset = None, None, None
        self._layout_key = ()
        self.refresh()
        self.post_message(self.StateChanged())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`n` belongs to the search only while there is one."""
        return self._search is not None if action == "next_match" else True

    def action_next_match(self, step: int) -> None:
        """Goes to the next or previous match; all lines around it stay."""
        found = self._found
        if found is None or not found or self._file is None:
            return
        if self.at_offset is not None:
            place = bisect_left(found, self.at_offset) + step
        else:
            first = self._row_offset(min(int(self.scroll_y), max(0, self.row_count - 1)))
            if step < 0:
                place = bisect_left(found, self._row_offset(self.row_count - 1) + 1) - 1
            else:
                place = bisect_left(found, first)
        for _ in range(len(found)):
            offset = found[place % len(found)]
            if self._filtered is None:
                row: int | None = self._file.line_at(offset)
            else:
                row = bisect_left(self._filtered, offset)
                if row >= len(self._filtered) or self._filtered[row] != offset:
                    row = None
            if row is not None:
                self.at_offset = offset
                self._go_to(row)
                break
            place += step
        self.post_message(self.StateChanged())

    def _go_to(self, row: int) -> None:
        height = max(1, self.scrollable_content_region.height)
        self.following = row >= self.row_count - height // 2 and self.following
        self._layout_key = ()
        top = int(self.scroll_y)
        if not self.following and not top + 1 <= row < top + height - 1:
            self._scroll(row - height // 3)
        self.refresh()

    def action_persona(self) -> None:
        """Shows one persona's lines after the other, then all again."""
        if not self.personas:
            return
        order: list[str | None] = [None, *self.personas]
        place = order.index(self.persona) if self.persona in order else 0
        self.filter_persona(order[(place + 1) % len(order)])

    def filter_persona(self, persona: str | None) -> None:
        """Shows only the lines of a persona; None shows all."""
        self.persona = persona
        self._parsed.clear()
        self._layout_key = ()
        if persona is None:
            self._filter, self._filtered = None, None
            self.following, self.unseen = True, 0
            self._place()
        else:
            self._filter = Wanted.persona(persona)
            self._filtered, self._filtered_until = array("Q"), 0
            self._scan("persona", self._filter)
        self.refresh()
        self.post_message(self.StateChanged())

    # -- scrolling

    def _place(self, shift: int = 0) -> None:
        """Fits the scrollable height to the lines; stays at the end when following, else where it was."""
        height = max(1, self.scrollable_content_region.height)
        rows = self.row_count
        extra = 0
        if self.wrap and rows > 0:
            extra = height - min(height, self._rows_that_fit(height))
        self._pinning = True
        try:
            self.virtual_size = Size(0 if self.wrap else self._widest, rows + extra)
            self._layout_key = ()
            if self.following:
                self._scroll(self.max_scroll_y)
            elif shift:
                self._scroll(self.scroll_y + shift)
        finally:
            self._pinning = False
        self.refresh()

    def _rows_that_fit(self, height: int) -> int:
        """How many of the last lines fill the screen when wrapped."""
        used, count = 0, 0
        for row in range(self.row_count - 1, -1, -1):
            used += len(self._wrapped(self._line(row), height))
            if used > height:
                break
            count += 1
        return max(1, count)

    def _scroll(self, y: float) -> None:
        self.scroll_to(y=max(0, y), animate=False, force=True, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; reaching the end goes on with it."""
        super().watch_scroll_y(old_value, new_value)
        self._layout_key = ()
        if self._pinning or round(old_value) == round(new_value):
            return
        following = round(new_value) >= self.max_scroll_y
        if following != self.following:
            self.following = following
            self.post_message(self.StateChanged())
        if following:
            self.unseen = 0

    def on_resize(self) -> None:
        """A new width wraps anew; following stays at the end."""
        self._place()

    def action_move(self, step: int) -> None:
        """One line up or down."""
        self._scroll(self.scroll_y + step)

    def action_page(self, step: int) -> None:
        """One page up or down."""
        self._scroll(self.scroll_y + step * max(1, self.size.height - 1))

    def action_top(self) -> None:
        """To the first line."""
        self._scroll(0)

    def action_follow(self) -> None:
        """To the end, and stay there."""
        self.following, self.unseen = True, 0
        self._place()
        self.post_message(self.StateChanged())

    def action_sideways(self, step: int) -> None:
        """Some columns left or right."""
        self.scroll_to(x=self.scroll_x + step, animate=False)

    def action_wrap(self) -> None:
        """Wraps long lines, or not."""
        self.wrap = not self.wrap
        self.scroll_to(x=0, animate=False, force=True, immediate=True)
        self._place()
        self.post_message(self.StateChanged())

    def action_stamps(self) -> None:
        """Shows the time of each line, or not."""
        self.stamps = not self.stamps
        self._place()
        self.post_message(self.StateChanged())

    # -- lines

    def _row_offset(self, row: int) -> int:
        if self._file is None or row < 0:
            return 0
        if self._filtered is not None:
            return self._filtered[row] if row < len(self._filtered) else self._file.end
        return self._file.offset_of(row)

    def _line(self, row: int) -> LogLine:
        known = self._parsed.get(row)
        if known is not None:
            return known
        file = self._file
        assert file is not None
        first = max(0, row - AHEAD // 2)
        if self._filtered is not None:
            last = min(row + AHEAD, len(self._filtered))
            raw = [file.line_from(self._filtered[index]) for index in range(first, last)]
        else:
            raw = file.lines(first, AHEAD * 2)
        for index, data in enumerate(raw, first):
            parsed = parse_log_line(data)
            self._parsed[index] = parsed
            self._learn(parsed)
        while len(self._parsed) > MOST_CACHED:
            self._parsed.popitem(last=False)
        return self._parsed.get(row) or parse_log_line(b"")

    def _learn(self, parsed: LogLine) -> None:
        if parsed.persona and parsed.persona not in self.personas and len(self.personas) < 64:
            self.personas.append(parsed.persona)
        self._persona_columns = max(self._persona_columns, min(WIDEST_PERSONA, cell_len(parsed.persona)))
        width = self._prefix_columns + cell_len(parsed.text)
        if width > self._widest:
            self._widest = width

    @property
    def _prefix_columns(self) -> int:
        return (10 if self.stamps else 0) + self._persona_columns + 2

    # -- painting

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        base = self.rich_style
        width = self.size.width
        if self._file is None or not self.row_count:
            return self._empty_line(y, base)
        height = self.size.height
        key = (int(self.scroll_y), int(self.scroll_x), width, height, self.row_count, self.wrap, self.stamps,
               self.query_text, self.at_offset, self.app.theme, self._persona_columns)  # fmt: skip
        if key != self._layout_key:
            self._layout = self._lay_out(width, height, base)
            self._layout_key = key
            if not self.wrap and self._widest != self.virtual_size.width:
                self.call_after_refresh(self._place)
        return self._layout[y] if y < len(self._layout) else Strip.blank(width, base)

    def _empty_line(self, y: int, base: Style) -> Strip:
        text = ""
        if y == 0:
            if self.problem:
                text = self.problem
            elif self._file is None or not self._file.exists:
                text = "No log yet: this phase has not written anything."
            elif self.now_scanning:
                text = "Reading…"
            else:
                text = "The log is empty." if self.persona is None else "No line of this persona."
        return Strip([Segment(text, base + palette(self).style("muted"))]).crop_extend(
            0, self.size.width, base
        )

    def _lay_out(self, width: int, height: int, base: Style) -> list[Strip]:
        strips: list[Strip] = []
        row = int(self.scroll_y)
        colours = palette(self)
        left = 0 if self.wrap else int(self.scroll_x)
        while len(strips) < height and row < self.row_count:
            parsed = self._line(row)
            line_base = base
            if self.at_offset is not None and self._row_offset(row) == self.at_offset:
                line_base = base + colours.cursor(self.has_focus)
            texts = self._wrapped(parsed, height) if self.wrap else [parsed.text]
            for index, text in enumerate(texts):
                segments = self._segments(parsed, text, index == 0, line_base, colours)
                strips.append(Strip(segments).crop_extend(left, left + width, line_base))
            row += 1
        return strips[:height]

    def _wrapped(self, parsed: LogLine, height: int) -> list[str]:
        columns = max(8, self.size.width - self._prefix_columns)
        texts = wrap_words(parsed.text, columns, max(3, height))
        most = max(3, height - 1)
        if len(texts) > most:
            texts = [*texts[: most - 1], fit(texts[most - 1], columns - 2) + " …"]
        return texts

    def _segments(
        self, parsed: LogLine, text: str, first: bool, base: Style, colours: Palette
    ) -> list[Segment]:
        muted = base + colours.style("muted")
        segments = []
        if self.stamps:
            segments.append(Segment(f"{clock_time(parsed.at) if first else '':8}  ", muted))
        segments.append(Segment(fit(parsed.persona if first else "", self._persona_columns), muted))
        edge = "▏" if parsed.stream == "err" else " "
        segments.append(Segment(" " + edge, base + colours.style("phase-failed")))
        style = muted if parsed.stream == "engine" else base
        if not self.query_text:
            segments.append(Segment(text, style))
            return segments
        query = self.query_text
        segments += mark_matches(text, query, query != query.lower(), style, style + colours.style("match"))
        return segments
