"""The lines around the list: what needs attention (top), the filter, the session in brief, the keys (bottom)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input

from maestro_tui.console.actions import Action
from maestro_tui.console.fleet import FleetView, header_words
from maestro_tui.console.fleet_order import Sort, arrow
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import short, shorten_middle
from maestro_tui.console.verdict import said_and_then
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import SessionSummary


class HeaderBar(Widget):
    """One line: the directory, what needs attention, how many sessions, the time."""

    DEFAULT_CSS = "HeaderBar { height: 1; }"

    def __init__(self, root: str, *, ascii_only: bool = False, read_only: bool = False) -> None:
        super().__init__()
        self.root, self.ascii_only, self.read_only = root, ascii_only, read_only
        self._said: tuple[object, ...] = ()
        self._view: FleetView | None = None
        self._now = 0.0

    def show(self, view: FleetView, now: float) -> None:
        """Show the counts of a view; repaints only when they or the minute changed."""
        said = (header_words(view), view.total, view.loading, int(now // 60))
        self._view, self._now = view, now
        if said != self._said:
            self._said = said
            self.refresh()

    def render(self) -> Text:
        """The line, as wide as the screen."""
        colours, width = palette(self), self.size.width
        wide = width >= 100
        clock = time.strftime("%H:%M", time.localtime(self._now)) if self._view is not None else ""
        middle = Text()
        view = self._view
        for status, count, word in header_words(view) if view is not None else ():
            middle.append(glyph(status, self.ascii_only), colours.style(COLOURS[status]))
            middle.append(f" {count} {word}  " if wide else f" {count}  ")
        if view is not None:
            total = f"{view.total:,}"
            if view.loading:
                total = f"reading {total}…" if view.total else "reading…"
            middle.append(total, colours.style("muted"))
            if wide and not total.endswith("…"):
                middle.append(" session" if view.total == 1 else " sessions", colours.style("muted"))
        tail = f"   {clock} "
        left = Text(" ")
        left.append("maestro", colours.style("bold accent"))
        if self.read_only:
            left.append("  read-only", colours.style("phase-waiting"))
        room = width - left.cell_len - middle.cell_len - len(tail) - 4
        left.append("  " + shorten_middle(self.root, max(8, room)), colours.style("muted"))
        gap = max(2, width - left.cell_len - middle.cell_len - len(tail))
        line = Text.assemble(left, " " * gap, middle, (tail, colours.style("muted")))
        line.no_wrap, line.overflow = True, "crop"
        return line


class FilterInput(Input):
    """The filter's text; `escape`, `enter` and `down` give the focus back to the list."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0))
    """As of every widget, but a longer text makes the line no wider: no key lays out the screen anew."""

    class Left(Message):
        """The operator is done with the filter; `clear` when it is to be taken away."""

        def __init__(self, clear: bool) -> None:
            super().__init__()
            self.clear_it = clear

    async def on_key(self, event: events.Key) -> None:
        """Leave by the keys that mean it."""
        if event.key in ("escape", "down", "enter"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Left(clear=event.key == "escape"))


class FilterBar(Horizontal):
    """The filter line, and at its right how much it shows."""

    DEFAULT_CSS = """
    FilterBar { height: 1; }
    FilterBar #sign { width: 3; }
    FilterBar FilterInput { width: 1fr; border: none; height: 1; padding: 0; background: transparent; }
    FilterBar FilterInput:focus { border: none; background: transparent; }
    FilterBar #shown { width: auto; }
    """

    def __init__(self, text: str = "", *, ascii_only: bool = False) -> None:
        super().__init__()
        self._text, self.ascii_only = text, ascii_only
        self._order = ""
        self._parts: list[str] = []
        self._room = 0
        self._typing = False

    def compose(self) -> ComposeResult:
        """The sign, the text, the numbers."""
        yield Words(id="sign")
        yield FilterInput(
            self._text, placeholder="filter", select_on_focus=False, id="filter", highlighter=None
        )
        yield Words(id="shown")

    def on_mount(self) -> None:
        """The sign never changes."""
        self.query_one("#sign", Words).show(Text(" / "))

    def show(self, view: FleetView, sort: Sort, marked: int) -> None:
        """Say how many are shown, in which order, and how many are marked."""
        parts = []
        if marked:
            parts.append(f"{marked} marked")
        self._order = f"by {sort.column} {arrow(sort, self.ascii_only)}" if sort != Sort() else ""
        total = f"{view.total:,}"
        if len(view.rows) != view.total:
            parts.append(f"{len(view.rows):>{len(total)},} of {total}")
        self._parts, self._room = parts, len(f"{total} of {total}  ")
        self._say()

    def on_descendant_focus(self) -> None:
        """The numbers change with each key that comes now; their room is made once, before."""
        self._typing = True
        self._say()

    def on_descendant_blur(self) -> None:
        """Only what is said takes room."""
        self._typing = False
        self._say()

    def _say(self) -> None:
        words = Text().append(self._order, palette(self).style("bold accent"))
        words.append((" · " if self._order and self._parts else "") + " · ".join(self._parts))
        words.append("  " if words else "")
        words.pad_left(max(0, (self._room if self._typing else 0) - words.cell_len))
        self.query_one("#shown", Words).show(words)


