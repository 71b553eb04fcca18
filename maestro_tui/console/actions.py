"""Every action of the console, declared once: it feeds keys, key line, palette, help and the user's keymap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maestro_tui.model.summary import SessionStatus, SessionSummary


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


@dataclass(frozen=True, slots=True)
class Scene:
    """What an action may depend on at the moment of the key."""

    session: SessionSummary | None = None
    marked: int = 0
    own: frozenset[str] = frozenset()
    """Ids of the sessions that run in this process."""
    sorted: bool = False
    """True when the list is in another order than attention first."""


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

    @property
    def shown_key(self) -> str:
        """The first key as people read it."""
        return key_words(self.key)


_KEY_WORDS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "asterisk": "*",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "space": "space",
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


def _one(scene: Scene) -> str | None:
    return None if scene.session is not None or scene.marked else "There is no session under the cursor."


def _pointed(scene: Scene) -> str | None:
    return None if scene.session is not None else "There is no session under the cursor."


def _idle(scene: Scene) -> str | None:
    """For what may only be done while nobody runs the session."""
    session = scene.session
    if scene.marked:
        return None
    if session is None:
        return "There is no session under the cursor."
    if session.foreign is not None:
        return f"{session.session_id} is history of {session.foreign}; it can be read, not run."
    if session.owner is not None and session.owner.alive is not False:
        return f"{session.session_id} is running ({session.owner.words()}); cancel it first, or wait."
    return None


def _resumable(scene: Scene) -> str | None:
    problem = _idle(scene)
    session = scene.session
    if problem is None and not scene.marked and session is not None:
        if session.status is SessionStatus.COMPLETED:
            return f"{session.session_id} is completed; R runs it again from a phase."
        if session.status is SessionStatus.WAITING:
            return f"{session.session_id} waits for your approval; a opens the review."
    return problem


def _single_idle(scene: Scene) -> str | None:
    if scene.session is None:
        return "There is no session under the cursor."
    return _idle(Scene(session=scene.session, own=scene.own))


def _waiting(scene: Scene) -> str | None:
    session = scene.session
    if session is None:
        return "There is no session under the cursor."
    if not any(phase.waiting or phase.asking is not None for phase in session.phases):
        return f"{session.session_id} does not wait for a decision."
    return None


def _running(scene: Scene) -> str | None:
    session = scene.session
    if scene.marked:
        return None
    if session is None:
        return "There is no session under the cursor."
    if session.session_id in scene.own:
        return None
    owner = session.owner
    if owner is None or owner.alive is False:
        return f"Nobody runs {session.session_id}; there is nothing to cancel."
    if owner.here and owner.alive:
        return None
    return (
        f"{session.session_id} is run by {owner.words()}, not by this console; "
        "stop it there (ctrl+c stops it resumably)."
    )


def _another_process(scene: Scene) -> str | None:
    session = scene.session
    if session is None:
        return "There is no session under the cursor."
    if session.session_id in scene.own:
        return f"{session.session_id} runs in this console; cancel stops it."
    owner = session.owner
    if owner is None or owner.alive is False:
        return f"Nobody runs {session.session_id}; there is no process to stop."
    if not owner.here or owner.alive is None:
        return (
            f"{session.session_id} is run by {owner.words()}; only a process of this computer can be stopped."
        )
    return None


def _own_format(scene: Scene) -> str | None:
    session = scene.session
    if session is None:
        return "There is no session under the cursor."
    if session.foreign is not None:
        return f"{session.session_id} is history of {session.foreign}; it can be read, not run."
    return None


def _skippable(scene: Scene) -> str | None:
    problem, session = _single_idle(scene), scene.session
    if problem is None and session is not None and session.status is SessionStatus.COMPLETED:
        return f"{session.session_id} is completed; there is nothing to skip."
    return problem


def _sorted(scene: Scene) -> str | None:
    return None if scene.sorted else "What needs attention stands first already."


def _marks(scene: Scene) -> str | None:
    return None if scene.marked else "No session is marked; space marks one."


ACTIONS: tuple[Action, ...] = (
    Action(
        "open",
        "enter",
        "open",
        "Open the session: on narrow screens it fills the screen.",
        "Look",
        available=_one,
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
        _resumable,
        2,
    ),
    Action(
        "phase",
        "p",
        "phase…",
        "Run one phase alone; later phases become stale, nothing is deleted.",
        "Run",
        Safety.WORK,
        _single_idle,
        3,
    ),
    Action(
        "rerun",
        "R",
        "rerun from…",
        "Run a phase and everything that depends on it again.",
        "Run",
        Safety.WORK,
        _single_idle,
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
        _waiting,
        5,
    ),
    Action(
        "cancel",
        "x",
        "cancel",
        "Stop a session at once and resumably; one that another process here runs, after asking.",
        "Run",
        Safety.STOP,
        _running,
        6,
    ),
    Action(
        "kill",
        "X",
        "stop process",
        "End another process of yours on this computer that runs the session; it stays resumable.",
        "Run",
        Safety.STOP,
        _another_process,
    ),
    Action(
        "skip",
        "K",
        "skip…",
        "Record that a phase will not be done, and why; what needs it can go on.",
        "Run",
        Safety.WORK,
        _skippable,
    ),
    Action(
        "raise",
        "b",
        "raise budget…",
        "Allow a session more money, tokens or time, and why; then shows what resume would do.",
        "Run",
        Safety.WORK,
        _single_idle,
    ),
    Action(
        "blueprint",
        "B",
        "who works…",
        "Decide who works on a phase and how; a committed result becomes stale, nothing is deleted.",
        "Run",
        Safety.WORK,
        _single_idle,
    ),
    Action(
        "fork",
        "F",
        "fork…",
        "Begin a new session from any commit of this one; the old one stays as it is.",
        "Run",
        Safety.WORK,
        _own_format,
    ),
    Action(
        "doctor",
        "D",
        "doctor",
        "Who holds the session, what is damaged, what resume would do; take it over.",
        "Look",
        available=_own_format,
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
        available=_pointed,
    ),
    Action("mark_shown", "asterisk", "mark all shown", "Mark every session that the filter shows.", "Marks"),
    Action("unmark", "U", "unmark all", "Take every mark away.", "Marks", available=_marks),
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
        available=_sorted,
        rank=1,
    ),
    Action("copy_id", "c", "copy id", "Copy the session's id to the clipboard.", "Copy", available=_pointed),
    Action(
        "copy_resume",
        "C",
        "copy command",
        "Copy the command line that resumes the session.",
        "Copy",
        available=_pointed,
    ),
    Action(
        "copy_path",
        "ctrl+y",
        "copy path",
        "Copy the path of the log or artifact in focus, else of the session's folder.",
        "Copy",
        available=_pointed,
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
        _pointed,
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


_FIRST: Mapping[SessionStatus, tuple[str, ...]] = {
    SessionStatus.WAITING: ("review",),
    SessionStatus.FAILED: ("resume", "phase", "rerun", "skip"),
    SessionStatus.INTERRUPTED: ("resume", "doctor"),
    SessionStatus.CANCELLED: ("resume", "rerun"),
    SessionStatus.PAUSED: ("resume",),
    SessionStatus.NEW: ("resume",),
    SessionStatus.RUNNING: ("cancel", "doctor"),
    SessionStatus.COMPLETED: ("rerun", "fork"),
}
"""What an operator most likely wants of a session of that status: these keys stand first."""


def _stopped_at_budget(session: SessionSummary) -> bool:
    current = session.current
    return (
        session.status is SessionStatus.PAUSED
        and current is not None
        and current.status == "pending"
        and current.error is not None
    )


def keys_for(actions: Iterable[Action], scene: Scene) -> tuple[Action, ...]:
    """The actions for the key line: those that can be done now, the likeliest for the session first."""
    first = _FIRST[scene.session.status] if scene.session is not None else ()
    if scene.session is not None and _stopped_at_budget(scene.session):
        # Until more is allowed, resume would run nothing.
        first = ("raise", *first)
    can = [one for one in actions if (one.rank or one.id in first) and one.available(scene) is None]
    can.sort(key=lambda one: (first.index(one.id) if one.id in first else len(first), one.rank))
    return tuple(can)


_OF_LIST = frozenset(["open", "new", "filter", "wall"])
Keys = Sequence[tuple[Action, str]]
"""Actions for the key line, with their keys in words."""


def keys_in_session(keys: Keys, back: str) -> Keys:
    """The key line inside a session: what it needs most, its own keys, then the others. `back` is the key to the
    list."""
    own = (
        (Action("back", "", "list", "", ""), back),
        (Action("", "", "tabs", "", ""), "1-7"),
        (Action("", "", "only the tab", "", ""), "z"),
    )
    kept = [one for one in keys if one[0].id not in _OF_LIST]
    return (*kept[:2], *own, *kept[2:])


def find(action_id: str) -> Action | None:
    """The action of that id."""
    return next((action for action in ACTIONS if action.id == action_id), None)
