"""The phases of a workflow on the launch sheet: a small graph with a switch for each phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from maestro_tui.console.launch_form import Form, FormPhase
from maestro_tui.console.lines import column_width, fit
from maestro_tui.console.plan_words import usual_words
from maestro_tui.console.widgets.palette import palette

if TYPE_CHECKING:
    from maestro_tui.model.plan import Estimate

_DEEPEST = 5


class PhaseList(ScrollView, can_focus=True):
    """One line for each phase, indented by how far down the graph it is."""

    DEFAULT_CSS = "PhaseList { height: auto; scrollbar-size-vertical: 1; overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next phase", show=False),
        Binding("up,k", "move(-1)", "Previous phase", show=False),
        Binding("space", "switch('run')", "Run it or not", show=False),
        Binding("p", "switch('pause')", "Stop for review after it", show=False),
        Binding("f", "switch('start')", "Start from it", show=False),
    ]

    class Switched(Message):
        """A phase was switched: `what` is run, pause or start."""

        def __init__(self, what: str, phase: str) -> None:
            super().__init__()
            self.what, self.phase = what, phase

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii_only = ascii_only
        self.form = Form()
        self.usual: Mapping[str, Estimate] = {}
        """Phase → what it usually takes here."""
        self.cursor = 0

    def show(self, form: Form) -> None:
        """Show these phases."""
        layout = len(form.phases) != len(self.form.phases)
        self.form = form
        self.cursor = min(self.cursor, max(0, len(form.phases) - 1))
        self.virtual_size = Size(self.size.width, len(form.phases))
        self.refresh(layout=layout)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as there are phases."""
        return max(1, len(self.form.phases))

    def action_move(self, step: int) -> None:
        """Up or down; at the ends the focus goes on."""
        place = self.cursor + step
        if place < 0:
            self.app.action_focus_previous()
        elif place >= len(self.form.phases):
            self.app.action_focus_next()
        else:
            self.cursor = place
            self.scroll_to(
                y=max(0, min(int(self.scroll_y), place), place - self.size.height + 1),
                animate=False,
                force=True,
            )
            self.refresh()

    def action_switch(self, what: str) -> None:
        """Switch something of the phase under the cursor."""
        if self.cursor < len(self.form.phases):
            self.post_message(self.Switched(what, self.form.phases[self.cursor].name))

    def on_click(self, event: events.Click) -> None:
        """A click on a phase switches it."""
        place = event.y + int(self.scroll_y)
        if place < len(self.form.phases):
            self.cursor = place
            self.action_switch("run")

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One phase."""
        width, base, colours = self.size.width, self.rich_style, palette(self)
        place = y + int(self.scroll_y)
        if place >= len(self.form.phases):
            return Strip.blank(width, base)
        phase = self.form.phases[place]
        if place == self.cursor and self.has_focus:
            base = base + colours.cursor(True)
        muted = base + colours.style("muted")
        names = [self._branch(one) for one in self.form.phases]
        before = phase.name in self.form.before()
        sign = " + " if before else "[x]" if phase.run else "[ ]"
        parts = [
            Segment(sign + " ", base if phase.run and not before else muted),
            Segment(
                fit(self._branch(phase), column_width(names, 8, 40)) + "  ",
                base if phase.run and not before else muted,
            ),
        ]
        room = width - sum(cell_len(one.text) for one in parts)
        said, end = self._said(phase, before), self._end(phase, before)
        if end and cell_len(said) + cell_len(end) + 2 <= room:
            said = fit(said, room - cell_len(end)) + end
        parts.append(Segment(said, muted))
        return Strip(parts).crop_extend(0, width, base)

    def _end(self, phase: FormPhase, before: bool) -> str:
        if before or not phase.run:
            return ""
        estimate = self.usual.get(phase.name)
        usual = usual_words(estimate) if estimate is not None else ""
        return " · ".join(part for part in (usual, phase.limit) if part)

    def _branch(self, phase: FormPhase) -> str:
        if phase.depth == 0:
            return phase.name
        branch = "`> " if self.ascii_only else "└▶ "
        return "  " * (min(phase.depth, _DEEPEST) - 1) + branch + phase.name

    def _said(self, phase: FormPhase, before: bool) -> str:
        parts = []
        if before:
            given = phase.name in self.form.given()
            parts.append("provided from a file" if given else "skipped, unless its file is provided")
        elif not phase.run:
            parts.append("not run")
        if phase.name == self.form.start_from:
            parts.append("starts here")
        if len(phase.needs) > 1:
            parts.append("after " + ", ".join(phase.needs))
        if phase.pause:
            parts.append("stops for review after it")
        if phase.approval:
            parts.append("needs approval")
        return " · ".join(parts)
