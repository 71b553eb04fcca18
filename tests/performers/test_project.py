"""What a project says about itself is read from its files, and none of its code is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro_tui.performers.toolbox.layout import read_layout
from maestro_tui.performers.toolbox.project import LEGACY_BACKEND, read_project
from maestro_tui.performers.toolbox.source_files import list_files, python_source
from tests.performers.bench_fixtures import sample_project, use_tool, write_files


def test_pyproject_wins_and_pkg_info_fills_what_is_dynamic(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "pyproject.toml": (
                '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\nbuild-backend = "hatchling.build"\n'
                '[project]\nname = "orders"\ndynamic = ["version"]\ndependencies = ["click>=8"]\n'
                '[project.optional-dependencies]\ntest = ["pytest"]\n'
                '[dependency-groups]\nbase = ["ruff"]\ndev = ["mypy", {include-group = "base"}]\n'
                '[tool.hatch.version]\nsource = "vcs"\n'
            ),
            "PKG-INFO": "Metadata-Version: 2.1\nName: other\nVersion: 3.4\nRequires-Python: >=3.9\n",
        },
    )
    project = read_project(tmp_path)
    assert (project.name, project.version, project.requires_python) == ("orders", "3.4", ">=3.9")
    assert project.dependencies == ("click>=8",) and project.extras == {"test": ("pytest",)}
    assert project.groups["dev"] == ("mypy", "ruff")
    assert project.version_from_scm and project.has_pkg_info and project.buildable


def test_old_projects_are_read_from_setup_cfg_and_the_literals_of_setup_py(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "setup.cfg": "[metadata]\nname = old\nversion = attr: old.v\n[options]\ninstall_requires =\n    six\n    attrs>1\n",
            "setup.py": (
                "import os, setuptools\nos.mkdir('ran')\n"
                "setuptools.setup(version='0.3', python_requires='>=3.6', extras_require={'test': ['pytest']},\n"
                "    entry_points={'console_scripts': ['old = old:main']}, description=make())\n"
            ),
        },
    )
    project = read_project(tmp_path)
    assert (project.name, project.version, project.backend) == ("old", "0.3", LEGACY_BACKEND)
    assert project.dependencies == ("six", "attrs>1")
    assert project.extras == {"test": ("pytest",)} and project.scripts == {"old": "old:main"}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyproject.toml": "[project\n"}, "pyproject.toml is not valid TOML"),
        ({"setup.py": "def ("}, "setup.py cannot be parsed"),
        ({"setup.cfg": "no section"}, "setup.cfg cannot be parsed"),
    ],
)
def test_a_broken_file_is_told_and_does_not_stop_the_reading(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    assert any(words in problem for problem in read_project(write_files(tmp_path, files)).problems)


def test_groups_that_include_each_other_end(tmp_path: Path) -> None:
    text = '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}, "x"]\n'
    project = read_project(write_files(tmp_path, {"pyproject.toml": text}))
    assert project.groups["a"] == ("x",) and "include each other" in project.problems[0]


@pytest.mark.parametrize(
    ("files", "style", "modules"),
    [
        (["src/a/__init__.py", "src/a/b.py", "tests/test_a.py"], "src layout", ["a", "a.b"]),
        (
            ["a/__init__.py", "a/b.py", "tests/__init__.py", "docs/conf.py", "setup.py"],
            "flat layout",
            ["a", "a.b"],
        ),
        (["one.py", "test_one.py", "conftest.py"], "flat layout", ["one"]),
        (["src/space/inner/mod.py"], "src layout", ["space.inner.mod"]),
        (["notes.txt"], "no importable code", []),
    ],
)
def test_src_flat_and_loose_layouts_are_recognised(
    tmp_path: Path, files: list[str], style: str, modules: list[str]
) -> None:
    write_files(tmp_path, dict.fromkeys(files, ""))
    layout = read_layout(read_project(tmp_path), list_files(tmp_path))
    assert (layout.style, sorted(layout.modules)) == (style, modules)


def test_environments_checkpoints_and_our_own_output_are_no_part_of_the_project(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "a.py": "",
            "maestro-out/x.py": "",
            ".maestro/x.py": "",
            "strange-name/pyvenv.cfg": "",
            "strange-name/lib/x.py": "",
            "build/x.py": "",
            "checkpoints/s-1/x.py": "",
            "sub/build/y.py": "",
        },
    )
    found = [file.path for file in list_files(tmp_path, tmp_path / "checkpoints").files]
    assert found == ["a.py", "sub/build/y.py"]


def test_link_loops_pipes_and_odd_encodings_end_in_a_reason(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "latin.py").write_bytes(b"name = '\xe9'\n")
    (tmp_path / "declared.py").write_bytes(b"# coding: latin-1\nname = '\xe9'\n")
    assert [file.path for file in list_files(tmp_path).files] == ["declared.py", "latin.py"]
    assert python_source(tmp_path / "pipe.py")[0] is None
    assert "not in the encoding" in python_source(tmp_path / "latin.py")[1]
    assert python_source(tmp_path / "declared.py") == ("# coding: latin-1\nname = 'é'\n", "")


async def test_the_survey_counts_markers_tests_and_dependencies(tmp_path: Path) -> None:
    space = sample_project(
        tmp_path / "workspace", dependencies='["packaging>=20", "no-such-thing", "packaging<1"]'
    )
    result = await use_tool(tmp_path, "project_surveyor", workspace=space)
    project = result.outputs["project"]
    assert (project["name"], project["version"], project["layout"]) == ("sample", "1.2", "src layout")
    assert [entry["state"] for entry in project["dependencies"]] == ["met", "missing", "other version"]
    assert project["markers"] == 1 and project["tests"] == {"files": 1, "functions": 2}
    assert result.metrics == {"dependencies_met": round(1 / 3, 4)}
    assert "TODO" in (space / "maestro-out/requirements/project.md").read_text()
