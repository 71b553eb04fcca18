"""A phase that waits for a person: shows what it left, and takes the decision with a comment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Input

from maestro_tui.console import plan_words
from maestro_tui.console.fleet_row import short_id
from maestro_tui.console.lines import Line, fit_right, wrap_words
from maestro_tui.console.quality_lines import contract_lines, quality_lines, usage_words
from maestro_tui.console.screens.about_session import AboutSession
from maestro_tui.console.screens.plan_sheet import as_text, ask_for_trust
from maestro_tui.console.screens.reason import ReasonField
from maestro_tui.console.structural_diff import brief
from maestro_tui.console.widgets.block import Block
from maestro_tui.console.widgets.palette import palette
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean, clean_lines, format_bytes

if TYPE_CHECKING:
    from maestro_tui.console.ports import Host
    from maestro_tui.model.context import PhaseResult
    from maestro_tui.model.phase import Phase
    from maestro_tui.model.plan import Plan

_MOST = 12
_GOES_ON = "it goes on"
_COMMENT = "comment: needed to push back or reject"
_WHY = {"push_back": "why you push it back", "reject": "why you reject it"}


class ReviewSheet(AboutSession):
    """Approve, push back or reject. Approving and pushing back go on with the session."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide('approve')", "Approve and go on", show=False),
        Binding("b", "decide('push_back')", "Push back", show=False),
        Binding("x", "decide('reject')", "Reject", show=False),
        Binding("c", "comment", "Comment", show=False),
        Binding("e", "edit", "Edit its outputs", show=False),
    ]

    AROUND = 18

    def __init__(self, session: SessionSummary) -> None:
        super().__init__()
        self.no_words = "Later"
        self.session = session
        self.phase = next(phase.name for phase in session.phases if phase.waiting)
        self.wanted = "no"
        """The button to which enter leads from the comment."""
        self.read = False
        """True once the result that is decided upon is shown."""
        self._then: dict[str, str] = {}
        """Verdict → what becomes of the session after it."""
        self._next = _GOES_ON

    def title_words(self) -> str:
        """What waits."""
        others = sum(phase.waiting for phase in self.session.phases) - 1
        more = f"  ({others} more of its phases wait{'s' if others == 1 else ''})" if others else ""
        return f"Review {self.phase} of {short_id(self.session.session_id)}{more}"

    def body(self) -> Iterable[Widget]:
        """What it left, and the comment."""
        yield VerticalScroll(Block("Reading the result …", id="left"), classes="list", can_focus=False)
        yield ReasonField(self.about(), _COMMENT)
        yield Block("e edits its outputs in your editor first", id="radius", classes="note")

    def yes_buttons(self) -> Iterable[tuple[str, str]]:
        """Three."""
        yield "reject", "Reject  x"
        yield "push_back", "Push back  b"
        yield "approve", "Approve and go on  y"

    def on_mount(self) -> None:
        """Read the result."""
        self._load()

    def session_changed(self) -> None:
        """Say when somebody else has decided meanwhile."""
        if any(phase.waiting and phase.name == self.phase for phase in self.session.phases):
            self.tell("The session has changed since; its result is read again …", "phase-waiting")
            self._load("The session has changed since; this is the result as of now.")
        else:
            self.busy = True
            self.tell(
                f"{self.phase} does not wait any more: somebody has decided meanwhile.", "phase-waiting"
            )

    def _load(self, note: str = "") -> None:
        self.read = False
        super()._load(note)

    async def _read(self, note: str) -> None:
        try:
            result = await self.console.result_of(self.session.session_id, self.phase)
        except MaestroError as error:
            self.query_one("#left", Block).show("")
            self.tell(clean(error, 600))
            return
        try:
            phase: Phase | None = await self.console.ask_host(
                methodcaller("definition", self.session.session_id, self.phase)
            )
        except MaestroError:
            phase = None  # its file is gone or wrong: what the radius says of that is enough
        radius = await self._radius()
        self.query_one("#left", Block).show(self._words(result, phase))
        shown = self.query_one("#radius", Block)
        shown.show(radius)
        width = max(30, shown.size.width)
        rows = sum(len(wrap_words(row, width)) for row in radius.plain.split("\n"))
        self.fit_list(self.size.height, 10 + rows)
        self.read = True
        if note:
            self.tell(note, "phase-waiting")

    async def _radius(self) -> Text:
        """What each decision sets going, and who holds the session."""
        session_id, phase = self.session.session_id, self.phase
        text = Text()
        self._then.clear()
        for verdict, words in (("approved", "y approves"), ("pushed_back", "b pushes back")):
            try:
                plan: Plan = await self.console.ask_host(
                    methodcaller("plan_decision", session_id, phase, verdict)
                )
                does = plan_words.sums_words(plan)
                self._then[verdict] = plan_words.then_words(plan)
            except MaestroError as error:
                does = clean(error, 300)
            text.append(f"{words}: {does}\n")
        text.append("x rejects: fails the phase, nothing runs\ne edits its outputs in your editor first\n")
        return text.append(plan_words.holder_words(self.session.owner, self.console.clock()))

    def _words(self, result: PhaseResult, phase: Phase | None) -> Text:
        styles, short = palette(self), self.has_class("-short")
        text = Text(clean_lines(result.summary, 2_000, _MOST) or f"attempt {result.attempt}, no summary")

        def head(words: str) -> None:
            text.append(("\n" if short else "\n\n") + words, styles.style("muted"))

        def rows(lines: Sequence[Line]) -> None:
            for one in lines:
                text.append("\n").append_text(as_text(one, styles.style))

        width = max(40, self.query_one("#left", Block).size.width)
        quality = quality_lines(result, phase)
        if quality:
            head("quality")
            rows(quality)
        gate = result.gate
        for reason in gate.failures[:_MOST] if gate is not None else ():
            text.append(f"\n  {clean(reason, 400)}", styles.style("phase-failed"))
        contract = result.contract
        if contract is not None and (contract.deliverables or contract.violations):
            head("contract")
            rows(contract_lines(contract, width))
        if result.outputs:
            head(f"outputs ({len(result.outputs)})")
            for name, value in list(result.outputs.items())[:_MOST]:
                text.append(f"\n  {clean(name, 60)}: {brief(value, 120)}")
        if result.artifacts:
            head(f"files ({len(result.artifacts)})")
            for artifact in result.artifacts[:_MOST]:
                size = fit_right(format_bytes(artifact.size), 8)
                text.append(f"\n  {artifact.change:<8} {size}  {clean(artifact.path, 160)}")
                if artifact.persona:
                    text.append(f"  by {clean(artifact.persona, 60)}", styles.style("muted"))
            if len(result.artifacts) > _MOST:
                text.append(f"\n  and {len(result.artifacts) - _MOST} more", styles.style("muted"))
        if result.decisions:
            head("decisions")
            for decision in result.decisions[:_MOST]:
                text.append(f"\n  {clean(decision.about, 80)}: {clean(decision.choice, 120)}")
        head("usage")
        text.append(f"\n  {usage_words(result.usage)}")
        return text

    def action_edit(self) -> None:
        """Edit the outputs in the operator's editor; the differences are shown before they are recorded."""
        if not self.busy and self.is_current:
            self.busy = True
            self.run_worker(self._edit(), group="edit", exit_on_error=False)

    async def _edit(self) -> None:
        from maestro_tui.console.screens.edit import EditSheet, edit_key, edited_outputs, outputs_text
        from maestro_tui.console.shell_out import edit_text

        try:
            before = await self.console.ask_host(methodcaller("outputs", self.session.session_id, self.phase))
            kept, key = self.console.main.drafts, edit_key(self.session, self.phase)
            text = edit_text(self.console, kept.get(key) or outputs_text(before), ".json")
            # Kept until it is recorded or thrown away, also when it cannot be read.
            kept[key] = text
            changed = edited_outputs(before, text)
        except MaestroError as error:
            self.tell(clean(error, 600))
            return
        finally:
            self.busy = False
        if not changed:
            kept.pop(key, None)
            self.tell("Nothing was changed.", "muted")
        elif self.is_current:
            self.tell("")
            self.app.push_screen(EditSheet(self.session, self.phase, before, changed))

    def about(self) -> tuple[str, ...]:
        """A comment belongs to this attempt of the phase."""
        attempt = next(one.attempt for one in self.session.phases if one.name == self.phase)
        return (*super().about(), self.phase, str(attempt))

    def action_comment(self) -> None:
        """Write the comment; which decision it goes with is chosen afterwards."""
        self._write("no", _COMMENT)

    def _write(self, wanted: str, asked: str) -> None:
        field = self.query_one("#comment", ReasonField)
        self.wanted = wanted
        field.ask(asked)
        self.set_focus(field)

    @on(Input.Submitted, "#comment")
    def _comment_done(self) -> None:
        self.tell("")
        self.set_focus(self.query_one(f"#{self.wanted}", Button))

    @on(Button.Pressed, "#approve, #push_back, #reject")
    def _pressed(self, message: Button.Pressed) -> None:
        self.action_decide(str(message.button.id))

    def action_decide(self, what: str) -> None:
        """Record the decision, and go on where that is meant."""
        if self.busy:
            return
        comment = self.query_one("#comment", Input).value.strip()
        if what != "approve" and not comment:
            self.tell(f"Say {_WHY[what]}; it is recorded with your name and the time.", "phase-waiting")
            self._write(what, _WHY[what])
            return
        if not self.read:
            self.tell("The result is not read yet; there is nothing to decide upon.", "phase-waiting")
            return
        if self.too_early:
            return
        self.busy = True
        self.run_worker(self._decide(what, comment), group="do", exit_on_error=False)

    async def _decide(self, what: str, comment: str) -> None:
        session_id, phase = self.session.session_id, self.phase

        def work(host: Host) -> None:
            if what == "approve":
                host.approve(session_id, phase, None, comment)
            elif what == "push_back":
                host.push_back(session_id, phase, None, comment)
            else:
                host.reject(session_id, phase, None, comment)

        try:
            await self.console.ask_host(work)
        except MaestroError as error:
            self.busy = False
            self.tell(clean(error, 600))
            return
        self.query_one("#comment", ReasonField).done()
        if what != "reject":
            self._next = self._then.get("approved" if what == "approve" else "pushed_back", _GOES_ON)
            await self._go_on()
            return
        self.console.say(f"{short_id(session_id)}: {phase} rejected.")
        self.leave()

    async def _go_on(self) -> None:
        session_id = self.session.session_id

        def work(host: Host) -> None:
            host.resume(session_id)

        try:
            await self.console.ask_host(work)
        except MaestroError as error:
            if not ask_for_trust(self, error, self._trusted):
                self.tell(f"Your decision is recorded. {clean(error, 600)}")
            return
        self.console.say(f"{short_id(session_id)}: decision recorded, {self._next}.")
        self.leave()

    def _trusted(self) -> None:
        self.run_worker(self._go_on(), group="do", exit_on_error=False)
