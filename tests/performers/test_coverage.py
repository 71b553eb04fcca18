"""Coverage of small real projects: measured where the project declares it, with its own settings, else not."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.performers.toolbox.suite_environment import all_in_sources
from tests.performers.bench_fixtures import sample_project, use_tool, write_files

MODULE = "def used():\n    return 1\n\n\ndef unused(a):\n    if a:\n        return 2\n    return 3\n"
TEST = "from sample import used\n\n\ndef test_used():\n    assert used() == 1\n"
BY_UNITTEST = (
    "import unittest\n\nfrom sample import used\n\n\nclass One(unittest.TestCase):\n"
    "    def test_used(self):\n        self.assertEqual(used(), 1)\n"
)
GROUP = '[dependency-groups]\ntest = ["pytest", "{}"]\n'


def reported(space: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((space / "maestro-out/testing/testing.json").read_text())["coverage"]
    return found


def with_packages_of_this_python(space: Path) -> None:
    """An environment of the workspace's own in which what is installed here can be imported."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", space / ".venv"], check=True)
    [folder] = (space / ".venv" / "lib").glob("python*/site-packages")
    (folder / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")


async def test_a_project_that_declares_no_coverage_has_no_such_metric(tmp_path: Path) -> None:
    space = write_files(tmp_path / "workspace", {"sample.py": MODULE, "test_sample.py": TEST})
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0}
    assert reported(space) is None
    assert "Coverage" not in (space / "maestro-out/testing/testing.md").read_text()


@pytest.mark.parametrize("tool", ["pytest-cov", "coverage"])
async def test_coverage_among_the_test_requirements_is_measured_over_the_project_s_own_modules(
    tmp_path: Path, tool: str
) -> None:
    space = write_files(
        tmp_path / "workspace",
        {"pyproject.toml": GROUP.format(tool), "sample.py": MODULE, "test_sample.py": TEST},
    )
    before = {path.name for path in space.iterdir()}
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    # Two definitions and one body of six statements; the test file itself is not counted.
    assert result.metrics == {"tests": 1.0, "coverage": 3 / 6}
    assert "Coverage: 50.0%." in result.summary
    assert {path.name for path in space.iterdir()} == before | {"maestro-out"}
    report = (space / "maestro-out/testing/testing.md").read_text()
    assert "## Coverage" in report and "`sample.py` | 50.0%" in report


async def test_the_project_s_own_settings_count(tmp_path: Path) -> None:
    settings = (
        '[tool.coverage.run]\nsource = ["src"]\nbranch = true\nparallel = true\nomit = ["*/left_out.py"]\n'
        "[tool.coverage.report]\nfail_under = 99\n"
    )
    space = write_files(
        tmp_path / "workspace",
        {
            "pyproject.toml": settings + '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
            "src/sample.py": MODULE,
            "src/left_out.py": "x = 1\n",
            "tests/test_sample.py": TEST,
        },
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.failure is None, "a least value of the project's own is not the gate's"
    assert result.metrics == {"tests": 1.0, "coverage": 3 / 8}
    assert reported(space)["branches"] == 2
    assert [one["file"] for one in reported(space)["least"]] == ["src/sample.py"]


async def test_settings_in_coveragerc_that_name_a_folder_count_its_files(tmp_path: Path) -> None:
    space = sample_project(
        tmp_path / "workspace", files={".coveragerc": "[run]\nsource = src\n", "tests/conftest.py": ""}
    )
    with_packages_of_this_python(space)
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics["tests"] == 1.0
    assert result.metrics["coverage"] == 3 / 8
    assert reported(space)["why"] == "Measured by pytest-cov, as its settings say; .coveragerc configures it."


async def test_a_unittest_suite_is_measured_too(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace", {".coveragerc": "", "sample.py": MODULE, "tests/test_sample.py": BY_UNITTEST}
    )
    with_packages_of_this_python(space)
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.outputs["runner"] == "unittest"
    assert result.metrics == {"tests": 1.0, "coverage": 3 / 6}


async def test_a_tool_that_is_not_there_is_not_measured_with_the_reason_and_nothing_is_installed(
    tmp_path: Path,
) -> None:
    space = write_files(
        tmp_path / "workspace", {".coveragerc": "", "sample.py": MODULE, "tests/test_sample.py": BY_UNITTEST}
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", space / ".venv"], check=True)
    before = sorted((space / ".venv").rglob("*"))
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0, "coverage": None}
    report = (space / "maestro-out/testing/testing.md").read_text()
    assert (
        "not measured. .coveragerc configures it, but the workspace's own environment .venv has no" in report
    )
    assert sorted((space / ".venv").rglob("*")) == before


async def test_settings_that_coverage_cannot_take_do_not_keep_the_tests_from_running(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {".coveragerc": "[run]\nconcurrency = nonsense\n", "sample.py": MODULE, "test_sample.py": TEST},
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": 1.0, "coverage": None}
    assert result.failure is None
    assert "the tests ran without" in (space / "maestro-out/testing/testing.md").read_text()


async def test_a_suite_that_could_only_be_collected_has_measured_no_coverage(tmp_path: Path) -> None:
    space = write_files(
        tmp_path / "workspace",
        {".coveragerc": "", "sample.py": MODULE, "test_sample.py": "import no_such_module_zz\n\n" + TEST},
    )
    result = await use_tool(tmp_path, "test_engineer", workspace=space)
    assert result.metrics == {"tests": None, "coverage": None}


def test_sources_stand_in_for_an_installed_package_only_when_nothing_of_it_is_generated(
    tmp_path: Path,
) -> None:
    root = write_files(tmp_path / "src", {"pkg/__init__.py": "", "pkg/data.json": "{}"})
    made = {
        "pkg/__init__.py": True,
        "pkg/_version.py": False,
        "pkg/fast.so": False,
        "pkg-1.dist-info/METADATA": True,
    }
    for name, there in made.items():
        wheel = tmp_path / f"{Path(name).stem}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("pkg/data.json", "{}")
            archive.writestr(name, "")
        assert all_in_sources(wheel, (root,)) is there, name
