"""Launches a new session: what, where, which phases; refuses with the sentence at the field it is about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input, TextArea

from maestro_tui.console import plan_words
from maestro_tui.console.folder_list import written
from maestro_tui.console.launch_form import Form, recalled, requirement_text
from maestro_tui.console.launch_refusal import about_team, field_of, launch_of, limit_sums
from maestro_tui.console.lines import short
from maestro_tui.console.screens.plan_sheet import ask_for_trust
from maestro_tui.console.screens.sheet import Sheet
from maestro_tui.console.settings import last_launch, remember_launch
from maestro_tui.console.team_words import hint_words, missing_words, start_words, trust_words
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.field import Field
from maestro_tui.console.widgets.palette import palette
from maestro_tui.console.widgets.phase_list import PhaseList
from maestro_tui.model.errors import InputError, MaestroError, WorkflowError
from maestro_tui.model.plan import Estimate
from maestro_tui.model.text import clean
from maestro_tui.model.usual import together

if TYPE_CHECKING:
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.workflow import Workflow
    from maestro_tui.performers.agents.detect import FoundAgent


_HINT = "tab next field   esc closes, text stays"
_HINTS = {
    "requirement": "^o takes a file   ^z undo   esc closes, text stays",
    "workflow": "^o takes a file   esc closes, text stays",
    "phases": "space run it   p stop after it   f start from it",
}
"""What helps at a field."""


class LaunchSheet(Sheet):
    """The form for a new session."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "confirm", "Launch", show=False, priority=True),
        Binding("ctrl+o", "pick_file", "Choose a file", show=False, priority=True),
    ]
    TITLE_WORDS = "New session"
    AROUND = 12
    AUTO_FOCUS = "#requirement"
    ASKED = "#title"  # everything else follows from what one types

    def __init__(self) -> None:
        super().__init__()
        self.form = Form()
        self._out: tuple[str, ...] = ()
        self._pause: tuple[str, ...] = ()
        self._danger = ""
        """What may be overwritten."""
        self._agents: Sequence[FoundAgent] = ()
        self._starts = ""
        """What the team would start."""
        self._unfit = ""
        """Why the team cannot work here."""

    def body(self) -> Iterable[Widget]:
        """The fields, each with a line for what is wrong with it."""
        draft = self.console.main.launch_draft
        data = draft if draft is not None else last_launch(self.console.memory, self.console.root)
        self.form, self._out, self._pause = recalled(data)
        with VerticalScroll(classes="list", can_focus=False):
            requirement = TextArea(
                self.form.requirement,
                id="requirement",
                compact=True,
                tab_behavior="focus",
                soft_wrap=True,
                placeholder="What must be true when the work is done?",
            )
            yield Field("Requirement", requirement)
            yield Block(id="wrong-requirement", classes="wrong")
            yield Field("Workspace", Input(self.form.workspace, id="workspace", compact=True))
            yield Block(id="wrong-workspace", classes="wrong")
            hint = "empty: the workspace's maestro.toml, else sdlc"
            yield Field("Workflow", Input(self.form.workflow, id="workflow", compact=True, placeholder=hint))
            yield Block(id="wrong-workflow", classes="wrong")
            yield Field("Team", Input(self.form.team, id="team", compact=True))
            yield Block(id="team-hint", classes="told")
            yield Block(id="wrong-team", classes="wrong")
            yield Field("Phases", PhaseList(ascii_only=self.console.ascii_only, id="phases"))
            yield Block(id="wrong-phases", classes="wrong")
            hint = "no limits; such as 30m/phase 2h $5 200k tokens"
            yield Field("Limits", Input(self.form.limits, id="limits", compact=True, placeholder=hint))
            yield Block(id="wrong-limits", classes="wrong")
            hint = "requirements=docs/req.md design=…"
            yield Field("Provided", Input(self.form.inputs, id="inputs", compact=True, placeholder=hint))
            yield Block(id="wrong-inputs", classes="wrong")
        yield Block(id="hint", classes="note")
        yield Block(id="sums")
        yield Block(id="command")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """One."""
        yield "yes", "Launch  ^s"

    def on_mount(self) -> None:
        """Read the workflow."""
        self.query_one("#requirement", TextArea).select_all()
        for wrong in self.query(".wrong, .told"):
            wrong.display = False
        self._limits_told()
        self._show()
        self._read_workflow()
        self.run_worker(self._find_agents(), group="agents", exit_on_error=False)

    # ── What is on the sheet ──────────────────────────────────────────────────────────────────────────────

    def _show(self) -> None:
        form = self.form
        self.query_one(PhaseList).show(form)
        provided = self.query_one("#inputs", Input)
        if provided.parent is not None and isinstance(provided.parent, Widget):
            provided.parent.display = form.start_from is not None or bool(form.inputs)
        estimates = self.query_one(PhaseList).usual
        running = {name: estimates.get(name, Estimate()) for name in form.running()}
        usual = together(running, {one.name: one.needs for one in form.phases}).words()
        asked = limit_sums(form)
        limits = ", ".join(one for one in (form.limit, f"at most {asked}" if asked else "") if one)
        sums = [usual if running and estimates else "", limits, self._danger]
        self.query_one("#sums", Block).show(
            Text("; ".join(one for one in sums if one), palette(self).style("muted"))
        )
        width = max(30, self.query_one("#command", Block).size.width)
        command = short("$ " + form.command(24, self.console.root_words()), width * 3)
        self.query_one("#command", Block).show(Text(command, palette(self).style("muted")))

    @on(TextArea.Changed, "#requirement")
    def _requirement_changed(self, message: TextArea.Changed) -> None:
        self.form = replace(self.form, requirement=message.text_area.text)
        self._wrong("requirement", "")
        self._show()
        self.run_worker(self._look_at_file(), group="file", exclusive=True, exit_on_error=False)

    @on(Input.Changed, "#workspace, #workflow, #team")
    def _workflow_changed(self, message: Input.Changed) -> None:
        """Another workflow is found, or other people for it."""
        field = str(message.input.id)
        if message.value != getattr(self.form, field):
            changed: dict[str, Any] = {field: message.value}
            self.form = replace(self.form, **changed)
            self._show()
            self._read_workflow()

    @on(Input.Changed, "#inputs")
    def _inputs_changed(self, message: Input.Changed) -> None:
        self.form = replace(self.form, inputs=message.value)
        self._wrong("inputs", "")
        self._show()

    @on(Input.Changed, "#limits")
    def _limits_changed(self, message: Input.Changed) -> None:
        self.form = replace(self.form, limits=message.value)
        self._limits_told()
        self._show()

    def _limits_told(self) -> None:
        try:
            self.form.chosen_limits()
        except InputError as error:
            self._wrong("limits", clean(error, 300), "phase-waiting")
        else:
            self._wrong("limits", "")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """What helps at a field is told while one is there: its keys, the teams that there are."""
        self.query_one("#hint", Block).show(_HINTS.get(event.widget.id or "", _HINT))
        hint = self.query_one("#team-hint", Block)
        hint.display = event.widget.id == "team" and bool(hint.words)

    async def _find_agents(self) -> None:
        self._agents = await self.console.ask_host(methodcaller("agents"))
        hint = self.query_one("#team-hint", Block)
        hint.show(Text(hint_words(self._agents), palette(self).style("muted")))
        hint.display = self.query_one("#team", Input).has_focus
        self._tell_team()

    def _tell_team(self) -> None:
        """What is wrong with the team or missing for it, else what it would start."""
        try:
            self.form.chosen_team()
            wrong = missing_words(self.form.team.strip(), self._agents) or self._unfit
        except InputError as error:
            wrong = clean(error, 300)
        self._wrong("team", wrong or self._starts, "phase-failed" if wrong else "phase-waiting")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.app.action_focus_next()

    @on(PhaseList.Switched)
    def _switched(self, message: PhaseList.Switched) -> None:
        switch = {"run": self.form.toggled, "pause": self.form.paused, "start": self.form.started}
        self.form = switch[message.what](message.phase)
        self._wrong("phases", "")
        self._show()

    def _wrong(self, field: str, sentence: str, colour: str = "phase-failed") -> None:
        block = self.query_one(f"#wrong-{field}", Block)
        block.show(Text(sentence, palette(self).style(colour)))
        block.display = bool(sentence)

    # ── A file for the field in focus ─────────────────────────────────────────────────────────────────────

    def action_pick_file(self) -> None:
        """Choose the workflow's file there, else the requirement's."""
        if self.busy or not self.is_current:
            return
        from maestro_tui.console.screens.pick_file import PickFile

        workflow = self.query_one("#workflow", Input).has_focus
        title = "Which file is the workflow?" if workflow else "Which file holds the requirement?"
        folder = Path(self.query_one("#workspace", Input).value.strip() or ".").expanduser().absolute()
        start = folder if folder.is_dir() else Path.cwd()
        self.app.push_screen(
            PickFile(title, start, self._workflow_picked if workflow else self._requirement_picked)
        )

    def _workflow_picked(self, path: Path) -> None:
        self.query_one("#workflow", Input).value = str(path)

    def _requirement_picked(self, path: Path) -> None:
        area = self.query_one("#requirement", TextArea)
        area.select_all()
        # As an edit: ctrl+z brings back what was typed.
        area.replace(f"@{written(path, Path.cwd())}", *area.selection)
        self.set_focus(area)

    async def _look_at_file(self) -> None:
        """Show how a requirement's file begins, or what is wrong with it."""
        text = self.form.requirement.strip()
        if not text.startswith("@") or "\n" in text:
            return
        await asyncio.sleep(0.15)
        try:
            words = await asyncio.to_thread(requirement_text, text)
        except InputError as error:
            self._wrong("requirement", clean(error, 400), "phase-waiting")
            return
        first = next((one for one in words.splitlines() if one.strip()), "")
        count = len(words.splitlines())
        told = f"{count:,} line{'s' if count != 1 else ''}: {short(clean(first, 200), 60)}"
        self._wrong("requirement", told, "muted")

    # ── The workflow of the workspace, read in a thread as it is typed ────────────────────────────────────

    def _read_workflow(self) -> None:
        self.run_worker(self._find(), group="workflow", exclusive=True, exit_on_error=False)

    async def _find(self) -> None:
        # A short wait, so that a path is not looked up for each of its letters.
        await asyncio.sleep(0.15)
        form = self.form

        def work() -> tuple[Workflow, Workflow, bool]:
            from maestro_tui.config import TrustBook, find_workflow
            from maestro_tui.engine.teams import with_team

            workspace = Path(form.workspace.strip() or ".").expanduser()
            if not workspace.is_dir():
                raise InputError(f"{clean(str(workspace), 200)} is not a folder.")
            workflow = find_workflow(form.workflow.strip() or None, workspace)[0]
            try:
                manned = with_team(workflow, form.chosen_team())
            except InputError:  # told at the team's own field
                manned = workflow
            return workflow, manned, TrustBook().trusts(workflow)

        self._wrong("workspace", "")
        self._wrong("workflow", "")
        self._starts = self._unfit = ""
        self._tell_team()
        try:
            workflow, manned, trusted = await asyncio.to_thread(work)
        except WorkflowError as error:
            self._wrong("workflow", clean(error, 400))
        except MaestroError as error:
            self._wrong("workspace", clean(error, 400))
        except OSError as error:
            self._wrong("workspace", f"Cannot read the workspace: {clean(error.strerror or error, 200)}.")
        else:
            self.form = self.form.with_workflow(workflow, self._out, self._pause)
            self._starts = start_words(workflow, manned)
            if not trusted:
                own = len(workflow.commands)
                self._wrong("workflow", trust_words(own, len(manned.commands) - own), "phase-waiting")
            self._tell_team()
            self._show()
            await self._estimate()

    async def _estimate(self) -> None:
        """What the phases usually take and may overwrite; what cannot be planned yet is told at the launch."""
        form = replace(self.form, requirement=self.form.requirement.strip() or "not said yet", inputs="")
        if form.requirement.startswith("@"):
            form = replace(form, requirement="from a file")
        phases = tuple(replace(one, pause=False) for one in form.phases)
        try:
            launch = replace(form, phases=phases, start_from=None, limits="").launch()
            plan: Plan = await self.console.ask_host(methodcaller("plan_launch", launch))
        except MaestroError as error:
            if about_team(error, self.form):
                self._unfit = clean(error, 400)
                self._tell_team()
            return
        self.query_one(PhaseList).usual = {
            one.phase: one.estimate for one in plan.phases if one.estimate.runs
        }
        self._danger = plan_words.overwrite_words(plan)
        self._show()

    # ── Launch ────────────────────────────────────────────────────────────────────────────────────────────

    @on(Button.Pressed, "#yes")
    def action_confirm(self) -> None:
        """Launch what is on the sheet."""
        if self.busy or not self.is_current or self.too_early:
            return
        self.busy = True
        self.tell("")
        self.run_worker(self._launch(), group="do", exit_on_error=False)

    def _as_typed(self) -> Form:
        """The form with what stands in its fields: their messages may still be on the way."""
        return replace(
            self.form,
            requirement=self.query_one("#requirement", TextArea).text,
            workspace=self.query_one("#workspace", Input).value,
            workflow=self.query_one("#workflow", Input).value,
            inputs=self.query_one("#inputs", Input).value,
            team=self.query_one("#team", Input).value,
            limits=self.query_one("#limits", Input).value,
        )

    async def _launch(self) -> None:
        form = self.form = self._as_typed()
        try:
            wrong, launch = await asyncio.to_thread(launch_of, form)
            if launch is None:
                self._wrong(wrong[0], wrong[1])
                self.set_focus(self.query_one(f"#{wrong[0]}"))
                return
            session_id = await self.console.ask_host(methodcaller("launch", launch))
        except MaestroError as error:
            if not ask_for_trust(self, error, self._trusted):
                self._refused(error)
            return
        finally:
            self.busy = False
        self.console.main.launch_draft = None
        problem = remember_launch(self.console.memory, self.console.root, form.remembered())
        if problem is not None:
            self.console.say(problem, severity="warning")
        self.console.main.await_session(session_id)
        self.leave()

    def _refused(self, error: MaestroError) -> None:
        sentence, field = clean(error, 600), field_of(error, self.form)
        if field:
            self._wrong(field, sentence)
            self.set_focus(self.query_one(f"#{field}"))
        else:
            self.tell(sentence)

    def action_close(self) -> None:
        """Close; what was typed is there again when the sheet is opened again."""
        if not self.busy:
            draft = self._as_typed().remembered()
            if not self.form.phases:  # the workflow is not read yet
                draft |= {"out": list(self._out), "pause": list(self._pause)}
            self.console.main.launch_draft = draft
        self.leave()

    def _trusted(self) -> None:
        self.busy = True
        self.run_worker(self._launch(), group="do", exit_on_error=False)
