"""A loopback model server with OpenAI's chat completions: it answers from a script, faults included."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Says:
    """An answer: an object (as a tool call where the request has tools, else as JSON text) or plain text."""

    content: Mapping[str, Any] | str
    tokens: tuple[int, int] | None = (100, 20)
    """Input and output tokens; None reports no usage."""
    before: str = ""
    """Text before a tool call."""
    reasoning: str = ""
    finish: str | None = None
    cut: int | None = None
    """Characters after which an object breaks off."""
    pieces: int = 7
    """Characters of one piece of a stream."""


@dataclass(frozen=True)
class Fault:
    """A status with a body, instead of an answer."""

    status: int
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True)
class Raw:
    """A body as it is, whatever it is."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Drops:
    """Begins its answer and breaks the connection off in the middle."""

    begins: str = '{"summary": "I beg'


@dataclass(frozen=True)
class Hangs:
    """Begins its answer (or says nothing) and goes no further until the other side has gone."""

    begins: str = ""


Move = Says | Fault | Raw | Drops | Hangs


class ModelServer:
    """Plays a script, one move a request; when it is over, the last move is repeated."""

    def __init__(self, script: Sequence[Move]) -> None:
        self.script = list(script)
        self.requests: list[dict[str, Any]] = []
        """Each request: `path`, `headers` with lower-case names, and the JSON `body`."""
        self.hanging = threading.Event()
        """Set when a request hangs as it was told to."""
        self.left = threading.Event()
        """Set when the other side of a hanging request has closed its connection."""
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._stopped = threading.Event()

    @property
    def base_url(self) -> str:
        """The address for `base_url`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def take(self, request: dict[str, Any]) -> Move:
        """Remember the request; the move that answers it."""
        with self._lock:
            self.requests.append(request)
            return self.script[min(len(self.requests), len(self.script)) - 1]

    def wait_until_left(self, connection: socket.socket) -> None:
        """Stay until the other side closes the connection or the server stops."""
        self.hanging.set()
        while not self._stopped.is_set():
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                self.left.set()
                return

    @contextmanager
    def running(self) -> Iterator[ModelServer]:
        """Serve in a thread while the block runs."""
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()


@contextmanager
def model_server(*script: Move) -> Iterator[ModelServer]:
    """A server with this script, running."""
    with ModelServer(script).running() as server:
        yield server


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `requests`."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            move = server.take({"path": self.path, "headers": headers, "body": body})
            if not self.path.endswith("/chat/completions"):
                move = Fault(404, f"no such path {self.path}")
            try:
                self._play(move, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _play(self, move: Move, body: dict[str, Any]) -> None:
            if isinstance(move, Fault):
                error = {"message": move.message, "type": "error", "code": move.code}
                self._whole(move.status, json.dumps({"error": error}).encode(), move.headers)
            elif isinstance(move, Raw):
                self._whole(200, move.body, {"Content-Type": move.content_type})
            elif isinstance(move, Says) and not body.get("stream"):
                self._whole(200, json.dumps(_completion(move, body)).encode(), {})
            elif isinstance(move, Says):
                self._begin_stream()
                for chunk in _chunks(move, body):
                    self._chunk(f"data: {json.dumps(chunk)}\n\n".encode())
                self._chunk(b"data: [DONE]\n\n")
                self._chunk(b"")
            else:
                self.close_connection = True
                if move.begins or isinstance(move, Drops):
                    self._begin_stream()
                    delta = {"role": "assistant", "content": move.begins}
                    self._chunk(f"data: {json.dumps(_chunk(body, delta))}\n\n".encode())
                if isinstance(move, Hangs):
                    server.wait_until_left(self.connection)

        def _begin_stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        def _whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _tool(move: Says, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """The tool to call and its arguments, where the request has one and the answer is an object."""
    if body.get("tools") and not isinstance(move.content, str):
        return body["tools"][0]["function"]["name"], json.dumps(move.content)[: move.cut]
    return None


def _text(move: Says) -> str:
    return move.content if isinstance(move.content, str) else json.dumps(move.content)[: move.cut]


def _usage(move: Says) -> dict[str, int] | None:
    if move.tokens is None:
        return None
    given, made = move.tokens
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def _completion(move: Says, body: Mapping[str, Any]) -> dict[str, Any]:
    tool = _tool(move, body)
    message: dict[str, Any] = {"role": "assistant", "content": move.before or None if tool else _text(move)}
    if move.reasoning:
        message["reasoning"] = move.reasoning
    if tool:
        call = {"name": tool[0], "arguments": tool[1]}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    finish = move.finish or ("tool_calls" if tool else "stop")
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _usage(move),
    }


def _chunk(body: Mapping[str, Any], delta: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": [] if delta is None else [choice],
        **more,
    }


def _chunks(move: Says, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    def pieces(text: str) -> list[str]:
        return [text[at : at + move.pieces] for at in range(0, len(text), move.pieces)]

    tool = _tool(move, body)
    yield _chunk(body, {"role": "assistant", "content": ""})
    for piece in pieces(move.reasoning):
        yield _chunk(body, {"reasoning": piece})
    for piece in pieces(move.before if tool else _text(move)):
        yield _chunk(body, {"content": piece})
    if tool:
        name, arguments = tool
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        yield _chunk(body, {"tool_calls": [call]})
        for piece in pieces(arguments):
            yield _chunk(body, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield _chunk(body, {}, finish=move.finish or ("tool_calls" if tool else "stop"))
    if move.tokens is not None and (body.get("stream_options") or {}).get("include_usage"):
        yield _chunk(body, None, usage=_usage(move))
