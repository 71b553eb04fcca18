"""What the user wants kept of sessions that are over: `[retention]` in the settings, the default of `prune`.

Nothing is ever removed by itself; this only says what goes when the operator says "prune".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean, format_duration

_LIMIT = 1_000_000
_KNOWN = ("keep", "older_than")
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Retention:
    """How many of the newest stay, and how old (seconds) the others must be to go; None: no such bound."""

    keep: int | None = None
    older_than: float | None = None

    @property
    def says_something(self) -> bool:
        """True when at least one bound is set."""
        return self.keep is not None or self.older_than is not None

    def words(self) -> str:
        """`beyond the newest 50, last written more than 30d0h ago`."""
        parts = []
        if self.keep is not None:
            parts.append(f"beyond the newest {self.keep:,}")
        if self.older_than is not None:
            parts.append(f"last written more than {format_duration(self.older_than)} ago")
        return ", ".join(parts)


def age_seconds(text: str) -> float | None:
    """`30d`, `12h`, `45m` in seconds; None for anything else."""
    found = _AGE.match(text.strip())
    return float(found[1]) * _SECONDS[found[2]] if found is not None else None


def retention_from(data: object, shown: str, problems: list[str]) -> Retention:
    """The table `[retention]` of the settings in the file `shown`; what cannot be used is told in `problems`."""
    if not isinstance(data, Mapping):
        problems.append(f"{shown}: retention must be a table such as [retention] keep = 50.")
        return Retention()
    # Half of what was meant could remove what should have stayed: all of it must be right.
    for name in data:
        if name not in _KNOWN:
            told = clean(str(name), 60)
            problems.append(f'{shown}: retention has no setting "{told}"; known are {", ".join(_KNOWN)}.')
            return Retention()
    keep: Any = data.get("keep")
    if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or keep < 0):
        problems.append(f"{shown}: retention.keep must be a number from 0 on, not {clean(repr(keep), 60)}.")
        return Retention()
    age: Any = data.get("older_than")
    seconds = age_seconds(age) if isinstance(age, str) else None
    if age is not None and seconds is None:
        problems.append(
            f'{shown}: retention.older_than must be an age such as "30d" or "12h", not {clean(repr(age), 60)}.'
        )
        return Retention()
    return Retention(keep, seconds)


def read_retention(path: Path) -> Retention:
    """The retention of a settings file; none when there is no such file. Raises `InputError` for a wrong one."""
    import tomllib  # only when there are settings

    shown = clean(str(path), 200)
    try:
        with path.open("rb") as stream:
            data = tomllib.loads(stream.read(_LIMIT).decode("utf-8-sig"))
    except FileNotFoundError:
        return Retention()
    except OSError as error:
        raise InputError(f"Cannot read {shown}: {error.strerror}. Nothing was removed.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown} is not valid TOML: {clean(error, 160)}. Nothing was removed.") from error
    problems: list[str] = []
    found = retention_from(data.get("retention", {}), shown, problems)
    if problems:
        raise InputError(f"{problems[0]} Nothing was removed.")
    return found
