"""Who the toolbox offers: its personas, what they can do in the field's words, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass

OUT_FOLDER = "maestro-out"
"""Where the toolbox writes in the workspace; one folder for each kind of phase."""


@dataclass(frozen=True, slots=True)
class ToolPersona:
    """One persona of the toolbox. Blueprint rules compare `description` with a phase's objective."""

    name: str
    description: str
    phases: tuple[str, ...]
    """The standard phases that it works in."""
    deliverables: tuple[str, ...]
    """Files that it always leaves, relative to the workspace, also when there is nothing to work on."""


CATALOGUE: tuple[ToolPersona, ...] = (
    ToolPersona(
        name="requirement_analyst",
        description=(
            "Splits the requirement into numbered statements that can be tested, says what must be true when "
            "the work is done, and flags vague or missing requirements with the word and the reason"
        ),
        phases=("requirements",),
        deliverables=(
            f"{OUT_FOLDER}/requirements/requirements.md",
            f"{OUT_FOLDER}/requirements/requirements.json",
        ),
    ),
    ToolPersona(
        name="project_surveyor",
        description=(
            "Takes stock of the project before the work: says what is true now, its metadata, declared and "
            "installed dependencies, open markers in the code, its size, and which tests it has; the state of "
            "things that requirements start from"
        ),
        phases=("requirements",),
        deliverables=(f"{OUT_FOLDER}/requirements/project.md", f"{OUT_FOLDER}/requirements/project.json"),
    ),
    ToolPersona(
        name="software_architect",
        description=(
            "Maps the structure and design of the code: packages, modules and the graph of their imports, "
            "layers of the architecture, cycles, coupling and hot spots, as a diagram and as data"
        ),
        phases=("design",),
        deliverables=(f"{OUT_FOLDER}/design/design.md", f"{OUT_FOLDER}/design/design.json"),
    ),
    ToolPersona(
        name="build_engineer",
        description=(
            "Builds the distributable packages of the project, source distribution and wheel, from its sources "
            "with its own build backend, and checks that every module is inside"
        ),
        phases=("implementation",),
        deliverables=(
            f"{OUT_FOLDER}/implementation/implementation.md",
            f"{OUT_FOLDER}/implementation/implementation.json",
        ),
    ),
    ToolPersona(
        name="test_engineer",
        description=(
            "Runs the project's own tests, with pytest or unittest, in an environment that has what they need, "
            "and counts what passed, failed, broke and was skipped: quality assurance, review, verification"
        ),
        phases=("testing",),
        deliverables=(f"{OUT_FOLDER}/testing/testing.md", f"{OUT_FOLDER}/testing/testing.json"),
    ),
    ToolPersona(
        name="code_reviewer",
        description=(
            "Counts what the project's own linters and type checkers find beside its tests: code review, style"
        ),
        phases=("testing",),
        deliverables=(f"{OUT_FOLDER}/testing/lint.md", f"{OUT_FOLDER}/testing/lint.json"),
    ),
    ToolPersona(
        name="release_engineer",
        description=(
            "Installs the built package into a clean environment, smoke-tests it by importing it and running "
            "its entry points, and writes the release manifest with the hash of every delivered file"
        ),
        phases=("deployment",),
        deliverables=(f"{OUT_FOLDER}/deployment/deployment.md", f"{OUT_FOLDER}/deployment/manifest.json"),
    ),
)
"""In the order in which they work when several belong to one phase."""
