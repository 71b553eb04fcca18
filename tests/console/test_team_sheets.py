"""The sheets of team work: a budget is raised, a team is chosen, a file changed by hand is recorded."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from maestro_tui.console.actions import ACTIONS, actions_for
from maestro_tui.console.availability import Scene
from maestro_tui.console.budget_words import standing_lines
from maestro_tui.console.host import ConsoleHost
from maestro_tui.console.key_choice import keys_for
from maestro_tui.console.screens.blueprint import BlueprintSheet
from maestro_tui.console.screens.edit_file import EditFileSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.raise_budget import RaiseSheet
from maestro_tui.console.verdict import verdict
from maestro_tui.engine.launch import Launch
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.budgets import Standing
from maestro_tui.model.context import Artifact, Usage
from maestro_tui.model.errors import PlanError
from maestro_tui.model.plan import Action, Plan
from maestro_tui.model.policy import Budget
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.workflow import Workflow
from tests.console.fakes import NOW, FakeHost, busy_fleet, console, fleet, plan_for, post, session
from tests.console.test_sheets import opened, said, settle

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)


def at_budget() -> SessionSummary:
    """A session that paused because its money is spent."""
    one = session("tax-rates", "paused", at=1)
    spent = dataclasses.replace(
        one.phases[1], attempt=1, error="The session's budget is spent ($5.02 of $5.00)."
    )
    return dataclasses.replace(one, phases=(one.phases[0], spent, *one.phases[2:]))


def blocked(session_id: str, kind: str, phase: str | None) -> Plan:
    plan = plan_for(session_id, kind, phase)
    reason = "the session's budget is spent ($5.02 of $5.00); maestro-tui raise tax-rates allows more"
    phases = [
        one.model_copy(update={"action": Action.BLOCKED, "reason": reason})
        if one.action is Action.RUN
        else one
        for one in plan.phases
    ]
    return plan.model_copy(update={"phases": tuple(phases)})


# ── Budgets ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_resume_of_a_session_without_money_says_so_and_leads_to_the_raise() -> None:
    host = FakeHost()
    host.plan_of = blocked
    app = console(fleet(at_budget()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "r")
        assert "blocked" in said(app, "#phases") and "b raises the budget that is spent" in said(app, "#sums")
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [] and "Nothing would run" in said(app, "#sums")
        sheet = await opened(pilot, "b")
        assert isinstance(sheet, RaiseSheet) and len(app.screen_stack) == 2


async def test_a_raise_is_recorded_with_its_reason_and_then_resume_is_offered() -> None:
    host = FakeHost()
    app = console(fleet(at_budget()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "b")
        assert isinstance(sheet, RaiseSheet)
        shown = said(app, "#budgets").splitlines()
        assert shown[0].split() == ["▌the", "session", "$5.02", "of", "$5.00", "spent"]
        assert shown[1].split() == ["▌", "84,000", "of", "200,000", "tokens"]
        assert shown[2].split() == ["design", "10m10s", "of", "30m00s"]
        await pilot.press("enter", "enter", "enter")
        assert "Say how much more" in said(app, "#sentence") and host.calls == []
        await pilot.press(*"$2", "space", *"50k", "space", *"tokens", "enter", *"worth_it", "enter", "enter")
        await settle(pilot)
        more = Budget(cost_usd=2, tokens=50_000)
        assert host.calls == [("raise_budget", "tax-rates", None, more, None, "worth_it")]
        assert isinstance(app.screen, PlanSheet) and app.screen.kind == "resume"


async def test_a_raise_beside_a_running_session_is_left_to_its_runner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, running = FakeHost(), session("tax-rates", "running", at=1)
    monkeypatch.setattr(host, "summary", lambda session_id: running)
    app = console(fleet(running), host=host)
    async with app.run_test(size=SIZE) as pilot:
        assert isinstance(await opened(pilot, "b"), RaiseSheet)
        await pilot.press(*"$2", "enter", *"x", "enter", "enter")
        await settle(pilot)
        assert [call[0] for call in host.calls] == ["raise_budget"]
        assert len(app.screen_stack) == 1


async def test_another_budget_is_chosen_with_the_arrows_wherever_one_writes() -> None:
    host = FakeHost()
    app = console(fleet(at_budget()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "b", "down", "down")
        assert isinstance(sheet, RaiseSheet) and sheet.chosen == 1
        assert "15m" in sheet.query_one("#more", Input).placeholder
        await pilot.press(*"10m", "enter", *"x", "enter", "enter")
        await settle(pilot)
        assert host.calls[0][:4] == ("raise_budget", "tax-rates", "design", Budget(seconds=600))


async def test_a_refused_raise_stays_on_its_sheet() -> None:
    host = FakeHost()
    host.refuse = PlanError("The session has no budget in seconds [/red].")
    app = console(fleet(at_budget()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "b")
        await pilot.press(*"9m", "enter", *"x", "enter", "enter")
        await settle(pilot)
        assert isinstance(app.screen, RaiseSheet)
        assert said(app, "#sentence") == "The session has no budget in seconds [/red]."


async def test_without_a_budget_there_is_nothing_to_raise() -> None:
    host = FakeHost()
    host.standing = ()
    app = console(fleet(at_budget()), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "b")
        assert "Nothing limits what this session may spend" in said(app, "#budgets")
        await pilot.press("y")
        assert said(app, "#sentence") == "There is no budget to raise." and host.calls == []


def test_a_session_that_paused_at_its_budget_says_why_and_which_key_helps() -> None:
    lines = [one.text for one in verdict(at_budget(), (), NOW, 100)]
    assert "Paused at design: The session's budget is spent ($5.02 of $5.00)." in lines[0]
    assert "b allows more, then r goes on." in lines[1]
    keys = [one.id for one in keys_for(ACTIONS, Scene(at_budget()))]
    assert keys[:2] == ["raise", "resume"], "resume alone would run nothing"
    assert "raise" not in [one.id for one in keys_for(ACTIONS, Scene(session("s", "paused")))]


def test_each_limit_says_for_itself_whether_it_is_used_up() -> None:
    standing = Standing(
        "slow", Budget(seconds=1, tokens=9, cost_usd=1), Usage(seconds=1.0, cost_usd=None), "1 of 1 seconds"
    )
    texts = [" ".join(one.text.split()) for one in standing_lines([standing], 0, True)]
    assert texts == [">slow – of $1.00", "> – of 9 tokens", "> 1s of 1s spent"]


def test_spent_and_allowed_are_read_from_the_session(tmp_path: Path) -> None:
    host, name = made(tmp_path)
    host.raise_budget(name, None, Budget(cost_usd=1), reason="more")
    (whole, own) = host.budgets(name)
    assert (whole.phase, whole.allowed, whole.spent.cost_usd) == (None, Budget(cost_usd=3), None)
    assert (own.phase, own.allowed, own.over) == ("one", Budget(seconds=600), None)
    assert isinstance(own.spent, Usage) and own.spent.seconds is not None


# ── Blueprints ────────────────────────────────────────────────────────────────────────────────────────────


async def to_blueprint(pilot: Pilot[Any]) -> BlueprintSheet:
    await opened(pilot, "j", "B")
    assert said(pilot.app, "#title") == "Who works on which phase of payments-refactor?"
    sheet = await opened(pilot, "enter")
    assert isinstance(sheet, BlueprintSheet)
    return sheet


async def test_a_team_is_chosen_in_order_and_recorded_with_its_mode() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await to_blueprint(pilot)
        assert "now sequential: solution_architect, decided by rules" in said(app, "#now")
        assert "its committed result goes stale, is kept; R runs it again" in said(app, "#means")
        await pilot.press("y")
        assert "This is how it is already" in said(app, "#sentence")
        await pilot.press("j", "space", "k", "space", "space", "m", "m")
        assert sheet.personas == ["critic", "solution_architect"] and sheet.mode == "collaborative"
        options = sheet.query_one(OptionList)
        assert str(options.get_option_at_index(0).prompt).split()[:2] == ["2", "solution_architect"]
        assert str(options.get_option_at_index(3).prompt).split()[:2] == ["·", "linter"]
        await pilot.press("c", *"two_heads", "enter", "enter")
        await settle(pilot)
        chosen = ("critic", "solution_architect")
        call = ("choose_blueprint", "payments-refactor", "design", chosen, "collaborative", None, "two_heads")
        assert host.calls == [call] and len(app.screen_stack) == 1


async def test_nobody_is_no_team() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await to_blueprint(pilot)
        await pilot.press("space", "y")
        assert "Nobody is chosen" in said(app, "#sentence") and host.calls == []


async def test_an_earlier_word_can_be_taken_back() -> None:
    host = FakeHost()
    host.phase_team = dataclasses.replace(host.phase_team, by_operator=True, committed=False)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await to_blueprint(pilot)
        await pilot.press("u")
        assert "your word is taken back" in said(app, "#means")
        await pilot.press("c", *"again", "enter", "enter")
        await settle(pilot)
        assert host.calls[0][3:5] == (None, None)


async def test_a_changed_session_shows_its_team_anew() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await to_blueprint(pilot)
        await pilot.press("space")
        changed = dataclasses.replace(sheet.session, seq=9)
        await post(app, pilot, fleet(changed))
        await settle(pilot)
        assert sheet.personas == ["solution_architect"] and "has changed since" in said(app, "#sentence")


def test_the_team_of_a_phase_is_read_and_changed_through_the_host(tmp_path: Path) -> None:
    host, name = made(tmp_path)
    before = host.team_of(name, "one")
    assert (before.personas, before.committed, before.by_operator) == (("a", "b"), True, False)
    assert [one.name for one in before.candidates[:2]] == ["a", "b"]
    host.choose_blueprint(name, "one", ("b",), "sequential", reason="faster")
    after = host.team_of(name, "one")
    assert (after.personas, after.by_operator) == (("b",), True)
    assert host.summary(name).phases[0].stale
    host.choose_blueprint(name, "one", None, None, reason="as before")
    assert host.team_of(name, "one").personas == ("a", "b")


# ── Files changed by hand ─────────────────────────────────────────────────────────────────────────────────

FILE = Artifact(path="docs/[/red].md", size=812, sha256="a" * 64, phase="design", attempt=1)


async def test_a_changed_file_is_recorded_with_its_reason() -> None:
    host = FakeHost()
    one = session("wishlist", "paused", at=2)
    app = console(fleet(one), host=host)
    async with app.run_test(size=SIZE) as pilot:
        app.open_sheet(EditFileSheet(one, FILE, 4_100))
        await settle(pilot)
        assert said(app, "#file") == "docs/[/red].md   812 B → 4.1 kB"
        await pilot.press("enter", "enter")
        assert "Say why" in said(app, "#sentence") and host.calls == []
        await pilot.press(*"typo", "enter", "enter")
        await settle(pilot)
        assert host.calls == [("edit_files", "wishlist", "design", ("docs/[/red].md",), None, "typo")]


async def test_a_file_of_a_phase_that_was_done_again_is_not_recorded() -> None:
    host = FakeHost()
    one = session("wishlist", "paused", at=2)
    app = console(fleet(one), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        again = dataclasses.replace(one.phases[1], attempt=2)
        now = dataclasses.replace(one, seq=9, phases=(one.phases[0], again, *one.phases[2:]))
        sheet = EditFileSheet(one, FILE, 4_100)
        app.open_sheet(sheet)
        sheet.take_snapshot(fleet(now))  # before it has its widgets
        await settle(pilot)
        await pilot.press("c", *"typo", "enter", "enter")
        await settle(pilot)
        assert "was done again meanwhile" in said(app, "#sentence") and host.calls == []


def test_the_host_records_a_file_and_later_phases_become_stale(tmp_path: Path) -> None:
    host, name = made(tmp_path)
    (tmp_path / "out.txt").write_text("by hand\n")
    host.edit_files(name, "one", ("out.txt",), reason="typo")
    assert host.summary(name).phases[1].stale


# ── Read only ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_console_that_only_reads_has_neither_action() -> None:
    assert not {"raise", "blueprint"} & {one.id for one in actions_for(read_only=True)}
    host = FakeHost()
    app = console(fleet(at_budget()), host=host, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("b", "B")
        await settle(pilot)
        assert len(app.screen_stack) == 1


def made(folder: Path) -> tuple[ConsoleHost, str]:
    """A finished session of two phases: the first has two personas and a budget, the whole one too."""
    workflow = Workflow.parse(
        'name = "w"\n[budget]\ncost_usd = 2\n'
        '[[phases]]\nname = "one"\nbudget = {seconds = 600}\ndeliverables = ["out.txt"]\n'
        '[[phases.personas]]\nname = "a"\nshell = "echo a > out.txt"\n'
        '[[phases.personas]]\nname = "b"\nshell = "echo b >> out.txt"\n'
        '[[phases]]\nname = "two"\n[[phases.personas]]\nname = "c"\nshell = "cat out.txt"\n'
    )
    root = folder / ".maestro"
    engine = TeamExecutionEngineV2SplitMode(root, workflow=workflow, workspace=folder)
    name = engine.create(Launch("Do it", workspace=str(folder)))
    asyncio.run(engine.drive_new(name))
    return ConsoleHost(root), name
