"""What a model is to answer: a piece of work, or comments on a colleague's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from maestro_tui.model.text import clean
from maestro_tui.performers.documents import Document, problem_with
from maestro_tui.performers.schemas import problems_of, validator_for

Severity = Literal["high", "medium", "low"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Choice(_Answer):
    """A decision that was taken on the way."""

    about: str
    choice: str
    rationale: str = ""
    alternatives: list[str] = []


class WorkAnswer(_Answer):
    """Hand in your work."""

    summary: str = Field(description="What was done, in one to three sentences.")
    outputs: dict[str, Any] = Field(
        default_factory=dict, description="Facts that later phases need, as JSON values by name."
    )
    documents: list[Document] = Field(default=[], description="Every file that you deliver, whole.")
    decisions: list[Choice] = Field(default=[], description="Choices that you made, with your reasons.")
    opinion: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Your own opinion of the work, 0 to 1; leave it out when unsure.",
    )


class Comment(_Answer):
    """One finding about a draft."""

    severity: Severity
    place: str = Field(description="File and section, or the output's name.")
    comment: str = Field(description="What is wrong or missing there, and what would mend it.")


class CommentAnswer(_Answer):
    """Hand in your comments; the list is empty when nothing is wrong."""

    comments: list[Comment]
    opinion: float | None = Field(default=None, ge=0, le=1, description="Your opinion of the draft, 0 to 1.")


def work_answer(schema: dict[str, Any] | None) -> type[WorkAnswer]:
    """`WorkAnswer`, with `outputs` described by a JSON schema where there is one."""
    if schema is None:
        return WorkAnswer
    described: Any = Annotated[dict[str, Any], WithJsonSchema(schema)]
    return create_model(
        "WorkAnswer", __base__=WorkAnswer, outputs=(described, ...), __doc__=WorkAnswer.__doc__
    )


def check_work(schema: dict[str, Any] | None) -> Callable[[WorkAnswer], str | None]:
    """A check of an answer: None, or what the model is told to mend."""
    validator = validator_for(schema) if schema is not None else None

    def check(answer: WorkAnswer) -> str | None:
        try:
            json.dumps(answer.outputs, allow_nan=False)
        except (ValueError, RecursionError) as error:
            return f"outputs must be plain JSON ({clean(error, 120)})."
        if validator is not None:
            problems = problems_of(answer.outputs, validator)
            if problems:
                told = [f"outputs{one.removeprefix('$')}" for one in problems[:5]]
                return f"outputs do not hold to their schema: {'; '.join(told)}."
        return problem_with(answer.documents)

    return check
