"""OpenAI's chat-completions dialect as opencode speaks it: streamed deltas with text and tool calls."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.model_server.server import Answer, CallTool, Refuse, Request, Say, Turn, events


class OpencodeChat:
    """Speaks `POST …/chat/completions` as a stream."""

    def is_turn(self, request: Request) -> bool:
        """Requests that offer tools are turns; the agent's own titles have none."""
        return request.path.endswith("/chat/completions") and bool(request.body.get("tools"))

    def answer(self, request: Request, turn: Turn) -> Answer:
        """The turn as one choice."""
        if isinstance(turn, Refuse):
            error = {"error": {"message": turn.message, "type": "error", "code": turn.status}}
            return Answer(json.dumps(error).encode(), status=turn.status, headers=turn.headers)
        delta: dict[str, Any] = {"role": "assistant"}
        if isinstance(turn, CallTool):
            function = {"name": turn.name, "arguments": json.dumps(dict(turn.arguments))}
            delta["tool_calls"] = [
                {"index": 0, "id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}
            ]
        else:
            delta["content"] = turn.text
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "a-model"}
        reason = "tool_calls" if isinstance(turn, CallTool) else "stop"
        usage = {
            "prompt_tokens": turn.input_tokens,
            "completion_tokens": turn.output_tokens,
            "total_tokens": turn.input_tokens + turn.output_tokens,
        }
        stream = events(
            (None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}),
            (None, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
            (None, {**head, "choices": [], "usage": usage}),
            (None, "[DONE]"),
        )
        return Answer(stream, "text/event-stream")

    def aside(self, request: Request) -> Answer:
        """Titles and whatever else is asked."""
        if request.path.endswith("/chat/completions"):
            return self.answer(request, Say("A short title"))
        return Answer(b"{}", status=404)
