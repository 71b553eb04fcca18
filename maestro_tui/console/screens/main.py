"""The main screen: the fleet beside the inspector; on narrow screens one of the two fills it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from maestro_tui.console.actions import ACTIONS
from maestro_tui.console.availability import Scene
from maestro_tui.console.between_keys import between_keys
from maestro_tui.console.filter import parse
from maestro_tui.console.fleet import EMPTY_VIEW, NO_USUAL, Usual, project, usual_durations
from maestro_tui.console.fleet_order import SORT_COLUMNS, Sort
from maestro_tui.console.key_choice import keys_for, keys_in_session
from maestro_tui.console.lines import at_home
from maestro_tui.console.screens import doing
from maestro_tui.console.widgets.bars import (
    Brief,
    FilterBar,
    FilterInput,
    HeaderBar,
    KeyBar,
    Words,
)
from maestro_tui.console.widgets.column_bar import ColumnBar
from maestro_tui.console.widgets.fleet_table import FleetTable
from maestro_tui.console.widgets.notice_bar import NoticeBar
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean, typable

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

VAST = 160
"""From this width on the list has room for requirement, age and owner."""
PANE_AFTER = 0.3
"""Seconds after which the inspector comes when no session is read yet; the list's first rows go before it."""
SHOW_AFTER = 0.12
"""Seconds that the cursor stands still before the inspector follows: laying it out must not hold up the cursor."""
TYPED_AFTER = 0.3
"""The same after a key of the filter: the next one comes later than the next press of an arrow key."""
USUAL_EVERY = 60.0
"""Seconds between two looks at how long phases usually take."""


class Pane(Protocol):
    """What shows one session: `widgets.session_pane.SessionPane`."""

    def show(self, summary: SessionSummary | None, usual: Usual | None = None) -> None:
        """Show this session, with how long its phases usually take."""


def make_pane(root: Path, clock: Callable[[], float]) -> Widget:
    """The inspector; imported after the first paint."""
    from maestro_tui.console.widgets.session_pane import SessionPane

    return SessionPane(root, clock)


