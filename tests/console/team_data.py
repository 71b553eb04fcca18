"""A team, its budgets and the agents of a computer, made up for tests of the console."""

from __future__ import annotations

from pathlib import Path

from maestro_tui.engine.phase_team import PhaseTeam
from maestro_tui.model.budgets import Standing
from maestro_tui.model.context import Decision, Usage
from maestro_tui.model.persona import Persona
from maestro_tui.model.policy import Budget
from maestro_tui.performers.agents.detect import FoundAgent

AGENTS_HERE = (
    FoundAgent("claude", Path("/usr/bin/claude"), None, "npm install -g @anthropic-ai/claude-code"),
    FoundAgent("codex", None, None, "npm install -g @openai/codex"),
    FoundAgent("gemini", Path("/usr/bin/gemini"), None, "npm install -g @google/gemini-cli"),
    FoundAgent("opencode", None, None, "npm install -g opencode-ai"),
)


def standing() -> tuple[Standing, ...]:
    """The session's budget is spent, the one of its design is not."""
    return (
        Standing(
            None,
            Budget(cost_usd=5, tokens=200_000),
            Usage(seconds=900, input_tokens=80_000, output_tokens=4_000, cost_usd=5.02),
            "$5.02 of $5.00",
        ),
        Standing("design", Budget(seconds=1_800), Usage(seconds=610.5), None),
    )


def phase_team() -> PhaseTeam:
    """An architect alone, chosen by rules out of four who could work; its result exists."""
    return PhaseTeam(
        phase="design",
        personas=("solution_architect",),
        mode="sequential",
        decision=Decision(
            phase="design",
            about="blueprint",
            choice="sequential: solution_architect",
            rationale="BM25 of the phase's name and objective: solution_architect 2.31 (design)",
            decided_by="rules",
            score=2.31,
        ),
        problem=None,
        candidates=(
            Persona(
                name="solution_architect",
                description="Designs the smallest change of the project's structure",
                performer="agent_cli",
                options={"agent": "claude"},
            ),
            Persona(
                name="critic",
                description="Looks for what is missing",
                performer="llm",
                options={"model": "llama3.1", "base_url": "http://127.0.0.1:11434/v1"},
            ),
            Persona(name="software_architect", description="Maps the import graph"),
            Persona(name="linter", description="Runs the linter", shell="ruff check ."),
        ),
        by_operator=False,
        by_advisor=False,
        committed=True,
    )
