"""Performs a toolbox persona's task: opens its bench and hands over to the tool of that name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from maestro_tui.model.text import encodable
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.toolbox.deployment import release
from maestro_tui.performers.toolbox.design import map_structure
from maestro_tui.performers.toolbox.implementation import build_packages
from maestro_tui.performers.toolbox.requirements import analyse
from maestro_tui.performers.toolbox.review import review_code
from maestro_tui.performers.toolbox.survey import survey
from maestro_tui.performers.toolbox.testing import run_tests

Tool = Callable[[Task, Port], Awaitable[PerformerResult]]


TOOLS: dict[str, Tool] = {
    "requirement_analyst": analyse,
    "project_surveyor": survey,
    "software_architect": map_structure,
    "build_engineer": build_packages,
    "test_engineer": run_tests,
    "code_reviewer": review_code,
    "release_engineer": release,
}
"""Each persona's tool; the catalogue describes them."""


class ToolboxPerformer:
    """Carries out the personas of the catalogue with tools alone: no AI, no key, and no network needed."""

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Do the persona's work. Raises `PerformerFailed` with a sentence."""
        tool = TOOLS.get(task.persona.name)
        if tool is None:
            raise PerformerFailed(f"The toolbox has no tool for persona {task.persona.name!r}.")
        result = await tool(task, port)
        return replace(result, outputs=_encodable(result.outputs), summary=encodable(result.summary))


def _encodable(value: Any) -> Any:
    """File names may hold bytes that are no text; they must not hinder the checkpoint."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): _encodable(part) for key, part in value.items()}
    return [_encodable(part) for part in value] if isinstance(value, list | tuple) else value
