"""Makes the persona's outputs out of an agent's last word: the object that it was asked for, or the text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from maestro_tui.performers.agents.json_lines import json_value, record_of

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.S)
_OPINIONS = ("opinion", "score")


class NoAnswer(Exception):
    """There is no object where one was asked for; `str()` is the reason as the end of a sentence."""


def schema_request(schema: Mapping[str, Any]) -> str:
    """What an agent is told whose command line takes no schema."""
    return (
        "\n## The form of your answer\n\nEnd with one JSON object that fits this JSON schema, in a ```json block, "
        f"and write nothing after it:\n\n```json\n{json.dumps(schema, ensure_ascii=False, indent=1)}\n```\n"
    )


def structured_answer(structured: Any, said: str) -> dict[str, Any]:
    """The object that was asked for: handed over apart, or the last one in the text. Raises `NoAnswer`."""
    found = structured if structured is not None else _in_text(said)
    if found is None:
        raise NoAnswer("its last word holds no JSON object")
    if not isinstance(found, dict):
        raise NoAnswer(f"it gave {type(found).__name__} where an object was asked for")
    try:
        return json_value(found)  # type: ignore[no-any-return]
    except ValueError as error:
        raise NoAnswer(str(error)) from error


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
