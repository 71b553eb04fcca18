"""A model on loopback that speaks Gemini's streaming API: it wants one file written, then says that it is done."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class GeminiServer:
    """Runs in a thread while it is used as a context manager; `url` is its address, `requests` what it was asked."""

    def __init__(self, path: str, content: str, words: str) -> None:
        self._call = {"name": "write_file", "args": {"file_path": path, "content": content}}
        self._words = words
        self.requests: list[dict[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append({"path": self.path, "body": body})
                self._answer(server.parts_for(self.path, body), "stream" in self.path)

            def _answer(self, parts: list[dict[str, Any]], stream: bool) -> None:
                answer = {
                    "candidates": [
                        {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
                    ],
                    "usageMetadata": {
                        "promptTokenCount": 100,
                        "candidatesTokenCount": 10,
                        "totalTokenCount": 110,
                    },
                }
                data = json.dumps(answer)
                data = f"data: {data}\r\n\r\n" if stream else data
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
                self.send_header("Content-Length", str(len(data.encode())))
                self.end_headers()
                self.wfile.write(data.encode())

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def parts_for(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """What the model says: the call first, then, when its result is in the history, the words."""
        if "countTokens" in path or not any("functionDeclarations" in tool for tool in body.get("tools", [])):
            return [{"text": "{}"}]
        parts = [part for one in body["contents"] for part in one.get("parts", [])]
        if any("functionResponse" in part for part in parts):
            return [{"text": self._words}]
        return [{"functionCall": self._call}]

    def __enter__(self) -> GeminiServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
