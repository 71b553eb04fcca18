"""The weightier actions of the main screen: skip, budgets, blueprints, fork, prune, doctor, and the end of another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from maestro_tui.model.summary import SessionSummary

if TYPE_CHECKING:
    from maestro_tui.console.screens.main import MainScreen


def session_of(screen: MainScreen) -> SessionSummary:
    """The session under the cursor of the list."""
    row = screen.table.current
    assert row is not None  # every action that comes here needs a session
    return row.summary


def _skip(screen: MainScreen) -> None:
    from maestro_tui.console.screens.choose_phase import ChoosePhase

    screen.console.open_sheet(ChoosePhase(session_of(screen), "skip"))


def _raise(screen: MainScreen) -> None:
    from maestro_tui.console.screens.raise_budget import RaiseSheet

    screen.console.open_sheet(RaiseSheet(session_of(screen)))


def _blueprint(screen: MainScreen) -> None:
    from maestro_tui.console.screens.choose_phase import ChoosePhase

    screen.console.open_sheet(ChoosePhase(session_of(screen), "blueprint"))


def _fork(screen: MainScreen) -> None:
    from maestro_tui.console.screens.fork import ForkSheet

    screen.console.open_sheet(ForkSheet(session_of(screen)))


def _prune(screen: MainScreen) -> None:
    from maestro_tui.console.screens.doing import hidden, marked
    from maestro_tui.console.screens.prune import PruneSheet

    screen.console.open_sheet(PruneSheet(marked(screen), hidden(screen)))


def _doctor(screen: MainScreen) -> None:
    from maestro_tui.console.screens.doctor import DoctorSheet

    screen.console.open_sheet(DoctorSheet(session_of(screen)))


def kill(screen: MainScreen) -> None:
    """Ask about the process that runs the session under the cursor."""
    from maestro_tui.console.screens.kill import KillSheet

    screen.console.open_sheet(KillSheet(session_of(screen)))


HANDLERS: Mapping[str, Callable[[MainScreen], None]] = {
    "skip": _skip,
    "raise": _raise,
    "blueprint": _blueprint,
    "fork": _fork,
    "prune": _prune,
    "doctor": _doctor,
    "kill": kill,
}
"""Action id → what it does."""
