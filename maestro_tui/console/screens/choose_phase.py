"""Asks which phase to run alone, to rerun from, to skip or to give another team; what it would mean follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width
from maestro_tui.console.phase_choice import offered
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.list_sheet import ListSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import PhaseSummary, SessionSummary, phase_word
from maestro_tui.model.text import clean


class ChoosePhase(ListSheet, AboutSession):
    """The phases of a session for which it makes sense, the likeliest first, with what became of each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]
    AUTO_FOCUS = "OptionList"
    AROUND = 9

    def __init__(self, session: SessionSummary, kind: str) -> None:
        """`kind` is `phase`, `rerun_from`, `skip` or `blueprint`."""
        super().__init__()
        self.session, self.kind = session, kind
        self._phases = offered(session, kind)

    def title_words(self) -> str:
        """What is asked."""
        name = short_id(self.session.session_id)
        asked = {
            "phase": "Which phase of {} alone?",
            "skip": "Skip which phase of {}?",
            "blueprint": "Who works on which phase of {}?",
        }
        return asked.get(self.kind, "Rerun {} from which phase?").format(name)

    def body(self) -> Iterable[Widget]:
        """One line for each phase."""
        yield OptionList(*self._options(), compact=True, markup=False, classes="list")
        asked = {"skip": "enter asks for the reason", "blueprint": "enter shows its team"}
        words = asked.get(self.kind, "enter shows the plan first")
        yield Block(f"{words}; nothing runs yet", classes="note")

    def on_mount(self) -> None:
        """Begin at the likeliest."""
        self.query_one(OptionList).highlighted = 0

    def session_changed(self) -> None:
        """The phases stand otherwise now; the cursor stays on its phase."""
        options = self.query_one(OptionList)
        name = self._phases[options.highlighted].name if options.highlighted is not None else ""
        self._phases = offered(self.session, self.kind)
        options.clear_options()
        options.add_options(self._options())
        places = [place for place, phase in enumerate(self._phases) if phase.name == name]
        options.highlighted = places[0] if places else 0

    def _options(self) -> list[Option]:
        width = column_width([phase.name for phase in self._phases], 8, 32)
        return [Option(self._words(phase, width)) for phase in self._phases]

    def _words(self, phase: PhaseSummary, width: int) -> Text:
        status = phase_word(phase, self.session.status.value)
        said = f"{status}, attempt {phase.attempt}" if phase.attempt else status
        if phase.stale:
            said += f": {clean(phase.stale, 120)}"
        return self.row(status, phase.name, width).append(said, palette(self).style("muted"))

    @on(OptionList.OptionSelected)
    def _chosen(self, message: OptionList.OptionSelected) -> None:
        if self.busy or not self.is_current:
            return
        self.busy = True
        phase = self._phases[message.option_index].name
        if self.kind == "skip":
            from maestro_tui.console.screens.skip import SkipSheet

            self.app.switch_screen(SkipSheet(self.session, phase))
        elif self.kind == "blueprint":
            from maestro_tui.console.screens.blueprint import BlueprintSheet

            self.app.switch_screen(BlueprintSheet(self.session, phase))
        else:
            self.app.switch_screen(PlanSheet(self.session, self.kind, phase))
