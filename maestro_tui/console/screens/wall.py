"""The wall: every running and recent session as a strip on one time axis, over the main screen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from maestro_tui.console.actions import ACTIONS, Action
from maestro_tui.console.between_keys import between_keys
from maestro_tui.console.key_choice import keys_for
from maestro_tui.console.lines import at_home
from maestro_tui.console.widgets.bars import Brief, HeaderBar, KeyBar, Words
from maestro_tui.console.widgets.notice_bar import NoticeBar
from maestro_tui.console.widgets.wall_strips import WallStrips
from maestro_tui.model.summary import FleetSnapshot

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp
    from maestro_tui.console.screens.main import MainScreen

_NOT_HERE = frozenset(["sort", "sort_reverse", "attention", "mark_shown"])
"""Actions of the list that have no meaning on the wall."""


_TIME_KEYS = (
    (Action("zoom_in", "plus", "zoom in", "Shorter time.", "Wall"), "+"),
    (Action("zoom_out", "minus", "out", "Longer time.", "Wall"), "-"),
    (Action("earlier", "left", "earlier", "Earlier.", "Wall"), "h"),
    (Action("later", "right", "later", "Later.", "Wall"), "l"),
)
"""What the line of keys tells about the wall's own keys, and what a click on them does."""


class WallScreen(Screen[None]):
    """All that runs or ran lately. What is done here is done to the session under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(action.key, f"perform('{action.id}')", action.title, show=False, id=action.id)
        for action in ACTIONS
        if action.id not in _NOT_HERE
    ]
    AUTO_FOCUS = "WallStrips"

    @property
    def console(self) -> MaestroApp:
        """The app, as what it is."""
        return cast("MaestroApp", self.app)

    @property
    def main(self) -> MainScreen:
        """The screen below, which knows the filter, the marks and how each action is done."""
        return self.console.main

    @property
    def strips(self) -> WallStrips:
        """The wall itself."""
        return self.query_one(WallStrips)

    @property
    def standing(self) -> bool:
        """False while the screen is taken down: its widgets go one after the other, before it does."""
        return self.console.is_running and len(self.query("WallStrips, HeaderBar, KeyBar, Brief, Words")) == 5

    def compose(self) -> ComposeResult:
        """Header, filter in words, strips, the session under the cursor in brief, keys."""
        app = self.console
        yield HeaderBar(at_home(str(app.root)), ascii_only=app.ascii_only, read_only=app.read_only)
        yield Words(id="limits")
        yield WallStrips(ascii_only=app.ascii_only)
        yield Brief(ascii_only=app.ascii_only, act=not app.read_only)
        yield NoticeBar()
        yield KeyBar()

    def on_mount(self) -> None:
        """The cursor begins on the session on which it stood in the list."""
        self._show()
        chosen = self.main.table.current
        if chosen is not None:
            self.strips.select(chosen.session_id)
        self.set_interval(1.0, between_keys(self, self.tick))

    def on_screen_resume(self) -> None:
        """What was told on a sheet stands here until its time is over."""
        for bar in self.query(NoticeBar):
            bar.show(self.console.notices)

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Show a newer state; the screen below has projected it already."""
        if self.standing:
            self._show()

    def tick(self) -> None:
        """Let a second pass."""
        if not self.standing:
            return
        now = self.console.clock()
        self.strips.tick(now)
        self.query_one(HeaderBar).show(self.main.view, now)

    def _show(self) -> None:
        view, now = self.main.view, self.console.clock()
        strips = self.strips
        strips.marked = self.main.marked
        self._say_empty()
        strips.set_view(view, now, self.main.usual)
        self.query_one(HeaderBar).show(view, now)
        limits, query = self.query_one("#limits", Words), self.main.query_now.text
        limits.display = bool(query)
        limits.show(Text(f" / {query}   {len(view.rows):,} of {view.total:,}", no_wrap=True))
        self._show_current()

    def _say_empty(self) -> None:
        view, root = self.main.view, at_home(str(self.console.root))
        if view.loading and not view.rows:
            words: tuple[str, ...] = (f"Reading {root} …",)
        elif view.total and not view.rows:
            words = ("No session matches the filter.", "esc goes back to the list")
        elif not view.total:
            words = (f"There is no session in {root} yet.", "esc goes back to the list")
        else:
            words = (
                "Nothing runs, and nothing worked in this time.",
                "- shows a longer time, h an earlier one",
            )
        self.strips.empty_words = words

    def _show_current(self) -> None:
        row = self.strips.current
        self.query_one(Brief).show(row.summary if row else None, row.status if row else "new")
        scene, console = self.main.scene_of(row.summary if row else None), self.console
        here = (action for action in console.console_actions if action.id not in _NOT_HERE)
        keys = [
            (replace(action, title="list") if action.id == "wall" else action, console.key_of(action))
            for action in keys_for(here, scene)
        ]
        time_keys = _TIME_KEYS if self.main.view.rows else ()
        first = [one for one in keys if one[0].id in ("open", "wall")]
        self.query_one(KeyBar).show([*first, *time_keys, *(one for one in keys if one not in first)])

    @on(WallStrips.Highlighted)
    def _highlighted(self) -> None:
        self._show_current()

    @on(WallStrips.Opened)
    def _opened(self) -> None:
        self.action_perform("open")

    @on(KeyBar.Clicked)
    def _key_clicked(self, message: KeyBar.Clicked) -> None:
        strips = self.strips
        if message.action_id in ("zoom_in", "zoom_out"):
            strips.action_zoom(1 if message.action_id == "zoom_in" else -1)
        elif message.action_id in ("earlier", "later"):
            strips.action_shift(-1 if message.action_id == "earlier" else 1)
        else:
            self.action_perform(message.action_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What does not exist here (read-only) has no key."""
        if action == "perform":
            return self.console.console_action(str(parameters[0])) is not None
        return True

    def action_perform(self, action_id: str) -> None:
        """Do an action to the session under the cursor, as the list would."""
        row, main = self.strips.current, self.main
        if row is not None:
            main.table.select(row.session_id)
        if action_id in ("back", "wall"):
            self.dismiss(None)
        elif action_id in ("open", "filter"):
            self.dismiss(None)
            main.action_perform(action_id)
        else:
            main.action_perform(action_id)
            if action_id in ("mark", "unmark"):
                self.strips.marked = main.marked
                self.strips.action_move(1 if action_id == "mark" else 0)
