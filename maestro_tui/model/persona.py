"""Who is needed in a phase, and what carries the work out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from maestro_tui.model.contract import plain_json
from maestro_tui.model.defined import Defined, check_name
from maestro_tui.model.policy import Budget
from maestro_tui.model.text import clean

STARTS_LIMIT = 4_000
"""Characters of a command that are shown where it is approved."""
_WITHOUT_ARGV = frozenset(["toolbox", "llm", "hive"])


class Persona(Defined):
    """Who is needed in a phase, and the performer that carries the work out.

    `performer` is `toolbox` (built-in tools, no AI), `command` (with `argv`, or `shell` for a shell line),
    `agent_cli`, `acp`, `llm`, `hive`, or the name of an entry point in the group `maestro_tui.performers`.
    """

    name: str
    description: str = ""
    performer: str = "toolbox"
    instructions: str = ""
    """What an agent or model is told beyond the phase's objective."""
    argv: tuple[str, ...] = ()
    shell: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """The performer's own settings (`agent`, `model`, `base_url`, …); each performer checks its own."""
    env: tuple[str, ...] = ()
    """Names of environment variables that the command may see beyond the standard few."""
    timeout_seconds: float | None = Field(default=None, gt=0)
    """For each try; time in which a person is asked does not count."""
    budget: Budget | None = None
    """Within one phase, for all its attempts together."""

    if TYPE_CHECKING:  # for checkers: lists are taken as well

        def __init__(
            self,
            *,
            name: str,
            description: str = "",
            performer: str = "toolbox",
            instructions: str = "",
            argv: Sequence[str] = (),
            shell: str | None = None,
            options: Mapping[str, Any] = ...,
            env: Sequence[str] = (),
            timeout_seconds: float | None = None,
            budget: Budget | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _command_by_its_words(cls, data: Any) -> Any:
        if isinstance(data, dict) and "performer" not in data and ("argv" in data or "shell" in data):
            return {**data, "performer": "command"}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_name(self.name, "persona")
        if self.performer == "command":
            if bool(self.argv) == (self.shell is not None):
                raise ValueError(
                    'a command needs either argv = ["program", …] or shell = "…", one of the two'
                )
            if any("\0" in word for word in (*self.argv, self.shell or "")):
                raise ValueError("a command must not contain NUL characters")
            if self.argv and not self.argv[0].strip():
                raise ValueError("the first word of argv is empty; it must name a program")
        elif self.shell is not None or (self.argv and self.performer in _WITHOUT_ARGV):
            raise ValueError(
                f'argv and shell belong to performer = "command", not to "{clean(self.performer)}"'
            )
        plain_json(self.options, "options")
        if self.options and self.performer in ("toolbox", "command"):
            raise ValueError(f'performer = "{self.performer}" has no options')
        return self

    @property
    def starts(self) -> str | None:
        """What carrying this persona out would start or call, and the variables that it is given, in one clean line.

        Whole, for it is what an operator approves; of one that is too long to be read it says so at its beginning.
        None for the toolbox where it is given no variable.
        """
        if self.performer == "command":
            words = self.shell if self.shell is not None else json.dumps(list(self.argv))
        elif self.performer == "toolbox" and not self.env:
            return None
        else:
            named = [f"{key}={json.dumps(value)}" for key, value in sorted(self.options.items())]
            words = " ".join([self.performer, *([json.dumps(list(self.argv))] if self.argv else []), *named])
        if len(words) > STARTS_LIMIT:
            words = f"({len(words):,} characters, the file has all of them) {words}"
        given = f" (is given {', '.join(self.env)})" if self.env else ""
        return clean(words, STARTS_LIMIT + 200) + clean(given, STARTS_LIMIT)
