"""The whole toolbox on workspaces that nobody would make on purpose, and in workflows with other phase names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.catalogue import CATALOGUE
from tests.performers.bench_fixtures import RememberingPort, make_task, use_tool, write_files


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    space = write_files(
        tmp_path / "workspace",
        {
            "pyproject.toml": "[tool.x]\na = 1\n",
            "pkg/__init__.py": "from .loop import x\n",
            "pkg/loop.py": "from . import x\nclass A\n",
            "test_odd.py": "def test_one():\n    assert True\n",
            "line\nbreak.py": "# TODO: \x1b]52;c;AAAA\x07 \u202e\n",
            "PKG-INFO": "Name: \x1b[31mred\nVersion: 1\n\nbody",
        },
    )
    Path(os.fsdecode(os.fsencode(space) + b"/\xff\xfe.py")).write_bytes(b"x = '\xff'\n")
    (space / "test_latin.py").write_bytes(b"# TODO \xff\ndef test_x(): pass  # \xff\n")
    (space / "self").symlink_to(space)
    (space / "a").symlink_to(space / "b")
    (space / "b").symlink_to(space / "a")
    (space / "huge.py").write_bytes(b"x = 1\n" * 600_000)
    os.mkfifo(space / "pipe.py")
    closed = space / "closed"
    closed.mkdir()
    closed.chmod(0)
    return space


@pytest.mark.parametrize("tool", [tool.name for tool in CATALOGUE])
async def test_no_tool_breaks_on_a_hostile_workspace_and_its_results_can_be_stored(
    tmp_path: Path, hostile: Path, tool: str
) -> None:
    try:
        result = await use_tool(tmp_path, tool, workspace=hostile)
    except PerformerFailed as error:
        assert str(error).endswith(".")
    else:
        stored = json.dumps(
            [result.outputs, result.summary, result.failure], ensure_ascii=False, allow_nan=False
        )
        assert stored.encode("utf-8")
        assert "\x1b" not in result.summary
    for report in (hostile / "maestro-out").rglob("*.md"):
        assert not set(report.read_text(encoding="utf-8")) & {"\x1b", "\x07", "\u202e"}
    (hostile / "closed").chmod(0o700)


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ({"implementation": {"wheel": 1}, "backend_development": {"wheel": 2}}, 1),
        ({"packing": {"wheel": 3}, "backend_development": {"wheel": 2}}, 2),
        ({"packing": {"wheel": 3}, "implementation": {"other": 1}}, 3),
        ({"packing": {}, "odd": 3}, None),
    ],
)
def test_earlier_outputs_are_found_under_aliases_and_other_names(
    tmp_path: Path, outputs: dict[str, Any], found: int | None
) -> None:
    task = make_task(tmp_path, Persona(name="release_engineer"), outputs=outputs)
    bench = Bench(task, RememberingPort(), "deployment")
    assert bench.earlier("implementation", "wheel").get("wheel") == found
