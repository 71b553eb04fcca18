"""What maestro-tui knows about one agent on the command line: its program, its arguments, its stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maestro_tui.model.policy import Budget
from maestro_tui.performers.agents.events import StreamParser
from maestro_tui.performers.agents.options import AgentOptions
from maestro_tui.performers.spending import Figure


@dataclass(frozen=True, slots=True)
class Call:
    """What an agent is called with. The prompt itself comes on its standard input."""

    options: AgentOptions
    given: Path
    """Folder with the context, outside the workspace; the agent may read it."""
    scratch: Path
    """Private folder for files that the call itself needs."""
    environment: Mapping[str, str]
    """What the agent sees already."""
    read_only: bool = False
    """A review: the agent must not change a file."""
    budget: Budget | None = None
    key_variable: str | None = None
    """Name of the environment variable that holds the key."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """Arguments after the program's name, and environment variables on top of the allowed ones."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """One known agent."""

    name: str
    program: str
    package: str
    """Its npm package."""
    permission_modes: tuple[str, ...]
    keys: tuple[str, ...]
    """Variables in which it looks for a key, the usual one first."""
    invoke: Callable[[Call], Invocation]
    parser: Callable[[], StreamParser]
    permission_hint: str
    """What the operator may set so that the agent is allowed more."""
    tells_working: frozenset[Figure] = frozenset()
    """What it tells of its spending while it works."""
    tells_ended: frozenset[Figure] = frozenset()
    """What it tells of it when it ends."""
    takes_schema: bool = False
    """True when its command line enforces a JSON schema; else the prompt asks for one."""

    @property
    def install_command(self) -> str:
        """The command that installs it."""
        return f"npm install -g {self.package}"
