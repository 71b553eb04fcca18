"""The whole console over sessions in which every word from outside is hostile; `python -m` runs it for real."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maestro_tui.config import UntrustedWorkflow
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.screens import main
from maestro_tui.console.settings import Memory, Settings
from maestro_tui.console.widgets.session_pane import SessionPane
from maestro_tui.model.context import Artifact, ContractCheck, Decision, Gate, PhaseResult, PhaseStatus
from maestro_tui.model.errors import InputError
from maestro_tui.model.plan import Plan
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import Workflow
from tests.console.fakes import FakeClock, FakeHost, FakeSource, fleet, plan_for, session
from tests.console.hostile import HOSTILE
from tests.console.pane_data import hostile_session

NICE = clean(HOSTILE, 300)
"""What the boundary makes of it: summaries hold only such texts."""
PLAIN = HOSTILE.replace("\ud800", "")
"""As it may stand where UTF-8 is needed."""
COMMANDS = Workflow.parse(
    'name = "w"\n[[phases]]\nname = "a"\n[[phases.personas]]\nname = "p"\nshell = "echo [/red] [@click=app.quit]x"\n'
)

SCENES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "list": ((), "kyc"),
    "filter": (("slash", *"status:[/]"), "[/]"),
    "marks": (("space", "space"), "2 marked"),
    "log": (("enter", "1"), "Log"),
    "log search": (("enter", "1", "slash", *"[/]", "enter"), "[/]"),
    "log wrapped": (("enter", "1", "w"), "Log"),
    "artifacts": (("enter", "2", "down", "enter"), "Artifacts"),
    "versions": (("enter", "2", "down", "d"), "Diff"),
    "checkpoint": (("enter", "3", "space", "c"), "Checkpoint"),
    "decisions": (("enter", "4"), "Decisions"),
    "events": (("enter", "5"), "Events"),
    "diff": (("enter", "6", "u"), "Diff"),
    "plan": (("enter", "7"), "Plan"),
    "timeline": (("enter", "shift+tab", "o", "plus"), "Log"),
    "wall": (("w", "j"), "s-0192"),
    "palette": (("colon", *"open"), "open"),
    "help": (("question_mark",), "Keys"),
    "resume": (("j", "r"), "Resume"),
    "trust": (("j", "r", "y"), "starts commands"),
    "choose": (("j", "p"), "Which phase"),
    "rerun": (("j", "R", "enter"), "Rerun"),
    "skip": (("j", "K", "enter", *"why", "enter", "y"), "Skip"),
    "raise": (("j", "b", *"$2", "enter", *"why", "enter", "enter"), "Raise a budget"),
    "blueprint": (("j", "B", "enter", "space", "c", *"why", "enter", "enter"), "Who works"),
    "fork": (("j", "F"), "Fork"),
    "doctor": (("j", "D"), "Doctor"),
    "prune": (("asterisk", "P", "y"), "Remove"),
    "batch": (("asterisk", "r"), "Resume"),
    "launch": (("n",), "New session"),
    "launch refused": (("n", *"x", "ctrl+s"), "New session"),
    "review": (("a",), "Review"),
    "review refused": (("a", "c", *"why", "enter", "y"), "Review"),
    "stop": (("j", "j", "X", "y"), "Stop pid"),
    "quit": (("q",), "Quit?"),
    "copied line": (("enter", "1", "y"), "Copied"),
    "copied view": (("enter", "5", "Y"), "Copied"),
}
"""Name of a place → the keys that lead there from the list, and words that then stand on the screen."""


class HostileHost(FakeHost):
    """Every answer and every refusal is hostile."""

    def __init__(self, untrusted: bool) -> None:
        super().__init__()
        self.untrusted = untrusted
        self.told = [("s", HOSTILE)]
        self.own = ("kyc",)
        self.plan_of = self._hostile_plan
        self.left = {PLAIN: [PLAIN, {PLAIN: PLAIN}]}
        self.commits[1] = replace(self.commits[1], phase=HOSTILE, status=HOSTILE)
        held = {"pid": 5_220, "host": HOSTILE, "user": HOSTILE, "here": False, "alive": None}
        held |= {"heartbeat_seconds_ago": 900.0, "phases": [HOSTILE]}
        self.standing = (replace(self.standing[0], phase=NICE, over=NICE), self.standing[1])
        candidates = tuple(
            one.model_copy(update={"name": f"{PLAIN}{number}", "description": PLAIN, "shell": PLAIN})
            for number, one in enumerate(self.phase_team.candidates)
        )
        decision = Decision(about=PLAIN, choice=PLAIN, rationale=PLAIN, decided_by=PLAIN)
        self.phase_team = replace(self.phase_team, candidates=candidates, decision=decision)
        self.found |= {"owner": held, "damage": [HOSTILE], "problem": HOSTILE, "status": HOSTILE}

    def _hostile_plan(self, session_id: str, kind: str, phase: str | None) -> Plan:
        plan = plan_for(session_id, kind, phase if phase in ("design", "testing") else None)
        # Names of phases are checked where a workflow is read: they cannot be hostile.
        phases = [one.model_copy(update={"reason": PLAIN, "overwrites": (PLAIN,)}) for one in plan.phases]
        return plan.model_copy(update={"phases": tuple(phases), "changes": (PLAIN,)})

    def _do(self, *call: Any) -> None:
        self.calls.append(call)
        if self.untrusted:
            self.untrusted = False
            raise UntrustedWorkflow(COMMANDS, HOSTILE)
        raise InputError(HOSTILE)


def hostile_result(session_id: str, phase: str) -> PhaseResult:
    """What the phase that waits left."""
    return PhaseResult(
        status=PhaseStatus.COMPLETED,
        summary=PLAIN,
        outputs={PLAIN: PLAIN},
        quality={PLAIN: 0.5},
        gate=Gate(verdict="waiting", threshold={PLAIN: 0.9}, failures=(PLAIN,)),
        contract=ContractCheck(deliverables=(PLAIN,), missing=(PLAIN,), violations=(PLAIN,)),
        artifacts=(Artifact(path=PLAIN, size=1, sha256="a" * 64, phase="design", persona=PLAIN),),
        decisions=(Decision(about=PLAIN, choice=PLAIN, decided_by=PLAIN),),
    )


def hostile_fleet(first: SessionSummary) -> FleetSnapshot:
    """One that waits, the one whose details are on disk, one of another process; and a problem of the whole."""
    words: dict[str, Any] = {"requirement": NICE, "error": NICE, "last_event": NICE}
    waiting = session("kyc", "waiting", **words, phases=["design", "[@click=app.quit]x", "名前名前"])
    running = session("other", "running", **words, at=1)
    assert running.owner is not None
    running = replace(running, owner=replace(running.owner, user=NICE, host=NICE, here=True, alive=True))
    assert first.owner is not None
    first = replace(first, owner=replace(first.owner, alive=False))
    return replace(fleet(waiting, first, running), problem=NICE)


def hostile_app(folder: Path, *, untrusted: bool = False, theme: str = "maestro-dark") -> MaestroApp:
    """The console over it all; its details and artifacts are real files below `folder`."""
    told = hostile_session(folder)
    main.make_pane = lambda root, clock: SessionPane(told.root, clock, told.source)  # type: ignore[assignment]
    memory = Memory(None)
    memory.put(
        "launch",
        {"requirement": PLAIN, "workflow": PLAIN, "workspace": str(folder), "team": PLAIN, "limits": PLAIN},
    )
    return MaestroApp(
        told.root,
        source=FakeSource(hostile_fleet(told.summary)),
        host=HostileHost(untrusted),
        results=hostile_result,
        clock=FakeClock(),
        settings=Settings(problems=(NICE,)),
        memory=memory,
        theme=theme,
    )


if __name__ == "__main__":
    sys.exit(hostile_app(Path(sys.argv[1]), untrusted=True).run() or 0)
