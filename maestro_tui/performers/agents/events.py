"""What an agent's stream says, in one vocabulary for all agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from maestro_tui.model.context import Usage
from maestro_tui.performers.agents.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what the agent says; `whole=False` when more of the same line may follow."""

    text: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent uses a tool; `summary` names what it is used on."""

    tool: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class ToolFailed:
    """A tool gave an error back to the agent."""

    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The agent was not allowed to use a tool."""

    tool: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been spent since the agent was started, in all."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the operator should read in the log: a warning, a retry of the agent's own."""

    text: str
    trouble: Trouble | None = None
    """Set when trying again cannot help: the agent is stopped at once."""


@dataclass(frozen=True, slots=True)
class Final:
    """The agent is done. `text` is its last word, `structured` the object that it was asked for."""

    text: str | None = None
    structured: Any = None
    trouble: Trouble | None = None


AgentEvent = Text | ToolCalled | ToolFailed | Denied | Spent | Notice | Final


class StreamParser(Protocol):
    """Turns one agent's JSON lines into events. A new one is made for each run."""

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line; none for what is of no interest. Unknown records are passed over."""

    def finish(self) -> Iterable[AgentEvent]:
        """What the end of the stream itself means to this agent."""
