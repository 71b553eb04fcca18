"""What the tests of the ACP performer share: a persona whose agent follows a script, and a port that answers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maestro_tui.model.persona import Persona
from maestro_tui.performers.port import PerformerResult
from maestro_tui.performers.registry import performer_for
from tests.performers.bench_fixtures import RememberingPort, make_task

AGENT = Path(__file__).with_name("agent.py")
CHOICES = [["allow_once", "Allow once"], ["allow_always", "Always"], ["reject_once", "No"]]


class AnsweringPort(RememberingPort):
    """Answers each question with the next of `answers`; without one it never answers."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, list[str], str, float | None]] = []
        self.withdrawn = 0

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        self.asked.append((question, list(options), default, timeout))
        if self.answers:
            return self.answers.pop(0)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        return default


def scripted(folder: Path, script: dict[str, Any], **persona: Any) -> Persona:
    """A persona with an agent that does what the script says."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    argv = [sys.executable, str(AGENT), str(path)]
    return Persona.model_validate({"name": "worker", "performer": "acp", "argv": argv, **persona})


async def perform(
    folder: Path,
    script: dict[str, Any] | Persona,
    port: AnsweringPort | None = None,
    role: str = "work",
    **options: Any,
) -> tuple[PerformerResult, AnsweringPort]:
    """One turn of a scripted agent in `folder / "workspace"`."""
    persona = script if isinstance(script, Persona) else scripted(folder, script, options=options)
    port = port or AnsweringPort()
    task = replace(make_task(folder, persona), role=role)  # type: ignore[arg-type]
    return await performer_for(persona).perform(task, port), port
