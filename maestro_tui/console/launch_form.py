"""What the launch sheet holds: which phases run, where it begins and stops, and the command line for it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_tui.console.limit_line import limit_options, parse_limits
from maestro_tui.console.plan_words import limit_words
from maestro_tui.model.errors import InputError
from maestro_tui.model.graph import reached
from maestro_tui.model.text import clean, typable

if TYPE_CHECKING:
    from maestro_tui.engine.launch import Launch
    from maestro_tui.model.policy import Limits
    from maestro_tui.model.workflow import Workflow

_FILE_LIMIT = 4_000_000
TOOLBOX = "toolbox"
"""The team where none is named: tools, no AI."""


@dataclass(frozen=True, slots=True)
class FormPhase:
    """A phase of the chosen workflow and what is asked of it."""

    name: str
    needs: tuple[str, ...]
    depth: int
    """How many phases at least must come before it."""
    approval: bool = False
    run: bool = True
    pause: bool = False
    limit: str = ""
    """What limits it, in words; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class Form:
    """Everything on the sheet. `inputs` is the text of the line for provided files."""

    requirement: str = ""
    workspace: str = "."
    workflow: str = ""
    phases: tuple[FormPhase, ...] = ()
    start_from: str | None = None
    inputs: str = ""
    limit: str = ""
    """What limits the whole session, in words."""
    team: str = TOOLBOX
    limits: str = ""
    """The line of limits as it is typed."""

    def toggled(self, name: str) -> Form:
        """With a phase taken out or put back."""
        return self._changed(name, run=not self._phase(name).run)

    def paused(self, name: str) -> Form:
        """With a stop for review after a phase, or without it."""
        return self._changed(name, pause=not self._phase(name).pause)

    def started(self, name: str) -> Form:
        """Beginning at a phase; a second time takes that back."""
        return replace(self, start_from=None if self.start_from == name else name)

    def before(self) -> frozenset[str]:
        """The phases that are provided or skipped because the session starts later."""
        needs = {phase.name: phase.needs for phase in self.phases}
        return reached(needs, self.start_from) if self.start_from in needs else frozenset()

    def chosen(self) -> tuple[str, ...] | None:
        """The phases that run; None when all do."""
        return (
            None if all(one.run for one in self.phases) else tuple(one.name for one in self.phases if one.run)
        )

    def pauses(self) -> tuple[str, ...]:
        """The phases after which the session stops for review."""
        return tuple(one.name for one in self.phases if one.pause)

    def _input_words(self) -> list[str]:
        try:
            return shlex.split(self.inputs)
        except ValueError:  # a quote that is not closed yet
            return self.inputs.split()

    def given(self) -> frozenset[str]:
        """The phases for which a file is named."""
        return frozenset(word.partition("=")[0] for word in self._input_words() if "=" in word)

    def provided(self) -> dict[str, str]:
        """Phase → file, from the line for provided files. Raises `InputError`."""
        try:
            words = shlex.split(self.inputs)
        except ValueError as error:
            raise InputError(
                f"The provided files cannot be read: {error}; write phase=FILE phase=FILE."
            ) from error
        out: dict[str, str] = {}
        for word in words:
            name, equals, path = word.partition("=")
            if not equals or not name or not path:
                raise InputError(
                    f"{clean(word, 80)!r} is no provided file; write phase=FILE, such as design=docs/design.md."
                )
            out[name] = path
        return out

    def chosen_team(self) -> str | None:
        """The team that is asked for; None for the toolbox. Raises `InputError` when there is no such team."""
        from maestro_tui.engine.teams import check_team

        team = self.team.strip() or TOOLBOX
        check_team(team)
        return team if team != TOOLBOX else None

    def chosen_limits(self) -> Limits | None:
        """What may be spent at most. Raises `InputError`."""
        return parse_limits(self.limits)

    def running(self) -> tuple[str, ...]:
        """The phases that the session would run."""
        before = self.before()
        return tuple(one.name for one in self.phases if one.run and one.name not in before)

    def launch(self) -> Launch:
        """What the engine is asked for. Raises `InputError`; may read the file of an `@FILE` requirement."""
        from maestro_tui.engine.launch import Launch

        return Launch(
            requirement=requirement_text(self.requirement),
            workflow=self.workflow.strip(),
            workspace=self.workspace.strip() or ".",
            phases=self.chosen(),
            start_from=self.start_from,
            inputs=self.provided(),
            pause_after=self.pauses(),
            team=self.chosen_team(),
            limits=self.chosen_limits(),
        )

    def command(self, most: int | None = None, root: str = "") -> str:
        """The command line that does the same; `most` shortens the requirement, for showing.

        `root` is the checkpoint directory when it is not the default one.
        """
        requirement = self.requirement.strip() or "REQUIREMENT"
        if most is not None and (len(requirement) > most or "\n" in requirement):
            requirement = requirement.split("\n", 1)[0][:most].rstrip() + "…"
        words = ["maestro-tui", *(["--checkpoint-dir", root] if root else []), "run"]
        dashed = requirement.startswith("-")
        words += [] if dashed else [requirement]
        if self.workflow.strip():
            words += ["--workflow", self.workflow.strip()]
        if self.workspace.strip() not in ("", "."):
            words += ["--workspace", self.workspace.strip()]
        chosen = self.chosen()
        if chosen is not None:
            words += ["--phases", ",".join(chosen)]
        if self.start_from is not None:
            words += ["--from", self.start_from]
        for word in self._input_words():
            words += ["--input", word]
        for name in self.pauses():
            words += ["--pause-after", name]
        if self.team.strip() not in ("", TOOLBOX):
            words += ["--team", self.team.strip()]
        words += self._limit_options()
        # What looks like an option is none after two dashes.
        words += ["--", requirement] if dashed else []
        return clean(shlex.join(words), 2_000)

    def _limit_options(self) -> list[str]:
        try:
            return limit_options(self.chosen_limits())
        except InputError:  # not typed to its end yet
            return []

    def remembered(self) -> dict[str, object]:
        """What the next launch begins with."""
        return {
            "requirement": self.requirement,
            "workspace": self.workspace,
            "workflow": self.workflow,
            "out": [one.name for one in self.phases if not one.run],
            "start": self.start_from,
            "inputs": self.inputs,
            "pause": list(self.pauses()),
            "team": self.team,
            "limits": self.limits,
        }

    def with_workflow(self, workflow: Workflow, out: Sequence[str] = (), pause: Sequence[str] = ()) -> Form:
        """With the phases of a workflow; choices for phases of the same name stay."""
        before = {one.name: one for one in self.phases}
        phases = []
        depths: dict[str, int] = {}
        for name in workflow.order:
            phase = workflow.phase(name)
            depths[name] = max((depths[need] + 1 for need in phase.needs), default=0)
            kept = before.get(name)
            phases.append(
                FormPhase(
                    name=name,
                    needs=phase.needs,
                    depth=depths[name],
                    approval=phase.approval,
                    run=kept.run if kept else name not in out,
                    pause=kept.pause if kept else name in pause,
                    limit=limit_words(phase.timeout_seconds, phase.budget),
                )
            )
        start = self.start_from if self.start_from in depths else None
        limit = limit_words(None, workflow.budget)
        return replace(self, phases=tuple(phases), start_from=start, limit=limit)

    def _phase(self, name: str) -> FormPhase:
        return next(one for one in self.phases if one.name == name)

    def _changed(self, name: str, **changes: Any) -> Form:
        return replace(
            self, phases=tuple(replace(one, **changes) if one.name == name else one for one in self.phases)
        )


