"""A tool's workbench: where it writes, how it runs child processes, and how long work stays off the event loop."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from maestro_tui.model.text import clean, encodable
from maestro_tui.model.workflow import ALIASES
from maestro_tui.performers.child_environment import child_environment
from maestro_tui.performers.port import PerformerFailed, Port, Task
from maestro_tui.performers.process import ProcessNotStarted, ProcessOutcome, Stream, run_process
from maestro_tui.performers.toolbox.catalogue import OUT_FOLDER
from maestro_tui.store.redaction import secrets_of

T = TypeVar("T")

_DROPPED = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHASHSEED")
"""They describe maestro-tui's own surroundings, not the project's."""


class Bench:
    """Belongs to one task. `kind` is the standard phase that the tool belongs to; it names the folder."""

    def __init__(self, task: Task, port: Port, kind: str) -> None:
        self.task = task
        self.workspace = task.workspace
        self.scratch = task.scratch
        self.kind = kind
        self.stop = threading.Event()
        self._port = port

    @property
    def folder(self) -> str:
        """Where this tool's files go, relative to the workspace."""
        return f"{OUT_FOLDER}/{self.kind}"

    def earlier(self, phase: str, key: str) -> Mapping[str, Any]:
        """The outputs of an earlier phase that hold `key`; empty when there are none.

        The standard phase of that name comes first, then one under its alias, then any other that has the key.
        """
        outputs = self.task.context.get("outputs")
        named = dict(outputs) if isinstance(outputs, Mapping) else {}
        holding = [name for name, found in named.items() if isinstance(found, Mapping) and key in found]
        rank = {name: (name != phase, ALIASES.get(name) != phase) for name in holding}
        best = min(holding, key=rank.__getitem__, default=None)
        return named[best] if best is not None else {}

    def say(self, text: str) -> None:
        """A line for the phase's log."""
        self._port.line(text)

    async def off_loop(self, work: Callable[..., T], *args: Any) -> T:
        """Do blocking work in a thread; when cancelled, `stop` tells it to end."""
        try:
            return await asyncio.to_thread(work, *args)
        except asyncio.CancelledError:
            self.stop.set()
            raise

    async def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        values: Mapping[str, str] | None = None,
        timeout: float | None = None,
        quiet: bool = False,
        installs: bool = False,
        listen: Callable[[str, Stream], None] | None = None,
    ) -> ProcessOutcome:
        """Run a child process; its output goes to the log unless `quiet`. One that `installs` is given the keys to
        the package index. Raises `PerformerFailed`."""

        def on_line(text: str, stream: Stream) -> None:
            if not quiet:
                self._port.line(text, stream)
            if listen is not None:
                listen(text, stream)

        try:
            return await run_process(
                [str(word) for word in argv],
                cwd=cwd or self.scratch,
                env=self.environment(values, installs=installs),
                on_line=on_line,
                timeout=timeout,
            )
        except ProcessNotStarted as error:
            raise PerformerFailed(str(error)) from error

    def environment(
        self, values: Mapping[str, str] | None = None, *, installs: bool = False
    ) -> dict[str, str]:
        """What the toolbox's children see: the allowed variables, those of pip, and the persona's own.

        The project's own code, its tests and its build, sees none that hold a password or a token.
        """
        names = {
            name
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "UV_", "SETUPTOOLS_SCM_"))
            and not name.startswith("UV_PUBLISH_")
            and (installs or not any(secrets_of(name, value)))
        }
        env = child_environment({*names, *self.task.persona.env})
        for name in _DROPPED:
            if name not in self.task.persona.env:
                env.pop(name, None)
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        env["GIT_OPTIONAL_LOCKS"] = "0"
        env.update(values or {})
        return env

    def out_dir(self, *parts: str) -> Path:
        """The tool's folder in the workspace, made when needed; never through a link that somebody laid."""
        path = self.workspace
        for part in (*self.folder.split("/"), *parts):
            path = path / part
            try:
                path.mkdir(exist_ok=True)
            except OSError as error:
                raise PerformerFailed(
                    f"Cannot make the folder {clean(str(path), 200)} for the results: {error.strerror}."
                ) from error
            if path.is_symlink():
                raise PerformerFailed(
                    f"{clean(str(path), 200)} is a symbolic link; results are not written through links. "
                    "Remove the link, then resume."
                )
        return path

    def write(self, name: str, content: str | bytes) -> str:
        """Put a file into the tool's folder, whole or not at all; its path relative to the workspace."""
        data = encodable(content).encode("utf-8") if isinstance(content, str) else content
        folder = self.out_dir()
        target, temporary = folder / name, folder / f".{name}.{secrets.token_hex(4)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise PerformerFailed(f"Cannot write {clean(str(target), 200)}: {error.strerror}.") from error
        return f"{self.folder}/{name}"

    def write_json(self, name: str, data: Mapping[str, Any]) -> str:
        """Put data into the tool's folder as JSON; its path relative to the workspace."""
        return self.write(name, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
