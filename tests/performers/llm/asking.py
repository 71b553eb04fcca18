"""What the model tests share: personas at a loopback endpoint, and one task put to them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from maestro_tui.model.persona import Persona
from maestro_tui.performers.llm import LlmPerformer
from maestro_tui.performers.port import PerformerResult
from tests.model_server.chat_completions import ModelServer
from tests.performers.bench_fixtures import RememberingPort, make_task

WORK: dict[str, Any] = {
    "summary": "Two tables.",
    "outputs": {"tables": 2},
    "documents": [{"path": "docs/design.md", "content": '# Design\nA "quoted" word, é and 😀.\n'}],
    "decisions": [{"about": "store", "choice": "SQL", "rationale": "few rows", "alternatives": ["files"]}],
    "opinion": 0.7,
}
KEY = "sk-test-7Yq2-this-is-no-real-key"


def persona_at(
    server: ModelServer | None = None, *, words: dict[str, Any] | None = None, **options: Any
) -> Persona:
    """A designer whose model is asked at `server`; `words` are the persona's own, the rest its options."""
    at = {"base_url": server.base_url} if server is not None else {}
    return Persona.model_validate(
        {
            "name": "designer",
            "performer": "llm",
            "options": {"model": "qwen3", **at, **options},
            **(words or {}),
        }
    )


async def perform(
    tmp_path: Path, persona: Persona, port: RememberingPort | None = None, *, model: Any = None, **task: Any
) -> tuple[PerformerResult, RememberingPort]:
    """Let the persona work on a task in `tmp_path`; `task` replaces fields of it."""
    port = port or RememberingPort()
    given = dataclasses.replace(make_task(tmp_path, persona, phase="design"), **task)
    return await LlmPerformer(persona, model=model).perform(given, port), port
