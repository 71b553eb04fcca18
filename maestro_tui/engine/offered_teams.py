"""Finds out which teams can be asked for on this computer, and with which command the others are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from typing import Any

from maestro_tui.engine.teams import AGENTS, TOOLBOX
from maestro_tui.model.text import clean
from maestro_tui.performers.agents.detect import FoundAgent, find_agents
from maestro_tui.performers.registry import GROUP


@dataclass(frozen=True, slots=True)
class Offered:
    """A team for `--team`, or a performer that a workflow may name."""

    name: str
    """As it is written after `--team`, or in `performer = "…"`."""
    ready: bool
    """True when what it needs is installed here; an account or a key may still be missing."""
    about: str
    version: str | None = None
    path: str | None = None
    install: str | None = None
    """The command that installs it; None when nothing is missing."""


def offered_teams(agents: Sequence[FoundAgent] | None = None) -> tuple[Offered, ...]:
    """The teams for `--team`. Asks each installed agent for its version (seconds) unless `agents` are given."""
    found = agents if agents is not None else find_agents(AGENTS)
    return (
        Offered(TOOLBOX, True, "tools, no AI, no key; works where nothing else is said"),
        *(_agent(one) for one in found),
        _extra(
            "llm:MODEL[@BASE_URL]",
            "llm",
            ("pydantic_ai", "openai"),
            "a language model of your own or a provider's",
        ),
        Offered("hive:MODULE:CLASS", True, "your Maestro Hive engine, in a process of its own"),
    )


def offered_performers() -> tuple[Offered, ...]:
    """What a workflow may name beyond the teams: agents that ask (`acp`), and performers of installed packages."""
    found = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return (
        _extra("acp", "acp", ("acp",), "agents of the Agent Client Protocol, which ask before they act"),
        *(
            Offered(
                clean(point.name, 80),
                True,
                f"from {clean(point.dist.name, 80) if point.dist is not None else 'a package'} ({clean(point.value, 120)})",
                version=clean(point.dist.version, 40) if point.dist is not None else None,
            )
            for point in found
        ),
    )


def teams_document(teams: Sequence[Offered], performers: Sequence[Offered]) -> dict[str, Any]:
    """`{teams: […], performers: […]}`, each `{name, ready, about, version, path, install}`."""
    return {"teams": [asdict(one) for one in teams], "performers": [asdict(one) for one in performers]}


def agents_sentence() -> str | None:
    """Which agents are on PATH and how one is asked for; None when there are none. None of them is started."""
    names = [one.name for one in find_agents(AGENTS, versions=False) if one.installed]
    if not names:
        return None
    return (
        f"The toolbox works. {', '.join(names)} could too, with --team {names[0]}: "
        "agents cost money and write files, so none is used unless you say so."
    )


def _agent(found: FoundAgent) -> Offered:
    return Offered(
        found.name,
        found.installed,
        "an agent: costs money and writes files",
        version=found.version,
        path=clean(found.path, 300) if found.path is not None else None,
        install=None if found.installed else found.install_command,
    )


def _extra(name: str, extra: str, modules: Sequence[str], about: str) -> Offered:
    ready = all(importlib.util.find_spec(module) is not None for module in modules)
    return Offered(name, ready, about, install=None if ready else f"pip install 'maestro-tui[{extra}]'")
