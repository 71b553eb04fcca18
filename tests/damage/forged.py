"""Commits whose digest is right and whose content is not: what a forger, a faulty writer or a hand could leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.damage.scene import (
    NEWEST,
    Case,
    commit_of,
    forged,
    forged_bytes,
    forged_text,
    rewritten,
    slug,
    value_of,
)
from tests.store.small_sessions import sealed

Place = tuple[str | int, ...]

JOURNAL, NOT_THAT = frozenset(["verify"]), "it is not the commit that the journal tells of"
"""A change that makes sense by itself is found all the same, since the journal knows the digests."""

PLACES: tuple[Place, ...] = (
    ("format",),
    ("seq",),
    ("session_id",),
    ("phase",),
    ("attempt",),
    ("epoch",),
    ("created_at",),
    ("workflow",),
    ("workflow", "phases"),
    ("workflow", "phases", 1, "name"),
    ("workflow", "phases", 1, "needs"),
    ("context",),
    ("context", "session_id"),
    ("context", "requirement"),
    ("context", "created_at"),
    ("context", "phase_results"),
    ("context", "phase_results", "testing"),
    ("context", "phase_results", "testing", "status"),
    ("context", "phase_results", "testing", "attempt"),
    ("context", "phase_results", "testing", "finished_at"),
    ("context", "phase_results", "testing", "artifacts"),
    ("context", "phase_results", "testing", "outputs"),
)
"""Parts of a checkpoint that must be of their kind."""

VALUES: dict[str, Any] = {
    "nothing": None,
    "a flag": True,
    "a list of a list": [[]],
    "an object": {"a": {}},
    "a negative number": -1.5,
}

RAW = {
    "NaN": "NaN",
    "minus infinity": "-Infinity",
    "1e999": "1e999",
    "-1E+400": "-1E+400",
    "a number of 5,000 digits": "9" * 5_000,
    "20,000 levels of lists": "[" * 20_000 + "]" * 20_000,
    "20,000 levels of objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "a lone surrogate": r'"\ud800"',
    "a lone surrogate as key": r'{"\udfff": 1}',
    "a raw control character": '"a\x01b"',
    "a raw line break in a text": '"a\nb"',
    "a comment": "1 /* two */",
    "a trailing comma": "[1, 2,]",
    "a text in single quotes": "'a'",
    "an unfinished text": '"a',
    "two values": "1 2",
    "octal digits": "0123",
    "a key twice": '{"a": 1, "a": 2}',
    "a key twice in another spelling": '{"a": 1, "\\u0061": 2}',
    "a key twice deep inside": '[[{"b": [{"a": 1, "c": 2, "a": 3}]}]]',
}
"""JSON that readers stumble over, in the place of an output's value."""


def _set(place: Place, value: Any, folder: Path) -> None:
    def change(checkpoint: dict[str, Any]) -> None:
        at: Any = checkpoint
        for part in place[:-1]:
            at = at[part]
        at[place[-1]] = value

    forged(commit_of(folder), change)


def _without(place: Place, folder: Path) -> None:
    def change(checkpoint: dict[str, Any]) -> None:
        at: Any = checkpoint
        for part in place[:-1]:
            at = at[part]
        del at[place[-1]]

    forged(commit_of(folder), change)


def _told(name: str, spoil: Callable[[Path], None], words: str = "") -> Case:
    return Case(name, spoil, good=NEWEST - 1, words=words or rf"0{NEWEST}\.json: it")


def of_another_kind() -> Iterator[Case]:
    """Each part that matters: missing, and of each kind that it must not be."""
    for place in PLACES:
        where = ".".join(map(str, place))
        if isinstance(place[-1], str) and place != ("context", "phase_results", "testing"):
            if place[-1] in ("attempt", "finished_at", "artifacts", "outputs") and len(place) > 2:
                pass  # it has a standard value
            elif place[-1] != "needs":
                yield _told(f"{where} is missing", partial(_without, place), r"0\d\.json: it")
        for what, value in VALUES.items():
            fits = (value == {"a": {}} and place[-1] == "outputs") or (
                value is None and place[-1] == "finished_at"
            )
            if value == -1.5 and place[-1] in ("created_at", "finished_at"):
                # Seconds since the epoch, for all readers alike.
                name = f"{where} is {what}"
                yield Case(name, partial(_set, place, value), told_by=JOURNAL, words=NOT_THAT)
            elif not fits:
                yield _told(f"{where} is {what}", partial(_set, place, value), r"0\d\.json: it")


