"""A question of a running performer: shows who asks what, and takes one of the options as the answer."""

from __future__ import annotations

from collections.abc import Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import shorten_middle
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean, format_duration

if TYPE_CHECKING:
    from maestro_tui.store.questions import Question

KEYS = 9
"""So many options have a key; further ones have a button only."""
_LABEL = 72


class QuestionSheet(Sheet):
    """The oldest open question of a session. A number answers; the focus begins on what counts without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"choose({number})", f"Answer with option {number}", show=False)
            for number in range(1, KEYS + 1)
        ),
        Binding("down", "app.focus_next", "Next option", show=False),
        Binding("up", "app.focus_previous", "Previous option", show=False),
        Binding("pagedown", "scroll_list(1)", "Scroll down", show=False),
        Binding("pageup", "scroll_list(-1)", "Scroll up", show=False),
    ]

    ASKED = "#title, #asked"  # the time that is left is told anew each second

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        self.no_words = "Later"
        self.session = session
        self.question: Question | None = None

    def title_words(self) -> str:
        """Which session asks."""
        return f"Question in {short_id(self.session.session_id)}"

    def body(self) -> Iterable[Widget]:
        """What is asked, until when, and the options once they are read."""
        yield VerticalScroll(Block("Reading the question …", id="asked"), classes="list", can_focus=False)
        yield Block(id="until", classes="note")
        yield Vertical(id="options")

    def on_mount(self) -> None:
        """Read the question, and let its time pass."""
        self.set_interval(1.0, self._tell_time)
        self._load()

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Look again when the session has changed: somebody else may have answered."""
        now = snapshot.sessions.get(self.session.session_id)
        if now is not None and now is not self.session and not self.busy:
            self.session = now
            self._load()

    def _load(self) -> None:
        self.run_worker(self._read(), group="read", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        try:
            found = await self.console.ask_host(methodcaller("questions", self.session.session_id))
        except MaestroError as error:
            self.tell(clean(error, 600))
            return
        if self.question is None:
            await self._show([one for one in found if one.open])
            return
        now = next((one for one in found if one.number == self.question.number), None)
        if now is None or now.open:
            return
        if now.answer is None:
            self._over("Nobody waits for the answer any more: the runner that asked has ended.")
        else:
            self._over(f"It was answered meanwhile: {now.answer.answer} (by {now.answer.by}).")

    async def _show(self, opened: list[Question]) -> None:
        if not opened:
            self.query_one("#asked", Block).show("")
            self._over("Nothing is asked any more.")
            return
        self.question = question = opened[0]
        where = f"{question.persona} asks in {question.phase} #{question.attempt} of "
        others = len(opened) - 1
        more = f"  ({others} more wait{'s' if others == 1 else ''})" if others else ""
        self.query_one("#title", Block).show(where + short_id(self.session.session_id) + more)
        self.query_one("#asked", Block).show(self._words(question.text))
        self._tell_time()
        buttons = [
            Button(
                Content(f"{number if number <= KEYS else ' '}  {shorten_middle(option, _LABEL)}"),
                id=f"option-{number}",
                compact=True,
            )
            for number, option in enumerate(question.options, 1)
        ]
        await self.query_one("#options").mount(*buttons)
        self._fit(self.size.height)
        if question.default in question.options:
            self.set_focus(buttons[question.options.index(question.default)])

    def on_resize(self, event: events.Resize) -> None:
        """The question's text takes the rows that are left."""
        self._fit(event.size.height)

    def _fit(self, height: int) -> None:
        around = self.AROUND + 1 + (len(self.question.options) if self.question is not None else 0)
        self.query_one(".list").styles.max_height = max(3, height * 15 // 16 - around)

    def _words(self, text: str) -> Text:
        """The question, with the added and removed lines of a change in their colours."""
        styles, words = palette(self), Text()
        for line in text.split("\n"):
            name = {"+": "added", "-": "removed"}.get(line[:1])
            words.append(line + "\n", styles.style(name) if name else None)
        words.rstrip()
        return words

    def _tell_time(self) -> None:
        question = self.question
        if question is None:
            return
        silence = f"without an answer: {question.default}"
        if question.expires_at is not None:
            left = question.expires_at - self.console.clock()
            silence = (
                f"{format_duration(left)} left; {silence}"
                if left > 0
                else "Time is over: " + question.default
            )
        self.query_one("#until", Block).show(f"{silence}. Enter takes the option in focus.")

    def _over(self, sentence: str) -> None:
        self.busy = True
        for button in self.query("#options Button"):
            button.disabled = True
        self.relabel("#no", "Close")
        self.set_focus(self.query_one("#no", Button))
        self.tell(sentence, "phase-waiting")

    @on(Button.Pressed, "#options Button")
    def _pressed(self, message: Button.Pressed) -> None:
        self.action_choose(int(str(message.button.id).removeprefix("option-")))

    def action_choose(self, number: int) -> None:
        """Answer with that option, once."""
        question = self.question
        if self.busy or question is None or not self.is_current:
            return
        if number > len(question.options):
            self.tell(f"There is no option {number}.", "phase-waiting")
            return
        if self.too_early:
            return
        self.busy = True
        self.run_worker(self._answer(question, question.options[number - 1]), group="do", exit_on_error=False)

    async def _answer(self, question: Question, option: str) -> None:
        session_id = self.session.session_id
        try:
            await self.console.ask_host(methodcaller("answer", session_id, question.number, option))
        except MaestroError as error:
            self._over(clean(error, 600))
            return
        self.console.say(f"{short_id(session_id)}: answered {clean(option, 80)}; it goes on.")
        self.leave()
