"""Personas find their performer, or a sentence that says which there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.sdlc import sdlc
from maestro_tui.performers.command import CommandPerformer
from maestro_tui.performers.registry import performer_for
from maestro_tui.performers.toolbox.catalogue import CATALOGUE
from maestro_tui.performers.toolbox.performer import TOOLS, ToolboxPerformer


def test_commands_and_tools_are_found() -> None:
    assert isinstance(performer_for(Persona(name="x", argv=("true",))), CommandPerformer)
    assert isinstance(performer_for(Persona(name="test_engineer")), ToolboxPerformer)


def test_every_persona_of_the_catalogue_has_a_tool_and_every_standard_phase_has_a_persona() -> None:
    assert [tool.name for tool in CATALOGUE] == list(TOOLS)
    assert {phase for tool in CATALOGUE for phase in tool.phases} == set(sdlc().names)
    assert all(tool.deliverables for tool in CATALOGUE)


@pytest.mark.parametrize(
    ("persona", "words"),
    [
        (Persona(name="test_enginer"), "did you mean 'test_engineer'"),
        (Persona(name="poet"), "The toolbox has no persona 'poet'"),
        (Persona(name="x", performer="comand"), "did you mean 'command'"),
        (Persona(name="x", performer="magic"), "There are toolbox, command, agent_cli, acp, llm and hive"),
    ],
)
def test_an_unknown_name_is_a_sentence(persona: Persona, words: str) -> None:
    with pytest.raises(InputError, match=words):
        performer_for(persona)


def test_the_registry_loads_no_tool_before_one_is_needed() -> None:
    code = (
        "import sys, maestro_tui.performers.registry\n"
        "print(sorted(n for n in sys.modules if n.startswith('maestro_tui.performers.toolbox.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['maestro_tui.performers.toolbox.catalogue']"
