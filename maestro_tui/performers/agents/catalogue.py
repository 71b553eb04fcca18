"""The agents on the command line that maestro-tui knows."""

from __future__ import annotations

from collections.abc import Mapping

from maestro_tui.performers.agents.agent import Agent
from maestro_tui.performers.agents.claude import CLAUDE
from maestro_tui.performers.agents.codex import CODEX
from maestro_tui.performers.agents.gemini import GEMINI
from maestro_tui.performers.agents.opencode import OPENCODE

AGENTS: Mapping[str, Agent] = {agent.name: agent for agent in (CLAUDE, CODEX, GEMINI, OPENCODE)}
