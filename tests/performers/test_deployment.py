"""Installing and smoke-testing small projects for real, without an index."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.toolbox.catalogue import CATALOGUE
from tests.performers.bench_fixtures import sample_project, use_tool, write_files


@pytest.fixture
def space(tmp_path: Path) -> Path:
    return sample_project(tmp_path / "workspace")


async def test_the_built_wheel_is_installed_cleanly_imported_and_its_scripts_run(
    tmp_path: Path, space: Path
) -> None:
    built = await use_tool(tmp_path, "build_engineer", workspace=space)
    result = await use_tool(
        tmp_path,
        "release_engineer",
        workspace=space,
        outputs={"implementation": dict(built.outputs), "testing": {"passed": 2, "total": 2}},
    )
    assert result.failure is None and result.metrics == {"smoke": 1.0}
    assert [(c["what"], c["ok"]) for c in result.outputs["checks"]] == [
        ("import sample", True),
        ("sample --help", True),
    ]
    assert "SHA-256 matches" in result.decisions[0].rationale
    manifest = json.loads((space / "maestro-out/deployment/manifest.json").read_text())
    for file in manifest["files"]:
        assert hashlib.sha256((space / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    assert built.outputs["wheel"]["path"] in [file["path"] for file in manifest["files"]]
    assert manifest["tests"]["passed"] == 2


async def test_a_wheel_that_is_not_the_one_that_was_built_is_refused(tmp_path: Path, space: Path) -> None:
    built = await use_tool(tmp_path, "build_engineer", workspace=space)
    with zipfile.ZipFile(space / built.outputs["wheel"]["path"], "a") as wheel:
        wheel.writestr("extra.py", "")
    with pytest.raises(PerformerFailed, match="is not the file that the implementation phase built"):
        await use_tool(
            tmp_path, "release_engineer", workspace=space, outputs={"implementation": dict(built.outputs)}
        )


async def test_a_package_that_breaks_on_import_fails_the_release(tmp_path: Path) -> None:
    space = sample_project(
        tmp_path / "workspace", files={"src/sample/__init__.py": "import sample.not_there\n"}
    )
    built = await use_tool(tmp_path, "build_engineer", workspace=space)
    result = await use_tool(
        tmp_path, "release_engineer", workspace=space, outputs={"implementation": dict(built.outputs)}
    )
    assert result.failure is not None and "2 of 2 smoke tests failed" in result.failure
    assert result.metrics == {"smoke": 0.0}


async def test_dependencies_that_cannot_be_installed_are_told_and_not_counted_as_passed(
    tmp_path: Path,
) -> None:
    space = sample_project(
        tmp_path / "workspace",
        dependencies='["no-such-thing-zz"]',
        files={"src/sample/__init__.py": "", "src/sample/main.py": "import no_such_thing_zz\n"},
    )
    built = await use_tool(tmp_path, "build_engineer", workspace=space)
    result = await use_tool(
        tmp_path, "release_engineer", workspace=space, outputs={"implementation": dict(built.outputs)}
    )
    assert result.outputs["installed"] == "without its dependencies"
    assert result.outputs["not_installed"] == ["no-such-thing-zz"]
    assert [check["ok"] for check in result.outputs["checks"]] == [True, None]
    assert result.failure is None and result.metrics == {"smoke": 1.0}
    assert "1 not measured" in result.summary


async def test_a_buildable_project_without_a_wheel_is_no_release(tmp_path: Path, space: Path) -> None:
    result = await use_tool(tmp_path, "release_engineer", workspace=space)
    assert result.failure is not None and "there is no wheel to install" in result.failure


@pytest.mark.parametrize("tool", [tool.name for tool in CATALOGUE if tool.name != "requirement_analyst"])
@pytest.mark.parametrize("files", [{}, {"notes.txt": "hello", "script.js": "// TODO: x\n"}])
async def test_where_there_is_no_python_project_each_tool_says_what_it_looked_for_and_measures_nothing(
    tmp_path: Path, tool: str, files: dict[str, str]
) -> None:
    (tmp_path / "workspace").mkdir()
    result = await use_tool(tmp_path, tool, workspace=write_files(tmp_path / "workspace", files))
    assert result.failure is None
    assert set(result.metrics.values()) == {None}
    assert any(words in result.summary for words in ("looked for", "found none of"))
