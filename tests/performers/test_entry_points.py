"""Performers of other packages: the README's own example works as printed, and a broken one is a sentence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.sessions import Project

README = Path(__file__).parents[2] / "README.md"


def printed(language: str) -> str:
    """The block of that language in the README's section on performers of your own."""
    section = README.read_text(encoding="utf-8").split("\n## Your own performer\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages that only this test's processes see."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def install(site: Path, code: str, pyproject: str) -> None:
    """What an installer makes of a package with one module: the module and its metadata."""
    project = tomllib.loads(pyproject)["project"]
    name = project["name"].replace("-", "_")
    (site / f"{name}.py").write_text(code)
    info = site / f"{name}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    points = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in named.items())
        for group, named in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))


def workflow(tmp_path: Path) -> Project:
    project = Project(tmp_path / "shop", {"count": []})
    project.file.write_text(
        'name = "counting"\n[[phases]]\nname = "count"\n[[phases.personas]]\nname = "counter"\n'
        'performer = "word_count"\noptions = { file = "notes.md" }\n'
    )
    (project.folder / "notes.md").write_text("three little words\n")
    return project


def test_the_readmes_example_has_at_most_20_lines_and_runs_as_printed(tmp_path: Path, site: Path) -> None:
    code, pyproject = printed("python"), printed("toml")
    assert len((code + pyproject).splitlines()) <= 20
    install(site, code, pyproject)
    project = workflow(tmp_path)
    document = project.json("run", "Count", "--session-id", "s1", "--trust", code=0)
    assert document["status"] == "completed"
    report = project.call("report", "s1").stdout
    assert "3 words" in report
    assert "notes.md: 3 words" in (project.root / "s1" / "logs" / "count.1.log").read_text()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import no_such_module_anywhere\n",
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("x = (\n", "SyntaxError"),
        ("class Other: pass\n", "has no attribute 'WordCount'"),
        ("class WordCount:\n    def __init__(self, persona): raise KeyError('file')\n", "KeyError: 'file'"),
        ("class WordCount:\n    def __init__(self, persona): pass\n", "has no method 'perform'"),
    ],
)
def test_a_broken_performer_is_told_before_anything_runs(
    tmp_path: Path, site: Path, code: str, words: str
) -> None:
    install(site, code, printed("toml"))
    refused = workflow(tmp_path).call("run", "Count", "--session-id", "s1", "--trust")
    assert refused.returncode == 2
    assert "The performer 'word_count' (word_count:WordCount)" in refused.stderr
    assert words in refused.stderr and "Nothing was run" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_package_refuses_options_in_its_own_words(tmp_path: Path, site: Path) -> None:
    code = (
        "from maestro_tui.model.errors import InputError\n"
        "class WordCount:\n    def __init__(self, persona): raise InputError('Name a file that exists.')\n"
    )
    install(site, code, printed("toml"))
    refused = workflow(tmp_path).call("run", "Count", "--session-id", "s1", "--trust")
    assert refused.returncode == 2 and "Name a file that exists." in refused.stderr
    assert "cannot be loaded" not in refused.stderr


def test_a_performer_that_breaks_while_it_works_fails_its_phase(tmp_path: Path, site: Path) -> None:
    install(site, printed("python"), printed("toml"))
    project = workflow(tmp_path)
    (project.folder / "notes.md").unlink()
    document = project.json("run", "Count", "--session-id", "s1", "--trust", code=1)
    error = document["phases"][0]["error"]
    assert "The performer of 'counter' broke: FileNotFoundError" in error
