"""Running the tests of small projects for real, without an index."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.registry import performer_for
from tests.performers.bench_fixtures import RememberingPort, make_task, sample_project, use_tool, write_files
from tests.performers.test_process import alive

RED = {
    "tests/test_red.py": (
        "import unittest\n\nclass Red(unittest.TestCase):\n"
        "    def test_wrong(self):\n        self.assertEqual(1, 2)\n"
        "    def test_parts(self):\n"
        "        for n in (1, 2, 3):\n            with self.subTest(n=n):\n                self.assertEqual(n, 2)\n"
        "    def test_broken(self):\n        raise RuntimeError('boom')\n"
        "    @unittest.skip('later')\n    def test_later(self):\n        pass\n"
        "    @unittest.expectedFailure\n    def test_known(self):\n        self.fail()\n"
    )
}


@pytest.fixture
def space(tmp_path: Path) -> Path:
    return sample_project(tmp_path / "workspace")


async def test_a_green_unittest_suite_is_counted(tmp_path: Path, space: Path) -> None:
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.failure is None and result.metrics == {"tests": 1.0}
    assert result.outputs["runner"] == "unittest" and result.outputs["passed"] == 2
    assert not [path for path in space.rglob("__pycache__")]


async def test_a_red_suite_fails_with_its_counts_and_names(tmp_path: Path) -> None:
    space = sample_project(tmp_path / "workspace", files=RED)
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert {key: result.outputs[key] for key in ("passed", "failed", "errors", "skipped")} == {
        "passed": 2,
        "failed": 2,
        "errors": 1,
        "skipped": 2,
    }
    assert result.metrics == {"tests": 2 / 5}
    assert result.failure is not None and "The test suite is red: 2 of 5 tests passed" in result.failure
    report = (space / "maestro-out/testing/testing.md").read_text()
    assert "`test_red.Red.test_wrong` failed: 1 != 2" in report


async def test_a_mended_project_is_tested_as_it_is_now_not_as_it_was_built(
    tmp_path: Path, space: Path
) -> None:
    sums = space / "src/sample/sums.py"
    right = sums.read_text()
    sums.write_text(right.replace("a + b", "a - b"))
    built = await use_tool(tmp_path, "build_engineer", workspace=space)
    outputs: dict[str, Any] = {"implementation": dict(built.outputs)}
    red = await use_tool(tmp_path, "test_engineer", workspace=space, outputs=outputs)
    assert red.metrics == {"tests": 0.5} and red.failure is not None
    sums.write_text(right)
    green = await use_tool(tmp_path, "test_engineer", workspace=space, outputs=outputs)
    assert green.metrics == {"tests": 1.0} and green.failure is None


async def test_pytest_runs_in_the_interpreter_that_has_it_when_nothing_can_be_installed(
    tmp_path: Path,
) -> None:
    space = sample_project(
        tmp_path / "workspace",
        files={
            "tests/test_more.py": (
                "import pytest\nfrom sample import add\n\n"
                "@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_n(n):\n    assert add(n, 0) == n\n"
                "@pytest.mark.xfail\ndef test_known():\n    assert False\n"
                "def test_wrong():\n    assert add(1, 1) == 3\n"
                "@pytest.fixture\ndef broken():\n    yield 1\n    raise RuntimeError('teardown')\n"
                "def test_teardown(broken):\n    pass\n"
            )
        },
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert "the interpreter that runs maestro-tui" in result.outputs["environment"]
    kept = {key: result.outputs[key] for key in ("runner", "passed", "failed", "errors", "skipped")}
    assert kept == {"runner": "pytest", "passed": 5, "failed": 1, "errors": 1, "skipped": 1}
    assert result.metrics == {"tests": 5 / 7} and result.failure is not None


async def test_a_checkpoint_directory_by_a_roundabout_path_is_no_hindrance(tmp_path: Path) -> None:
    # A pytest of version 9 writes nothing into a cache whose path has `..` in it, and breaks.
    space = write_files(tmp_path / "workspace", {"test_one.py": "def test_one():\n    pass\n"})
    (tmp_path / "aside").mkdir()
    port = RememberingPort()
    result = await use_tool(tmp_path / "aside" / "..", "test_engineer", port, workspace=space)
    assert result.metrics == {"tests": 1.0}
    assert f"cachedir: {tmp_path.resolve()}/scratch/" in port.text


async def test_settings_of_a_project_above_the_workspace_do_not_count(tmp_path: Path) -> None:
    write_files(tmp_path, {"pytest.ini": "[pytest]\naddopts = --no-such-option\n"})
    space = write_files(tmp_path / "workspace", {"test_one.py": "def test_one():\n    pass\n"})
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0} and result.failure is None


async def test_options_of_a_missing_plugin_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {
            "pytest.ini": "[pytest]\naddopts = --no-such-plugin=1\n",
            "test_one.py": "def test_one():\n    pass\n",
        },
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0}
    assert "addopts" in (space / "maestro-out/testing/testing.md").read_text()


async def test_tests_that_cannot_be_imported_are_a_failure_that_says_what_is_missing(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {"test_one.py": "import no_such_module_zz\n\ndef test_one():\n    pass\n"},
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": None}
    assert result.failure is not None
    assert "could not be run" in result.failure and "Missing here: no_such_module_zz" in result.failure


async def test_dependencies_that_cannot_be_had_stop_the_tests_with_every_reason(tmp_path: Path) -> None:
    space = sample_project(tmp_path / "workspace", dependencies='["no-such-thing-zz"]')
    with pytest.raises(PerformerFailed, match=r"cannot be run: .*no-such-thing-zz.*\.venv in the workspace"):
        await use_tool(tmp_path, "test_engineer", workspace=space)


async def test_the_workspaces_own_environment_is_preferred(tmp_path: Path, space: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", space / ".venv"], check=True)
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0}
    assert "the workspace's own environment .venv" in result.outputs["environment"]


async def test_the_environment_made_for_the_tests_is_used_again(tmp_path: Path, space: Path) -> None:
    await use_tool(tmp_path, "test_engineer", workspace=space)
    port = RememberingPort()
    await use_tool(tmp_path, "test_engineer", port, workspace=space)
    assert "from the cache" in port.text


async def test_cancelling_the_tests_ends_them(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {
            "test_long.py": "import os, time\n\ndef test_long():\n    os.write(1, b'%d\\n' % os.getpid())\n    time.sleep(300)\n"
        },
    )
    (space / "pytest.ini").write_text("[pytest]\naddopts = -s\n")
    reached = asyncio.Event()

    class Port(RememberingPort):
        def line(self, text: str, stream: Any = "out") -> None:
            super().line(text, stream)
            if text.split()[-1:] and text.split()[-1].isdigit():
                self.pid = int(text.split()[-1])
                reached.set()

    port = Port()
    task = make_task(tmp_path, Persona(name="test_engineer"), phase="testing", workspace=space)
    work = asyncio.create_task(performer_for(task.persona).perform(task, port))
    async with asyncio.timeout(60):
        await reached.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not alive(port.pid)
