"""A program that is talked to in JSON messages, one a line, over its standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.process import (
    TAIL_LINES,
    TAIL_WIDTH,
    ProcessOutcome,
    Stream,
    run_process,
)

MESSAGE_LIMIT = 50_000_000
"""Bytes of one message."""

Message = dict[str, Any]


class Conversation:
    """Messages go in by `send` and come out by `receive`, from `start` to `close`.

    What the program writes that is no message goes to `on_line(text, stream)`, as its standard error does. Its
    whole process group is ended by `close`, as `run_process` does it.
    """

    def __init__(self, on_line: Callable[[str, Stream], None]) -> None:
        self._on_line = on_line
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._run: asyncio.Task[ProcessOutcome] | None = None
        self._pipe: _Pipe | None = None
        self._over = False
        self.heard = 0
        """How many messages came."""
        self.stray: str | None = None
        """The first line of its output that was no message."""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """The last lines that were no messages, each shortened."""

    async def start(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        """Start the program. That it could not be started is told by `outcome`."""
        reading, writing = os.pipe()
        try:
            self._pipe = await _Pipe.open(writing)
        except BaseException:
            os.close(reading)
            raise
        self._run = asyncio.create_task(self._process(argv, cwd, env, reading))
        # Begun before it can be cancelled, so that it closes its end of the pipe.
        await asyncio.sleep(0)

    async def _process(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: int
    ) -> ProcessOutcome:
        try:
            return await run_process(
                argv, cwd=cwd, env=env, on_line=self._take, line_limit=MESSAGE_LIMIT, stdin=stdin
            )
        finally:
            self._inbox.put_nowait(None)

    def _take(self, text: str, stream: Stream) -> None:
        message = _message(text) if stream == "out" else None
        if message is not None:
            self.heard += 1
            self._inbox.put_nowait(message)
        elif text.strip():
            if stream == "out":
                self.stray = self.stray or clean(text.strip(), 200)
            self.tail.append(text[:TAIL_WIDTH])
            self._on_line(text, stream)

    async def send(self, message: Message) -> None:
        """Hand a message over; nothing happens when the program has ended, which `receive` tells."""
        if self._pipe is not None and not self._over:
            await self._pipe.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message | None:
        """The next message; None when the program has ended."""
        if self._over:
            return None
        message = await self._inbox.get()
        self._over = message is None
        return message

    async def outcome(self) -> ProcessOutcome:
        """How the program ended, once it has. Raises `ProcessNotStarted`."""
        if self._run is None:
            raise RuntimeError("the conversation was not started")
        return await asyncio.shield(self._run)

    async def close(self) -> None:
        """End the program with its whole group, and wait until it has ended."""
        if self._pipe is not None:
            self._pipe.close()
        if self._run is None:
            return
        self._run.cancel()
        cancelled: asyncio.CancelledError | None = None
        while not self._run.done():
            try:
                await asyncio.wait([self._run])
            except asyncio.CancelledError as error:
                # Delivered afterwards: the group must have ended first.
                cancelled = error
        if not self._run.cancelled():
            self._run.exception()  # whoever wants to know has asked for the outcome
        if cancelled is not None:
            raise cancelled


class _Pipe(asyncio.BaseProtocol):
    """The writing end of a pipe; `write` waits while the other side does not read."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(cls, fd: int) -> _Pipe:
        file = os.fdopen(fd, "wb", buffering=0)
        try:
            _, pipe = await asyncio.get_running_loop().connect_write_pipe(cls, file)
        except BaseException:
            file.close()
            raise
        return pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._free.set()

    async def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            await self._free.wait()

    def close(self) -> None:
        if self._transport is not None:
            # What is not written yet is of no use any more.
            self._transport.abort()


def _message(text: str) -> Message | None:
    """The line as a JSON-RPC message; None when it is none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    known = "method" in message or "id" in message
    right = (
        isinstance(message.get("method", ""), str)
        and isinstance(message.get("id"), str | int | None)
        and isinstance(message.get("error"), dict | None)
    )
    return message if known and right else None
