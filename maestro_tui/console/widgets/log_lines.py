"""The lines of a log on the screen: follows the end, stops when scrolled up, wraps, filters, marks matches.

With wrapping on, one step of scrolling is one line of the log, however many rows it takes.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.log_window import LogWindow, Scan, Scanned
from maestro_tui.console.widgets.log_painting import LogPainter
from maestro_tui.console.widgets.long_view import LongView
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.text import clean
from maestro_tui.store.logs import LogLine


class LogLines(TellsFaults, LongView):
    """A window over one log file."""

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

    class Read(Message):
        """A thread has read through the file."""

        def __init__(self, scanned: Scanned) -> None:
            super().__init__()
            self.scanned = scanned

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._window = LogWindow()
        self._painter = LogPainter()
        self._pinning = False
        self._layout_key: tuple[object, ...] = ()
        self._layout: list[Strip] = []
        self._jump = 0
        """Direction of the first step once the matches are known."""
        self.query_text = ""
        self.at_offset: int | None = None
        """Where the match begins that was gone to last."""
        self.following = True
        self.unseen = 0
        """Lines that came since following stopped."""
        self.nothing = ""
        """What is said where no line is there to be shown."""
        self.persona: str | None = None
        self.problem: str | None = None

    # -- the file

    @property
    def path(self) -> Path | None:
        """The log that is shown."""
        return self._window.path

    @property
    def wrap(self) -> bool:
        """True when long lines are wrapped."""
        return self._painter.wrap

    @property
    def row_count(self) -> int:
        """Lines that are shown: all, or those of the persona."""
        return self._window.row_count

    @property
    def complete(self) -> bool:
        """True when the lines are counted from the file's beginning."""
        return self._window.complete

    @property
    def match_count(self) -> int | None:
        """Matching lines; None while they are being counted."""
        found = self._window.matches
        return len(found) if found is not None else None

    @property
    def match_place(self) -> int:
        """Number of the match that was gone to, from 1; 0 for none."""
        found = self._window.matches
        if found is None or self.at_offset is None:
            return 0
        return bisect_left(found, self.at_offset) + 1

    @property
    def row_in_focus(self) -> int:
        """The line that a key means: the match that was gone to, else the newest when following, else the top."""
        found = self._window.row_at(self.at_offset) if self.at_offset is not None else None
        return found if found is not None else self.row_count - 1 if self.following else int(self.scroll_y)

    def line(self, row: int) -> LogLine:
        """A line as it was written, clean."""
        return self._window.line(row)

    def open(self, path: Path | None) -> None:
        """Shows another log, from its end."""
        if path is not None and path == self._window.path:
            return
        self._window.open(path)
        self.persona = None
        self.query_text, self.at_offset, self._jump = "", None, 0
        self._begin()
        self.refresh_file()
        self._place()
        self.post_message(self.StateChanged())

    def on_unmount(self) -> None:
        """The file is closed with its widget."""
        self._window.open(None)

    def _begin(self) -> None:
        self._painter.begin()
        self.following = True
        self.unseen = 0
        self.problem = None

    def refresh_file(self) -> None:
        """Takes in what was added since; called on every tick while the log is visible."""
        try:
            anew, added = self._window.refresh()
        except OSError as error:
            problem = clean(f"This log cannot be read: {error.strerror or error}.")
            if self.problem != problem:
                self.problem = problem
                self.post_message(self.StateChanged())
            return
        if anew:
            self._begin()
        self._start_scans()
        if anew or added:
            if not self.following:
                self.unseen += added
            self._place()
            self.post_message(self.StateChanged())

    def _start_scans(self) -> None:
        for scan in self._window.due_scans():
            self.run_worker(
                partial(self._scan, scan), thread=True, group="log", exit_on_error=False, name=scan.kind
            )

    def _scan(self, scan: Scan) -> None:
        self.post_message(self.Read(scan.run()))

    def on_log_lines_read(self, message: Read) -> None:
        """Takes in what a thread has read, unless it is about something that is no longer shown."""
        message.stop()
        earlier = self._window.take(message.scanned)
        if earlier is None:
            return
        if message.scanned.scan.kind == "persona":
            self.following, self.unseen = True, 0
        self._place(shift=earlier)
        if message.scanned.scan.kind == "search" and self._jump:
            step, self._jump = self._jump, 0
            self.action_next_match(step)
        self._start_scans()
        self.post_message(self.StateChanged())

    # -- search and filter

    def search(self, query: str) -> None:
        """Marks what matches; goes to the newest match when at the end, else to the first from here."""
        self.query_text, self.at_offset = query, None
        self._window.look_for(query)
        self._jump = -1 if self.following else 1
        self._start_scans()
        self._layout_key = ()
        self.refresh()
        self.post_message(self.StateChanged())

    def go_to_first_error(self) -> None:
        """Goes to the first line that speaks of an error; stays at the end when there is none."""
        self.query_text, self.at_offset = "", None
        self._window.look_for_trouble()
        self._jump = 1
        self._start_scans()

    def _leave_error(self) -> None:
        if not self.query_text:
            self.at_offset = None

    def clear_search(self) -> None:
        """Takes the marks away; the place stays."""
        self.search("")
        self._jump = 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`n` belongs to the search only while there is one."""
        return bool(self.query_text) if action == "next_match" else True

    def action_next_match(self, step: int) -> None:
        """Goes to the next or previous match; all lines around it stay."""
        found = self._window.matches
        if not found:
            return
        if self.at_offset is not None:
            place = bisect_left(found, self.at_offset) + step
        elif not self.query_text:
            place = 0
        elif step < 0:
            place = len(found) - 1
        else:
            place = bisect_left(found, self._window.offset_of(int(self.scroll_y)))
        for _ in range(len(found)):
            offset = found[place % len(found)]
            row = self._window.row_at(offset)
            if row is not None:
                self.at_offset = offset
                self._go_to(row)
                break
            place += step
        self.post_message(self.StateChanged())

    def _go_to(self, row: int) -> None:
        height = max(1, self.scrollable_content_region.height)
        self._layout_key = ()
        top = int(self.scroll_y)
        if self.wrap or not top <= row < top + height:
            self._scroll(self._painter.row_above(self._window, row, height // 3, self._room))
        self.refresh()

    def action_persona(self) -> None:
        """Shows one persona's lines after the other, then all again."""
        order: list[str | None] = [None, *self._window.personas]
        place = order.index(self.persona) if self.persona in order else 0
        self.filter_persona(order[(place + 1) % len(order)])

    def filter_persona(self, persona: str | None) -> None:
        """Shows only the lines of a persona; None shows all."""
        self.persona = persona
        self._window.show_persona(persona)
        self._start_scans()
        if persona is None:
            self.following, self.unseen = True, 0
        self._place()
        self.post_message(self.StateChanged())

    # -- scrolling

    def _place(self, shift: int = 0) -> None:
        """Fits the scrollable height to the lines; stays at the end when following, else where it was."""
        height = max(1, self.scrollable_content_region.height)
        rows = self.row_count
        fit = self._painter.rows_that_fit(self._window, self._room) if self.wrap and rows else height
        self._pinning = True
        try:
            self.hold(Size(0 if self.wrap else self._painter.widest, rows + height - fit))
            self._layout_key = ()
            if self.following:
                self._scroll(self.max_scroll_y)
            elif shift:
                self._scroll(self.scroll_y + shift)
        finally:
            self._pinning = False
        self.refresh()

    def _scroll(self, y: float) -> None:
        self.scroll_to(y=max(0, y), animate=False, force=True, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; reaching the end goes on with it."""
        super().watch_scroll_y(old_value, new_value)
        self._layout_key = ()
        if self._pinning or round(old_value) == round(new_value):
            return
        following = round(new_value) >= self.max_scroll_y
        if following:
            self.unseen = 0
        if following != self.following:
            self.following = following
            self.post_message(self.StateChanged())

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
        self._leave_error()
        self._scroll(0)

    def action_follow(self) -> None:
        """To the end, and stay there."""
        self._leave_error()
        self.following, self.unseen = True, 0
        self._place()
        self.post_message(self.StateChanged())

    def action_sideways(self, step: int) -> None:
        """Some columns left or right."""
        self.scroll_to(x=self.scroll_x + step, animate=False, force=True, immediate=True)

    def action_wrap(self) -> None:
        """Wraps long lines, or not."""
        self._painter.wrap = not self.wrap
        self.scroll_to(x=0, animate=False, force=True, immediate=True)
        self._place()
        self.post_message(self.StateChanged())

    def action_stamps(self) -> None:
        """Shows the time of each line, or not."""
        self._painter.stamps = not self._painter.stamps
        self._place()

    # -- painting

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        base = self.rich_style
        width = self._room.width
        if not self.row_count:
            return self._empty_line(y, base)
        key = (self.scroll_offset, self._room, self.row_count, self.wrap, self._painter.stamps, self.query_text,
               self.at_offset, self.has_focus, id(palette(self)))  # fmt: skip
        if key != self._layout_key:
            self._layout = self._painter.paint(
                self._window,
                int(self.scroll_y),
                0 if self.wrap else int(self.scroll_x),
                self._room,
                self.query_text,
                self.at_offset,
                palette(self).cursor(self.has_focus),
                base,
                palette(self),
            )
            self._layout_key = key
            if not self.wrap and self._painter.widest != self.virtual_size.width:
                self.call_after_refresh(self._place)
        return self._layout[y] if y < len(self._layout) else Strip.blank(width, base)

    def _empty_line(self, y: int, base: Style) -> Strip:
        text = ""
        if y == 0:
            if self.problem:
                text = self.problem
            elif self._window.scanning:
                text = "Reading…"
            else:
                text = "No line of this persona." if self._window.filtered else self.nothing
        return Strip([Segment(text, base + palette(self).style("muted"))]).crop_extend(
            0, self.size.width, base
        )

    def say(self, nothing: str) -> None:
        """What is said as long as there is no line."""
        if self.nothing != nothing:
            self.nothing = nothing
            self.refresh()

    @property
    def _room(self) -> Size:
        """Columns and rows beside the scrollbar."""
        return self.scrollable_content_region.size
