"""Options that several commands share, and where the checkpoint directory is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.store.retention import age_seconds

if TYPE_CHECKING:
    from maestro_tui.model.policy import Limits

DIRECTORY_VARIABLE = "MAESTRO_CHECKPOINT_DIR"


def default_root() -> str:
    """The checkpoint directory when none is named."""
    return os.environ.get(DIRECTORY_VARIABLE) or ".maestro"


def directory(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--checkpoint-dir`, before or after the command."""
    return click.option(
        "--checkpoint-dir",
        metavar="DIR",
        default=None,
        help=f"Where sessions are kept (default: ${DIRECTORY_VARIABLE}, else ./.maestro).",
    )(command)


def root_of(ctx: click.Context, own: str | None) -> Path:
    """The directory named after the command, else before it, else the default."""
    chosen = own or ctx.find_root().params.get("checkpoint_dir") or default_root()
    root = Path(chosen).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise InputError(
            f"The checkpoint directory {clean(str(root), 200)} is not a folder. Nothing was changed."
        )
    return root


def seconds_of(option: str, text: str | None) -> float | None:
    """Seconds of a span such as `45m`, `12h`, `30d`. Raises `InputError` naming the option."""
    if text is None:
        return None
    seconds = age_seconds(text)
    if seconds is None:
        raise InputError(f"{option} takes a span such as 30d, 12h or 45m, not {clean(text, 40)!r}.")
    return seconds


def unknown_session(root: Path, name: str) -> str:
    """The end of a sentence about a session that is not there: those that end so, or how to see all."""
    try:
        ends = sorted(one.name for one in root.iterdir() if name and one.name.endswith(f"-{name}"))
    except OSError:
        ends = []
    if ends:
        return f"; did you mean {' or '.join(clean(one, 128) for one in ends[:3])}?"
    return ". 'maestro-tui list' shows the sessions, 'maestro-tui --help' the commands."


class Amount(click.ParamType):  # type: ignore[type-arg]
    """A number above 0, told in the words of what it counts when it is none. NaN and infinity are no amounts."""

    def __init__(self, of: str, example: str, number: type[int] | type[float]) -> None:
        self.name, self._example, self._number = of, example, number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """The number. Raises `click.BadParameter`."""
        try:
            amount = self._number(value)
        except (ValueError, OverflowError):
            amount = 0
        if not 0 < amount < math.inf:
            self.fail(
                f"{clean(value, 40)!r} is no number of {self.name}; give one above 0, such as {self._example}.",
                param,
                ctx,
            )
        return amount


DOLLARS = Amount("dollars", "2.50", float)
TOKENS = Amount("tokens", "200000", int)
SECONDS = Amount("seconds", "900", float)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a new session may take at most."""
    for option in (
        click.option("--max-cost", type=DOLLARS, metavar="USD", help="Dollars in all."),
        click.option("--max-tokens", type=TOKENS, metavar="N", help="Tokens in all, in and out."),
        click.option("--time-limit", metavar="SPAN", default=None, help="Time in all: 2h, 45m."),
        click.option("--phase-limit", metavar="SPAN", default=None, help="Time for each attempt of a phase."),
    ):
        command = option(command)
    return command


def limits_of(
    phase_limit: str | None, time_limit: str | None, max_tokens: int | None, max_cost: float | None
) -> Limits | None:
    """The limits of a launch; None when nothing is limited. Raises `InputError`."""
    from maestro_tui.model.policy import Limits

    budget = {
        "seconds": seconds_of("--time-limit", time_limit),
        "tokens": max_tokens,
        "cost_usd": max_cost,
    }
    asked = {
        "phase_seconds": seconds_of("--phase-limit", phase_limit),
        "session": budget if any(one is not None for one in budget.values()) else None,
    }
    if all(one is None for one in asked.values()):
        return None
    try:
        return Limits.model_validate(asked)
    except ValueError as error:
        raise InputError("A limit must be greater than nothing. Nothing was run.") from error


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
dry_option = click.option("--dry-run", is_flag=True, help="Print the plan and run nothing.")
trust_option = click.option("--trust", is_flag=True, help="Approve the commands that the workflow names.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Also print what the performers say.")
workspace_option = click.option(
    "--workspace", metavar="DIR", default=None, help="The project's folder (default: here)."
)
its_workspace_option = click.option(
    "--workspace", metavar="DIR", default=None, help="The project's folder (default: the session's own)."
)
