"""Skips a phase: who goes on without it, and why; a decision that is recorded, nothing runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widget import Widget

from maestro_tui.console import plan_words
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.screens.plan_sheet import as_text
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary, phase_word
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.model.plan import Plan


class SkipSheet(AboutSession, ActSheet):
    """One phase that will not be done."""

    AUTO_FOCUS = "#comment"
    REASON = "why it is skipped: needed, it is recorded"
    DOING = "Recording …"
    AROUND = 17

    def __init__(self, session: SessionSummary, phase: str) -> None:
        super().__init__()
        self.session, self.phase = session, phase
        self.looked = False
        """True once it is shown who goes on without it."""

    def about(self) -> tuple[str, ...]:
        """A reason belongs to the phase."""
        return (*super().about(), self.phase)

    def title_words(self) -> str:
        """What is asked."""
        return f"Skip {self.phase} of {short_id(self.session.session_id)}?"

    def facts(self) -> Iterable[Widget]:
        """Where the phase stands, and who needs it."""
        yield Block(id="standing")
        yield VerticalScroll(Block("Reading the workflow …", id="without"), classes="list", can_focus=False)
        yield Block(id="sums", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Skip it  y"

    def on_mount(self) -> None:
        """Look who needs it."""
        self._load()

    def _load(self, note: str = "") -> None:
        self.looked = False
        now = next((one for one in self.session.phases if one.name == self.phase), None)
        if now is not None:
            word = phase_word(now, self.session.status.value)
            error = f": {clean(now.error, 200)}" if now.error else ""
            tries = f" at attempt {now.attempt}" if now.attempt else ""
            self.query_one("#standing", Block).show(f"now {word}{tries}{error}")
        super()._load(note)

    async def _read(self, note: str) -> None:
        session_id = self.session.session_id
        try:
            names = await self.console.ask_host(methodcaller("dependents", session_id, self.phase))
            plan: Plan = await self.console.ask_host(methodcaller("plan_skip", session_id, self.phase))
        except MaestroError as error:
            self.query_one("#without", Block).show("")
            self.tell(clean(error, 600))
            return
        self.query_one("#without", Block).show(self._without(names, plan))
        sums = f"r then {plan_words.sums_words(plan)}" if plan.runs else "nothing is left to run then"
        self.query_one("#sums", Block).show(f"Nothing runs now and nothing is deleted; {sums}.")
        self.looked = True
        self.tell(note, "phase-waiting")

    def _without(self, names: Sequence[str], plan: Plan) -> Text:
        """The phases that go on without it, with what each would do and usually takes."""
        if not names:
            return Text("No phase needs it.")
        width = max(40, self.query_one("#without", Block).size.width)
        needing = plan.model_copy(update={"phases": tuple(one for one in plan.phases if one.phase in names)})
        text = Text("Go on without its outputs:")
        for one in plan_words.plan_lines(needing, width, self.console.ascii_only):
            text.append("\n").append_text(as_text(one, palette(self).style))
        return text

    def refusal(self) -> str | None:
        """It cannot be asked before it was looked who goes on without it."""
        if not self.looked:
            return "The workflow is not read yet; there is nothing to confirm."
        if not any(one.name == self.phase and one.status != "completed" for one in self.session.phases):
            return f"{self.phase} is completed by now; there is nothing to skip."
        return None

    async def act(self, reason: str) -> bool:
        """Record it."""
        work = methodcaller("skip", self.session.session_id, self.phase, None, reason)
        await self.console.ask_host(work)
        owner = self.session.owner
        on = (
            "its runner goes on without it" if owner is not None and owner.alive is not False else "r goes on"
        )
        self.console.say(f"{short_id(self.session.session_id)}: {self.phase} is skipped; {on}.")
        return True