def raw_json() -> Iterator[Case]:
    """What JSON readers stumble over or disagree about, as a value of the newest result's outputs."""
    for what, text in RAW.items():
        yield _told(
            f"outputs hold {what}",
            lambda folder, text=text: forged_text(
                commit_of(folder), '"said": "testing 1"', f'"said": {text}'
            ),
        )
    yield _told("a key of the envelope twice", partial(_twice, '"seq": 3,', '"seq": 3,\n  "seq": 3,'))
    yield _told("the context twice", _two_contexts)
    yield _told("a phase's result twice", partial(_twice, '"testing": {', '"testing": {},\n "testing": {'))
    yield _told("a byte order mark before it all", _marked)
    yield _told(
        "a byte order mark after the digest", lambda f: forged_bytes(commit_of(f), b',\xef\xbb\xbf"a": 1}')
    )
    yield _told("invalid UTF-8 within a text", lambda f: forged_bytes(commit_of(f), b', "a": "\xff\xfe"}'))
    yield _told("an overlong UTF-8 form", lambda f: forged_bytes(commit_of(f), b', "a": "\xc0\xaf"}'))
    yield _told("a surrogate in UTF-8", lambda f: forged_bytes(commit_of(f), b', "a": "\xed\xa0\x80"}'))
    yield _told("nothing but the digest", lambda f: forged_bytes(commit_of(f), b"}"))
    yield _told(
        "20,000 levels in the envelope", lambda f: forged_bytes(commit_of(f), b', "a": ' + b"[" * 20_000)
    )
    yield _told("a list instead of the object", lambda f: forged_bytes(commit_of(f), b", 5]"))
    yield _told("something behind the end", lambda f: _behind(commit_of(f), b"{}"))
    yield _told("a NUL behind the end", lambda f: _behind(commit_of(f), b"\0"))


def _twice(old: str, new: str, folder: Path) -> None:
    forged_text(commit_of(folder), old, new)


def _two_contexts(folder: Path) -> None:
    older = json.dumps(value_of(commit_of(folder, 1))["context"])
    forged_text(commit_of(folder), '"context": {', f'"context": {older},\n  "context": {{')


def _marked(folder: Path) -> None:
    path = commit_of(folder)
    rewritten(path, b"\xef\xbb\xbf" + path.read_bytes())


def _behind(path: Path, more: bytes) -> None:
    rewritten(path, sealed(path.read_bytes() + more))


# ── Names and paths that lead elsewhere ───────────────────────────────────────────────────────────────────

PATHS = {
    "up": "../../../../etc/passwd",
    "up from within": "a/../../x",
    "absolute": "/etc/passwd",
    "a NUL": "a\0b",
    "control characters": "\x1b[2J\u202e.txt",
    "markup": "[@click=app.quit]x[/].txt",
    "dots": "..",
    "empty": "",
    "5,000 characters": "x" * 5_000,
    "a device": "/dev/zero",
    "a process's memory": "/proc/self/mem",
}
NAMES = {**PATHS, "a dot first": ".hidden", "a slash": "a/b", "65 characters": "x" * 65, "blank": " "}
IDS = {
    "up": "../s2",
    "the neighbour": "s2",
    "absolute": "/tmp/s1",
    "empty": "",
    "control characters": "s1\x1b[2J",
    "a line break": "s1\n",
    "5 MB": "s" * 5_000_000,
}


