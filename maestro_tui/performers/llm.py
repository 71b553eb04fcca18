"""Performs a persona's task by asking a language model, and writes the documents that it hands in."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

from maestro_tui.model.context import Decision
from maestro_tui.model.persona import Persona
from maestro_tui.performers.documents import DocumentRefused, write_documents
from maestro_tui.performers.llm_answers import CommentAnswer, check_work, work_answer
from maestro_tui.performers.llm_options import read_options
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.prompt import build_prompt, tell_left_out
from maestro_tui.performers.spending import tell_when_checked

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_WORK = (
    "You work in a team, phase by phase. You have no tools: you cannot run commands, and you see no file beyond "
    "those in the question. What you deliver as a file goes into `documents`, whole; it is written into the "
    "workspace for you. Facts that later phases need go into `outputs`. Choices with their reasons go into "
    "`decisions`. What you did not do or could not know, say so in `summary`; never claim that something was run."
)
_COMMENT = (
    "You review a colleague's draft. You write no files. Give each finding its severity (high, medium, low), its "
    "place and what would mend it; give none when nothing is wrong."
)


class LlmPerformer:
    """Asks the model that the persona's `options` name (`LlmOptions`); needs the extra `llm`.

    Work answers with outputs, decisions, a summary and documents, which are written into the workspace. In the
    role `comment` the result's outputs are `{"comments": [{"severity", "place", "comment"}]}`, empty when nothing
    is wrong, and nothing is written. A score that the model gives is the metric `opinion`. `model` is a pydantic-ai model that is asked
    instead of the one in the options. Raises `InputError` when the options, the key or the extra are missing.
    """

    def __init__(self, persona: Persona, *, model: Model | None = None) -> None:
        self._options = read_options(persona)
        self._model = model

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        """Ask once, with at most two corrections of form. Raises `PerformerFailed`."""
        prompt = build_prompt(task, limit=self._options.prompt_characters, with_files=True)
        tell_left_out(prompt, port)
        await load_client()
        from maestro_tui.performers.llm_request import ask

        tell_when_checked(port, task.budget, self._options.model, working=(), ended=["tokens", "cost"])
        common: dict[str, Any] = {
            "prompt": prompt.text,
            "port": port,
            "model": self._model,
            "budget": task.budget,
        }
        if task.role == "comment":
            commented = await ask(
                task.persona, self._options, instructions=_COMMENT, answer=CommentAnswer, **common
            )
            given = commented.answer
            comments = [comment.model_dump(mode="json") for comment in given.comments]
            return PerformerResult(
                outputs={"comments": comments} if comments else {},
                metrics={} if given.opinion is None else {"opinion": given.opinion},
                summary=f"{len(comments)} comment{'s' if len(comments) > 1 else ''}" if comments else "",
                usage=commented.usage,
            )
        schema = self._options.outputs_schema
        asked = await ask(
            task.persona,
            self._options,
            instructions=_WORK,
            answer=work_answer(schema),
            check=check_work(schema),
            **common,
        )
        work = asked.answer
        try:
            written = write_documents(
                work.documents, task.workspace, own_folder=task.own_folder, scratch=task.scratch
            )
        except DocumentRefused as error:
            raise PerformerFailed(f"Persona {task.persona.name!r}: {error}", usage=asked.usage) from error
        for path in written:
            port.line(f"wrote {path}")
        return PerformerResult(
            outputs=work.outputs,
            decisions=tuple(
                Decision(
                    about=choice.about,
                    choice=choice.choice,
                    rationale=choice.rationale,
                    alternatives=tuple(choice.alternatives),
                    decided_by=self._options.model,
                )
                for choice in work.decisions
            ),
            metrics={} if work.opinion is None else {"opinion": work.opinion},
            summary=work.summary,
            usage=asked.usage,
        )


async def load_client() -> None:
    """Import what asking needs in a thread: the first import takes seconds, and no loop may stand still for it."""
    await asyncio.to_thread(importlib.import_module, "maestro_tui.performers.llm_request")
