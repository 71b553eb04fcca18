"""Performers for tests: each persona's work is a function, and every call is remembered."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from maestro_tui import TeamExecutionEngineV2, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.model.events import Event
from maestro_tui.performers.port import PerformerResult, Port, Task

Work = Callable[[Task, Port], PerformerResult | Awaitable[PerformerResult]]


class Team:
    """Persona → what it does; `calls` are (phase, persona, role) in their order."""

    def __init__(self, **work: Work) -> None:
        self.work: dict[str, Work] = work
        self.calls: list[tuple[str, str, str]] = []
        self.tasks: list[Task] = []

    def __call__(self, persona: Any) -> Team:
        return self

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        self.calls.append((task.phase.name, task.persona.name, task.role))
        self.tasks.append(task)
        done = self.work.get(task.persona.name, said)(task, port)
        return await done if inspect.isawaitable(done) else done

    @property
    def who(self) -> list[str]:
        return [persona for _, persona, _ in self.calls]


def said(task: Task, port: Port) -> PerformerResult:
    """A persona that says its name."""
    return PerformerResult(outputs={task.persona.name: "done"}, summary=f"{task.persona.name} done")


def writing(*paths: str, text: str = "") -> Work:
    """A persona that writes files and says so."""

    def work(task: Task, port: Port) -> PerformerResult:
        for path in paths:
            file = task.workspace / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text or f"{task.persona.name} {task.role} {task.attempt}\n")
        return said(task, port)

    return work


class Bench:
    """An engine over a scripted team, with its events and a clock that tests turn."""

    def __init__(self, tmp_path: Path, workflow: str, team: Team) -> None:
        self.team, self.now = team, 1_800_000_000.0
        self.stopwatch: Callable[[], float] = time.monotonic
        self.events: list[Event] = []
        self.folder = tmp_path / "work"
        self.folder.mkdir(exist_ok=True)
        self.root = tmp_path / "checkpoints"
        self.workflow = Workflow.parse(workflow)

    @property
    def engine(self) -> TeamExecutionEngineV2SplitMode:
        made = TeamExecutionEngineV2(
            performers=self.team,
            clock=lambda: self.now,
            stopwatch=lambda: self.stopwatch(),
            retry_delay_seconds=0,
        )
        return TeamExecutionEngineV2SplitMode(
            self.root, self.workflow, self.folder, team=made, on_event=self.events.append
        )

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.events if event.type == kind]
