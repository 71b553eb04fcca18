"""Follows one run of an agent: hands its events on while they come, and keeps what is needed at the end."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from maestro_tui.model.context import Usage
from maestro_tui.model.text import clean, encodable
from maestro_tui.performers.agents.events import (
    AgentEvent,
    Denied,
    Final,
    Notice,
    Spent,
    StreamParser,
    Text,
    ToolCalled,
    ToolFailed,
)
from maestro_tui.performers.agents.json_lines import record_of
from maestro_tui.performers.agents.trouble import Trouble, trouble_from
from maestro_tui.performers.port import Port

TEXT_LIMIT = 1_000_000
"""Characters of an agent's last word that are kept; the log has all of it."""
_TAIL = 20
_SHOWN_GARBAGE = 2_000


class Transcript:
    """`parser` None means plain text: what the program prints is what it says. Paths in the `workspace` are
    shown relative to it."""

    def __init__(
        self,
        port: Port,
        parser: StreamParser | None,
        name: str,
        clock: Callable[[], float],
        workspace: Path,
    ) -> None:
        self._port = port
        self._parser = parser
        self._name = name
        self._clock = clock
        self._prefix = f"{workspace}/"
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._errors: deque[str] = deque(maxlen=_TAIL)
        self._plain: list[str] = []
        self._plain_size = 0
        self._pending = ""
        self.usage = Usage()
        self.denied: list[Denied] = []
        self.final: Final | None = None
        self.hopeless: Trouble | None = None
        """What no further try of the agent's own can mend."""
        self.over = asyncio.Event()
        """Set once there is a final event, or nothing to hope for."""
        self.heard = 0
        """How many lines have come."""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines in human words."""
        return tuple(self._tail)

    @property
    def denials(self) -> str:
        """The denied tools as the middle of a sentence."""
        counted = Counter((one.tool, one.summary) for one in self.denied)
        shown = [
            clean(f"{tool}{f' ({summary})' if summary else ''}{f' ×{times}' if times > 1 else ''}", 160)
            for (tool, summary), times in counted.items()
        ]
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        return ", ".join(shown[:5]) + more

    def trouble_in_errors(self) -> Trouble:
        """What the lines on standard error mean for another try."""
        return trouble_from(" ".join(self._errors), now=self._clock())

    def take(self, text: str, stream: Literal["out", "err"]) -> None:
        """One line of the agent's output."""
        self.heard += 1
        if stream == "err":
            self._errors.append(clean(text, 500))
            self.line(text, "err")
        elif self._parser is None:
            self._take_plain(text)
        elif text.strip():
            record = record_of(text)
            if record is None:
                # Not one of its events: a warning, or a line that was cut. Nothing is hidden.
                cut = f"… ({len(text):,} characters)" if len(text) > _SHOWN_GARBAGE else ""
                self.line(text[:_SHOWN_GARBAGE] + cut)
                return
            self._take_all(self._parser.feed(record))

    def finish(self) -> None:
        """The stream has ended."""
        if self._parser is None:
            self.final = Final("\n".join(self._plain))
        else:
            self._take_all(self._parser.finish())
        self._flush()

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        """One line for the log and the tail."""
        shown = encodable(text)
        if shown.strip():
            self._tail.append(clean(shown, 500))
        self._port.line(shown, stream)

    def _take_plain(self, text: str) -> None:
        self.line(text)
        kept = encodable(text)
        self._plain_size += len(kept) + 1
        self._plain.append(kept)
        while self._plain_size > TEXT_LIMIT and len(self._plain) > 1:
            self._plain_size -= len(self._plain.pop(0)) + 1

    def _take_all(self, events: Iterable[AgentEvent]) -> None:
        # The last word first: what is spent with it is paid for, and is no reason to throw it away.
        for event in sorted(events, key=lambda event: not isinstance(event, Final)):
            self._take(event)

    def _take(self, event: AgentEvent) -> None:
        if not isinstance(event, Text):
            self._flush()
        if isinstance(event, Text):
            self._say(event)
        elif isinstance(event, ToolCalled):
            tool, summary = self._shown(event.tool, event.summary)
            self.line(f"→ {tool} {summary}".rstrip())
            self._port.emit("tool_called", tool=tool, summary=summary)
        elif isinstance(event, ToolFailed):
            self.line(f"✗ {clean(event.tool, 80)}: {clean(event.reason, 1_000)}")
        elif isinstance(event, Denied):
            tool, summary = self._shown(event.tool, event.summary)
            self.denied.append(Denied(tool, summary))
            self.line(f"⊘ {f'{tool} {summary}'.rstrip()} was not allowed")
            self._port.emit("tool_called", tool=tool, summary=summary, denied=True)
        elif isinstance(event, Spent):
            self._spend(event.usage)
        elif isinstance(event, Notice):
            self.line(clean(event.text, 2_000), "err")
            if event.trouble is not None:
                self.hopeless = event.trouble
                self.over.set()
        else:
            self.final = self._bounded(event)
            self.over.set()

    def _shown(self, tool: str, summary: str) -> tuple[str, str]:
        return clean(tool, 80), clean(summary.replace(self._prefix, ""), 200)

    def _say(self, event: Text) -> None:
        whole = self._pending + event.text
        *lines, self._pending = whole.split("\n")
        for line in lines:
            self.line(line)
        if event.whole or len(self._pending) > TEXT_LIMIT:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, ""
            self.line(pending)

    def _spend(self, usage: Usage) -> None:
        """Only what is known replaces what was known before."""
        known = usage.model_dump(exclude_none=True)
        if known:
            self.usage = self.usage.model_copy(update=known)
            if self.final is None:
                self._port.spend(self.usage)

    def _bounded(self, final: Final) -> Final:
        text = final.text
        if text is not None and len(text) > TEXT_LIMIT:
            self.line(f"{self._name}: its last word has {len(text):,} characters; its end is kept", "err")
            text = text[-TEXT_LIMIT:]
        trouble = final.trouble
        if trouble is not None and trouble.retry_after is None:
            trouble = Trouble(
                trouble.kind, trouble.said, trouble_from(trouble.said, now=self._clock()).retry_after
            )
        return Final(text, final.structured, trouble)
