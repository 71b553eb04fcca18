"""Google's generateContent dialect: streamed candidates with text and function calls."""

from __future__ import annotations

import json
from typing import Any

from tests.model_server.server import Answer, CallTool, Refuse, Request, Say, Turn, events


class Gemini:
    """Speaks `…:streamGenerateContent` and `…:generateContent`."""

    def is_turn(self, request: Request) -> bool:
        """Requests that offer tools are turns; those of the agent's own router have none."""
        return "enerateContent" in request.path and bool(request.body.get("tools"))

    def answer(self, request: Request, turn: Turn) -> Answer:
        """The turn as one candidate."""
        if isinstance(turn, Refuse):
            status = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}.get(turn.status, "INTERNAL")
            error = {"error": {"code": turn.status, "message": turn.message, "status": status}}
            return Answer(json.dumps(error).encode(), status=turn.status, headers=turn.headers)
        part: dict[str, Any]
        if isinstance(turn, CallTool):
            part = {"functionCall": {"name": turn.name, "args": dict(turn.arguments)}}
        else:
            part = {"text": turn.text}
        chunk = {
            "candidates": [
                {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
            ],
            "usageMetadata": {
                "promptTokenCount": turn.input_tokens,
                "candidatesTokenCount": turn.output_tokens,
                "totalTokenCount": turn.input_tokens + turn.output_tokens,
            },
            "modelVersion": "a-model",
        }
        if ":streamGenerateContent" in request.path:
            return Answer(events((None, chunk)), "text/event-stream")
        return Answer(json.dumps(chunk).encode())

    def aside(self, request: Request) -> Answer:
        """Token counts, and the router's question which model to use."""
        if "countTokens" in request.path:
            return Answer(b'{"totalTokens": 10}')
        if "enerateContent" in request.path:
            wanted = json.dumps({"reasoning": "short", "model_choice": "flash"})
            return self.answer(request, Say(wanted))
        return Answer(b"{}")
