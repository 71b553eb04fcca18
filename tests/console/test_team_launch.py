"""Team and limits on the launch sheet: offered and never preselected, refused at their field, launched and kept."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from maestro_tui.console.host import ConsoleHost
from maestro_tui.console.launch_form import Form, recalled
from maestro_tui.console.widgets.block import Block
from maestro_tui.engine.launch import Launch
from maestro_tui.model.errors import InputError
from maestro_tui.model.policy import Budget, Limits
from maestro_tui.model.sdlc import sdlc
from tests.console.fakes import FakeHost, console, fleet
from tests.console.test_sheets import launch_sheet, said, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)
FORM = Form(requirement="Do it", team="llm:m@http://127.0.0.1:1/v1", limits="30m/phase $5").with_workflow(
    sdlc()
)


def test_team_and_limits_stand_in_the_launch_the_command_and_the_memory() -> None:
    launch = FORM.launch()
    assert launch.team == FORM.team
    assert launch.limits == Limits(phase_seconds=1_800, session=Budget(cost_usd=5))
    words = shlex.split(FORM.command())
    assert words[-6:] == ["--team", FORM.team, "--phase-limit", "30m", "--max-cost", "5"]
    again, _, _ = recalled(FORM.remembered())
    assert (again.team, again.limits) == (FORM.team, FORM.limits)


def test_the_toolbox_is_the_team_where_none_is_named() -> None:
    for team in ("toolbox", " ", ""):
        form = replace(FORM, team=team, limits="")
        assert form.launch().team is None and form.launch().limits is None
        assert "--team" not in form.command()


def test_a_line_that_is_not_typed_to_its_end_leaves_the_command_alone() -> None:
    assert "limit" not in replace(FORM, limits="30m/phase $").command()
    with pytest.raises(InputError, match="is no limit"):
        replace(FORM, limits="30m/phase $").launch()


async def test_agents_are_offered_while_the_team_is_written_and_none_is_preselected(tmp_path: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        await settle(pilot)
        hint = sheet.query_one("#team-hint", Block)
        assert not hint.display and sheet.query_one("#team", Input).value == "toolbox"
        sheet.query_one("#team", Input).focus()
        await settle(pilot)
        assert hint.display and "found here: claude, gemini" in hint.words and "codex" not in hint.words
        sheet.query_one("#limits", Input).focus()
        await settle(pilot)
        assert not hint.display


@pytest.mark.parametrize(
    ("team", "words"),
    [
        ("codex", "codex is not installed; install it with: npm install -g @openai/codex."),
        ("[/red]", "There is no team '[/red]'; name toolbox, claude"),
        ("claude", "CLAUDE_CODE_OAUTH_TOKEN) in 5 phases: it may write files and cost money."),
        ("toolbox", ""),
    ],
)
async def test_what_is_missing_or_would_start_stands_at_the_team(
    tmp_path: Path, team: str, words: str
) -> None:
    app = console(fleet())
    async with app.run_test(size=(120, 40)) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one("#team", Input).value = team
        await settle(pilot)
        told = sheet.query_one("#wrong-team", Block)
        assert words in told.words and told.display == bool(words)


async def test_the_trust_sentence_counts_what_the_team_would_start_too(tmp_path: Path) -> None:
    (tmp_path / "maestro.toml").write_text(
        'name = "own"\n[[phases]]\nname = "one"\n[[phases]]\nname = "two"\n'
        '[[phases.personas]]\nname = "p"\nshell = "make"\n'
    )
    app = console(fleet())
    async with app.run_test(size=(120, 40)) as pilot:
        sheet = await launch_sheet(pilot, tmp_path, count=2)
        sheet.query_one("#team", Input).value = "claude"
        await settle(pilot)
        assert "a command that nobody has approved here yet (and 1 more of the team" in said(
            app, "#wrong-workflow"
        )
        assert "in one: it may write files" in said(app, "#wrong-team")


async def test_a_wrong_limit_is_told_at_its_field_and_nothing_is_launched(tmp_path: Path) -> None:
    host = FakeHost()
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one("#requirement", TextArea).text = "Do it"
        sheet.query_one("#limits", Input).value = "$5 [red]"
        await settle(pilot)
        assert "'[red]' is no limit; write 30m/phase" in said(app, "#wrong-limits")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert host.calls == [] and app.focused is not None and app.focused.id == "limits"
        sheet.query_one("#limits", Input).value = "$5 2h"
        sheet.query_one("#team", Input).value = "claude"
        await settle(pilot)
        assert "at most 2h00m in all · $5.00 in all" in said(app, "#sums")
        assert "--team claude --time-limit 2h --max-cost 5" in " ".join(said(app, "#command").split())
        await pilot.press("ctrl+s")
        await settle(pilot)
        (_, launch), *_ = host.calls
        assert launch.team == "claude" and launch.limits == Limits(session=Budget(seconds=7_200, cost_usd=5))


async def test_a_refusal_about_the_team_stands_at_the_team(tmp_path: Path) -> None:
    host = FakeHost()
    host.refuse = InputError("Persona 'worker' needs the extra 'llm': pip install 'maestro-tui[llm]'.")
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one("#requirement", TextArea).text = "Do it"
        sheet.query_one("#team", Input).value = "llm:m"
        await settle(pilot)
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert "pip install" in said(app, "#wrong-team")
        assert app.focused is not None and app.focused.id == "team"


def test_the_host_looks_for_agents_without_starting_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "claude"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.name: one.installed for one in ConsoleHost(tmp_path / ".maestro").agents()}
    assert found == {"claude": True, "codex": False, "gemini": False, "opencode": False}
    assert not (tmp_path / "started").exists()


def test_a_team_that_is_not_here_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    host = ConsoleHost(tmp_path / ".maestro")
    with pytest.raises(InputError, match="npm install -g @openai/codex"):
        host.launch(Launch("Do it", workspace=str(tmp_path), team="codex"))
    assert not (tmp_path / ".maestro").exists()
