"""Every action of the console, declared once: it feeds keys, key line, palette, help and the user's keymap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from maestro_tui.console import availability
from maestro_tui.console.availability import Scene


class Safety(StrEnum):
    """What an action may do to a session."""

    LOOK = "look"
    """Changes nothing on disk."""
    WORK = "work"
    """Starts work or records a decision; nothing committed is lost."""
    FILE = "file"
    """Writes a new file beside the sessions, never over one."""
    STOP = "stop"
    """Ends work that is under way."""
    LOSE = "lose"
    """Removes what cannot be brought back."""


Available = Callable[[Scene], str | None]


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `available` says, as a sentence, why it cannot be done now; None when it can."""

    id: str
    key: str
    """Key names, separated by commas; the first is the one that is shown."""
    title: str
    help: str
    group: str
    safety: Safety = Safety.LOOK
    available: Available = lambda scene: None
    rank: int = 0
    """Place in the key line, smallest first; 0 keeps it out of there."""


_KEY_WORDS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "asterisk": "*",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "full_stop": ".",
    "comma": ",",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
}


def key_words(keys: str) -> str:
    """`ctrl+p,colon` → `^p`: the first of several keys, as people read it."""
    key = keys.split(",", 1)[0].strip() or ","
    for name, sign in (("ctrl+", "^"), ("shift+", "⇧")):
        if key.startswith(name):
            return sign + key_words(key[len(name) :])
    return _KEY_WORDS.get(key, key)


ACTIONS: tuple[Action, ...] = (
    Action(
        "open",
        "enter",
        "open",
        "Open the session: on narrow screens it fills the screen.",
        "Look",
        available=availability.some_session,
        rank=1,
    ),
    Action("back", "escape", "back", "Back to the list; on the list, takes the filter away.", "Look"),
    Action(
        "resume",
        "r",
        "resume",
        "Go on at the first phase that is not committed; shows the plan first.",
        "Run",
        Safety.WORK,
        availability.resumable,
        2,
    ),
    Action(
        "phase",
        "p",
        "phase…",
        "Run one phase alone; later phases become stale, nothing is deleted.",
        "Run",
        Safety.WORK,
        availability.one_idle,
        3,
    ),
    Action(
        "rerun",
        "R",
        "rerun from…",
        "Run a phase and everything that depends on it again.",
        "Run",
        Safety.WORK,
        availability.one_idle,
        8,
    ),
    Action("new", "n", "new", "Launch a new session.", "Run", Safety.WORK, rank=4),
    Action(
        "review",
        "a",
        "review",
        "Approve, reject or push back a phase that waits for you, or answer what a running one asks.",
        "Run",
        Safety.WORK,
        availability.waiting,
        5,
    ),
    Action(
        "cancel",
        "x",
        "cancel",
        "Stop a session at once and resumably; one that another process here runs, after asking.",
        "Run",
        Safety.STOP,
        availability.running,
        6,
    ),
    Action(
        "kill",
        "X",
        "stop process",
        "End another process of yours on this computer that runs the session; it stays resumable.",
        "Run",
        Safety.STOP,
        availability.run_by_another_process,
    ),
    Action(
        "skip",
        "K",
        "skip…",
        "Record that a phase will not be done, and why; what needs it can go on.",
        "Run",
        Safety.WORK,
        availability.skippable,
    ),
    Action(
        "raise",
        "b",
        "raise budget…",
        "Allow a session more money, tokens or time, and why; then shows what resume would do.",
        "Run",
        Safety.WORK,
        availability.in_our_format,
    ),
    Action(
        "blueprint",
        "B",
        "who works…",
        "Decide who works on a phase and how; a committed result becomes stale, nothing is deleted.",
        "Run",
        Safety.WORK,
        availability.in_our_format,
    ),
    Action(
        "fork",
        "F",
        "fork…",
        "Begin a new session from any commit of this one; the old one stays as it is.",
        "Run",
        Safety.WORK,
        availability.in_our_format,
    ),
    Action(
        "doctor",
        "D",
        "doctor",
        "Who holds the session, what is damaged, what resume would do; take it over.",
        "Look",
        available=availability.in_our_format,
    ),
    Action(
        "prune",
        "P",
        "prune…",
        "Remove sessions that are over: the marked ones, or all beyond an age; lists them first.",
        "Run",
        Safety.LOSE,
    ),
    Action(
        "mark",
        "space",
        "mark",
        "Mark or unmark the session; resume and cancel act on all marked.",
        "Marks",
        available=availability.a_session,
    ),
    Action("mark_shown", "asterisk", "mark all shown", "Mark every session that the filter shows.", "Marks"),
    Action("unmark", "U", "unmark all", "Take every mark away.", "Marks", available=availability.some_mark),
    Action(
        "filter",
        "slash",
        "filter",
        "Filter as you type: words, status:failed, !phase:design, age:<2h, owner:dead.",
        "Find",
        rank=7,
    ),
    Action("sort", "s", "sort", "Sort by the next column; attention first is the beginning.", "Find"),
    Action("sort_reverse", "S", "turn the order", "Turn the order round.", "Find"),
    Action(
        "attention",
        "A",
        "attention first",
        "Back to the order that puts first what waits for you, then what failed.",
        "Find",
        available=availability.in_another_order,
        rank=1,
    ),
    Action(
        "copy_id",
        "c",
        "copy id",
        "Copy the session's id to the clipboard.",
        "Copy",
        available=availability.a_session,
    ),
    Action(
        "copy_resume",
        "C",
        "copy command",
        "Copy the command line that resumes the session.",
        "Copy",
        available=availability.a_session,
    ),
    Action(
        "copy_path",
        "ctrl+y",
        "copy path",
        "Copy the path of the log or artifact in focus, else of the session's folder.",
        "Copy",
        available=availability.a_session,
    ),
    Action("copy_line", "y", "copy line", "Copy the line under the cursor: log, list or table.", "Copy"),
    Action("copy_view", "Y", "copy view", "Copy all that the focused view shows.", "Copy"),
    Action(
        "export",
        "E",
        "export report",
        "Write the session as a Markdown report into a new file in the current folder.",
        "Copy",
        Safety.FILE,
        availability.a_session,
    ),
    Action(
        "picture",
        "ctrl+s",
        "save picture",
        "Write the screen as a new SVG file into the current folder.",
        "Copy",
        Safety.FILE,
    ),
    Action(
        "wall", "w", "wall", "All running and recent sessions as strips on one time axis.", "Look", rank=9
    ),
    Action("theme", "t", "theme", "Next theme: dark, light, the terminal's own colours.", "Console"),
    Action(
        "palette", "colon,ctrl+p", "commands", "Every action and every session by name.", "Console", rank=11
    ),
    Action("help", "question_mark,f1", "help", "All keys.", "Console", rank=12),
    Action(
        "quit",
        "q,ctrl+q",
        "quit",
        "Quit; sessions that run here are stopped resumably, after asking.",
        "Console",
        rank=13,
    ),
)


def actions_for(read_only: bool) -> tuple[Action, ...]:
    """The actions that exist; with `read_only` none that changes anything does."""
    if not read_only:
        return ACTIONS
    return tuple(action for action in ACTIONS if action.safety is Safety.LOOK)
