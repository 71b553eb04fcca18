"""The console as an application: what it is given, its looks, its screens, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import ModalScreen, Screen

from maestro_tui.console import settings as user_settings
from maestro_tui.console.actions import ACTIONS, Action, actions_for, key_words
from maestro_tui.console.alerts import Alerter
from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.messages import SnapshotArrived
from maestro_tui.console.plain_ascii import AsciiApp
from maestro_tui.console.ports import Host, Source
from maestro_tui.console.production import WatchSource, engine_host, phase_result
from maestro_tui.console.screens.main import MainScreen
from maestro_tui.console.styles import style_paths
from maestro_tui.console.telling import Telling
from maestro_tui.console.theme import THEME_NAMES, THEMES, variable_defaults
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.text import clean_lines

if TYPE_CHECKING:
    from maestro_tui.model.context import PhaseResult

Answer = TypeVar("Answer")
STOP_SECONDS = 8.0
"""How long sessions that run here may take to stop when the console ends."""


def _palette_commands() -> type[Provider]:
    from maestro_tui.console.screens.palette import ConsoleCommands

    return ConsoleCommands


def _crash_words(error: BaseException | None) -> str:
    """What the terminal is told of a fault of the console; its traceback goes to a file of this user."""
    what = ""
    if error is not None:
        from maestro_tui.config import write_crash

        what = f" ({type(error).__name__}); {write_crash(error)}"
    return f"The console ended by a fault of its own{what}. Sessions are safe on disk; start it again."


class MaestroApp(TellsFaults, AsciiApp, Telling):
    """The operator's console over one checkpoint directory."""

    TITLE = "maestro"
    CSS_PATH = style_paths()
    COMMANDS = {_palette_commands}  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+c", "help_quit", "How to quit", show=False, system=True),
    ]

    def __init__(
        self,
        root: str | Path,
        *,
        read_only: bool = False,
        initial_filter: str = "",
        open_session: str | None = None,
        ascii_only: bool | None = None,
        theme: str | None = None,
        first: FleetSnapshot | None = None,
        source: Source | None = None,
        host: Host | None = None,
        results: Callable[[str, str], PhaseResult] | None = None,
        clock: Callable[[], float] = time.time,
        settings: user_settings.Settings | None = None,
        memory: user_settings.Memory | None = None,
    ) -> None:
        """`open_session` is `SESSION` or `SESSION/PHASE`; `first` is shown before `source` brings anything.

        `source`, `host` and `results` (session id, phase → its newest result) default to the real ones.
        """
        super().__init__()
        self.root = Path(root).expanduser().absolute()
        self.clock = clock
        self.settings = settings or user_settings.load_settings(
            user_settings.settings_path(), THEME_NAMES, {action.id: action.key for action in ACTIONS}
        )
        self.memory = memory or user_settings.Memory(user_settings.memory_path())
        self.locked = self.root.is_dir() and not os.access(self.root, os.W_OK)
        """True where nothing can be written: a directory on a read-only disk, or of somebody else."""
        self.read_only = read_only or self.settings.read_only or self.locked
        self.ascii_only = self.settings.ascii_only if ascii_only is None else ascii_only
        self.console_actions = actions_for(self.read_only)
        self.alerter = Alerter(self.settings.notify)
        self.snapshot = first or FleetSnapshot(root=str(self.root), loading=True)
        self.ended_by: signal.Signals | None = None
        self._source = source or WatchSource(self.root)
        self._results, self._host = results, host
        self._host_lock = threading.Lock()
        self._filter, self._open = initial_filter, open_session
        self._own: frozenset[str] = frozenset()
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme or self.settings.theme or THEME_NAMES[0]
        self.set_keymap(dict(self.settings.keys))

    # ── Life ──────────────────────────────────────────────────────────────────────────────────────────────

    def get_default_screen(self) -> Screen[None]:
        """The list of sessions and the inspector."""
        return MainScreen(self._filter, self._open)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of statuses for themes that do not define them."""
        return variable_defaults(self.current_theme.dark)

    def on_mount(self) -> None:
        """Take the terminal's signals, then begin to read once the first picture stands."""
        if not self.is_headless and threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._end_by, number)
        for problem in self.settings.problems:
            self.say(problem, severity="warning")
        if self.locked:
            self.say(
                "This directory cannot be written from here: the console only looks.", severity="warning"
            )
        self.call_after_refresh(self._source.start, self._post)
        self.set_interval(0.5, self._look_at_host)
        self.set_interval(0.5, lambda: self.alerter.tick(self))

    def on_unmount(self) -> None:
        """No snapshot comes after the end."""
        self._source.stop()

    def _fatal_error(self) -> None:
        # The screen library would print a traceback on the terminal, with the values of local variables.
        if not self._exit_renderables:
            self._exit_renderables.append(Text(_crash_words(self._exception)))
        self._close_messages_no_wait()

    def _end_by(self, number: signal.Signals) -> None:
        self.ended_by = number
        self.exit(128 + number)

    def _post(self, snapshot: FleetSnapshot) -> None:
        self.post_message(SnapshotArrived(snapshot))

    def on_snapshot_arrived(self, message: SnapshotArrived) -> None:
        """Hand the newest state to whatever shows it; one that comes while all is taken down is dropped."""
        if not self.is_running:
            return
        self.snapshot = message.snapshot
        for screen in self.screen_stack:
            take = getattr(screen, "take_snapshot", None)
            if take is not None:
                take(message.snapshot)
        self.alerter.look(self, message.snapshot)

    # ── The host: made when first needed, always asked in a thread ────────────────────────────────────────

    @property
    def own_sessions(self) -> frozenset[str]:
        """Ids of the sessions that run in this process."""
        return frozenset(self._host.running()) if self._host is not None else frozenset()

    async def ask_host(self, work: Callable[[Host], Answer]) -> Answer:
        """Do something with the host in a thread; its `MaestroError`s come out here."""
        return await asyncio.to_thread(lambda: work(self._host_now()))

    async def result_of(self, session_id: str, phase: str) -> PhaseResult:
        """What a phase left, for a review; read in a thread. Raises `MaestroError`."""
        read = self._results or (lambda one, name: phase_result(self.root, one, name))
        return await asyncio.to_thread(read, session_id, phase)

    def _host_now(self) -> Host:
        with self._host_lock:
            if self._host is None:
                self._host = engine_host(self.root)
            return self._host

    def _look_at_host(self) -> None:
        if self._host is None or not self.is_running:
            return
        for _, sentence in self._host.problems():
            self.say(clean_lines(sentence, 600), severity="error")
        if self.own_sessions != self._own:
            self._own = self.own_sessions
            self.main.refresh_keys()

    def stop_sessions(self) -> tuple[str, ...]:
        """Stop what runs here, resumably; blocks. The ids of those that did not stop in time."""
        return self._host.stop_all(STOP_SECONDS) if self._host is not None else ()

    # ── What screens use ──────────────────────────────────────────────────────────────────────────────────

    @property
    def main(self) -> MainScreen:
        """The screen under all others."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    def write_terminal(self, sequence: str) -> None:
        """Write one of our own control sequences; nothing where there is no terminal."""
        if not self.is_headless and self._driver is not None:
            self._driver.write(sequence)

    def open_sheet(self, sheet: Screen[None]) -> bool:
        """Show a sheet; False (and nothing) when one is open already."""
        if isinstance(self.screen, ModalScreen):
            return False
        self.push_screen(sheet)
        return True

    def console_action(self, action_id: str) -> Action | None:
        """The action of that id; None when it does not exist here (read-only)."""
        return next((action for action in self.console_actions if action.id == action_id), None)

    def key_of(self, action: Action) -> str:
        """The key that does it, after the user's settings, as people read it."""
        return key_words(self.settings.keys.get(action.id, action.key))

    def root_words(self) -> str:
        """The checkpoint directory as the command line needs it; empty when it is the default one."""
        default = Path(os.environ.get("MAESTRO_CHECKPOINT_DIR") or ".maestro").expanduser().absolute()
        return "" if self.root == default else str(self.root)

    async def action_quit(self) -> None:
        """Quit; when sessions run here, after asking."""
        if not (own := self.own_sessions):
            self.exit(0)
            return
        from maestro_tui.console.screens.quit import QuitSheet

        if isinstance(self.screen, QuitSheet):
            return
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        self.open_sheet(QuitSheet(tuple(sorted(own))))

    def action_help_quit(self) -> None:
        """Say how to quit."""
        quit_action = self.console_action("quit")
        if quit_action is not None:
            self.say(f"{self.key_of(quit_action)} quits.")

    def own_pid(self) -> int:
        """This process, to tell its own sessions from those of others."""
        return os.getpid()
