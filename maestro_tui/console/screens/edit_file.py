"""Asks whether a file that was changed in the editor is recorded as an edit of its phase; recorded on `y`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import methodcaller
from typing import TYPE_CHECKING

from textual.widget import Widget

from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.act_sheet import ActSheet
from maestro_tui.console.widgets.block import Block
from maestro_tui.model.context import Artifact
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean, format_bytes

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp


class EditFileSheet(AboutSession, ActSheet):
    """One file that a person changed by hand."""

    AUTO_FOCUS = "#comment"
    REASON = "why: needed, it is recorded with your name and the time"
    DOING = "Recording …"

    def __init__(self, session: SessionSummary, artifact: Artifact, size: int) -> None:
        """`artifact` is the file as it was recorded, `size` its bytes now."""
        super().__init__()
        self.session, self.artifact, self.size_now = session, artifact, size
        self.no_words = "Not now"

    def about(self) -> tuple[str, ...]:
        """A reason belongs to the file."""
        return (*super().about(), self.artifact.path)

    def title_words(self) -> str:
        """What is asked."""
        phase, name = clean(self.artifact.phase, 64), short_id(self.session.session_id)
        return f"Record this file as an edit of {phase} in {name}?"

    def facts(self) -> Iterable[Widget]:
        """Which file, and what recording it means."""
        was, now = format_bytes(self.artifact.size), format_bytes(self.size_now)
        yield Block(f"{clean(self.artifact.path, 300)}   {was} → {now}", id="file")
        yield Block(
            "the phase's contract is checked again; later phases receive the file as it is now, and those that "
            "are committed already become stale. Without a record the file stays changed, and nobody is told.",
            classes="note",
        )

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Record it  y"

    def session_changed(self) -> None:
        """The phase may have run again meanwhile: then the file is not what was edited."""
        self.tell(self.refusal() or "The session has changed since; look again.", "phase-waiting")

    def refusal(self) -> str | None:
        """The phase was done again while the file was edited."""
        now = next((one for one in self.session.phases if one.name == self.artifact.phase), None)
        if now is None or now.attempt != self.artifact.attempt:
            return f"{clean(self.artifact.phase, 64)} was done again meanwhile; nothing is recorded."
        return None

    async def act(self, reason: str) -> bool:
        """Record it."""
        session_id, file = self.session.session_id, self.artifact
        await self.console.ask_host(
            methodcaller("edit_files", session_id, file.phase, (file.path,), None, reason)
        )
        self.console.say(f"{short_id(session_id)}: the edit of {clean(file.path, 120)} is recorded.")
        return True


def offer_to_record(console: MaestroApp, session: SessionSummary, artifact: Artifact, size: int) -> None:
    """Ask, unless nothing can be recorded now: then say why."""
    path = clean(artifact.path, 120)
    if session.foreign is not None:
        console.say(f"{path} is changed; history of {clean(session.foreign, 60)} takes no record of it.")
    else:
        console.open_sheet(EditFileSheet(session, artifact, size))
