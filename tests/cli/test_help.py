"""`--help` and the words of progress say what is so, whole, and what is to be done next."""

from __future__ import annotations

import io
from typing import Any

import pytest
from click.testing import CliRunner

from maestro_tui.cli import _SECTIONS, commands
from maestro_tui.model.events import Event
from maestro_tui.progress import Progress


def test_the_help_lists_every_command_once_with_its_whole_sentence() -> None:
    listed = [name for names in _SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(name for name, one in commands.commands.items() if not one.hidden)
    told = CliRunner().invoke(commands, ["--help"], terminal_width=80).output
    assert "..." not in told.split("Options:")[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resume", "--help"), "(default: the session's own)"),
        (("phase", "--help"), "(default: the session's own)"),
        (("run", "--help"), "(default: here)"),
        (("edit", "--help"), "SESSION PHASE [FILE|-]"),
    ],
)
def test_the_help_of_a_command_tells_its_defaults(words: tuple[str, ...], told: str) -> None:
    assert told in " ".join(CliRunner().invoke(commands, [*words]).output.split())


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (
            "session_paused",
            {"reason": "budget"},
            "‖ paused (budget) · allow more: maestro-tui raise s (--help), then go on: maestro-tui resume s\n",
        ),
        (
            "session_paused",
            {"reason": "asked phases are done"},
            "✓ what was asked for is done · go on: maestro-tui resume s\n",
        ),
        ("session_paused", {"reason": "review"}, "‖ paused (review) · go on: maestro-tui resume s\n"),
        (
            "session_completed",
            {"stale": ["build", "test"]},
            "✓ session s: completed · stale: build, test\n› run those again: maestro-tui resume s --from build\n",
        ),
        ("session_completed", {}, "✓ session s: completed\n"),
    ],
)
def test_the_last_line_of_a_run_says_what_is_next(kind: Any, data: dict[str, Any], told: str) -> None:
    out = io.StringIO()
    Progress(out)(Event(seq=1, at=0.0, session_id="s", type=kind, data=data))
    assert out.getvalue() == told
