"""The sheets: they show what would happen, do exactly that on `y`, and never stack."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, TextArea

from maestro_tui.config import TrustBook, UntrustedWorkflow
from maestro_tui.console import plan_words
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.screens.batch import BatchSheet
from maestro_tui.console.screens.choose_phase import ChoosePhase
from maestro_tui.console.screens.help import HelpScreen
from maestro_tui.console.screens.launch import LaunchSheet
from maestro_tui.console.screens.plan_sheet import PlanSheet
from maestro_tui.console.screens.quit import QuitSheet
from maestro_tui.console.screens.review import ReviewSheet
from maestro_tui.console.screens.trust import TrustSheet
from maestro_tui.console.settings import Memory, last_launch, remember_launch
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.phase_list import PhaseList
from maestro_tui.model.context import Artifact, ContractCheck, Gate, PhaseResult, PhaseStatus
from maestro_tui.model.errors import InputError, PlanError, StoreError
from maestro_tui.model.plan import Action
from maestro_tui.model.summary import FleetSnapshot
from maestro_tui.model.workflow import Workflow
from tests.console.fakes import ROOT, FakeHost, busy_fleet, console, fleet, plan_for, post, session
from tests.engine.test_launch import CONTRADICTIONS

pytestmark = pytest.mark.usefixtures("plain_pane")
SIZE = (80, 24)
COMMANDS = Workflow.parse(
    'name = "w"\n[[phases]]\nname = "a"\n[[phases.personas]]\nname = "p"\nshell = "rm -r [/red]"\n'
)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until the sheet's threads have answered."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def opened(pilot: Pilot[Any], *keys: str) -> Screen[Any]:
    await pilot.pause()
    for key in keys:
        await pilot.press(key)
    await settle(pilot)
    return pilot.app.screen


def said(app: MaestroApp, selector: str) -> str:
    return app.screen.query_one(selector, Block).words


def result(session_id: str, phase: str) -> PhaseResult:
    return PhaseResult(
        status=PhaseStatus.COMPLETED,
        summary="Wheel installed into a clean environment.",
        quality={"smoke": 1.0, "coverage": None},
        gate=Gate(verdict="waiting", threshold=0.9),
        contract=ContractCheck(deliverables=("dist/*.whl", "manifest.json"), missing=("manifest.json",)),
        artifacts=(Artifact(path="dist/[/red].whl", size=41_231, sha256="a" * 64, phase=phase),),
    )


# ── Plans ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_resume_shows_what_it_would_do_and_does_it_on_y() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "r")
        assert isinstance(sheet, PlanSheet) and app.focused is not None and app.focused.id == "no"
        phases = said(app, "#phases")
        assert "requirements    reuse  unchanged since 13:55" in phases
        assert "design          run    failed at attempt 2 (network)" in phases and "usual 2m $0.12" in phases
        sums = said(app, "#sums")
        assert "about 16m, about $0.12" in sums and "may overwrite docs/design.md" in sums
        assert "nobody holds this session" in sums and "$ maestro-tui resume payments-refactor" in sums
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [("resume", "payments-refactor", "hash-resume-0", None)]
        assert len(app.screen_stack) == 1


async def test_enter_at_the_start_changes_nothing() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r")
        await pilot.press("enter")
        await settle(pilot)
        assert host.calls == [] and len(app.screen_stack) == 1


async def test_a_second_key_never_stacks_a_second_sheet_nor_acts_twice() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r", "r", "r", "n", "x")
        assert len(app.screen_stack) == 2
        for key in "yyy":
            await pilot.press(key)
        await settle(pilot)
        assert [call[0] for call in host.calls] == ["resume"] and len(app.screen_stack) == 1


async def test_one_phase_is_chosen_then_planned_then_run() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "p")
        assert isinstance(sheet, ChoosePhase)
        sheet = await opened(pilot, "enter")
        assert isinstance(sheet, PlanSheet) and len(app.screen_stack) == 2
        assert "Run design alone in payments-refactor" in said(app, "#title")
        assert "goes stale, is kept: implementation" in said(app, "#sums")
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [("run_phase", "payments-refactor", "design", "hash-phase-0")]


async def test_rerun_names_the_phase_it_begins_at() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "R", "j", "enter")
        assert "$ maestro-tui resume payments-refactor --from requirements" in said(app, "#sums")
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [("resume", "payments-refactor", "hash-rerun_from-0", "requirements")]


async def test_a_changed_session_makes_the_plan_anew_and_says_so() -> None:
    host = FakeHost()
    snapshot = busy_fleet()
    app = console(snapshot, host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r")
        host.generation = 1
        changed = dataclasses.replace(snapshot.sessions["payments-refactor"], seq=9, sha256="cd" * 32)
        newer = FleetSnapshot(
            root=ROOT, sessions={**snapshot.sessions, "payments-refactor": changed}, version=2
        )
        await post(app, pilot, newer)
        await settle(pilot)
        assert "The session has changed since" in said(app, "#sentence")
        await pilot.press("y")
        await settle(pilot)
        assert host.calls[-1][2] == "hash-resume-1"


async def test_a_refusal_is_told_in_the_sheet_which_stays_open() -> None:
    host = FakeHost()
    host.refuse = PlanError("The session has changed; nothing was run [/red].")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r", "y")
        assert isinstance(app.screen, PlanSheet)
        assert said(app, "#sentence") == "The session has changed; nothing was run [/red]."
        await pilot.press("y")
        await settle(pilot)
        assert len(host.calls) == 2 and len(app.screen_stack) == 1


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("unchanged since 13:55", "Nothing would run: no phase is left to do. R reruns from a phase."),
        ("waits for approval", "Nothing would run: requirements waits for you; a opens the review."),
    ],
)
async def test_where_nothing_would_run_only_close_is_offered_and_what_to_do_instead(
    reason: str, words: str
) -> None:
    host = FakeHost()

    def nothing(session_id: str, kind: str, phase: str | None) -> Any:
        plan = plan_for(session_id, kind, phase)
        done = {"action": Action.REUSE, "reason": reason, "approval": False}
        return plan.model_copy(update={"phases": tuple(one.model_copy(update=done) for one in plan.phases)})

    host.plan_of = nothing
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "r")
        shown = [button for button in sheet.query(Button) if button.display]
        assert [str(button.label) for button in shown] == ["Close"]
        assert words in said(app, "#sums") and "$" not in said(app, "#sums")
        await opened(pilot, "y")
        assert host.calls == [] and app.screen is sheet
        assert isinstance(await opened(pilot, "R"), ChoosePhase)


async def test_a_plan_that_cannot_be_made_is_told() -> None:
    host = FakeHost()

    def broken(session_id: str, kind: str, phase: str | None) -> Any:
        raise InputError("history/0001.json is damaged.")

    host.plan_of = broken
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r")
        assert said(app, "#sentence") == "history/0001.json is damaged."
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == []


async def test_commands_are_listed_before_they_are_trusted() -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "j", "r", "y")
        assert isinstance(sheet, TrustSheet)
        assert any("$ a/p: rm -r [/red]" in block.words for block in sheet.query(Block))
        await pilot.press("y")
        await settle(pilot)
        assert host.trusted == [(COMMANDS.content_hash(), "maestro.toml")]
        assert [call[0] for call in host.calls] == ["resume", "resume"] and len(app.screen_stack) == 1


async def test_a_workflow_that_changed_since_it_was_shown_is_shown_again_and_does_not_run() -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")
    changed = Workflow.parse(
        'name = "w"\n[[phases]]\nname = "a"\n[[phases.personas]]\nname = "p"\nshell = "other"\n'
    )

    def trust(workflow: Workflow, source: str) -> None:
        host.trusted.append((workflow.content_hash(), source))
        host.refuse = UntrustedWorkflow(changed, "maestro.toml")  # the file was written meanwhile

    host.trust = trust  # type: ignore[method-assign]
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        first = await opened(pilot, "j", "r", "y")
        await pilot.press("y")
        await settle(pilot)
        assert host.trusted == [(COMMANDS.content_hash(), "maestro.toml")]
        assert isinstance(app.screen, TrustSheet) and app.screen is not first
        assert any("$ a/p: other" in block.words for block in app.screen.query(Block))


async def test_an_approval_that_cannot_be_recorded_is_told_and_nothing_runs() -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")

    def trust(workflow: Workflow, source: str) -> None:
        raise StoreError("Cannot write trusted.json: No space left on device.")

    host.trust = trust  # type: ignore[method-assign]
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r", "y")
        await pilot.press("y")
        await settle(pilot)
        assert isinstance(app.screen, TrustSheet) and len(host.calls) == 1
        assert said(app, "#sentence") == "Cannot write trusted.json: No space left on device."


async def test_commands_that_are_not_trusted_do_not_run() -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "r", "y", "escape")
        assert isinstance(app.screen, PlanSheet) and len(host.calls) == 1 and host.trusted == []


# ── Several at once, cancel, quit ─────────────────────────────────────────────────────────────────────────


async def test_marked_sessions_are_resumed_together_with_the_hidden_ones_counted() -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "j", "space", "G", "k", "space")
        assert app.main.marked == {"payments-refactor", "tax-rates"}
        await opened(pilot, "slash", *"status:failed", "enter", "r")
        assert isinstance(app.screen, BatchSheet)
        assert said(app, "#title") == "Resume 2 sessions (1 hidden by the filter)?"
        assert "runs design, implementation" in said(app, "#sessions")
        await pilot.press("y")
        await settle(pilot)
        assert [(call[0], call[1]) for call in host.calls] == [
            ("resume", "payments-refactor"),
            ("resume", "tax-rates"),
        ]


async def test_cancel_asks_and_stops_only_what_runs_here() -> None:
    host = FakeHost()
    host.own = ("docs-site",)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "slash", *"status:run", "enter", "asterisk", "x")
        assert isinstance(app.screen, BatchSheet)
        assert "does not run here: left alone" in said(app, "#sessions")
        assert app.focused is not None and app.focused.id == "no"
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == [("cancel", "docs-site")]


async def test_quit_asks_while_sessions_run_here_and_stops_them() -> None:
    host = FakeHost()
    host.own = ("docs-site",)
    app = console(busy_fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "q", "q")
        assert isinstance(sheet, QuitSheet) and len(app.screen_stack) == 2
        assert said(app, "#title") == "Quit? 1 session runs in this console"
        await pilot.press("escape", "ctrl+q", "ctrl+q")
        await pilot.pause()
        assert isinstance(app.screen, QuitSheet) and host.calls == []
        await pilot.press("y")
        await settle(pilot)
    assert [call[0] for call in host.calls] == ["stop_all"] and app.return_code == 0


async def test_quit_does_not_ask_when_nothing_runs_here() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


# ── Review ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_review_shows_what_the_phase_left() -> None:
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "a")
        assert isinstance(sheet, ReviewSheet)
        left = said(app, "#left")
        for words in (
            "coverage       not measured",
            "smoke                     1",
            "manifest.json: missing",
            "41 kB  dist/[/red].whl",
        ):
            assert words in left


@pytest.mark.parametrize(
    ("keys", "calls"),
    [
        (
            ("y",),
            [("approve", "kyc-flow", "deployment", None, ""), ("resume", "kyc-flow", None, None)],
        ),
        (
            ("c", *"why", "tab", "b"),
            [("push_back", "kyc-flow", "deployment", None, "why"), ("resume", "kyc-flow", None, None)],
        ),
        (("c", *"no", "tab", "x"), [("reject", "kyc-flow", "deployment", None, "no")]),
        # Every key is text in the comment: no letter and no enter in it decides.
        (("b", *"cyxb", "enter"), []),
        (
            ("b", *"cyxb", "enter", "enter"),
            [
                ("push_back", "kyc-flow", "deployment", None, "cyxb"),
                ("resume", "kyc-flow", None, None),
            ],
        ),
        (("x", *"no", "enter", "enter"), [("reject", "kyc-flow", "deployment", None, "no")]),
        (("c", *"good", "enter", "enter"), []),
        (
            ("c", *"good", "enter", "y"),
            [("approve", "kyc-flow", "deployment", None, "good"), ("resume", "kyc-flow", None, None)],
        ),
        (("b",), []),
        (("x",), []),
        (("enter",), []),
    ],
)
async def test_a_decision_is_recorded_with_its_comment(keys: tuple[str, ...], calls: list[Any]) -> None:
    host = FakeHost()
    app = console(busy_fleet(), host=host, results=result)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await pilot.press(*keys)
        await settle(pilot)
        assert host.calls == calls


@pytest.mark.parametrize(
    ("keys", "then"), [(("y",), "it is completed"), (("c", *"why", "tab", "b"), "it goes on")]
)
async def test_a_decision_says_what_becomes_of_the_session(keys: tuple[str, ...], then: str) -> None:
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await opened(pilot, "a")
        await pilot.press(*keys)
        await settle(pilot)
        assert [notice.words for notice in app.notices] == [f"kyc-flow: decision recorded, {then}."]


def test_a_session_in_which_another_phase_waits_is_not_said_to_go_on() -> None:
    made = plan_for("s", "resume", None)
    waits = [
        one.model_copy(update={"action": Action.BLOCKED, "reason": "waits for approval"})
        for one in made.phases
    ]
    assert plan_words.then_words(made.model_copy(update={"phases": tuple(waits)})) == (
        "requirements waits for approval"
    )


async def test_a_review_ends_when_somebody_else_has_decided() -> None:
    host, snapshot = FakeHost(), busy_fleet()
    app = console(snapshot, host=host, results=result)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "a")
        await post(app, pilot, fleet(session("kyc-flow", "completed", seq=9)))
        assert "somebody has decided meanwhile" in said(app, "#sentence")
        await pilot.press("y")
        await settle(pilot)
        assert host.calls == []


# ── Launch ────────────────────────────────────────────────────────────────────────────────────────────────


async def phases_read(pilot: Pilot[Any], count: int) -> None:
    for _ in range(200):
        await settle(pilot)
        if len(pilot.app.screen.query_one(PhaseList).form.phases) == count:
            return
    raise AssertionError("the workflow was not read")


async def launch_sheet(pilot: Pilot[Any], workspace: Path, count: int = 5) -> LaunchSheet:
    sheet = await opened(pilot, "n")
    assert isinstance(sheet, LaunchSheet)
    sheet.query_one("#workspace", Input).value = str(workspace)
    await phases_read(pilot, count)
    return sheet


async def test_a_launch_does_what_stands_on_the_sheet_and_is_remembered(tmp_path: Path) -> None:
    host = FakeHost()
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one("#requirement", TextArea).text = "One thing\nand another"
        sheet.query_one(PhaseList).focus()
        await pilot.press("j", "p", "G", "j", "j", "j", "space")
        await settle(pilot)
        assert said(app, "#command").endswith("--pause-after design")
        await pilot.press("ctrl+s")
        await settle(pilot)
        (name, launch), *rest = host.calls
        assert name == "launch" and rest == [] and len(app.screen_stack) == 1
        assert launch.requirement == "One thing\nand another" and launch.workspace == str(tmp_path)
        assert launch.phases == ("requirements", "design", "implementation", "testing")
        assert launch.pause_after == ("design",)
        await post(app, pilot, fleet(session("20261123-140300-new-thing-aa01", "running")))
        assert app.main.table.current is not None and app.main._shown is not None
        await pilot.press("escape")
        sheet = await opened(pilot, "n")
        assert sheet.query_one("#requirement", TextArea).text == "One thing\nand another"
        await phases_read(pilot, 5)
        assert sheet.query_one(PhaseList).form.chosen() == launch.phases


@pytest.mark.parametrize(
    ("arrange", "field", "words"),
    [
        (lambda sheet: None, "requirement", "The requirement is empty"),
        (lambda sheet: _text(sheet, "@/nowhere.md"), "requirement", "There is no file"),
    ],
)
async def test_a_refusal_stands_at_its_field(
    tmp_path: Path, arrange: Callable[[LaunchSheet], None], field: str, words: str
) -> None:
    host = FakeHost()
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        arrange(sheet)
        await pilot.press("ctrl+s")
        await settle(pilot)
        wrong = sheet.query_one(f"#wrong-{field}", Block)
        assert wrong.display and words in wrong.words and host.calls == []
        assert app.focused is not None and app.focused.id == field


def _text(sheet: LaunchSheet, text: str) -> None:
    sheet.query_one("#requirement", TextArea).text = text


async def test_a_workspace_that_is_no_folder_is_told_while_it_is_typed(tmp_path: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one("#workspace", Input).value = str(tmp_path / "[red]")
        await settle(pilot)
        assert "[red] is not a folder." in said(app, "#wrong-workspace")


async def test_the_workspaces_own_workflow_is_shown_and_its_mistakes_told(tmp_path: Path) -> None:
    (tmp_path / "maestro.toml").write_text(
        'name = "own"\n[[phases]]\nname = "one"\n[[phases]]\nname = "two"\n'
    )
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path, count=2)
        assert [phase.name for phase in sheet.form.phases] == ["one", "two"]
        (tmp_path / "bad.toml").write_text('name = "own"\n[[phases]]\nname = "one"\nneeds = ["three"]\n')
        sheet.query_one("#workflow", Input).value = str(tmp_path / "bad.toml")
        await settle(pilot)
        assert "three" in said(app, "#wrong-workflow")


async def test_a_launch_that_needs_trust_asks_and_goes_on(tmp_path: Path) -> None:
    host = FakeHost()
    host.refuse = UntrustedWorkflow(COMMANDS, "maestro.toml")
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        _text(sheet, "Do it")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert isinstance(app.screen, TrustSheet)
        await pilot.press("y")
        await settle(pilot)
        assert host.trusted == [(COMMANDS.content_hash(), "maestro.toml")]
        assert [call[0] for call in host.calls] == ["launch", "launch"] and len(app.screen_stack) == 1


async def test_starting_later_asks_for_the_files_of_what_comes_before(tmp_path: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        provided = sheet.query_one("#inputs", Input).parent
        assert provided is not None and not provided.display
        sheet.query_one(PhaseList).focus()
        await pilot.press("j", "f")
        await settle(pilot)
        assert provided.display and sheet.form.start_from == "design"
        sheet.query_one("#inputs", Input).value = "nonsense"
        _text(sheet, "Do it")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert "write phase=FILE" in said(app, "#wrong-inputs")


async def test_a_contradictory_order_is_told_at_the_phases(tmp_path: Path) -> None:
    host = FakeHost()
    app = console(fleet(), host=host)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        _text(sheet, "Do it")
        for _, sentence in CONTRADICTIONS.values():
            host.refuse = InputError(sentence)
            await pilot.press("ctrl+s")
            await settle(pilot)
            assert said(app, "#wrong-phases") == sentence and app.screen is sheet


# ── Help and buttons ──────────────────────────────────────────────────────────────────────────────────────


async def test_help_names_every_action_and_the_keys_of_the_focus() -> None:
    app = console(busy_fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, "question_mark")
        assert isinstance(sheet, HelpScreen)
        words = said(app, "#keys")
        flat = " ".join(words.split())
        assert all(" ".join(action.help.split()) in flat for action in app.console_actions)
        assert "Next session" in words and "silent" in words


@pytest.mark.parametrize("keys", [("j", "r"), ("j", "p", "enter"), ("a",), ("n",), ("question_mark",)])
async def test_every_sheet_keeps_its_buttons_on_a_small_screen(keys: tuple[str, ...]) -> None:
    app = console(busy_fleet(), results=result)
    async with app.run_test(size=SIZE) as pilot:
        sheet = await opened(pilot, *keys)
        buttons = list(sheet.query(Button))
        assert buttons
        panel = sheet.query_one("#sheet").region
        assert all(panel.contains_region(button.region) and button.region.area for button in buttons)
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_a_workflow_that_nobody_has_approved_is_told_before_launching(tmp_path: Path) -> None:
    (tmp_path / "maestro.toml").write_text(
        'name = "own"\n[[phases]]\nname = "one"\n[[phases.personas]]\nname = "p"\nshell = "make"\n'
    )
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path, count=1)
        await settle(pilot)
        wrong = sheet.query_one("#wrong-workflow", Block)
        assert wrong.display and "starts a command that nobody has approved here yet" in wrong.words
        TrustBook().remember(Workflow.load(tmp_path / "maestro.toml"), "maestro.toml")
        sheet.query_one("#workflow", Input).value = str(tmp_path / "maestro.toml")
        await settle(pilot)
        assert not wrong.display


async def test_a_launch_is_remembered_for_its_own_checkpoint_directory_only(tmp_path: Path) -> None:
    memory = Memory(None)
    for root, words in ((ROOT, "Mine"), ("/elsewhere/.maestro", "")):
        app = console(fleet(), root=root)
        app.memory = memory
        async with app.run_test(size=SIZE) as pilot:
            sheet = await launch_sheet(pilot, tmp_path)
            if words:
                _text(sheet, words)
                await pilot.press("ctrl+s")
                await settle(pilot)
                await opened(pilot, "n")
            assert app.screen.query_one("#requirement", TextArea).text == words


def test_the_launches_of_few_directories_are_remembered() -> None:
    memory = Memory(None)
    for number in range(60):
        assert remember_launch(memory, Path(f"/{number}"), {"team": str(number)}) is None
    remember_launch(memory, Path("/30"), {"team": "again"})
    kept = memory.get("launches")
    assert (
        len(kept) == 50 and list(kept)[-1] == "/30" and last_launch(memory, Path("/30")) == {"team": "again"}
    )
    assert last_launch(memory, Path("/9")) is None


async def test_a_launch_sheet_that_is_closed_keeps_what_was_typed(tmp_path: Path) -> None:
    app = console(fleet())
    async with app.run_test(size=SIZE) as pilot:
        sheet = await launch_sheet(pilot, tmp_path)
        sheet.query_one(PhaseList).focus()
        await opened(pilot, "space")
        _text(sheet, "Half a thou")
        await opened(pilot, "escape", "n")
        await phases_read(pilot, 5)
        assert app.screen.query_one("#requirement", TextArea).text == "Half a thou"
        assert app.screen.query_one(PhaseList).form.chosen() == (
            "design",
            "implementation",
            "testing",
            "deployment",
        )
