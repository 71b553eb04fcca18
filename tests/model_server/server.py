"""The HTTP side of the model server: loopback only, one dialect, answers taken from a script in their order."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self

BODY_LIMIT = 32_000_000
_KEPT_REQUESTS = 200


@dataclass(frozen=True, slots=True)
class Say:
    """The model answers with this text and is done."""

    text: str
    input_tokens: int = 11
    output_tokens: int = 7


@dataclass(frozen=True, slots=True)
class CallTool:
    """The model calls one of the agent's tools and waits for what it gave."""

    name: str
    arguments: Mapping[str, Any]
    input_tokens: int = 11
    output_tokens: int = 7


@dataclass(frozen=True, slots=True)
class Refuse:
    """The provider refuses: an HTTP status with its headers and message."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """The provider takes the request and never answers."""


Turn = Say | CallTool | Refuse


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """How one provider's requests are understood and its answers are written."""

    def is_turn(self, request: Request) -> bool:
        """True when the agent asks for its next step, and not for a title or a token count."""

    def answer(self, request: Request, turn: Turn) -> Answer:
        """The turn in this dialect."""

    def aside(self, request: Request) -> Answer:
        """The answer to a request that is no turn."""


def events(*pairs: tuple[str | None, Any]) -> bytes:
    """A stream of server-sent events: name (or None) and JSON data (or text as it is)."""
    out = []
    for name, data in pairs:
        head = f"event: {name}\n" if name else ""
        out.append(f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n")
    return "".join(out).encode()


class ModelServer:
    """Serves `turns` one after the other on a free loopback port; the last one is repeated when they run out."""

    def __init__(self, dialect: Dialect, turns: Sequence[Turn | Silence]) -> None:
        self._dialect = dialect
        self._turns = list(turns)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._served = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._handle(self)

            def do_GET(self) -> None:
                server._handle(self)

            def do_HEAD(self) -> None:
                server._handle(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed; `requests` has all that came."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, name="model-server", daemon=True)

    @property
    def url(self) -> str:
        """The server's address without a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def requests(self) -> list[Request]:
        """The requests so far, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def turns_served(self) -> int:
        """How many turns have been asked for."""
        with self._lock:
            return self._served

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT:
            handler.send_error(413)
            return
        raw = handler.rfile.read(length)
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        request = Request(
            handler.command,
            handler.path,
            {name.lower(): value for name, value in handler.headers.items()},
            body if isinstance(body, dict) else {"list": body},
        )
        with self._lock:
            if len(self._requests) < _KEPT_REQUESTS:
                self._requests.append(request)
            turn = None
            if self._dialect.is_turn(request):
                turn = self._turns[min(self._served, len(self._turns) - 1)]
                self._served += 1
        if isinstance(turn, Silence):
            self._closing.wait()
            handler.close_connection = True
            return
        answer = self._dialect.aside(request) if turn is None else self._dialect.answer(request, turn)
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.content_type)
        handler.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)