class MainScreen(Screen[None]):
    """All sessions, and the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(action.key, f"perform('{action.id}')", action.title, show=False, id=action.id)
        for action in ACTIONS
    ]
    AUTO_FOCUS = "FleetTable"

    def __init__(self, initial_filter: str = "", open_session: str | None = None) -> None:
        super().__init__()
        self.query_now = parse(initial_filter)
        self.sort = Sort()
        self.view = EMPTY_VIEW
        self.usual = NO_USUAL
        self.marked: frozenset[str] = frozenset()
        self.drafts: dict[tuple[str, ...], str] = {}
        """What was typed into a sheet that was closed before it was of use."""
        self.launch_draft: dict[str, object] | None = None
        """The launch sheet as it was closed without a launch."""
        self._initial_filter = typable(initial_filter)
        self._wanted, _, self._wanted_phase = (open_session or "").partition("/")
        self._opening = bool(self._wanted)
        self._phase_of: str | None = None
        self._usual_at = float("-inf")
        self._settled = False
        """True once all sessions have been read and shown."""
        self._pane: Widget | None = None
        self._following: Timer | None = None
        self._shown: SessionSummary | None = None

    @property
    def console(self) -> MaestroApp:
        """The app, as what it is."""
        return cast("MaestroApp", self.app)

    def compose(self) -> ComposeResult:
        """Header, list with its filter, inspector, keys."""
        app = self.console
        yield HeaderBar(at_home(str(app.root)), ascii_only=app.ascii_only, read_only=app.read_only)
        with Horizontal(id="body"):
            with Vertical(id="fleet"):
                yield FilterBar(self._initial_filter, ascii_only=app.ascii_only)
                yield Words(id="filter-problem")
                yield Words(id="problem")
                yield ColumnBar(ascii_only=app.ascii_only)
                yield FleetTable(ascii_only=app.ascii_only, own_pid=app.own_pid(), id="sessions")
                yield Brief(ascii_only=app.ascii_only, act=not app.read_only)
            yield Vertical(id="inspector")
        yield NoticeBar()
        yield KeyBar()

    def on_mount(self) -> None:
        """Recall the order, show the first picture, then bring the inspector."""
        kept = self.console.memory.get("sort")
        if isinstance(kept, list) and len(kept) == 2 and kept[0] in SORT_COLUMNS:
            self.sort = Sort(str(kept[0]), bool(kept[1]))
        self.refresh_view()
        self.refresh_keys()
        # Not by its message, which comes after the key has been painted: the list is painted with the key.
        self.watch(self.query_one(FilterInput), "value", self._filter_changed, init=False)
        self.watch(self, "focused", self._focus_moved, init=False)
        self.set_interval(1.0, between_keys(self, self.tick))
        if self.at_once or self.view.rows:
            self.call_after_refresh(self._bring_pane)
        else:
            self.set_timer(PANE_AFTER, self._bring_pane)

    def _bring_pane(self) -> None:
        if self._pane is not None:
            return
        self._pane = make_pane(self.console.root, self.console.clock)
        self.query_one("#inspector").mount(self._pane)
        self.call_after_refresh(self._show_current, force=True)

    # ── What is shown ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def table(self) -> FleetTable:
        """The list."""
        return self.query_one("#sessions", FleetTable)

    @property
    def wide(self) -> bool:
        """True when list and inspector stand side by side."""
        return self.size.width >= 100

    @property
    def at_once(self) -> bool:
        """True where nobody waits and pictures must not depend on the clock: the inspector never lags behind."""
        return self.app.is_headless

    @property
    def standing(self) -> bool:
        """False while the screen is taken down: its widgets go one after the other, before it does."""
        return self.console.is_running and bool(self.query("#sessions"))

    def take_snapshot(self, snapshot: FleetSnapshot) -> None:
        """Show a newer state of all sessions."""
        if not self.standing:
            return
        now = self.console.clock()
        if now - self._usual_at >= USUAL_EVERY and snapshot.sessions and not snapshot.loading:
            self.usual, self._usual_at = usual_durations(snapshot.sessions.values()), now
        gone = {one for one in self.marked if one not in snapshot.sessions}
        if gone and not snapshot.loading and snapshot.problem is None:
            self.marked -= gone
            self.table.set_marked(self.marked)
        self.refresh_view()
        if self._pane is None:
            self.call_after_refresh(self._bring_pane)
        if not (self.at_once or snapshot.loading or self._settled):
            # What was read stays: to look for garbage among ten thousand sessions would stop keys for 50 ms.
            gc.freeze()
            self._settled = True
        if self._wanted and self._wanted in self.view.positions:
            self.table.select(self._wanted)
            self._wanted = ""
            if self._opening or not self.wide:
                self.set_detail(True)
            self._opening = False
            self._phase_of = self.table.chosen
            self._open_phase()

    def refresh_view(self, *, recall: bool = False) -> None:
        """Project the newest snapshot anew: after a snapshot, another filter, another order."""
        console, now = self.console, self.console.clock()
        self.view = project(console.snapshot, self.query_now, self.sort, now, self.view)
        self._say_empty()
        self.table.set_view(self.view, now, self.usual, recall=recall)
        self.query_one(HeaderBar).show(self.view, now)
        self.query_one(FilterBar).show(self.view, self.sort, len(self.marked))
        self.query_one(ColumnBar).show(self.sort)
        self._show_words("#filter-problem", self.query_now.problem, "phase-failed")
        self._show_words("#problem", self.view.problem, "phase-failed")
        row, shown = self.table.current, self._shown
        same = shown is not None and row is not None and row.session_id == shown.session_id
        if self.at_once or same or (shown is None and not recall):
            self._show_current()
        # Otherwise the list has said that its cursor stands elsewhere, and the inspector follows.

    def _show_words(self, selector: str, sentence: str | None, colour: str) -> None:
        words = self.query_one(selector, Words)
        words.display = sentence is not None
        if sentence is not None:
            words.show(Text("   " + sentence, palette(self).style(colour)))

    def _say_empty(self) -> None:
        root, view = at_home(str(self.console.root)), self.view
        if view.rows:
            words: tuple[str, ...] = ()
        elif view.loading:
            words = (f"Reading {root} …",)
        elif view.total:
            words = ("No session matches this filter.", "escape takes it away.")
        elif self.console.read_only:
            words = (f"There is no session in {root} yet.", "? shows all keys.")
        else:
            words = (f"There is no session in {root} yet.", "n launches one   ? shows all keys")
        if words != self.table.empty_words:
            self.table.empty_words = words
            self.table.refresh()
        self.set_class(not view.total and not view.loading, "-empty")

    def _show_current(self, force: bool = False) -> None:
        row = self.table.current
        summary = row.summary if row is not None else None
        self.query_one(Brief).show(summary, row.status if row is not None else "new")
        if summary is not self._shown or force:
            self._shown = summary
            if self._pane is not None:
                cast(Pane, self._pane).show(summary, self.usual)
            self.refresh_keys()

    def tick(self) -> None:
        """Let a second pass."""
        if not self.standing:
            return
        now = self.console.clock()
        if self.view.next_silence is not None and now > self.view.next_silence:
            self.refresh_view()
        else:
            self.table.tick(now)
            self.query_one(HeaderBar).show(self.view, now)

    def refresh_keys(self) -> None:
        """Show the keys that do something here."""
        scene, console = self.scene(), self.console
        keys = [(action, console.key_of(action)) for action in keys_for(console.console_actions, scene)]
        if not self.view.total:
            keys = [one for one in keys if one[0].id in ("new", "palette", "help", "quit")]
        inside = self.focused is not None and self._pane in self.focused.ancestors_with_self
        back = console.console_action("back")
        self.query_one(KeyBar).show(keys_in_session(keys, console.key_of(back)) if inside and back else keys)

    def _focus_moved(self) -> None:
        if self.standing:
            self.refresh_keys()

    def scene(self) -> Scene:
        """What actions depend on now."""
        row = self.table.current
        return self.scene_of(row.summary if row else None)

    def scene_of(self, session: SessionSummary | None) -> Scene:
        """What actions on that session depend on now."""
        return Scene(session, len(self.marked), self.console.own_sessions, self.sort != Sort())

    def await_session(self, session_id: str, did: str = "Launched") -> None:
        """Go to a session as soon as it is seen on disk."""
        self._wanted = session_id
        self.console.say(f"{did} {session_id}.")

    def _open_phase(self) -> None:
        """Show the log of the phase that was asked for at the start, as soon as the details are read."""
        if not self._wanted_phase or self._phase_of != self.table.chosen:
            return
        if self._pane is None or getattr(self._pane, "detail", None) is None:
            self.set_timer(0.1, self._open_phase)
            return
        from maestro_tui.console.widgets.session_pane import SessionPane

        phase, self._wanted_phase = self._wanted_phase, ""
        pane = cast(SessionPane, self._pane)
        attempts = [one.attempt for one in pane.detail.attempts if one.phase == phase] if pane.detail else []
        if attempts and pane.log_view.open_attempt(phase, max(attempts)):
            pane.action_tab("log")
        else:
            self.console.say(
                f"{self._phase_of} has no attempt of {clean(phase, 80)!r} yet.", severity="warning"
            )

    def go_to(self, session_id: str) -> None:
        """Open a session; a filter that hides it is taken away, and so is the wall."""
        if not self.is_active:
            self.app.pop_screen()
        if session_id not in self.view.positions:
            self.query_one(FilterInput).value = ""
            self.query_now = parse("")
            self.refresh_view()
        self.table.select(session_id)
        self.set_detail(True)

    def on_screen_resume(self) -> None:
        """What was told on a sheet stands here until its time is over."""
        for bar in self.query(NoticeBar):
            bar.show(self.console.notices)

    def on_resize(self, event: events.Resize) -> None:
        """From a certain width on, the list tells more of each session."""
        self.set_class(event.size.width >= VAST, "-vast")

    # ── List and detail ───────────────────────────────────────────────────────────────────────────────────

    def set_detail(self, detail: bool) -> None:
        """Turn to the inspector (on narrow screens it fills the screen), or back to the list."""
        self.set_class(detail, "-detail")
        if not detail or self._pane is None:
            self.set_focus(self.table)
            return
        focusable = [widget for widget in self._pane.query("*") if widget.can_focus and widget.display]
        target = self._pane if self._pane.can_focus else focusable[0] if focusable else None
        if target is not None:
            self.set_focus(target)

    # ── Messages ──────────────────────────────────────────────────────────────────────────────────────────

    @on(FleetTable.Highlighted)
    def _highlighted(self) -> None:
        if self.at_once:
            self._show_current()
        else:
            self._follow_after(TYPED_AFTER if self.query_one(FilterInput).has_focus else SHOW_AFTER)

    def _follow_after(self, seconds: float) -> None:
        if self._following is not None:
            self._following.stop()
        self._following = self.set_timer(seconds, self._follow)

    def _follow(self) -> None:
        self._following = None
        self._show_current()

    @on(FleetTable.Opened)
    def _opened(self) -> None:
        self.action_perform("open")

    @on(KeyBar.Clicked)
    def _key_clicked(self, message: KeyBar.Clicked) -> None:
        self.action_perform(message.action_id)

    def _filter_changed(self, text: str) -> None:
        if text != self.query_now.text:
            self.query_now = parse(text)
            self.refresh_view(recall=True)
            if self._following is not None:
                self._follow_after(TYPED_AFTER)

    @on(FilterInput.Left)
    def _filter_left(self, message: FilterInput.Left) -> None:
        if message.clear_it:
            self.query_one(FilterInput).value = ""
        else:
            # Whoever takes the filter over means the session that the cursor is on.
            self.table.choose_here()
        self.set_focus(self.table)

    # ── Actions ───────────────────────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What does not exist here (read-only) has no key."""
        if action == "perform":
            return self.console.console_action(str(parameters[0])) is not None
        return True

    def action_perform(self, action_id: str) -> None:
        """Do an action of the registry, or say why it cannot be done now."""
        action = self.console.console_action(action_id)
        if action is None:
            return
        refusal = action.available(self.scene())
        if refusal is not None:
            self.console.say(refusal, severity="warning")
            return
        handler: Callable[[MainScreen], None] = doing.HANDLERS[action_id]
        handler(self)
