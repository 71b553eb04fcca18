"""Agents that maestro-tui does not know: a program of the operator's own, speaking plain text or a few JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Usage
from maestro_tui.model.text import encodable
from maestro_tui.performers.agents.events import AgentEvent, Denied, Final, Spent, Text, ToolCalled
from maestro_tui.performers.agents.json_lines import count, money, summary_of, text
from maestro_tui.performers.agents.trouble import trouble_from

PROMPT = "{prompt}"
PROMPT_FILE = "{prompt_file}"
WORD_LIMIT = 120_000
"""Bytes that one argument may hold on every system."""


def filled(argv: Sequence[str], prompt: str, prompt_file: Path) -> list[str]:
    """The words with the prompt, or the path of the file that holds it, in place."""
    return [
        encodable(word.replace(PROMPT_FILE, str(prompt_file)).replace(PROMPT, prompt.replace("\0", "�")))
        for word in argv
    ]


class NdjsonStream:
    """`{"type": "text" | "tool" | "usage" | "denied" | "final", …}`, one object a line.

    `text` has `text`; `tool` and `denied` have `tool` and `summary`; `usage` has what was spent so far in all,
    `input_tokens`, `output_tokens`, `cost_usd`; `final` has `text`, `outputs`, and `error` when it failed.
    """

    def feed(self, record: Mapping[str, Any]) -> Iterable[AgentEvent]:
        """The events of one line."""
        kind = text(record, "type")
        summary = summary_of(text(record, "summary"))
        if kind == "text":
            yield Text(text(record, "text"))
        elif kind == "tool":
            yield ToolCalled(text(record, "tool") or "tool", summary)
        elif kind == "denied":
            yield Denied(text(record, "tool") or "tool", summary)
        elif kind == "usage":
            yield Spent(
                Usage(
                    input_tokens=count(record, "input_tokens"),
                    output_tokens=count(record, "output_tokens"),
                    cost_usd=money(record, "cost_usd"),
                )
            )
        elif kind == "final":
            error = text(record, "error")
            yield Final(text(record, "text"), record.get("outputs"), trouble_from(error) if error else None)

    def finish(self) -> Iterable[AgentEvent]:
        """The end of the stream means nothing by itself: a run without `final` was cut off."""
        return ()
