"""Asks whether a workflow may start its commands: lists them, and remembers the exact content when approved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.config import UntrustedWorkflow
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.text import clean


class TrustSheet(Sheet):
    """The commands of a workflow that nobody has approved on this computer yet."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "confirm", "Trust", show=False)]
    TITLE_WORDS = "This workflow starts commands on this computer"

    def __init__(self, refusal: UntrustedWorkflow, approved: Callable[[], None]) -> None:
        super().__init__()
        self._refusal, self._approved = refusal, approved

    def body(self) -> Iterable[Widget]:
        """Every command, and what approving means."""
        text = Text("\n".join(f"$ {command}" for command in self._refusal.commands))
        yield VerticalScroll(Block(text), classes="list", can_focus=False)
        yield Block(
            f"Nobody has approved them here yet. y approves exactly this content ({self._refusal.content_hash[:12]}); "
            "any change in the file asks again, a change in the programs that it calls does not.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Trust and go on  y"

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Approve what is shown, and go on with what was asked for."""
        if self.is_current and not self.busy and not self.too_early:
            self.busy = True
            self.run_worker(self._approve(), group="do", exit_on_error=False)

    async def _approve(self) -> None:
        workflow, source = self._refusal.workflow, self._refusal.source
        try:
            # By its content: what the file holds by now is asked about anew when it is another.
            await self.console.ask_host(methodcaller("trust", workflow, source))
        except MaestroError as error:
            self.busy = False
            self.tell(clean(error, 600))
            return
        self.leave()
        self._approved()
