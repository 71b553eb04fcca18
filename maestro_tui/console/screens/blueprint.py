"""Decides who works on a phase and how: personas in an order and a mode; recorded on `y`, nothing runs."""

from __future__ import annotations

from collections.abc import Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import column_width, fit, short, wrap_words
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.screens.list_sheet import ListSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.engine.phase_team import PhaseTeam
    from maestro_tui.model.persona import Persona
    from maestro_tui.model.phase import Mode

MODES: tuple[Mode, ...] = ("sequential", "parallel", "collaborative")
_HOW = {
    "sequential": "one after the other",
    "parallel": "side by side",
    "collaborative": "draft, comments, revision",
}


class BlueprintSheet(ListSheet, AboutSession, ActSheet):
    """Who works on one phase now, who could, and what is asked for instead."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "switch_persona", "In the team or not", show=False),
        Binding("m", "mode", "Next mode", show=False),
        Binding("u", "automatic", "The team decides again", show=False),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]
    AUTO_FOCUS = "OptionList"
    REASON = "why: needed, it is recorded with your name and the time"
    DOING = "Recording …"
    AROUND = 17

    def __init__(self, session: SessionSummary, phase: str) -> None:
        super().__init__()
        self.session, self.phase = session, phase
        self.team: PhaseTeam | None = None
        self.personas: list[str] = []
        """In the order in which they were chosen."""
        self.mode: Mode = "sequential"
        self.automatic = False
        """True when a person's earlier word is taken back."""

    def about(self) -> tuple[str, ...]:
        """A reason belongs to the phase."""
        return (*super().about(), self.phase)

    def title_words(self) -> str:
        """What is asked."""
        return f"Who works on {self.phase} of {short_id(self.session.session_id)}?"

    def facts(self) -> Iterable[Widget]:
        """Now, the candidates, the mode, what it means."""
        yield Block("Reading the team …", id="now")
        yield OptionList(compact=True, markup=False, classes="list")
        yield Block(id="mode")
        yield Block(id="means", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Record it  y"

    def on_mount(self) -> None:
        """Read the team."""
        self._load()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the rows out for the width."""
        if self.team is not None:
            self.call_after_refresh(self._show)

    async def _read(self, note: str) -> None:
        work = methodcaller("team_of", self.session.session_id, self.phase)
        try:
            team: PhaseTeam = await self.console.ask_host(work)
        except MaestroError as error:
            self.team = None
            self.query_one("#now", Block).show("")
            self.tell(clean(error, 600))
            return
        self.team = team
        self.personas, self.mode, self.automatic = list(team.personas), team.mode, False
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._words(one)) for one in team.candidates])
        options.highlighted = 0 if team.candidates else None
        self._show()
        self.tell(note, "phase-waiting")

    # ── What is shown ─────────────────────────────────────────────────────────────────────────────────────

    def _words(self, one: Persona) -> Text:
        assert self.team is not None
        styles = palette(self)
        names = column_width((clean(each.name, 60) for each in self.team.candidates), 8, 28)
        place = self.personas.index(one.name) + 1 if one.name in self.personas else None
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{place:>2} " if place is not None else " · ", styles.style("accent-text"))
        text.append(fit(clean(one.name, 60), names) + "  ", styles.style("bold" if place is not None else ""))
        text.append(fit(short(one.starts or "toolbox", 24), 24) + "  ", styles.style("muted"))
        text.append(clean(one.description, 200), styles.style("muted"))
        # A list of options wraps what is longer than its row.
        text.truncate(max(20, self.query_one(OptionList).size.width - 2), overflow="ellipsis")
        return text

    def _show(self) -> None:
        team, styles = self.team, palette(self)
        assert team is not None
        width = max(30, self.query_one("#now", Block).size.width)
        options = self.query_one(OptionList)
        for place, one in enumerate(team.candidates):
            options.replace_option_prompt_at_index(place, self._words(one))
        now = Text()
        if team.decision is not None:
            by = "your side" if team.by_operator else ""
            said = (
                f"now {team.decision.choice}, decided by {team.decision.decided_by}{' ' + by if by else ''}"
            )
            now.append(short(clean(said, 400), width))
            why = wrap_words(clean(team.decision.rationale, 400), width, 2)
            now.append("".join("\n" + row for row in why), styles.style("muted"))
        else:
            now.append(clean(team.problem or "Nobody is found who fits.", 400))
        self.query_one("#now", Block).show(now)
        mode = Text("m mode   ", styles.style("muted"))
        for one_mode in MODES:
            mode.append(one_mode + "  ", styles.style("bold" if one_mode == self.mode else "muted"))
        mode.append(_HOW[self.mode], styles.style("muted"))
        self.query_one("#mode", Block).show(mode)
        self.query_one("#means", Block).show(self._means(team))

    def _means(self, team: PhaseTeam) -> str:
        parts = ["space in or out, in this order   u lets the team decide again"]
        if self.automatic:
            parts.append("your word is taken back: the team decides when the phase begins")
        elif team.by_advisor:
            parts.append("the workflow's advisor is asked as it begins, unless you decide")
        stale = "its committed result goes stale, is kept; R runs it again"
        parts.append(f"nothing runs; {stale}" if team.committed else "nothing runs; r goes on with this team")
        return "\n".join(parts)

    # ── Choosing ──────────────────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_switch_persona()

    def action_switch_persona(self) -> None:
        """Put the persona under the cursor at the end of the team, or take it out."""
        place = self.query_one(OptionList).highlighted
        if self.team is None or place is None or self.busy:
            return
        name = self.team.candidates[place].name
        if name in self.personas:
            self.personas.remove(name)
        else:
            self.personas.append(name)
        self.automatic = False
        self._show()

    def action_mode(self) -> None:
        """The next mode."""
        if self.team is not None and not self.busy:
            self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
            self.automatic = False
            self._show()

    def action_automatic(self) -> None:
        """Take the operator's word back."""
        if self.team is None or self.busy:
            return
        if not self.team.by_operator:
            self.tell("Nobody has decided it: the team decides already.", "phase-waiting")
            return
        self.automatic = True
        self._show()

    def refusal(self) -> str | None:
        """Nothing is read, nobody is chosen, or nothing is different."""
        team = self.team
        if team is None:
            return "The team is not read yet; there is nothing to record."
        if self.automatic:
            return None
        if not self.personas:
            return "Nobody is chosen; space chooses the persona under the cursor."
        if (tuple(self.personas), self.mode) == (team.personas, team.mode):
            return "This is how it is already; choose somebody else or another mode."
        return None

    async def act(self, reason: str) -> bool:
        """Record it."""
        session_id = self.session.session_id
        personas = None if self.automatic else tuple(self.personas)
        mode = None if self.automatic else self.mode
        await self.console.ask_host(
            methodcaller("choose_blueprint", session_id, self.phase, personas, mode, None, reason)
        )
        self.console.say(f"{short_id(session_id)}: who works on {self.phase} is recorded.")
        return True
