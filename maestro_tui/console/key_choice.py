"""Which keys the line at the bottom shows: those that can be used now, the likeliest for the session first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from maestro_tui.console.actions import Action
from maestro_tui.console.availability import Scene
from maestro_tui.model.summary import SessionStatus

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


def keys_for(actions: Iterable[Action], scene: Scene) -> tuple[Action, ...]:
    """The actions for the key line: those that can be done now, the likeliest for the session first."""
    first = _FIRST[scene.session.status] if scene.session is not None else ()
    if scene.session is not None and scene.session.over_budget:
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
