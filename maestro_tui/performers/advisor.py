"""Asks a model the team's own questions: what a requirement is, who works on a phase, what it must deliver."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from maestro_tui.model.context import Artifact, Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.text import clean
from maestro_tui.performers.advice import BlueprintAdvice, Classification, ContractProposal, Review
from maestro_tui.performers.llm import load_client
from maestro_tui.performers.llm_options import read_options
from maestro_tui.performers.port import Port, Task
from maestro_tui.performers.prompt import LeftOut, Prompt, build_prompt, tell_left_out

if TYPE_CHECKING:
    from pydantic_ai.models import Model

A = TypeVar("A", bound=BaseModel)

_ADVICE = (
    "You advise a team that carries out work phase by phase. Answer from what you are given; where it does not "
    "say, say that in the rationale and lower your confidence or score. Give reasons in one or two sentences."
)


@dataclass(frozen=True, slots=True)
class Advice(Generic[A]):
    """An answer, what it took, and whose it is: `decided_by` is the model's name, for the decision's record."""

    answer: A
    usage: Usage
    decided_by: str


class Advisor:
    """A model, as a persona with `performer = "llm"` names it, that is asked for advice.

    Each question is one request, with at most two corrections of form; nothing is retried and nothing is written.
    With a `port` the answer's lines, the usage and what was left out are told there. Methods raise
    `PerformerFailed`; the constructor raises `InputError` when options, key or extra are missing.
    """

    def __init__(self, persona: Persona, *, model: Model | None = None) -> None:
        if persona.performer != "llm":
            raise InputError(
                f"Persona {clean(persona.name, 80)!r} is carried out by {clean(persona.performer, 80)!r}; "
                'only one with performer = "llm" can advise. Nothing was asked.'
            )
        self._persona = persona
        self._options = read_options(persona)
        self._model = model

    @property
    def decided_by(self) -> str:
        """The model's name, as it stands in decisions."""
        return self._options.model

    async def classify(self, requirement: str, port: Port | None = None) -> Advice[Classification]:
        """What kind of work the requirement asks for, how complex it is and how much of it can go side by side."""
        return await self._ask(
            Classification,
            self._prompt("Classify this requirement.", {"Requirement": requirement}, port),
            port,
        )

    async def choose_blueprint(
        self, phase: Phase, candidates: Sequence[Persona], requirement: str = "", port: Port | None = None
    ) -> Advice[BlueprintAdvice]:
        """Which of the candidates work on the phase, and how. The names in the answer are candidates' names."""
        if not candidates:
            raise InputError(f"Phase {phase.name!r} has no candidates to choose from. Nothing was asked.")
        names = [persona.name for persona in candidates]

        def check(choice: BlueprintAdvice) -> str | None:
            unknown = [name for name in choice.personas if name not in names]
            if unknown:
                return f"{clean(unknown[0], 80)!r} is no candidate; there are {', '.join(names)}."
            return "A persona is named twice." if len(set(choice.personas)) < len(choice.personas) else None

        listed = "\n".join(f"- {one.name}: {one.description or one.instructions}" for one in candidates)
        parts = {"Phase": _described(phase), "Candidates": listed, "Requirement": requirement}
        question = (
            "Choose who works on this phase and how: sequential (one after the other), parallel (side by side, on "
            "separate files), or collaborative (a draft, comments by peers, a revision). Name no more than it needs."
        )
        return await self._ask(BlueprintAdvice, self._prompt(question, parts, port), port, check)

    async def propose_contract(
        self, phase: Phase, requirement: str = "", port: Port | None = None
    ) -> Advice[ContractProposal]:
        """What the phase must deliver, to be checked against the files that are really there."""

        parts = {"Phase": _described(phase), "Requirement": requirement}
        question = (
            "Propose the contracts of this phase: deliverables (globs relative to the workspace, like docs/*.md), the "
            "JSON schema that JSON files among them must satisfy, the persona that provides, the personas or phases "
            "that rely on it, and acceptance criteria that somebody can check."
        )
        return await self._ask(ContractProposal, self._prompt(question, parts, port), port)

    async def review(
        self,
        task: Task,
        outputs: Mapping[str, Any],
        artifacts: Sequence[Artifact] = (),
        port: Port | None = None,
    ) -> Advice[Review]:
        """An opinion of what a persona made of its task, with findings; the artifacts' text is read along."""
        own = [artifact.model_dump(mode="json") for artifact in artifacts]
        context = {**task.context, "draft": dict(outputs), "artifacts": own}
        reviewed = dataclasses.replace(task, persona=self._persona, role="comment", context=context)
        prompt = build_prompt(reviewed, limit=self._options.prompt_characters, with_files=True)
        if port is not None:
            tell_left_out(prompt, port)
        return await self._ask(Review, prompt.text, port)

    def _prompt(self, question: str, parts: Mapping[str, str], port: Port | None) -> str:
        room = self._options.prompt_characters - len(question)
        text, left_out = [question], []
        for title, body in parts.items():
            if len(body) > room:
                left_out.append(LeftOut(f"{title} (the rest)", len(body) - room, "the session's checkpoint"))
                body = f"{body[:room]}\n[{len(body) - room:,} more characters are left out]"
            if body:
                text.append(f"## {title}\n\n{body}")
            room = max(0, room - len(body))
        prompt = Prompt("\n\n".join(text), tuple(left_out))
        if port is not None:
            tell_left_out(prompt, port)
        return prompt.text

    async def _ask(
        self,
        answer: type[A],
        prompt: str,
        port: Port | None,
        check: Callable[[A], str | None] = lambda _: None,
    ) -> Advice[A]:
        await load_client()
        from maestro_tui.performers.llm_request import ask

        asked = await ask(
            self._persona,
            self._options,
            instructions="\n\n".join(filter(None, (_ADVICE, self._persona.instructions))),
            prompt=prompt,
            answer=answer,
            check=check,
            port=port,
            model=self._model,
            budget=self._persona.budget,
        )
        return Advice(asked.answer, asked.usage, self.decided_by)


def _described(phase: Phase) -> str:
    known = phase.model_dump(mode="json", include={"name", "objective", "needs", "deliverables", "threshold"})
    known["personas"] = [persona.name for persona in phase.personas]
    return json.dumps({key: value for key, value in known.items() if value}, ensure_ascii=False, indent=1)