class Words(Widget):
    """A line of text that is never read as markup."""

    DEFAULT_CSS = "Words { height: 1; width: 1fr; color: $muted; }"

    def __init__(
        self, text: Text | None = None, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._words = text or Text()

    @property
    def words(self) -> str:
        """What it says."""
        return self._words.plain

    def show(self, text: Text) -> None:
        """Say something else."""
        if text != self._words or text.spans != self._words.spans:
            width, height = self.styles.width, self.styles.height
            layout = (height is not None and height.is_auto and text.plain != self._words.plain) or (
                width is not None and width.is_auto and text.cell_len != self._words.cell_len
            )
            self._words = text
            self.refresh(layout=layout)

    def render(self) -> Text:
        """The words."""
        return self._words


class Brief(Widget):
    """Three lines about the session under the cursor, for screens without room for the inspector."""

    DEFAULT_CSS = "Brief { height: 3; padding: 0 1; }"

    def __init__(self, *, ascii_only: bool = False, act: bool = True) -> None:
        super().__init__()
        self.ascii_only, self.act = ascii_only, act
        self._summary: SessionSummary | None = None
        self._status = ""

    def show(self, summary: SessionSummary | None, status: str) -> None:
        """Show another session."""
        if (summary, status) != (self._summary, self._status):
            self._summary, self._status = summary, status
            self.refresh()

    def render(self) -> Text:
        """What it is about, what happened, and what is safe and to be done."""
        summary, colours = self._summary, palette(self)
        if summary is None:
            return Text()
        width = max(20, self.size.width - 2)
        about = " ".join(summary.requirement.split()) or summary.session_id
        text = Text(short(about, width), no_wrap=True)
        said, then = said_and_then(summary, silent=self._status == "silent", act=self.act)
        text.append("\n" + glyph(self._status, self.ascii_only) + " ", colours.style(COLOURS[self._status]))
        text.append(shorten_middle(summary.damage[0] if summary.damage else said, width - 2))
        text.append("\n  " + short(then, width - 2), colours.style("muted"))
        return text


class KeyBar(Widget):
    """The keys that matter here, from the registry; a click does what the key does."""

    DEFAULT_CSS = "KeyBar { height: 1; }"

    class Clicked(Message):
        """A key of the line was clicked."""

        def __init__(self, action_id: str) -> None:
            super().__init__()
            self.action_id = action_id

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[tuple[Action, str], ...] = ()
        self._places: list[tuple[int, int, str]] = []

    def show(self, keys: Sequence[tuple[Action, str]]) -> None:
        """Show these actions with their keys, the most needed first."""
        if tuple(keys) != self._keys:
            self._keys = tuple(keys)
            self.refresh()

    def render(self) -> Text:
        """As many keys as there is room for; help and quit always."""
        width = self.size.width
        last = [one for one in self._keys if one[0].id in ("help", "quit")]
        first = [one for one in self._keys if one not in last]
        gap = 3 if width >= 100 else 2
        room = width - 1 - sum(self._width(one) + gap for one in last)
        line, self._places = Text(" ", no_wrap=True, overflow="crop"), []
        for one in first:
            if self._width(one) + gap > room:
                break
            room -= self._width(one) + gap
            self._put(line, one, gap)
        for one in last:
            self._put(line, one, gap)
        return line

    @staticmethod
    def _width(one: tuple[Action, str]) -> int:
        return cell_len(one[1]) + 1 + cell_len(one[0].title)

    def _put(self, line: Text, one: tuple[Action, str], gap: int) -> None:
        colours, start = palette(self), line.cell_len
        line.append(one[1], colours.style("bold accent"))
        line.append(" " + one[0].title, colours.style("muted"))
        self._places.append((start, line.cell_len, one[0].id))
        line.append(" " * gap)

    def on_click(self, event: events.Click) -> None:
        """Do what the key under the pointer does."""
        for start, end, action_id in self._places:
            if start <= event.x < end:
                self.post_message(self.Clicked(action_id))
