"""Anthropic's Messages dialect: streamed messages with text and tool_use blocks."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.model_server.server import Answer, CallTool, Refuse, Request, Say, Turn, events


class Messages:
    """Speaks `POST /v1/messages`, streaming or not."""

    def is_turn(self, request: Request) -> bool:
        """Requests with tools are turns; the agent's titles, token counts and probes have none."""
        return request.path.split("?")[0] == "/v1/messages" and bool(request.body.get("tools"))

    def answer(self, request: Request, turn: Turn) -> Answer:
        """The turn as one message."""
        if isinstance(turn, Refuse):
            kind = {401: "authentication_error", 429: "rate_limit_error"}.get(turn.status, "api_error")
            error = {"type": "error", "error": {"type": kind, "message": turn.message}}
            return Answer(json.dumps(error).encode(), status=turn.status, headers=turn.headers)
        block: dict[str, Any]
        if isinstance(turn, CallTool):
            block = {
                "type": "tool_use",
                "id": f"toolu_{uuid.uuid4().hex}",
                "name": turn.name,
                "input": dict(turn.arguments),
            }
        else:
            block = {"type": "text", "text": turn.text}
        message = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": request.body.get("model", "a-model"),
            "content": [block],
            "stop_reason": "tool_use" if isinstance(turn, CallTool) else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
        }
        if not request.body.get("stream"):
            return Answer(json.dumps(message).encode())
        return Answer(_stream(message, block), "text/event-stream")

    def aside(self, request: Request) -> Answer:
        """Token counts and side questions."""
        if request.path.split("?")[0] == "/v1/messages/count_tokens":
            return Answer(b'{"input_tokens": 10}')
        if request.path.split("?")[0] == "/v1/messages":
            return self.answer(request, Say("A short title"))
        return Answer(b"{}")


def _stream(message: dict[str, Any], block: dict[str, Any]) -> bytes:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = {**block, "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return events(
        ("message_start", {"type": "message_start", "message": begun}),
        ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": empty}),
        ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        (
            "message_delta",
            {
                "type": "message_delta",
                "delta": ending,
                "usage": {"output_tokens": usage["output_tokens"]},
            },
        ),
        ("message_stop", {"type": "message_stop"}),
    )
