"""Finds the performer that carries out a persona: one of ours, or one that an installed package offers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from maestro_tui.model.defined import did_you_mean
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.port import Performer
from maestro_tui.performers.toolbox.catalogue import CATALOGUE

GROUP = "maestro_tui.performers"
"""Entry-point group: a name, and a callable that takes a `Persona` and returns a `Performer`."""

_BUILT_IN: Mapping[str, str] = {
    "agent_cli": "maestro_tui.performers.agent_cli:AgentCliPerformer",
    "acp": "maestro_tui.performers.acp:AcpPerformer",
    "llm": "maestro_tui.performers.llm:LlmPerformer",
    "hive": "maestro_tui.performers.hive:HivePerformer",
}
"""Imported when they are needed: listing sessions must start fast, and extras may be missing."""


def performer_for(persona: Persona) -> Performer:
    """The performer that `persona` names, its options checked. Raises `InputError` when there is no such one."""
    if persona.performer == "command":
        from maestro_tui.performers.command import CommandPerformer

        return CommandPerformer()
    if persona.performer == "toolbox":
        names = [tool.name for tool in CATALOGUE]
        if persona.name not in names:
            raise InputError(
                f"The toolbox has no persona {clean(persona.name, 80)!r}{did_you_mean(persona.name, names)} "
                f"It has {', '.join(names)}; give any other persona a command (argv or shell)."
            )
        from maestro_tui.performers.toolbox.performer import ToolboxPerformer

        return ToolboxPerformer()
    if persona.performer in _BUILT_IN:
        module, _, name = _BUILT_IN[persona.performer].partition(":")
        return cast(Performer, getattr(importlib.import_module(module), name)(persona))
    return _from_entry_point(persona)


def _from_entry_point(persona: Persona) -> Performer:
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if persona.performer not in offered:
        names = ("toolbox", "command", *_BUILT_IN, *offered)
        raise InputError(
            f"Persona {clean(persona.name, 80)!r} names the performer {clean(persona.performer, 80)!r}, which does "
            f"not exist{did_you_mean(persona.performer, names)} There are {', '.join(names[:-1])} and {names[-1]}; "
            f"a package may offer others as entry points of the group {GROUP!r}."
        )
    return _loaded(offered[persona.performer], persona)


def _loaded(point: EntryPoint, persona: Persona) -> Performer:
    try:
        made = point.load()(persona)
    except InputError:
        raise
    except Exception as error:
        # Whatever a stranger's module does wrong, it is this one persona that cannot be carried out.
        raise InputError(
            f"The performer {clean(point.name, 80)!r} ({clean(point.value, 120)}) cannot be loaded: "
            f"{type(error).__name__}: {clean(error, 300)}. Nothing was run."
        ) from error
    if not callable(getattr(made, "perform", None)):
        raise InputError(
            f"The performer {clean(point.name, 80)!r} ({clean(point.value, 120)}) has no method 'perform'. "
            "Nothing was run."
        )
    return cast(Performer, made)
