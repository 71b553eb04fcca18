"""The Log tab: the lines of one attempt's log, the search field, and a line that tells where one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from maestro_tui.console.lines import Line, Part
from maestro_tui.console.widgets.find_bar import FindBar
from maestro_tui.console.widgets.line_stack import LineStack, spread
from maestro_tui.console.widgets.log_lines import LogLines
from maestro_tui.model.text import clean

TICK = 0.1
"""Seconds between two looks at the log while it is visible."""


@dataclass(frozen=True, slots=True)
class LogChoice:
    """The log of an attempt."""

    phase: str
    attempt: int
    path: Path
    running: bool = False
    """True while lines may still come."""

    @property
    def key(self) -> tuple[str, int]:
        """The attempt."""
        return self.phase, self.attempt


class LogView(Vertical):
    """One log at a time; `[` and `]` go to the attempts before and after."""

    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        .foot { height: 1; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Search", show=False),
        Binding("escape", "drop_search", "End search", show=False),
        Binding("left_square_bracket", "attempt(-1)", "Log before", show=False),
        Binding("right_square_bracket", "attempt(1)", "Log after", show=False),
    ]

    class Shown(Message):
        """Another attempt's log is open."""

        def __init__(self, choice: LogChoice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choices: tuple[LogChoice, ...] = ()
        self._nothing = ""
        self.choice: LogChoice | None = None

    def compose(self) -> ComposeResult:
        """Lines, search field, foot."""
        yield LogLines()
        yield FindBar()
        yield LineStack(classes="foot")

    def on_mount(self) -> None:
        """Begins to look at the file."""
        for foot in self.query(".foot").results(LineStack):  # none when the console ends while this comes
            foot.show(self._foot)
            self.set_interval(TICK, self.tick)

    @property
    def log_lines(self) -> LogLines:
        """The lines themselves."""
        return self.query_one(LogLines)

    def tick(self) -> None:
        """Takes in what the log gained, if anybody can see it."""
        if self.choice is not None and self.region and self.screen.is_current:
            self.log_lines.refresh_file()

    def show(self, choices: Sequence[LogChoice], nothing: str = "") -> None:
        """The logs that there are; the open one stays open. `nothing` is said while none is."""
        self._choices, self._nothing = tuple(choices), nothing
        if self.choice is not None:
            same = next((choice for choice in self._choices if choice.key == self.choice.key), None)
            if same is None:
                self.open(None)
            else:
                self.choice = same
        self._say()
        self._refresh_foot()

    def _say(self) -> None:
        if self.choice is None:
            words = self._nothing
        elif self.choice.running:
            words = "It runs; its first line will show here."
        else:
            words = "This attempt ended without a line."
        self.log_lines.say(words)

    def open(self, choice: LogChoice | None) -> None:
        """Opens the log of an attempt, at its end."""
        self.choice = choice
        self._say()
        self.log_lines.open(choice.path if choice is not None else None)
        self._refresh_foot()
        if choice is not None:
            self.post_message(self.Shown(choice))

    def open_attempt(self, phase: str, attempt: int) -> bool:
        """Opens the log of an attempt by name; False when there is none."""
        found = next((choice for choice in self._choices if choice.key == (phase, attempt)), None)
        if found is not None:
            self.open(found)
        return found is not None

    def action_attempt(self, step: int) -> None:
        """The log before or after."""
        if not self._choices:
            return
        place = self._choices.index(self.choice) if self.choice in self._choices else -1
        self.open(self._choices[max(0, min(len(self._choices) - 1, place + step))])

    # -- search

    def action_find(self) -> None:
        """Opens the search field."""
        self.query_one(FindBar).open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape ends a search, when there is one; else it belongs to the screen."""
        if action == "drop_search":
            return bool(self.log_lines.query_text)
        return True

    def action_drop_search(self) -> None:
        """Takes the marks away."""
        self.log_lines.clear_search()

    def on_find_bar_kept(self, message: FindBar.Kept) -> None:
        """Searches for what was typed."""
        message.stop()
        self.screen.set_focus(self.log_lines)
        self.log_lines.search(message.query)

    def on_find_bar_dropped(self, message: FindBar.Dropped) -> None:
        """Back to the lines."""
        message.stop()
        self.screen.set_focus(self.log_lines)

    # -- foot

    def on_log_lines_state_changed(self, message: LogLines.StateChanged) -> None:
        """The foot tells the new state."""
        message.stop()
        self._refresh_foot()

    def _refresh_foot(self) -> None:
        self.query_one(".foot", LineStack).show(self._foot)

    def _foot(self, width: int) -> list[Line]:
        lines = self.log_lines
        if self.choice is None:
            return []
        left: list[Part] = [(f"{clean(self.choice.phase, 40)} #{self.choice.attempt}", "")]
        count = f"{lines.row_count:,} line{'' if lines.row_count == 1 else 's'}"
        left.append((f"  {count}" if lines.complete else f"  {count} and earlier ones", "muted"))
        if lines.persona is not None:
            left.append((f"  only {clean(lines.persona, 40)}", "accent-text"))
        if not lines.wrap:
            left.append(("  w wraps", "muted"))
        if lines.query_text:
            left.append((f"  {self._search_words()}", "accent-text"))
        right: list[Part] = []
        if lines.problem:
            right.append((lines.problem, "phase-failed"))
        elif not lines.row_count:
            pass
        elif lines.following:
            right.append(("at the end", "muted"))
        elif lines.unseen:
            word = "new line" if lines.unseen == 1 else "new lines"
            right.append((f"{lines.unseen:,} {word} below  G", "accent-text"))
        else:
            right.append(("G follows", "muted"))
        return [spread("foot", left, right, width)]

    def _search_words(self) -> str:
        lines = self.log_lines
        query = f"“{clean(lines.query_text, 40)}”"
        if lines.match_count is None:
            return f"{query} …"
        if not lines.match_count:
            return f"{query} not found"
        return f"{query} {lines.match_place} of {lines.match_count:,}"
