"""What the performers' tests share: a port that remembers, tasks, and small sample projects."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from maestro_tui.model.context import Usage
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.performers.port import PerformerResult, Task
from maestro_tui.performers.registry import performer_for
from maestro_tui.performers.toolbox.catalogue import CATALOGUE

_numbers = itertools.count(1)


class RememberingPort:
    """Keeps every line and event."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.spent: list[Usage] = []

    def line(self, text: str, stream: Literal["out", "err"] = "out") -> None:
        self.lines.append((stream, text))

    def emit(self, type: str, **data: Any) -> None:
        self.events.append((type, data))

    def spend(self, usage: Usage) -> None:
        self.spent.append(usage)

    async def ask(
        self, question: str, options: Sequence[str], default: str, timeout: float | None = None
    ) -> str:
        return default

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.lines)


def make_task(
    tmp_path: Path,
    persona: Persona,
    *,
    phase: str = "requirements",
    requirement: str = "The list must show 20 rows.",
    outputs: Mapping[str, Any] | None = None,
    workspace: Path | None = None,
) -> Task:
    """A task with a workspace and a fresh scratch folder outside it."""
    space = workspace or tmp_path / "workspace"
    space.mkdir(exist_ok=True)
    scratch = tmp_path / "scratch" / str(next(_numbers))
    scratch.mkdir(parents=True)
    context = {
        "session_id": "s-1",
        "phase": phase,
        "attempt": 1,
        "requirement": requirement,
        "outputs": dict(outputs or {}),
        "decisions": [],
        "artifacts": [],
    }
    return Task(
        "s-1", Phase(name=phase), 1, persona, requirement, space, scratch, context, budget=persona.budget
    )


async def use_tool(
    tmp_path: Path, name: str, port: RememberingPort | None = None, **words: Any
) -> PerformerResult:
    """Let a persona of the toolbox work, and make sure that it leaves what its catalogue entry promises."""
    tool = next(tool for tool in CATALOGUE if tool.name == name)
    task = make_task(tmp_path, Persona(name=name), phase=tool.phases[0], **words)
    result = await performer_for(task.persona).perform(task, port or RememberingPort())
    for path in tool.deliverables:
        assert (task.workspace / path).stat().st_size > 0, path
    assert all(decision.decided_by == "rules" for decision in result.decisions)
    return result


BACKEND = """
import base64, hashlib, io, os, tarfile, zipfile

def _files():
    for folder, folders, names in os.walk("src"):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                yield path, os.path.relpath(path, "src")

def build_sdist(folder, settings=None):
    name = "sample-1.2.tar.gz"
    with tarfile.open(os.path.join(folder, name), "w:gz") as tar:
        for path in ["pyproject.toml", "backend/inside.py"] + [path for path, _ in _files()]:
            tar.add(path, "sample-1.2/" + path)
    return name

def build_wheel(folder, settings=None, metadata=None):
    name = "sample-1.2-py3-none-any.whl"
    info = "sample-1.2.dist-info/"
    meta = "Metadata-Version: 2.1\\nName: sample\\nVersion: 1.2\\n" + REQUIRES
    entries = {
        info + "METADATA": meta,
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: inside\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        info + "entry_points.txt": "[console_scripts]\\nsample = sample.main:main\\n",
    }
    for path, inner in _files():
        entries[inner] = open(path).read()
    record = "".join(n + ",,\\n" for n in [*entries, info + "RECORD"])
    entries[info + "RECORD"] = record
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for inner, text in entries.items():
            wheel.writestr(inner, text)
    return name
"""


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a tree of text files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def sample_project(
    folder: Path,
    *,
    files: Mapping[str, str] | None = None,
    build_requires: str = "[]",
    dependencies: str = "[]",
) -> Path:
    """A small project with a build backend of its own that needs nothing from an index."""
    requires = "".join(
        f"Requires-Dist: {part.strip()}\\n"
        for part in dependencies.strip("[]").replace('"', "").split(",")
        if part
    )
    return write_files(
        folder,
        {
            "pyproject.toml": (
                "[build-system]\n"
                f"requires = {build_requires}\n"
                'build-backend = "inside"\nbackend-path = ["backend"]\n'
                '[project]\nname = "sample"\nversion = "1.2"\nrequires-python = ">=3.8"\n'
                f"dependencies = {dependencies}\n"
                '[project.scripts]\nsample = "sample.main:main"\n'
            ),
            "backend/inside.py": f"REQUIRES = '{requires}'\n" + BACKEND,
            "src/sample/__init__.py": '"""Adds numbers."""\nfrom sample.sums import add\n',
            "src/sample/sums.py": "def add(a, b):\n    return a + b  # TODO: check for overflow\n",
            "src/sample/main.py": (
                "import argparse\nfrom sample.sums import add\n"
                "def main():\n    argparse.ArgumentParser(prog='sample').parse_args()\n    print(add(1, 2))\n"
            ),
            "tests/test_sums.py": (
                "import unittest\nfrom sample import add\n\n"
                "class Sums(unittest.TestCase):\n"
                "    def test_adds(self):\n        self.assertEqual(add(1, 2), 3)\n"
                "    def test_adds_nothing(self):\n        self.assertEqual(add(0, 0), 0)\n"
            ),
            **(files or {}),
        },
    )
