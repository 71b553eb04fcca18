"""At which field of the launch sheet a refusal is told. Reads at most the requirement's file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from maestro_tui.console.launch_form import TOOLBOX, Form, requirement_text
from maestro_tui.model.errors import InputError, MaestroError, WorkflowError
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.engine.launch import Launch


def field_of(error: MaestroError, form: Form) -> str:
    """The field that the engine's refusal is about; empty when it is about none."""
    if about_team(error, form):
        return "team"
    if isinstance(error, WorkflowError):
        return "workflow"
    words = (("workspace", "workspace"), ("provide", "inputs"), ("phase", "phases"))
    for word, field in (*words, ("requirement", "requirement")):
        if word in str(error):
            return field
    return ""


def about_team(error: MaestroError, form: Form) -> bool:
    """True when the team that was named cannot work here: a program, an extra, a key or an option is missing."""
    cannot = ("Persona ", "The environment variable ", "There is no team ")
    return form.team.strip() not in ("", TOOLBOX) and str(error).startswith(cannot)


def limit_sums(form: Form) -> str:
    """The limits that are typed, in words; empty while they cannot be read, which is told at their field."""
    try:
        limits = form.chosen_limits()
    except InputError:
        return ""
    return limits.words() if limits is not None else ""


def launch_of(form: Form) -> tuple[tuple[str, str], Launch | None]:
    """The launch, or the field that is wrong and why; may read the requirement's file."""
    checks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("requirement", lambda: requirement_text(form.requirement)),
        ("inputs", form.provided),
        ("team", form.chosen_team),
        ("limits", form.chosen_limits),
    )
    for field, check in checks:
        try:
            check()
        except InputError as error:
            return (field, clean(error, 400)), None
    return ("", ""), form.launch()
