"""An agent's own HOME: its settings and sign-in apart from the operator's."""

from __future__ import annotations

from pathlib import Path

from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed, Task

PRIVATE_HOME = "private"
_XDG = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_CACHE_HOME": ".cache",
    "XDG_STATE_HOME": ".local/state",
}
"""Folders that would else still be the operator's, where these variables are set."""


def home_variables(named: str | None, task: Task) -> dict[str, str]:
    """The variables of a home, which is made when it is not there; none for None: the operator's own.

    `named` is a folder, from the workspace where it is relative, or `private` for an empty one of this try alone.
    Raises `PerformerFailed`.
    """
    if named is None:
        return {}
    home = task.scratch / "home" if named == PRIVATE_HOME else Path(named).expanduser()
    if not home.is_absolute():
        home = task.workspace / home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PerformerFailed(
            f"The home {clean(str(home), 200)} of persona {task.persona.name!r} cannot be made: "
            f"{error.strerror}. Nothing was run.",
            retry=False,
        ) from error
    return {"HOME": str(home), **{name: str(home / part) for name, part in _XDG.items()}}
