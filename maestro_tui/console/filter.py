"""The filter line's small language: free words, `status:failed`, `!phase:design`, `age:<2h`, `owner:dead`.

A query is parsed while it is typed. What cannot be understood is left out and told in a sentence; it is
never raised, and the other terms go on working.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean

STATUS_WORDS = (
    "waiting",
    "failed",
    "silent",
    "interrupted",
    "running",
    "paused",
    "new",
    "cancelled",
    "completed",
)
"""Every status that a session can show, in the order in which they need attention."""

OWNER_WORDS = ("here", "away", "dead", "none")
KEYS = ("status", "phase", "workflow", "age", "owner", "id", "workspace")
_AGE = re.compile(r"(<=|>=|<|>)?(\d+(?:\.\d+)?)([smhdw]?)\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "": 60}


class Facts(Protocol):
    """What a query is held against: a session, the status that it shows, and its searchable text."""

    summary: SessionSummary
    status: str

    @property
    def haystack(self) -> str:
        """Lower-case text of everything that free words search."""


One = TypeVar("One", bound=Facts)
Test = Callable[[Facts, float], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed filter. `problem` is the first thing that was not understood, as a sentence."""

    text: str = ""
    tests: tuple[Test, ...] = ()
    problem: str | None = None

    def select(self, rows: tuple[One, ...], now: float) -> tuple[One, ...]:
        """Those for which every term holds, in their order."""
        for test in self.tests:
            rows = tuple([row for row in rows if test(row, now)])
        return rows


EVERYTHING = Query()


def parse(text: str) -> Query:
    """The query that the text stands for; never raises."""
    tests: list[Test] = []
    problem: str | None = None
    for word, quoted in _words(text):
        negated = word.startswith("!") and len(word) > 1 and not quoted
        body = word[1:] if negated else word
        key, colon, value = body.partition(":")
        test: Test | None = None
        wrong: str | None = None
        if quoted or not colon or not key:
            # A lone `!` is half typed: it asks for nothing yet.
            test = _text(body) if body != "!" else None
        elif value == "":
            wrong = _unknown_key(key)
        else:
            test, wrong = _term(key.lower(), value)
        if wrong is not None:
            problem = problem or wrong
        elif test is not None:
            tests.append(_not(test) if negated else test)
    return Query(text=text, tests=tuple(tests), problem=problem)


def _words(text: str) -> list[tuple[str, bool]]:
    """The words and whether each was quoted; an open quote runs to the end of the line."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.quotes = '"'
    out: list[tuple[str, bool]] = []
    try:
        out.extend(_unquote(word) for word in lexer)
    except ValueError:
        head, _, tail = text.rpartition('"')
        return [*_words(head), *([(tail.strip(), True)] if tail.strip() else [])]
    return out


def _unquote(word: str) -> tuple[str, bool]:
    if len(word) >= 2 and word[0] == word[-1] == '"':
        return word[1:-1], True
    return word.replace('"', ""), False


def _not(test: Test) -> Test:
    return lambda facts, now: not test(facts, now)


def _text(word: str) -> Test:
    wanted = word.lower()
    return lambda facts, now: wanted in facts.haystack


def _unknown_key(key: str) -> str | None:
    if key.lower() in KEYS:
        return None
    close = _close(key.lower(), KEYS)
    hint = f"did you mean {close[0]}:?" if close else f"known are {', '.join(KEYS)}."
    return f'There is no filter "{clean(key, 40)}:"; {hint} Put it in "quotes" to search for the text.'


def _term(key: str, value: str) -> tuple[Test | None, str | None]:
    unknown = _unknown_key(key)
    if unknown is not None:
        return None, unknown
    choices = tuple(part for part in value.lower().split(",") if part)
    if key == "status":
        return _status(choices)
    if key == "owner":
        return _owner(choices)
    if key == "age":
        return _age(value)
    if key == "phase":
        return (lambda facts, now: _starts(_phase_name(facts.summary), choices)), None
    if key == "workflow":
        return (lambda facts, now: _starts(facts.summary.workflow.lower(), choices)), None
    if key == "workspace":
        return (lambda facts, now: any(c in (facts.summary.workspace or "").lower() for c in choices)), None
    return (lambda facts, now: any(c in facts.summary.session_id.lower() for c in choices)), None


def _phase_name(summary: SessionSummary) -> str:
    phase = summary.current
    return phase.name.lower() if phase is not None else ""


def _starts(text: str, choices: tuple[str, ...]) -> bool:
    return any(text.startswith(choice) for choice in choices)


def _status(choices: tuple[str, ...]) -> tuple[Test | None, str | None]:
    wanted: set[str] = set()
    for choice in choices:
        found = [word for word in STATUS_WORDS if word.startswith(choice)]
        if not found:
            return None, f'There is no status "{clean(choice, 40)}"{_hint(choice, STATUS_WORDS)}'
        wanted.update(found)
    return (lambda facts, now: facts.status in wanted), None


def _owner(choices: tuple[str, ...]) -> tuple[Test | None, str | None]:
    wanted: set[str] = set()
    for choice in choices:
        found = [word for word in OWNER_WORDS if word.startswith(choice)]
        if not found and not choice.isdigit():
            return None, f'owner: takes {", ".join(OWNER_WORDS)} or a pid, not "{clean(choice, 40)}".'
        wanted.update(found or [choice])
    return (lambda facts, now: not wanted.isdisjoint(_owner_words(facts.summary))), None


def _owner_words(summary: SessionSummary) -> set[str]:
    owner = summary.owner
    if owner is None:
        return {"none"}
    state = "dead" if owner.alive is False else "here" if owner.here else "away"
    return {state, str(owner.pid)}


def _age(value: str) -> tuple[Test | None, str | None]:
    match = _AGE.match(value.lower())
    if match is None:
        if value in ("<", ">", "<=", ">="):
            return None, None
        return None, f'age: takes a time such as <2h, >30m or >3d, not "{clean(value, 40)}".'
    sign, number, unit = match.groups()
    limit = float(number) * _UNITS[unit]
    if sign in (">", ">="):
        return (lambda facts, now: now - facts.summary.created_at >= limit), None
    return (lambda facts, now: now - facts.summary.created_at <= limit), None


def _hint(word: str, known: tuple[str, ...]) -> str:
    close = _close(word, known)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}."


def _close(word: str, known: tuple[str, ...]) -> list[str]:
    import difflib  # only when something was mistyped

    return difflib.get_close_matches(word, known, 1)
