"""Shows what an operator changed in a phase's outputs, and records it with name, time and reason on `y`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from operator import methodcaller
from typing import Any

from rich.text import Text
from textual import events, on
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.screens.plan_sheet import as_text
from maestro_tui.console.structural_diff import change_lines, json_changes
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean


def outputs_text(outputs: Mapping[str, Any]) -> str:
    """Outputs as the text that is edited: readable, but nothing in it can steer the editor or a terminal."""
    text = json.dumps(outputs, indent=2, ensure_ascii=False)
    # Whatever is no printable character stands within a string, where JSON takes its escape for the same.
    safe = (one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)
    return "".join(safe) + "\n"


def edited_outputs(before: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The outputs that the edited text changes or adds; empty when none. Raises `InputError`."""
    from maestro_tui.engine.launch import parse_json

    try:
        value = parse_json(text, "What the editor left")
    except InputError as error:
        raise InputError(str(error).replace("Nothing was run.", "Nothing was recorded.")) from error
    if not isinstance(value, dict):
        raise InputError(
            "Outputs are a JSON object, { … }; what the editor left is not. Nothing was recorded."
        )
    gone = [name for name in before if name not in value]
    if gone:
        names = ", ".join(clean(name, 60) for name in gone[:6])
        raise InputError(
            f"An edit cannot take an output away ({names}); set it to null instead. Nothing was recorded."
        )
    return {name: one for name, one in value.items() if name not in before or not _same(before[name], one)}


def _same(one: Any, two: Any) -> bool:
    # 1, 1.0 and true are equal in Python, but not to whoever reads the outputs.
    return json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)


def edit_key(session: SessionSummary, phase: str) -> tuple[str, ...]:
    """Where an edit is kept that is not recorded yet: it belongs to this commit of the session."""
    return ("outputs", session.session_id, phase, session.sha256)


class EditSheet(AboutSession, ActSheet):
    """The differences, and the question whether to record them."""

    AUTO_FOCUS = "#comment"
    REASON = "why: needed, it is recorded with your name and the time"
    DOING = "Recording …"
    AROUND = 13

    def __init__(
        self, session: SessionSummary, phase: str, before: Mapping[str, Any], changed: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.session, self.phase = session, phase
        self.before, self.changed = before, changed
        self.overtaken = False
        self._key = edit_key(session, phase)
        self.no_words = "Throw away"

    def about(self) -> tuple[str, ...]:
        """A reason belongs to the phase."""
        return (*super().about(), self.phase)

    def title_words(self) -> str:
        """What is asked."""
        return f"Record this edit of {self.phase} in {short_id(self.session.session_id)}?"

    def facts(self) -> Iterable[Widget]:
        """Path, old and new."""
        yield VerticalScroll(Block(id="changes"), classes="list")
        yield Block(
            "later phases receive the new outputs; those that are committed already become stale. "
            "The phase's own result stays as it was, the edit is kept beside it. esc goes back, e edits on.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Record it  y"

    def on_resize(self, event: events.Resize) -> None:
        """Lay the columns out for the width."""
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        width = max(40, self.query_one("#changes", Block).size.width)
        changes = json_changes(self.before, {**self.before, **self.changed})
        lines = [as_text(one, palette(self).style) for one in change_lines(changes, width)]
        self.query_one("#changes", Block).show(Text("\n").join(lines))

    @on(Button.Pressed, "#no")
    def _thrown_away(self) -> None:
        self.console.main.drafts.pop(self._key, None)

    def session_changed(self) -> None:
        """What was edited may not be what stands there now: nothing is recorded over it."""
        self.overtaken = True
        self.tell(self.refusal() or "", "phase-waiting")

    def refusal(self) -> str | None:
        """An edit of something that has changed."""
        if self.overtaken:
            return "The session has changed while you edited; nothing is recorded. Edit it again from there."
        return None

    async def act(self, reason: str) -> bool:
        """Record it."""
        work = methodcaller("edit", self.session.session_id, self.phase, dict(self.changed), None, reason)
        await self.console.ask_host(work)
        self.console.main.drafts.pop(self._key, None)
        self.console.say(f"{short_id(self.session.session_id)}: the edit of {self.phase} is recorded.")
        return True
