"""What the launch sheet holds: choices, the command line, and sentences for what is wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from maestro_tui.console.launch_form import Form, recalled, requirement_text
from maestro_tui.model.errors import InputError
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.workflow import Workflow

FORM = Form(requirement="Make refunds idempotent", workspace="~/shop").with_workflow(sdlc())
DIAMOND = Workflow.parse(
    'name = "d"\n'
    + "".join(
        f'[[phases]]\nname = "{name}"\nneeds = {needs}\n'
        for name, needs in (("a", "[]"), ("b", '["a"]'), ("c", '["a"]'), ("d", '["b", "c"]'))
    )
)


def test_the_command_line_does_the_same() -> None:
    form = FORM.toggled("deployment").paused("design").started("implementation")
    assert shlex.split(form.command()) == [
        *("maestro-tui", "run", "Make refunds idempotent", "--workspace", "~/shop"),
        *("--phases", "requirements,design,implementation,testing"),
        *("--from", "implementation", "--pause-after", "design"),
    ]


def test_the_launch_is_what_stands_on_the_sheet() -> None:
    from dataclasses import replace

    form = replace(FORM.toggled("testing").started("design"), inputs="requirements='my req.md'")
    launch = form.launch()
    assert launch.phases == ("requirements", "design", "implementation", "deployment")
    assert (launch.start_from, launch.inputs) == ("design", {"requirements": "my req.md"})


def test_depth_and_what_comes_before_follow_the_graph() -> None:
    form = Form().with_workflow(DIAMOND)
    assert {one.name: one.depth for one in form.phases} == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert form.started("d").before() == {"a", "b", "c"}
    assert form.started("b").before() == {"a"}
    assert form.started("b").started("b").start_from is None


def test_choices_stay_when_the_workflow_is_read_again() -> None:
    form = FORM.toggled("testing").paused("design").started("design")
    assert form.with_workflow(sdlc()) == form
    assert form.with_workflow(DIAMOND).start_from is None


def test_the_last_launch_is_remembered() -> None:
    form, out, pause = recalled(FORM.toggled("testing").paused("design").remembered())
    assert (form.requirement, form.workspace, out, pause) == (
        FORM.requirement,
        "~/shop",
        ("testing",),
        ("design",),
    )
    assert form.with_workflow(sdlc(), out, pause).chosen() == (
        "requirements",
        "design",
        "implementation",
        "deployment",
    )
    assert recalled(["damaged"])[0] == Form() and recalled({"workspace": 7})[0] == Form()


@pytest.mark.parametrize(
    ("text", "words"), [("a", "write phase=FILE"), ("=x", "phase=FILE"), ("'", "cannot be read")]
)
def test_wrong_provided_files_are_told(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Form(inputs=text).provided()


def test_a_requirement_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "req.md").write_text("One.\nTwo.\n")
    assert requirement_text(f"@{tmp_path}/req.md") == "One.\nTwo.\n"
    assert requirement_text("@not a file\nbut text") == "@not a file\nbut text"


@pytest.mark.parametrize(("text", "words"), [("  ", "is empty"), ("@/nowhere.md", "There is no file")])
def test_a_wrong_requirement_is_told(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        requirement_text(text)
