"""Finds out which agents are installed on this computer, and how the others are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.performers.agents.agent import Agent
from maestro_tui.performers.agents.catalogue import AGENTS
from maestro_tui.performers.child_environment import child_environment

VERSION_SECONDS = 10.0
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:-[0-9A-Za-z.]+)?")


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """One known agent on this computer."""

    name: str
    path: Path | None
    """Its program; None when it is not installed."""
    version: str | None
    """None when it is not installed or did not say."""
    install_command: str

    @property
    def installed(self) -> bool:
        """True when its program is on PATH."""
        return self.path is not None

    @property
    def sentence(self) -> str:
        """What there is to say about it, for a list of agents to choose from."""
        if self.path is None:
            return f"{self.name} is not installed; install it with: {self.install_command}"
        return f"{self.name} {self.version or '(version not known)'} ({self.path})"


def find_agents(names: Sequence[str] = tuple(AGENTS), *, versions: bool = True) -> tuple[FoundAgent, ...]:
    """Look for these agents on PATH. With `versions` each one found is asked, which takes up to seconds."""
    return tuple(_look(AGENTS[name], versions) for name in names)


def program_path(agent: Agent) -> Path | None:
    """Where the agent's program is; None when it is not installed."""
    found = shutil.which(agent.program)
    return Path(found) if found is not None else None


def _look(agent: Agent, versions: bool) -> FoundAgent:
    path = program_path(agent)
    version = _version(path) if versions and path is not None else None
    return FoundAgent(agent.name, path, version, agent.install_command)


def _version(path: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            env=child_environment(),
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        # It is there and cannot be asked: its version is not known.
        return None
    found = _VERSION.search(done.stdout[:4_000].decode("utf-8", "replace"))
    return found[0] if done.returncode == 0 and found is not None else None
