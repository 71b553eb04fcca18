"""The standard workflow `sdlc`, defined here and nowhere else."""

from __future__ import annotations

from functools import cache

from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow

STANDARD = "sdlc"


@cache
def sdlc() -> Workflow:
    """Requirements → design → implementation → testing → deployment, with Maestro Hive's thresholds for what must be there."""
    return Workflow(
        name=STANDARD,
        description="The five standard phases of software delivery",
        phases=(
            Phase(
                name="requirements",
                objective="Say what must be true when the work is done, as statements that can be tested",
                threshold={"contract": 0.75},
            ),
            Phase(
                name="design",
                objective="Map the structure of the code: modules, imports, layers, cycles and hot spots",
                threshold={"contract": 0.80},
            ),
            Phase(
                name="implementation",
                objective="Build the distributable packages of the project from its sources",
                threshold={"contract": 0.70},
            ),
            Phase(
                name="testing",
                objective="Run the project's own tests and count what passed and failed",
                threshold={"contract": 0.85},
            ),
            Phase(
                name="deployment",
                objective="Install the built package into a clean environment and smoke-test it",
                threshold={"contract": 0.90},
            ),
        ),
    )
