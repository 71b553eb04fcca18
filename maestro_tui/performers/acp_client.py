"""Our side of the Agent Client Protocol: what an agent tells goes to the log, what it may do is decided here."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from acp.exceptions import RequestError
from acp.meta import CLIENT_METHODS
from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    PermissionOption,
    RequestPermissionRequest,
    SessionNotification,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
    UsageUpdate,
)
from pydantic import ValidationError

from maestro_tui.model.context import Usage
from maestro_tui.model.text import clean
from maestro_tui.performers.port import Port

Permission = Literal["ask", "allow", "deny"]

TEXT_LIMIT = 1_000_000
"""Characters of the agent's text that are kept as output; the log has all of it."""
LOOKING = frozenset(["read", "search", "think", "fetch"])
"""Kinds of tool calls that change nothing."""
_REFUSE = "Refuse"
_DIFF_LINES = 40
_RAW_LIMIT = 1_200


class AgentClient:
    """Answers one agent's requests and takes its updates; handed to the connection as its handler."""

    def __init__(
        self,
        port: Port,
        workspace: Path,
        *,
        permission: Permission,
        ask_timeout: float | None,
        look_only: bool,
    ) -> None:
        self._workspace = workspace
        self._port, self._permission, self._ask_timeout = port, permission, ask_timeout
        self._look_only = look_only
        self._text, self._thought = _Lines(port, ""), _Lines(port, "· ")
        self._kept: list[str] = []
        self._said = 0
        """Characters, with those that are not kept."""
        self._tools: dict[str, str] = {}
        """Tool call → its title."""
        self._begun: dict[str, ToolCallStart] = {}
        """Tool calls of which only the name is known yet."""
        self._plan: dict[str, str] = {}
        self._asking: set[asyncio.Task[str]] = set()
        self._closed = False
        self.refused: list[str] = []
        """Titles of the tool calls that were not permitted."""
        self.cost_usd: float | None = None
        self.problem: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails when we cannot go on: a full disk, a fault of ours."""

    @property
    def text(self) -> str:
        """What the agent has said, without its thoughts."""
        whole = "".join(self._kept)
        left_out = self._said - len(whole)
        return whole + (f"\n… {left_out:,} more characters are in the log" if left_out else "")

    async def handle(self, method: str, params: Any, is_notification: bool) -> Any:
        """A request or notification of the agent's. Raises `RequestError` for what we do not offer."""
        try:
            if method == CLIENT_METHODS["session_update"]:
                self._update(params)
                return None
            if method == CLIENT_METHODS["session_request_permission"]:
                return await self._permit(RequestPermissionRequest.model_validate(params))
        except ValidationError as error:
            what = f"{method} of the agent cannot be read ({error.error_count()} faults); passed over"
            self._port.line(what, "err")
            if not is_notification:
                raise RequestError.invalid_params() from error
            return None
        except Exception as error:
            self.fail(error)
            if not is_notification:
                raise RequestError.internal_error() from error
            return None
        if is_notification:
            return None
        raise RequestError.method_not_found(method)

    def line(self, text: str, stream: Literal["out", "err"]) -> None:
        """What the agent wrote beside the protocol."""
        try:
            self._port.line(text, stream)
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Let the turn end with this error."""
        if not self.problem.done():
            self.problem.set_exception(error)

    def close(self) -> None:
        """The turn is over: nobody waits for answers any more, and what was said without a line break is told."""
        self._closed = True
        for task in self._asking:
            task.cancel()
        try:
            self._text.finish()
            self._thought.finish()
            for call in list(self._begun.values()):
                self._called(call)
        except Exception as error:
            self.fail(error)

    def settle(self) -> None:
        """Nobody asks for the problem any more."""
        if self.problem.done():
            self.problem.exception()

    # ── What it tells ─────────────────────────────────────────────────────────────────────────────────────

    def _update(self, params: Any) -> None:
        update = SessionNotification.model_validate(params).update
        if not isinstance(update, AgentMessageChunk):
            self._text.finish()
        if not isinstance(update, AgentThoughtChunk):
            self._thought.finish()
        if isinstance(update, AgentMessageChunk):
            self._say(_words(update.content))
        elif isinstance(update, AgentThoughtChunk):
            self._thought.feed(_words(update.content))
        elif isinstance(update, ToolCallStart | ToolCallProgress):
            self._tool(update)
        elif isinstance(update, AgentPlanUpdate):
            for entry in update.entries:
                if self._plan.get(entry.content) != entry.status:
                    self._plan[entry.content] = entry.status
                    self._port.line(f"plan: {entry.content} ({entry.status.replace('_', ' ')})")
        elif isinstance(update, UsageUpdate) and update.cost and update.cost.currency.upper() == "USD":
            self.cost_usd = update.cost.amount
            self._port.spend(Usage(cost_usd=self.cost_usd))

    def _say(self, words: str) -> None:
        self._text.feed(words)
        self._kept.append(words[: max(0, TEXT_LIMIT - self._said)])
        self._said += len(words)

    def _tool(self, update: ToolCallStart | ToolCallProgress) -> None:
        if isinstance(update, ToolCallStart) and not update.locations and update.status in (None, "pending"):
            # Some agents begin with a bare name; the next word of this call says what it is about.
            self._begun[update.tool_call_id] = update
            return
        title = self._called(update)
        if update.status == "failed":
            said = [_words(item.content) for item in update.content or () if item.type == "content"]
            self._port.line(f"✗ {title} failed{': ' + clean(said[0], 400) if said else ''}")

    def _called(self, call: ToolCallUpdate | ToolCallStart | ToolCallProgress) -> str:
        """The title of a tool call, which is told when it is heard of for the first time."""
        begun = self._begun.pop(call.tool_call_id, None)
        known = self._tools.get(call.tool_call_id)
        title = call.title or (begun.title if begun is not None else None)
        title = clean(title, 400) if title else known or "a tool without a title"
        self._tools[call.tool_call_id] = title
        if known is None:
            kind = call.kind or (begun.kind if begun is not None else None) or "other"
            self._port.emit("tool_called", tool=title, kind=kind, paths=self._paths(call.locations))
            self._port.line(f"→ {title} ({kind})")
        return title

    def _paths(self, locations: Any) -> list[str]:
        """Where a call is at work; within the workspace as seen from there."""
        out = []
        for one in (locations or [])[:20]:
            path = one.path.removeprefix(f"{self._workspace}/")
            out.append(clean(path, 400) + (f":{one.line}" if one.line is not None else ""))
        return out

    # ── What it may do ────────────────────────────────────────────────────────────────────────────────────

    async def _permit(self, request: RequestPermissionRequest) -> dict[str, Any]:
        call = request.tool_call
        title = self._called(call)
        policy = self._permission
        if self._look_only and call.kind not in LOOKING:
            policy = "deny"
        if policy == "ask" and not self._closed:
            chosen = await self._ask(call, title, request.options)
        else:
            chosen = _of_kind(request.options, ("allow_once", "allow_always") if policy == "allow" else _NO)
            if self._closed:
                chosen = None
            allowed = chosen is not None and chosen.kind.startswith("allow")
            why = "only looking is permitted to a reviewer" if policy != self._permission else "as set"
            self._port.line(f"{'permitted' if allowed else 'refused'} ({why}): {title}")
        if chosen is None or not chosen.kind.startswith("allow"):
            self.refused.append(title)
        if chosen is None:
            return {"outcome": {"outcome": "cancelled"}}
        return {"outcome": {"outcome": "selected", "optionId": chosen.option_id}}

    async def _ask(
        self, call: ToolCallUpdate, title: str, options: Sequence[PermissionOption]
    ) -> PermissionOption | None:
        named: dict[str, PermissionOption | None] = {}
        for option in sorted(options, key=lambda one: _KINDS.index(one.kind)):
            name = option.name.strip() or option.kind.replace("_", " ")
            name = f"{name} ({option.kind.replace('_', ' ')})" if name in named else name
            named[f"{name} ({option.option_id})" if name in named else name] = option
        default = next(
            (name for kind in _NO for name, one in named.items() if one and one.kind == kind), None
        )
        if default is None:
            default = _REFUSE
            named.setdefault(default, None)
        question = _question(call, title, self._paths(call.locations))
        task = asyncio.ensure_future(self._port.ask(question, list(named), default, self._ask_timeout))
        self._asking.add(task)
        try:
            return named[await task]
        except asyncio.CancelledError:
            if not self._closed:
                raise
            return None
        finally:
            self._asking.discard(task)
            task.cancel()


_NO = ("reject_once", "reject_always")
_KINDS = ("allow_once", "allow_always", *_NO)


class _Lines:
    """Puts chunks of text together to lines for the log."""

    def __init__(self, port: Port, mark: str) -> None:
        self._port, self._mark, self._rest = port, mark, ""

    def feed(self, words: str) -> None:
        *whole, self._rest = (self._rest + words).split("\n")
        for line in whole:
            self._port.line(self._mark + line)

    def finish(self) -> None:
        if self._rest:
            rest, self._rest = self._rest, ""
            self._port.line(self._mark + rest)


def _words(content: Any) -> str:
    return str(content.text) if content.type == "text" else f"({content.type.replace('_', ' ')})"


def _of_kind(options: Sequence[PermissionOption], kinds: Sequence[str]) -> PermissionOption | None:
    """The first option of the first of these kinds that is offered."""
    return next((option for kind in kinds for option in options if option.kind == kind), None)


def _question(call: ToolCallUpdate, title: str, paths: Sequence[str]) -> str:
    """What a person needs to know to decide: what, of which kind, where, with which changes or arguments."""
    lines = [f"{title} ({call.kind or 'other'})"]
    lines += [f"in {path}" for path in paths[:8]]
    diffs = [item for item in call.content or () if item.type == "diff"]
    for diff in diffs[:4]:
        before, after = (diff.old_text or "").splitlines(), diff.new_text.splitlines()
        changed = list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=1))[2:]
        if len(diffs) > 1:
            lines.append(f"{diff.path}:")
        lines += changed[:_DIFF_LINES]
        if len(changed) > _DIFF_LINES:
            lines.append(f"… and {len(changed) - _DIFF_LINES} more lines")
    if not diffs and call.raw_input:
        raw = json.dumps(call.raw_input, ensure_ascii=False, default=str)
        lines.append(raw if len(raw) <= _RAW_LIMIT else f"{raw[:_RAW_LIMIT]} … (cut)")
    return "\n".join(lines)
