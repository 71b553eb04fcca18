"""What there is to say of a team before it is launched: which agents are here, what is missing, what it would start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.model.workflow import Workflow
    from maestro_tui.performers.agents.detect import FoundAgent


def hint_words(agents: Sequence[FoundAgent]) -> str:
    """Which teams can be named here; an offer, nothing is chosen."""
    here = ", ".join(clean(one.name, 40) for one in agents if one.installed)
    found = f"found here: {here}" if here else "no agent was found here"
    return f"toolbox: tools, no AI; {found}; or llm:MODEL[@URL], hive:MODULE:CLASS"


def missing_words(team: str, agents: Sequence[FoundAgent]) -> str:
    """How the agent that is named gets onto this computer; empty when nothing is missing."""
    named = next((one for one in agents if one.name == team), None)
    return f"{clean(named.sentence, 300)}." if named is not None and not named.installed else ""


def trust_words(own: int, team: int) -> str:
    """That the workflow's `own` commands are not approved here, and how many a team adds."""
    commands = "a command" if own == 1 else f"{own} commands"
    more = f" (and {team} more of the team that you name)" if team else ""
    return (
        f"It starts {commands} that nobody has approved here yet{more}: you are asked before anything runs."
    )


def start_words(bare: Workflow, manned: Workflow) -> str:
    """What a team adds to what the workflow starts, which launching approves; empty when it adds nothing."""
    before = {phase.name: phase.personas for phase in bare.phases}
    added = {
        phase.name: one.starts
        for phase in manned.phases
        for one in phase.personas
        if one.starts is not None and one not in before.get(phase.name, ())
    }
    if not added:
        return ""
    phases = next(iter(added)) if len(added) == 1 else f"{len(added)} phases"
    what = clean(next(iter(added.values())), 200)
    return f"It starts {what} in {phases}: it may write files and cost money. Launching approves it."
