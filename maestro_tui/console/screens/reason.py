"""The line for a reason or a comment: every key is text in it, enter leads out of it, and what was typed is kept.

Nothing acts from within it. A sheet that is closed and opened again finds the text where it was, until what it was
written for is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.widgets import Input

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

Key = tuple[str, ...]
"""What a text belongs to: the sheet, the session, the phase, its attempt."""


class ReasonField(Input):
    """One line of text about `about`; while it is empty it says what is asked, and how to get in and out."""

    def __init__(self, about: Key, asked: str, *, key: str = "c", id: str = "comment") -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)
        self.about = (*about, id)
        self._asked, self._key = asked, key
        self.placeholder = f"{key}  {asked}"

    def ask(self, asked: str) -> None:
        """Ask for something else."""
        self._asked = asked
        self._say()

    @property
    def _kept(self) -> dict[Key, str]:
        return cast("MaestroApp", self.app).main.drafts

    def on_mount(self) -> None:
        """What was typed before is there again."""
        self.value = self._kept.get(self.about, "")
        self.cursor_position = len(self.value)

    def watch_has_focus(self, has_focus: bool) -> None:
        """Say which key is next."""
        super().watch_has_focus(has_focus)
        self._say()

    def _say(self) -> None:
        self.placeholder = f"{self._asked}; then enter" if self.has_focus else f"{self._key}  {self._asked}"

    def on_input_changed(self) -> None:
        """Keep it."""
        if self.value:
            self._kept[self.about] = self.value
        else:
            self._kept.pop(self.about, None)

    def done(self) -> None:
        """What it was written for is done."""
        self._kept.pop(self.about, None)
