"""A sheet that does one thing on `y`, with or without a reason that is recorded; a refusal stays on the sheet.

Where a reason is all that is asked, the focus begins in its line; enter leads on to the button, which `y` or enter
presses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Button, Input

from maestro_tui.console.screens.reason import ReasonField
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.text import clean


class ActSheet(Sheet):
    """Asks, acts in a worker, and closes when `act` returns True."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "confirm", "Do it", show=False),
        Binding("c", "comment", "Write the reason", show=False),
    ]
    REASON: ClassVar[str] = ""
    """What the line for the reason asks; without it there is none."""
    DOING: ClassVar[str] = ""
    """What the sheet says while the act is under way."""

    def facts(self) -> Iterable[Widget]:
        """What stands above the reason."""
        return ()

    def body(self) -> Iterable[Widget]:
        """The facts, then the reason where one is needed."""
        yield from self.facts()
        if self.REASON:
            yield ReasonField(self.about(), self.REASON)

    def about(self) -> tuple[str, ...]:
        """What a reason that is typed here belongs to."""
        raise NotImplementedError

    async def act(self, reason: str) -> bool:
        """Do it; True when the sheet is done. May raise `MaestroError`, which is told."""
        raise NotImplementedError

    def refusal(self) -> str | None:
        """Why `y` can do nothing now, as a sentence."""
        return None

    def action_comment(self) -> None:
        """Write the reason."""
        for field in self.query("#comment"):
            if field.display:
                self.set_focus(field)

    @on(Input.Submitted, "#comment")
    def _reason_done(self) -> None:
        self.set_focus(self.query_one("#yes", Button))

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Do it, once."""
        if self.busy or not self.is_current:
            return
        refusal = self.refusal()
        if refusal is not None:
            self.tell(refusal, "phase-waiting")
            return
        if self.too_early:
            return
        reason = self.query_one("#comment", ReasonField).value.strip() if self.REASON else ""
        if self.REASON and not reason:
            self.tell("Say why first; it is recorded with your name and the time.", "phase-waiting")
            self.action_comment()
            return
        self.busy = True
        self.tell(self.DOING, "muted")
        self.run_worker(self._act(reason), group="do", exit_on_error=False)

    async def _act(self, reason: str) -> None:
        try:
            done = await self.act(reason)
        except MaestroError as error:
            self.tell(clean(error, 600))
        else:
            for field in self.query(ReasonField):
                field.done()
            if done:
                self.leave()
        finally:
            self.busy = False
