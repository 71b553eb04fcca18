"""What all sheets share: a quiet panel over the main screen with a title, a body, a sentence and buttons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import fit
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.notice_bar import NoticeBar
from maestro_tui.console.widgets.palette import palette

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp


class Sheet(TellsFaults, ModalScreen[None]):
    """A panel that asks one thing. The focus begins on the button that changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", show=False),
        Binding("right", "app.focus_next", "Next button", show=False),
        Binding("left", "app.focus_previous", "Previous button", show=False),
        Binding("down,pagedown", "scroll_list(1)", "Scroll down", show=False),
        Binding("up,pageup", "scroll_list(-1)", "Scroll up", show=False),
    ]
    AUTO_FOCUS = "#no"
    TITLE_WORDS = ""
    ASKED: ClassVar[str] = "Block"
    """What must have been painted before a key may confirm; the sentence over the buttons never counts."""
    AROUND = 11
    """Rows that everything but the list takes."""

    def __init__(self) -> None:
        super().__init__()
        self.no_words = "Cancel"
        self.busy = False
        """True while what was confirmed is under way; further keys are ignored."""

    @property
    def console(self) -> MaestroApp:
        """The app, as what it is."""
        return cast("MaestroApp", self.app)

    def title_words(self) -> str:
        """The first line."""
        return self.TITLE_WORDS

    def body(self) -> Iterable[Widget]:
        """What stands between the title and the buttons."""
        return ()

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """The buttons that do something: (id, label)."""
        return ()

    def compose(self) -> ComposeResult:
        """Title, body, sentence, buttons."""
        yield NoticeBar(over=True)
        with Vertical(id="sheet"):
            yield Block(self.title_words(), id="title")
            yield from self.body()
            yield Block(id="sentence")
            with Horizontal(id="buttons"):
                yield Button(Content(self.no_words), id="no", compact=True)
                for button_id, label in self.yes_buttons():
                    yield Button(Content(label), id=button_id, compact=True)

    def tell(self, sentence: str, colour: str = "phase-failed") -> None:
        """Show a sentence over the buttons; an empty one takes it away."""
        block = self.query_one("#sentence", Block)
        block.show(Text(sentence, palette(self).style(colour)))
        block.display = bool(sentence)

    def tell_fault(self, sentence: str) -> None:
        """Show it where the sheet speaks; what was under way is over."""
        self.busy = False
        self.tell(sentence)

    def row(self, status: str, name: str, width: int) -> Text:
        """How a row of a list begins: the sign of a status, and a name in a column of that width."""
        text = Text(no_wrap=True, overflow="ellipsis")
        colour = palette(self).style(COLOURS.get(status, "muted"))
        return text.append(glyph(status, self.console.ascii_only) + " ", colour).append(
            fit(name, width) + "  "
        )

    def offer(self, yes: bool) -> None:
        """Show the button that does it, or only Close where there is nothing to do."""
        button = self.query_one("#yes", Button)
        if not yes and button.has_focus:
            self.set_focus(self.query_one("#no", Button))
        button.display = yes
        self.relabel("#no", self.no_words if yes else "Close")

    def relabel(self, button: str, words: str) -> None:
        """Other words on a button."""
        one = self.query_one(button, Button)
        one.label = Content(words)
        one.refresh(layout=True)

    def on_mount(self) -> None:
        """No sentence yet."""
        self.tell("")

    @property
    def too_early(self) -> bool:
        """True, with a sentence, when the key that confirms was typed before what it confirms was shown."""
        asked = [
            block
            for block in self.query(self.ASKED).results(Block)
            if block.id != "sentence" and block.is_on_screen
        ]
        if asked and all(
            block.painted_at is not None and block.painted_at <= self.console.typed_at for block in asked
        ):
            return False
        self.tell("That was typed before this was shown: read it, then press it again.", "phase-waiting")
        return True

    def on_resize(self, event: events.Resize) -> None:
        """The list takes the rows that are left."""
        self.fit_list(event.size.height, self.AROUND)

    def fit_list(self, height: int, around: int) -> None:
        """Give the list what `around` rows leave of a screen of that height."""
        # In cells: a share of the screen is not known yet while an automatic height is worked out.
        for one in self.query(".list"):
            one.styles.max_height = max(3, height * 15 // 16 - around)

    def action_close(self) -> None:
        """Close without doing anything."""
        self.leave()

    def action_scroll_list(self, step: int) -> None:
        """Scroll what is too long for the sheet, wherever the focus is."""
        for one in self.query(".list"):
            one.scroll_relative(y=step * max(1, one.size.height - 1), animate=False)

    def leave(self) -> None:
        """Close this sheet if it is still the one that is open."""
        if self.is_current:
            self.dismiss(None)

    @on(Button.Pressed, "#no")
    def _no(self) -> None:
        self.action_close()