def names_and_paths() -> Iterator[Case]:
    """Ids, names of phases and personas, paths of artifacts and workspaces."""
    for what, text in IDS.items():
        yield _told(f"session id: {what}", partial(_set, ("session_id",), text), "misplaced")
        yield _told(f"session id of the context: {what}", partial(_set, ("context", "session_id"), text))
    for what, text in NAMES.items():
        yield _told(
            f"phase name in the workflow: {what}", partial(_set, ("workflow", "phases", 2, "name"), text)
        )
        yield _told(f"needs a phase: {what}", partial(_set, ("workflow", "phases", 2, "needs"), [text]))
    for what, text in PATHS.items():
        artifact = {"path": text, "size": 1, "sha256": "0" * 64, "phase": "testing"}
        yield Case(
            f"artifact path: {what}",
            partial(_set, ("context", "phase_results", "testing", "artifacts"), [artifact]),
            told_by=frozenset(["verify"]),
            words=r"^artifact ",
        )
        yield Case(
            f"workspace: {what}",
            partial(_set, ("context", "workspace"), text),
            told_by=JOURNAL,
            words=NOT_THAT,
        )
        yield Case(
            f"text of the requirement: {what}",
            partial(_set, ("context", "requirement"), text),
            told_by=JOURNAL,
            words=NOT_THAT,
        )
    yield Case(
        "a requirement of 5 MB",
        partial(_set, ("context", "requirement"), "x" * 5_000_000),
        told_by=JOURNAL,
        words=NOT_THAT,
    )
    yield Case(
        "an output of 5 MB",
        partial(_set, ("context", "phase_results", "testing", "outputs"), {"x": "\u202e" * 1_700_000}),
        told_by=JOURNAL,
        words=NOT_THAT,
    )
    yield Case(
        "fifty thousand decisions",
        partial(
            _set,
            ("context", "session_decisions"),
            [{"about": "a", "choice": "b", "decided_by": "rules"}] * 50_000,
        ),
        told_by=JOURNAL,
        words=NOT_THAT,
    )
    yield _told("workflow's phases need each other", _circle)
    yield _told("two phases of one name", partial(_set, ("workflow", "phases", 2, "name"), "design"))


def _circle(folder: Path) -> None:
    def change(checkpoint: dict[str, Any]) -> None:
        phases = checkpoint["workflow"]["phases"]
        phases[0]["needs"] = [phases[2]["name"]]

    forged(commit_of(folder), change)


# ── Times, numbers, chains ────────────────────────────────────────────────────────────────────────────────

MOMENTS = (
    "yesterday",
    "2026-13-45T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "99999-01-01T00:00:00Z",
    "",
    "2026-11-23",
)
NUMBERS = (-1, 4, 10**18, 10**30, "3", 3.5)


def moments_and_numbers() -> Iterator[Case]:
    """Moments that are none, numbers that belong to another file."""
    for text in MOMENTS:
        yield _told(f"created at {slug(text) or 'nothing'}", partial(_set, ("created_at",), text))
        yield _told(
            f"context created at {slug(text) or 'nothing'}", partial(_set, ("context", "created_at"), text)
        )
    for number in NUMBERS:
        yield _told(f"seq {number}", partial(_set, ("seq",), number))
        if isinstance(number, str | float):
            yield _told(f"epoch {number}", partial(_set, ("epoch",), number))
    for text in ("maestro-checkpoint/2", "maestro-checkpoint/1 ", "MAESTRO-CHECKPOINT/1", "", "\x1b[2J"):
        yield _told(f"format {text!r}", partial(_set, ("format",), text), "format")
    yield Case(
        "it follows another commit",
        partial(_set, ("prev",), "0" * 64),
        told_by=frozenset(["verify", "show", "console"]),
        words="broken chain",
    )
    yield Case(
        "it follows none",
        partial(_set, ("prev",), None),
        told_by=frozenset(["verify", "show", "console"]),
        words="broken chain",
    )


def cases() -> Iterator[Case]:
    """All of this file."""
    yield from of_another_kind()
    yield from raw_json()
    yield from names_and_paths()
    yield from moments_and_numbers()
