"""Who works where the workflow names nobody: the teams that `--team` asks for, as personas of each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.sdlc import sdlc
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import ALIASES, Workflow
from maestro_tui.performers.toolbox.catalogue import CATALOGUE, OUT_FOLDER

TOOLBOX = "toolbox"
AGENTS = ("claude", "codex", "gemini", "opencode")
FORMS = "toolbox, claude, codex, gemini, opencode, llm:MODEL[@BASE_URL] or hive:MODULE:CLASS"

_KEYS: Mapping[str, tuple[str, ...]] = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "codex": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY", "CODEX_HOME"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_CLOUD_PROJECT"),
    "opencode": (
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GEMINI_API_KEY",
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
    ),
}
"""The variables with which each agent finds its account; nothing else of the environment is passed on."""


@dataclass(frozen=True, slots=True)
class _Role:
    """One standard phase as an agent or model does it, and the tools that measure beside it."""

    name: str
    description: str
    objective: str
    before: tuple[str, ...] = ()
    """Toolbox personas that work first, for the facts."""
    after: tuple[str, ...] = ()
    """Toolbox personas that work last: they build and measure, whoever did the work."""


_ROLES: Mapping[str, _Role] = {
    "requirements": _Role(
        "requirement_analyst",
        "Turns a requirement into numbered statements that can be tested, and says what is unclear",
        f"Write {OUT_FOLDER}/requirements/agreed.md: numbered statements that can be tested, what is out of scope, "
        "open questions, and how each statement will be verified in this project",
        before=("project_surveyor",),
    ),
    "design": _Role(
        "solution_architect",
        "Designs the smallest change of the project's structure that satisfies the requirements",
        f"Write {OUT_FOLDER}/design/decided.md: which modules change and how, interfaces, data, failure cases, "
        "alternatives and why they were not taken",
        before=("software_architect",),
    ),
    "implementation": _Role(
        "developer",
        "Implements the design in the project's own style, with tests",
        "Implement the design in the workspace, with tests in the project's own style; then write "
        f"{OUT_FOLDER}/implementation/changes.md: what was changed, file by file, and why",
        after=("build_engineer",),
    ),
    "testing": _Role(
        "quality_engineer",
        "Checks the work against the requirements and writes the tests that are missing",
        "Check each numbered requirement against the code, write the tests that are missing, and write "
        f"{OUT_FOLDER}/testing/findings.md: requirement, test, and what is wrong; do not weaken any test",
        after=("test_engineer", "code_reviewer"),
    ),
    "deployment": _Role(
        "release_manager",
        "Prepares the release: notes, risks, and the way back",
        f"Write {OUT_FOLDER}/deployment/notes.md: release notes, risks, how to roll back, and what to watch",
        after=("release_engineer",),
    ),
}


def with_team(workflow: Workflow, spec: str | None) -> Workflow:
    """The workflow with a team in every phase that names no persona. Raises `InputError` on an unknown team.

    `toolbox` and None leave it as it is. In the standard phases the tools go on measuring beside an agent:
    they survey, build, run the tests and install, so that its own word decides nothing.
    """
    if spec is None or spec == TOOLBOX:
        return workflow
    member = _member(spec)
    phases = tuple(phase if phase.personas else _manned(phase, member) for phase in workflow.phases)
    # Validated anew: what a team makes of a phase must be what a file could say.
    return Workflow.model_validate(workflow.model_copy(update={"phases": phases}).model_dump())


def check_team(spec: str) -> None:
    """Raises `InputError` when there is no such team."""
    if spec != TOOLBOX:
        _member(spec)


def _member(spec: str) -> Mapping[str, Any]:
    """What a persona of this team is carried out with."""
    kind, _, rest = spec.partition(":")
    if spec in AGENTS:
        return {"performer": "agent_cli", "options": {"agent": spec}, "env": _KEYS[spec]}
    if kind == "llm" and rest:
        model, _, base_url = rest.partition("@")
        options = {"model": model, **({"base_url": base_url} if base_url else {})}
        return {"performer": "llm", "options": options}
    if kind == "hive" and rest.count(":") == 1:
        return {"performer": "hive", "options": {"engine": rest}}
    raise InputError(f"There is no team {clean(spec, 80)!r}; name {FORMS}. Nothing was run.")


@cache
def _tools() -> Mapping[str, Persona]:
    return {tool.name: Persona(name=tool.name, description=tool.description) for tool in CATALOGUE}


def _manned(phase: Phase, member: Mapping[str, Any]) -> Phase:
    role = _ROLES.get(ALIASES.get(phase.name, phase.name))
    if role is None:
        worker = Persona(name="worker", description=phase.objective, **member)
        return phase.model_copy(update={"personas": (worker,)})
    standard = {one.name: one.objective for one in sdlc().phases}
    # The standard objectives are said for tools; an own one of the workflow is kept, and told.
    own = phase.objective if phase.objective not in ("", *standard.values()) else ""
    worker = Persona(name=role.name, description=role.description, instructions=role.objective, **member)
    tools = _tools()
    personas = (
        *(tools[name] for name in role.before),
        worker,
        *(tools[name] for name in role.after),
    )
    return phase.model_copy(update={"personas": personas, "objective": own or role.description})
