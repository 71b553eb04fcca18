"""Chooses a file: a folder's entries under a line that narrows them; no key but enter on a file takes one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from maestro_tui.console.folder_list import MOST, Entry, Listing, narrowed, read_folder
from maestro_tui.console.lines import at_home, shorten_middle
from maestro_tui.console.screens.list_sheet import ListSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.text import clean, format_bytes

UP = Entry("..", True)


class NarrowInput(Input):
    """The line that narrows the list; backspace in the empty line leaves the folder."""

    class Left(Message):
        """The operator wants the folder above."""

    async def on_key(self, event: events.Key) -> None:
        """Leave by the key that has nothing left to delete."""
        if event.key == "backspace" and not self.value:
            event.stop()
            event.prevent_default()
            self.post_message(self.Left())


class PickFile(ListSheet):
    """One folder at a time. What is chosen is handed to `chosen`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
    ]
    AUTO_FOCUS = "#narrow"
    AROUND = 12

    def __init__(self, title: str, folder: Path, chosen: Callable[[Path], None]) -> None:
        super().__init__()
        self.TITLE_WORDS = title
        self.listing = Listing(folder)
        self.shown: tuple[Entry, ...] = ()
        self._chosen = chosen
        self.reading = self._enter = False

    def title_words(self) -> str:
        """What the file is for."""
        return self.TITLE_WORDS

    def body(self) -> Iterable[Widget]:
        """Where it is, what narrows it, what is in it."""
        yield Block(id="folder")
        yield NarrowInput(placeholder="type a part of the name", id="narrow", compact=True)
        # The focus stays in the line above: every letter narrows.
        options = OptionList(compact=True, markup=False, classes="list")
        options.can_focus = False
        yield options
        yield Block("enter takes the file or opens the folder   backspace goes up", classes="note")

    def on_mount(self) -> None:
        """Read the first folder."""
        self._open(self.listing.folder)

    def _open(self, folder: Path, *, typed: str = "", back_to: str = "") -> None:
        """Read another folder; `typed` is what leads there. What is typed meanwhile is meant for it."""
        self.reading = True
        if not typed:
            self.query_one("#narrow", Input).value = ""
        self.run_worker(self._read(folder, typed, back_to), group="read", exclusive=True, exit_on_error=False)

    async def _read(self, folder: Path, typed: str, back_to: str) -> None:
        listing = await asyncio.to_thread(read_folder, folder)
        self.reading = False
        enter, self._enter = self._enter, False
        if listing.problem and self.listing.entries:
            self.tell(f"{clean(at_home(str(folder)), 200)}: {listing.problem}")
            return
        self.listing = listing
        narrow = self.query_one("#narrow", Input)
        narrow.value = narrow.value.removeprefix(typed)
        self.tell(listing.problem or (f"Only the first {MOST:,} are shown." if listing.cut else ""))
        self._show(back_to)
        if enter:
            self._entered()

    def _show(self, at: str = "") -> None:
        block = self.query_one("#folder", Block)
        width = max(30, block.size.width)
        words = shorten_middle(clean(at_home(str(self.listing.folder)), 1_000), width)
        block.show(Text(words, palette(self).style("muted")))
        found = narrowed(self.listing.entries, self.query_one("#narrow", Input).value)
        above = self.listing.folder.parent != self.listing.folder
        self.shown = (UP, *found) if above else found
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._words(one, width - 2)) for one in self.shown])
        places = {one.name: place for place, one in enumerate(self.shown)}
        first = 1 if above and found else 0
        options.highlighted = places.get(at, first) if self.shown else None

    def _words(self, one: Entry, width: int) -> Text:
        styles = palette(self)
        end = one.problem or ("" if one.size is None else format_bytes(one.size))
        name = shorten_middle(one.shown + ("/" if one.folder else ""), max(8, width - len(end) - 2))
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(name, styles.style("muted" if one.problem else "accent-text" if one.folder else ""))
        text.append(" " * max(2, width - text.cell_len - len(end)) + end, styles.style("muted"))
        return text

    @on(Input.Changed, "#narrow")
    def _narrowed(self, message: Input.Changed) -> None:
        if message.value.endswith("/"):
            # A path that is typed is gone to, as far as it leads.
            folder = self.listing.folder / Path(message.value).expanduser()
            self._open(folder, typed=message.value)
        elif not self.reading:
            self._show()

    @on(NarrowInput.Left)
    def _up(self) -> None:
        folder = self.listing.folder
        if folder.parent != folder:
            self._open(folder.parent, back_to=folder.name)

    def action_page(self, step: int) -> None:
        """A page up or down."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            place = options.highlighted + step * max(1, options.size.height - 1)
            options.highlighted = max(0, min(len(self.shown) - 1, place))

    @on(Input.Submitted, "#narrow")
    def _entered(self) -> None:
        if self.reading:
            self._enter = True
            return
        place = self.query_one(OptionList).highlighted
        if place is not None and place < len(self.shown):
            self._take(self.shown[place])

    @on(OptionList.OptionSelected)
    def _clicked(self, message: OptionList.OptionSelected) -> None:
        self._take(self.shown[message.option_index])

    def _take(self, one: Entry) -> None:
        if one is UP:
            self._up()
        elif one.folder:
            self._open(self.listing.folder / one.name)
        elif one.problem:
            self.tell(f"{one.shown}: {one.problem}.", "phase-waiting")
        elif self.is_current:
            self.leave()
            self._chosen(self.listing.folder / one.name)