def recalled(data: object) -> tuple[Form, tuple[str, ...], tuple[str, ...]]:
    """The form that was remembered, with the phases to leave out and to stop after; an empty one otherwise."""
    if not isinstance(data, Mapping):
        return Form(), (), ()

    def text(name: str, default: str) -> str:
        value = data.get(name)
        return typable(value) if isinstance(value, str) else default

    def line(name: str, default: str) -> str:
        return " ".join(text(name, default).splitlines())

    def names(name: str) -> tuple[str, ...]:
        value = data.get(name)
        return tuple(str(one) for one in value) if isinstance(value, list) else ()

    start = data.get("start")
    form = Form(
        text("requirement", ""),
        line("workspace", "."),
        line("workflow", ""),
        start_from=start if isinstance(start, str) else None,
        inputs=line("inputs", ""),
        team=line("team", TOOLBOX),
        limits=line("limits", ""),
    )
    return form, names("out"), names("pause")


def requirement_text(text: str) -> str:
    """The requirement itself; a single line `@FILE` is replaced by what the file says. Raises `InputError`."""
    stripped = text.strip()
    if not stripped:
        raise InputError("The requirement is empty; say what must be true when the work is done.")
    if not stripped.startswith("@") or "\n" in stripped:
        return text
    path = Path(stripped[1:]).expanduser()
    shown = clean(str(path), 200)
    if not path.is_file():
        raise InputError(f"There is no file {shown} to read the requirement from.")
    try:
        with path.open("rb") as stream:
            raw = stream.read(_FILE_LIMIT + 1)
        if len(raw) > _FILE_LIMIT:
            raise InputError(f"{shown} has more than {_FILE_LIMIT:,} bytes; that is no requirement.")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise InputError(f"Cannot read {shown}: {error.strerror}.") from error
