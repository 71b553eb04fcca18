"""Finds the performer that carries out a persona."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Persona
from maestro_tui.performers.port import Performer
from maestro_tui.performers.toolbox.catalogue import CATALOGUE

PERFORMERS = ("toolbox", "command")


def performer_for(persona: Persona) -> Performer:
    """The performer that `persona` names. Raises `InputError` when there is no such one."""
    if persona.performer == "command":
        from maestro_tui.performers.command import CommandPerformer

        return CommandPerformer()
    if persona.performer == "toolbox":
        names = [tool.name for tool in CATALOGUE]
        if persona.name not in names:
            raise InputError(
                f"The toolbox has no persona {clean(persona.name, 80)!r}{_did_you_mean(persona.name, names)} "
                f"It has {', '.join(names)}; give any other persona a command (argv or shell)."
            )
        # The tools are imported when they are needed: listing sessions must start fast.
        from maestro_tui.performers.toolbox.performer import ToolboxPerformer

        return ToolboxPerformer()
    raise InputError(
        f"Persona {clean(persona.name, 80)!r} names the performer {clean(persona.performer, 80)!r}, which does "
        f"not exist{_did_you_mean(persona.performer, PERFORMERS)} There are {' and '.join(PERFORMERS)}."
    )


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
