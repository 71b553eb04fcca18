"""OpenAI's Responses dialect: streamed output items with text and function calls."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.model_server.server import Answer, CallTool, Refuse, Request, Say, Turn, events


class Responses:
    """Speaks `POST …/responses` as a stream."""

    def is_turn(self, request: Request) -> bool:
        """Every request for a response is a turn."""
        return request.method == "POST" and request.path.split("?")[0].endswith("/responses")

    def answer(self, request: Request, turn: Turn) -> Answer:
        """The turn as one response with one output item."""
        if isinstance(turn, Refuse):
            error = {"error": {"message": turn.message, "type": "error", "code": str(turn.status)}}
            return Answer(json.dumps(error).encode(), status=turn.status, headers=turn.headers)
        item: dict[str, Any]
        if isinstance(turn, CallTool):
            item = {
                "type": "function_call",
                "id": "fc_1",
                "call_id": f"call_{uuid.uuid4().hex}",
                "name": turn.name,
                "arguments": json.dumps(dict(turn.arguments)),
                "status": "completed",
            }
        else:
            part = {"type": "output_text", "text": turn.text, "annotations": []}
            item = {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        response = {
            "id": "resp_1",
            "object": "response",
            "model": request.body.get("model"),
            "status": "completed",
            "output": [item],
            "usage": {
                "input_tokens": turn.input_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": turn.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": turn.input_tokens + turn.output_tokens,
            },
        }
        begun = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
        steps: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        steps.append({"type": "response.output_item.added", "output_index": 0, "item": item})
        if isinstance(turn, Say):
            steps.append(
                {
                    "type": "response.output_text.delta",
                    "item_id": "msg_1",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": turn.text,
                }
            )
        steps.append({"type": "response.output_item.done", "output_index": 0, "item": item})
        steps.append({"type": "response.completed", "response": response})
        numbered = [{**step, "sequence_number": number} for number, step in enumerate(steps)]
        return Answer(events(*((step["type"], step) for step in numbered)), "text/event-stream")

    def aside(self, request: Request) -> Answer:
        """The list of models, and whatever else is asked."""
        if request.path.split("?")[0].endswith("/models"):
            return Answer(b'{"object": "list", "data": [], "models": []}')
        return Answer(b"{}", status=404)
