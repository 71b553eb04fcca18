"""Who works on a phase as things stand, who could instead, and what a change of that would mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maestro_tui.engine.blueprints import candidates_of
from maestro_tui.model.context import Decision
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Mode

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode as Engine


@dataclass(frozen=True, slots=True)
class PhaseTeam:
    """The team of one phase."""

    phase: str
    personas: tuple[str, ...]
    """In the order in which they work; empty when the rules find nobody."""
    mode: Mode
    decision: Decision | None
    """Why they; None when nobody is found."""
    problem: str | None
    """Why nobody is found, as a sentence."""
    candidates: tuple[Persona, ...]
    """Everyone who could work on it."""
    by_operator: bool
    """True when a person's word is in force."""
    by_advisor: bool
    """True when the workflow's advisor is asked as the phase begins: its answer may differ from this."""
    committed: bool
    """True when a result exists, which another team makes stale."""


def phase_team(engine: Engine, session_id: str, phase: str) -> PhaseTeam:
    """Read who would work on a phase now. Raises `InputError` and `WorkflowError` when it does not exist."""
    situation = engine.situation(session_id, need_workspace=False)
    workflow, context = situation.workflow, situation.head.context
    one = workflow.phase(phase)
    problem: str | None = None
    personas: tuple[str, ...] = ()
    decision: Decision | None = None
    mode: Mode = one.mode or "sequential"
    try:
        made = engine.team.blueprint(workflow, one, context)
    except InputError as error:
        problem = str(error)
    else:
        personas, mode, decision = tuple(who.name for who in made.personas), made.mode, made.decision
    result = context.phase_results.get(one.name)
    asked = workflow.advisor is not None and "blueprint" in workflow.advice
    return PhaseTeam(
        phase=one.name,
        personas=personas,
        mode=mode,
        decision=decision,
        problem=problem,
        candidates=candidates_of(one, workflow.personas),
        by_operator=one.name in context.blueprints,
        by_advisor=asked and decision is not None and decision.decided_by == "rules",
        committed=result is not None and result.done,
    )
