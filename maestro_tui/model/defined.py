"""What the parts of a workflow's definition share: how a wrong one is refused, and what is said of names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from maestro_tui.model.facts import Deriving
from maestro_tui.model.text import clean, name_problem


class Defined(Deriving):
    """A part of a workflow; made in Python, what is wrong with it raises `WorkflowError`, as in a file."""

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            from maestro_tui.model.workflow_file import wrong_part

            raise wrong_part(type(self), error, data) from error

    # What is read from files and checkpoints is checked as a whole and does not come through here.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def check_name(name: str, kind: str) -> None:
    """Raise `ValueError` unless the name of a `kind` may be a folder's or file's too."""
    problem = name_problem(name)
    if problem:
        raise ValueError(f"{clean(name, 80)!r} is no name for a {kind}: {problem}")


def first_double(names: Iterable[str]) -> str | None:
    """The first name that comes a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about a name that nothing has: the closest one that there is."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {close[0]!r}?" if close else "."
