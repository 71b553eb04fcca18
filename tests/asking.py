"""A small project whose one phase is done by an ACP agent that asks before it writes; `maestro-tui` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.performers.acp.talking import AGENT, CHOICES
from tests.sessions import Project

ASK = {
    "title": "Write refunds.py",
    "kind": "edit",
    "options": CHOICES,
    "then_write": ["refunds.py", "ok = True\n"],
}


class AskingProject(Project):
    """`steps` are what the agent does in its turn; see `tests/performers/acp/agent.py`."""

    def __init__(self, folder: Path, *steps: dict[str, Any], **options: Any) -> None:
        super().__init__(folder, {})
        script = folder.parent / f"{folder.name}-script.json"
        script.write_text(json.dumps({"prompt": list(steps) or [{"ask": ASK}, {"say": "Done."}]}))
        named = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
        self.file.write_text(
            'name = "asking"\n[[phases]]\nname = "implementation"\n[[phases.personas]]\nname = "developer"\n'
            f'performer = "acp"\nargv = {json.dumps([sys.executable, str(AGENT), str(script)])}\n'
            f"options = {{ {named} }}\n"
        )

    def answers(self) -> list[str]:
        """What the agent was answered so far."""
        return (self.folder.parent / f"{self.folder.name}-script" / "answers").read_text().split()

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """`maestro-tui` in a process of its own, with its output in pipes."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> str:
        """The status of the only session in the list; empty when there is none yet."""
        listed = json.loads(self.call("list", "--json").stdout or "[]")
        return listed[0]["status"] if listed else ""
