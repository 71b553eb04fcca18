"""Building small projects for real, without an index."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from maestro_tui.performers.port import PerformerFailed
from tests.performers.bench_fixtures import RememberingPort, sample_project, use_tool, write_files


@pytest.fixture
def space(tmp_path: Path) -> Path:
    return sample_project(tmp_path / "workspace")


def tree(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "maestro-out" not in path.parts
    }


async def test_sdist_and_wheel_are_built_in_isolation_and_the_workspace_stays_clean(
    tmp_path: Path, space: Path
) -> None:
    before = tree(space)
    result = await use_tool(
        tmp_path, "build_engineer", workspace=space, outputs={"design": {"modules": ["sample", "sample.old"]}}
    )
    assert tree(space) == before
    wheel = result.outputs["wheel"]
    path = space / wheel["path"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == wheel["sha256"]
    assert (space / result.outputs["sdist"]["path"]).is_file()
    assert result.decisions[0].choice == "isolated"
    assert result.metrics == {"modules_packed": 1.0}
    data = json.loads((space / "maestro-out/implementation/implementation.json").read_text())
    assert data["modules_gone_since_design"] == ["sample.old"]


async def test_without_an_index_it_builds_where_the_requirements_are_and_says_so(tmp_path: Path) -> None:
    space = sample_project(tmp_path / "workspace", build_requires='["packaging"]')
    result = await use_tool(tmp_path, "build_engineer", workspace=space)
    assert result.decisions[0].choice == "the interpreter that runs maestro-tui"
    assert (
        "not isolated" in result.summary and "could not be installed" in result.outputs["build_environment"]
    )


async def test_a_build_requirement_that_is_nowhere_is_a_sentence_with_what_to_do(tmp_path: Path) -> None:
    space = sample_project(tmp_path / "workspace", build_requires='["no-such-backend-zz"]')
    with pytest.raises(PerformerFailed, match=r"lacks no-such-backend-zz.*Make an index reachable") as caught:
        await use_tool(tmp_path, "build_engineer", workspace=space)
    assert caught.value.tail


async def test_a_failing_backend_is_told_with_its_last_line(tmp_path: Path, space: Path) -> None:
    backend = space / "backend/inside.py"
    backend.write_text(
        backend.read_text() + "\ndef build_wheel(*args):\n    raise SystemExit('no compiler')\n"
    )
    with pytest.raises(PerformerFailed, match="build_wheel of inside ended with exit code 1: no compiler"):
        await use_tool(tmp_path, "build_engineer", workspace=space)


async def test_modules_that_are_not_in_the_wheel_are_named(tmp_path: Path, space: Path) -> None:
    backend = space / "backend/inside.py"
    backend.write_text(backend.read_text().replace('name.endswith(".py")', 'name.endswith("t__.py")'))
    result = await use_tool(tmp_path, "build_engineer", workspace=space)
    assert result.outputs["modules_not_in_wheel"] == ["sample.main", "sample.sums"]
    assert result.metrics["modules_packed"] == pytest.approx(1 / 3, abs=1e-3)


async def test_packages_of_an_earlier_attempt_do_not_stay_beside_new_ones(
    tmp_path: Path, space: Path
) -> None:
    write_files(space, {"maestro-out/implementation/dist/sample-0.9-py3-none-any.whl": "old"})
    await use_tool(tmp_path, "build_engineer", workspace=space)
    names = {path.name for path in (space / "maestro-out/implementation/dist").iterdir()}
    assert names == {"sample-1.2-py3-none-any.whl", "sample-1.2.tar.gz"}


@pytest.mark.parametrize("linked", ["maestro-out", "maestro-out/implementation"])
async def test_results_are_never_written_through_a_link(tmp_path: Path, space: Path, linked: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (space / linked).parent.mkdir(exist_ok=True)
    (space / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PerformerFailed, match="symbolic link"):
        await use_tool(tmp_path, "build_engineer", workspace=space)
    assert not list((tmp_path / "elsewhere").rglob("*.md"))


async def test_versions_from_git_tags_can_be_read_in_the_copy_and_the_repository_is_not_touched(
    tmp_path: Path, space: Path
) -> None:
    backend = space / "backend/inside.py"
    # The wheel is built from what the sdist holds, where there is no repository to ask.
    head = (
        "import os, subprocess\n"
        "if os.path.exists('.git'):\n"
        "    print('tag', subprocess.check_output(['git', 'describe', '--tags', '--dirty'], text=True))\n"
    )
    backend.write_text(head + backend.read_text())

    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *words], cwd=space, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    git("tag", "v7")
    before = {path: path.read_bytes() for path in (space / ".git").rglob("*") if path.is_file()}
    port = RememberingPort()
    await use_tool(tmp_path, "build_engineer", port, workspace=space)
    assert "tag v7" in port.text.splitlines()
    assert {path: path.read_bytes() for path in (space / ".git").rglob("*") if path.is_file()} == before


async def test_a_version_from_tags_without_a_repository_tells_the_way_out(
    tmp_path: Path, space: Path
) -> None:
    project = space / "pyproject.toml"
    project.write_text(project.read_text() + '[tool.hatch.version]\nsource = "vcs"\n')
    backend = space / "backend/inside.py"
    backend.write_text("raise LookupError('no version found')\n" + backend.read_text())
    with pytest.raises(PerformerFailed, match=r"neither \.git nor PKG-INFO"):
        await use_tool(tmp_path, "build_engineer", workspace=space)
