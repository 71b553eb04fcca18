"""Reads what may be spent from one line, such as `30m/phase 2h $5 200k tokens`, and writes it as options. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.model.policy import Budget, Limits

FORMS = "30m/phase, 2h, $5, 200k tokens"
_PART = re.compile(
    r"""
    (?: \$\s*(?P<dollars>\d[\d,]*(?:\.\d+)?)
      | (?P<tokens>\d[\d,]*(?:\.\d+)?)\s*(?P<times>[kM]?)\s*tokens?
      | (?P<span>(?:\d+(?:\.\d+)?[dhms])+)
    )
    (?P<phase>\s*(?:/\s*|an?\s+|per\s+)phase)?
    (?:\s+in\s+all)?
    (?=[\s·;]|\Z)
    """,
    re.VERBOSE,
)
_BETWEEN = re.compile(r"[\s·;]*")
_STEP = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
_MOST = 1e12


def parse_limits(text: str) -> Limits | None:
    """What a launch allows at most; None for an empty line. Raises `InputError` with a sentence for the field."""
    from maestro_tui.model.policy import Limits

    found = _parts(text, phase_allowed=True)
    if not found:
        return None
    session = {name: value for name, value in found.items() if name != "phase_seconds"}
    return Limits.model_validate({"phase_seconds": found.get("phase_seconds"), "session": session or None})


def parse_more(text: str) -> Budget:
    """How much is added to a budget. Raises `InputError` with a sentence for the field."""
    from maestro_tui.model.policy import Budget

    found = _parts(text, phase_allowed=False)
    if not found:
        raise InputError("Say how much more: $2, 50k tokens or 30m.")
    return Budget.model_validate(found)


def limit_options(limits: Limits | None) -> list[str]:
    """The same as words of a command line."""
    if limits is None:
        return []
    words = []
    if limits.phase_seconds is not None:
        words += ["--phase-limit", span_words(limits.phase_seconds)]
    budget = limits.session
    if budget is not None:
        words += ["--time-limit", span_words(budget.seconds)] if budget.seconds is not None else []
        words += ["--max-cost", _plain(budget.cost_usd)] if budget.cost_usd is not None else []
        words += ["--max-tokens", str(budget.tokens)] if budget.tokens is not None else []
    return words


def span_words(seconds: float) -> str:
    """A span of time in one unit, as options take it: `90m`, `2h`, `45s`."""
    for unit in "dhm":
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return _plain(seconds) + "s"


def _plain(value: float) -> str:
    """A number without an exponent."""
    return f"{value:f}".rstrip("0").rstrip(".")


def _parts(text: str, *, phase_allowed: bool) -> dict[str, float]:
    """Name of a limit → its value. Raises `InputError`."""
    found: dict[str, float] = {}
    place = _skipped(text, 0)
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            wrong = clean(text[place:].split(maxsplit=1)[0], 40)
            raise InputError(
                f"{wrong!r} is no limit; write {FORMS if phase_allowed else '$2, 50k tokens, 30m'}."
            )
        name, value = _value(part)
        said = clean(part[0].strip(), 40)
        if part["phase"] is not None:
            if name != "seconds" or not phase_allowed:
                raise InputError(f"{said!r}: only a time can be a limit for each phase, such as 30m/phase.")
            name = "phase_seconds"
        if not 0 < value < _MOST:
            raise InputError(f"{said!r} must be greater than nothing and smaller than {_MOST:,.0f}.")
        if name in found:
            raise InputError(f"{said!r} says a second time what was said before; say each limit once.")
        found[name] = value
        place = _skipped(text, part.end())
    return found


def _skipped(text: str, place: int) -> int:
    between = _BETWEEN.match(text, place)
    return between.end() if between is not None else place


def _value(part: re.Match[str]) -> tuple[str, float]:
    if part["dollars"] is not None:
        return "cost_usd", float(part["dollars"].replace(",", ""))
    if part["tokens"] is not None:
        count = float(part["tokens"].replace(",", "")) * _TIMES[part["times"]]
        return "tokens", round(count) if count < _MOST else count
    return "seconds", sum(float(count) * _SECONDS[unit] for count, unit in _STEP.findall(part["span"]))
