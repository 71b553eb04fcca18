"""What each action of the main screen does; the sheets are imported when they are first opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from maestro_tui.console.fleet_order import SORT_COLUMNS, Sort
from maestro_tui.console.screens import acting
from maestro_tui.console.screens.acting import session_of
from maestro_tui.console.theme import THEME_NAMES
from maestro_tui.console.widgets.bars import FilterInput
from maestro_tui.model.summary import SessionSummary

if TYPE_CHECKING:
    from maestro_tui.console.screens.main import MainScreen


def _open(screen: MainScreen) -> None:
    screen.set_detail(True)


def _back(screen: MainScreen) -> None:
    if screen.has_class("-detail") or not screen.table.has_focus:
        screen.set_detail(False)
    elif screen.query_now.text:
        screen.query_one(FilterInput).value = ""


def _resume(screen: MainScreen) -> None:
    from maestro_tui.console.screens.batch import BatchSheet
    from maestro_tui.console.screens.plan_sheet import PlanSheet

    if screen.marked:
        screen.console.open_sheet(BatchSheet("resume", marked(screen), hidden(screen)))
    else:
        screen.console.open_sheet(PlanSheet(session_of(screen), "resume"))


def _phase(screen: MainScreen) -> None:
    from maestro_tui.console.screens.choose_phase import ChoosePhase

    screen.console.open_sheet(ChoosePhase(session_of(screen), "phase"))


def _rerun(screen: MainScreen) -> None:
    from maestro_tui.console.screens.choose_phase import ChoosePhase

    screen.console.open_sheet(ChoosePhase(session_of(screen), "rerun_from"))


def _new(screen: MainScreen) -> None:
    from maestro_tui.console.screens.launch import LaunchSheet

    screen.console.open_sheet(LaunchSheet())


def _review(screen: MainScreen) -> None:
    from maestro_tui.console.screens.question import QuestionSheet
    from maestro_tui.console.screens.review import ReviewSheet

    session = session_of(screen)
    asked = any(phase.asking is not None for phase in session.phases)
    screen.console.open_sheet(QuestionSheet(session) if asked else ReviewSheet(session))


def _cancel(screen: MainScreen) -> None:
    from maestro_tui.console.screens.batch import BatchSheet

    chosen = marked(screen)
    if not chosen:
        chosen = (session_of(screen),)
        if chosen[0].session_id not in screen.console.own_sessions:
            acting.kill(screen)
            return
    screen.console.open_sheet(BatchSheet("cancel", chosen, hidden(screen)))


def marked(screen: MainScreen) -> tuple[SessionSummary, ...]:
    """The marked sessions, shown ones first and in their order."""
    shown = [row.summary for row in screen.view.rows if row.session_id in screen.marked]
    names = {summary.session_id for summary in shown}
    others = sorted(screen.marked - names)
    return (*shown, *(screen.view.known[one].summary for one in others if one in screen.view.known))


def hidden(screen: MainScreen) -> int:
    """How many of the marked sessions the filter hides."""
    return sum(session_id not in screen.view.positions for session_id in screen.marked)


def _mark(screen: MainScreen) -> None:
    _set_marks(screen, screen.marked ^ {session_of(screen).session_id})
    screen.table.action_move(1)


def _mark_shown(screen: MainScreen) -> None:
    _set_marks(screen, screen.marked | screen.view.positions.keys())


def _unmark(screen: MainScreen) -> None:
    _set_marks(screen, frozenset())


def _set_marks(screen: MainScreen, marks: frozenset[str]) -> None:
    screen.marked = marks
    screen.table.set_marked(marks)
    screen.refresh_view()
    screen.refresh_keys()


def _filter(screen: MainScreen) -> None:
    screen.set_class(False, "-detail")
    screen.set_focus(screen.query_one(FilterInput))


def _sort(screen: MainScreen) -> None:
    place = SORT_COLUMNS.index(screen.sort.column)
    _set_sort(screen, Sort(SORT_COLUMNS[(place + 1) % len(SORT_COLUMNS)]))


def _sort_reverse(screen: MainScreen) -> None:
    _set_sort(screen, Sort(screen.sort.column, not screen.sort.reverse))


def _attention(screen: MainScreen) -> None:
    _set_sort(screen, Sort())


def _set_sort(screen: MainScreen, sort: Sort) -> None:
    screen.sort = sort
    screen.refresh_view()
    screen.refresh_keys()
    problem = screen.console.memory.put("sort", [sort.column, sort.reverse])
    if problem is not None:
        screen.console.say(problem, severity="warning")


def _copy_id(screen: MainScreen) -> None:
    _copy(screen, session_of(screen).session_id)


def _copy_resume(screen: MainScreen) -> None:
    from maestro_tui.console.plan_words import command_words

    root = screen.console.root_words()
    _copy(screen, command_words("resume", session_of(screen).session_id, None, root))


def _copy(screen: MainScreen, text: str) -> None:
    screen.console.copy_to_clipboard(text)
    screen.console.say(f"Copied: {text}")


def _copy_path(screen: MainScreen) -> None:
    from maestro_tui.console.copying import copy_path

    copy_path(screen.console, session_of(screen))


def _copy_line(screen: MainScreen) -> None:
    from maestro_tui.console.copying import copy_line

    copy_line(screen.console)


def _copy_view(screen: MainScreen) -> None:
    from maestro_tui.console.copying import copy_view

    copy_view(screen.console)


def _export(screen: MainScreen) -> None:
    from maestro_tui.console.copying import run_export

    run_export(screen.console, session_of(screen))


def _picture(screen: MainScreen) -> None:
    from maestro_tui.console.copying import run_picture

    run_picture(screen.console)


def _wall(screen: MainScreen) -> None:
    from maestro_tui.console.screens.wall import WallScreen

    if screen.is_active:
        screen.console.push_screen(WallScreen())


def _theme(screen: MainScreen) -> None:
    place = THEME_NAMES.index(screen.console.theme) if screen.console.theme in THEME_NAMES else -1
    screen.console.theme = THEME_NAMES[(place + 1) % len(THEME_NAMES)]


def _palette(screen: MainScreen) -> None:
    screen.console.action_command_palette()


def _help(screen: MainScreen) -> None:
    from maestro_tui.console.screens.help import HelpScreen

    screen.console.open_sheet(HelpScreen(screen.console.screen.focused))


def _quit(screen: MainScreen) -> None:
    screen.console.call_later(screen.console.action_quit)


HANDLERS: Mapping[str, Callable[[MainScreen], None]] = {
    "open": _open,
    "back": _back,
    "resume": _resume,
    "phase": _phase,
    "rerun": _rerun,
    "new": _new,
    "review": _review,
    "cancel": _cancel,
    "mark": _mark,
    "mark_shown": _mark_shown,
    "unmark": _unmark,
    "filter": _filter,
    "sort": _sort,
    "sort_reverse": _sort_reverse,
    "attention": _attention,
    "copy_id": _copy_id,
    "copy_resume": _copy_resume,
    "copy_path": _copy_path,
    "copy_line": _copy_line,
    "copy_view": _copy_view,
    "export": _export,
    "picture": _picture,
    "wall": _wall,
    "theme": _theme,
    "palette": _palette,
    "help": _help,
    "quit": _quit,
    **acting.HANDLERS,
}
"""Action id → what it does."""
