"""Makes the persona's outputs out of an agent's last word: the object that it was asked for, or the text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from maestro_tui.performers.agents.json_lines import json_value, record_of
from maestro_tui.performers.schemas import PROBLEMS_TOLD, problems_of, validator_for

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.S)
_OPINIONS = ("opinion", "score")


class NoAnswer(Exception):
    """The answer is not the object that was asked for; `str()` is what the agent did, as the end of a sentence."""


def schema_request(schema: Mapping[str, Any]) -> str:
    """What an agent is told whose command line takes no schema."""
    return (
        "\n## The form of your answer\n\nEnd with one JSON object that fits this JSON schema, in a ```json block, "
        f"and write nothing after it:\n\n```json\n{json.dumps(schema, ensure_ascii=False, indent=1)}\n```\n"
    )


def structured_answer(structured: Any, said: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object that was asked for: handed over apart, or the last one in the text. Raises `NoAnswer`.

    It is held to `schema` here, whatever the agent's own command line has enforced.
    """
    none = "was asked for a JSON object and gave none"
    found = structured if structured is not None else _in_text(said)
    if found is None:
        raise NoAnswer(f"{none}: its last word holds no JSON object")
    if not isinstance(found, dict):
        raise NoAnswer(f"{none}: it gave {type(found).__name__} where an object was asked for")
    try:
        value: dict[str, Any] = json_value(found)
    except ValueError as error:
        raise NoAnswer(f"{none}: {error}") from error
    problems = problems_of(value, validator_for(dict(schema))) if schema is not None else []
    if problems:
        more = f" and {len(problems) - PROBLEMS_TOLD} more" if len(problems) > PROBLEMS_TOLD else ""
        raise NoAnswer(f"gave an answer that breaks its schema: {'; '.join(problems[:PROBLEMS_TOLD])}{more}")
    return value


def opinion_of(outputs: Mapping[str, Any]) -> dict[str, float | None]:
    """The score that the agent gives, as an opinion: it is nobody's measurement."""
    for name in _OPINIONS:
        value = outputs.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return {"opinion": float(value)}
    return {}


def _in_text(said: str) -> dict[str, Any] | None:
    whole = record_of(said.strip())
    if whole is not None:
        return whole
    for block in reversed(_FENCE.findall(said)):
        found = record_of(block.strip())
        if found is not None:
            return found
    return None
