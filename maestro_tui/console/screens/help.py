"""All keys on one page, made from the registry of actions and from what has the focus."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget

from maestro_tui.console.actions import key_words
from maestro_tui.console.lines import fit, wrap_words
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette


class HelpScreen(Sheet):
    """The keys of the console, and those of the widget that had the focus."""

    AUTO_FOCUS = "VerticalScroll"
    TITLE_WORDS = "Keys"
    AROUND = 7

    def __init__(self, focused: Widget | None) -> None:
        super().__init__()
        self._focused = focused
        self.no_words = "Close"

    def body(self) -> Iterable[Widget]:
        """Groups of keys."""
        yield VerticalScroll(Block(id="keys"), classes="list")

    def on_resize(self, event: events.Resize) -> None:
        """Break the lines anew."""
        block = self.query_one("#keys", Block)
        # Two columns less: the scrollbar takes them as soon as the text is longer than the sheet.
        block.show(self._text(max(30, block.size.width - 2)))

    def _text(self, width: int) -> Text:
        styles, console = palette(self), self.console
        text = Text()
        here = list(_keys_of(self._focused))
        groups: dict[str, list[tuple[str, str]]] = {"Here": here} if here else {}
        for action in console.console_actions:
            groups.setdefault(action.group, []).append((console.key_of(action), action.help))
        groups["Filter"] = [
            ("words", "in id, requirement, workflow, error or last event"),
            ("status:", "waiting, failed, silent, running, interrupted, paused, new, cancelled, completed"),
            ("phase:", "the phase that it is at;  workflow:  workspace:  id:"),
            ("age:", "since it began: age:<2h, age:>3d"),
            ("owner:", "here, away, dead, none or a pid"),
            ("!", "turns a term round: !status:completed;  a,b means one of them"),
        ]
        for index, (group, keys) in enumerate(groups.items()):
            text.append(("\n\n" if index else "") + group, styles.style("muted"))
            for key, words in keys:
                text.append("\n" + fit(key, 8) + " ", styles.style("bold accent"))
                text.append(("\n" + " " * 9).join(wrap_words(words, width - 9)))
        text.append("\n\nSigns", styles.style("muted"))
        return text.append_text(self._signs())

    def _signs(self) -> Text:
        from maestro_tui.console.glyphs import ASCII_GLYPHS, COLOURS, GLYPHS

        styles, text = palette(self), Text()
        for index, (status, sign) in enumerate((ASCII_GLYPHS if self.console.ascii_only else GLYPHS).items()):
            text.append("\n" if index % 4 == 0 else "")
            text.append(sign + " ", styles.style(COLOURS[status]))
            text.append(fit(status, 14))
        return text


def _keys_of(widget: Widget | None) -> Iterable[tuple[str, str]]:
    if widget is None:
        return
    seen: set[str] = set()
    for kind in reversed(type(widget).__mro__):
        for binding in kind.__dict__.get("BINDINGS", ()):
            if not isinstance(binding, Binding) or not binding.description or binding.description in seen:
                continue
            if not kind.__module__.startswith("maestro_tui"):
                continue
            seen.add(binding.description)
            keys = [key_words(key.strip()) for key in binding.key.split(",")]
            yield " ".join(dict.fromkeys(keys[:2])), binding.description
