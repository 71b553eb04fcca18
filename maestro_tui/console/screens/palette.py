"""The command palette's hits: every action and every session by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.style import Style

from maestro_tui.console.fleet import shown_status
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.theme import THEME_NAMES
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

_MOST_SESSIONS = 50


class ConsoleCommands(Provider):
    """Actions first, then sessions. Names from outside are content, never markup."""

    @property
    def _console(self) -> MaestroApp:
        return cast("MaestroApp", self.app)

    def _commands(self) -> list[tuple[str, str, Callable[[], None]]]:
        console = self._console
        out: list[tuple[str, str, Callable[[], None]]] = [
            (f"{action.title}  ({console.key_of(action)})", action.help, partial(self._perform, action.id))
            for action in console.console_actions
            if action.id != "palette"
        ]
        out.extend((f"theme {name}", "", partial(setattr, console, "theme", name)) for name in THEME_NAMES)
        return out

    def _perform(self, action_id: str) -> None:
        # After the palette has closed, so that a sheet may open over the screen that is then on top.
        self._console.call_after_refresh(self._perform_now, action_id)

    def _perform_now(self, action_id: str) -> None:
        perform = getattr(self._console.screen, "action_perform", self._console.main.action_perform)
        perform(action_id)

    async def discover(self) -> Hits:
        """Everything that can be done."""
        for name, words, command in self._commands():
            yield DiscoveryHit(Content(name), command, text=name, help=words or None)

    async def search(self, query: str) -> Hits:
        """Actions and sessions that fit what is typed."""
        fuzzy = FuzzySearch()
        for name, words, command in self._commands():
            score, places = fuzzy.match(query, name)
            if score > 0:
                yield Hit(score, self._shown(name, places), command, text=name, help=words or None)
        console, now = self._console, self._console.clock()
        wanted, found = query.lower(), 0
        for session_id, summary in console.snapshot.sessions.items():
            if wanted not in session_id.lower() and wanted not in summary.requirement.lower():
                continue
            found += 1
            if found > _MOST_SESSIONS:
                return
            name = (
                f"open {short_id(session_id)}  {shown_status(summary, now)}  {clean(summary.requirement, 80)}"
            )
            _, places = fuzzy.match(query, name)
            yield Hit(
                0.5,
                self._shown(name, places),
                partial(self._open, session_id),
                text=clean(session_id),
                help=None,
            )

    def _open(self, session_id: str) -> None:
        self._console.call_after_refresh(self._console.main.go_to, session_id)

    def _shown(self, name: str, places: object) -> Content:
        content = Content(name)
        style: Style = self.match_style if isinstance(self.match_style, Style) else Style(bold=True)
        for place in places if isinstance(places, (list, tuple)) else ():
            if not name[place].isspace():
                content = content.stylize(style, place, place + 1)
        return content
