"""Performs a toolbox persona's task: opens its bench and hands over to the tool of that name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task

Tool = Callable[[Task, Port], Awaitable[PerformerResult]]


def tools() -> dict[str, Tool]:
    """Each persona's tool."""
    return {}


class ToolboxPerformer:
    """Carries out the personas of the catalogue with tools alone: no AI, no key, and no network needed."""

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Do the persona's work. Raises `PerformerFailed` with a sentence."""
        tool = tools().get(task.persona.name)
        if tool is None:
            raise PerformerFailed(f"The toolbox has no tool for persona {task.persona.name!r}.")
        return await tool(task, port)
