"""Bytes cut off, flipped, zeroed and overwritten: in commits, in the journal, in the lease, in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.damage.scene import (
    NEWEST,
    Case,
    appended,
    checked,
    commit_of,
    put_aside,
    record,
    rewritten,
)

PLACES = 20
CLOSER = frozenset(["show", "verify", "console"])
"""The readers that look at every commit; the list reads the newest intact one."""

Change = Callable[[bytes, int], bytes]


def _cut(data: bytes, at: int) -> bytes:
    return data[:at]


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def _zero(data: bytes, at: int) -> bytes:
    return data[:at] + b"\0" * min(512, len(data) - at) + data[at + 512 :]


def _zero_tail(data: bytes, at: int) -> bytes:
    return data[:at] + b"\0" * (len(data) - at)


def _doubled(data: bytes, at: int) -> bytes:
    return data[:at] + data[at:] + data[at:]


CHANGES: dict[str, Change] = {
    "cut off": _cut, "flipped": _flip, "zeroed": _zero, "a tail of zeros": _zero_tail, "a tail twice": _doubled,
}  # fmt: skip

FOREIGN = {
    "empty": b"",
    "one byte": b"{",
    "a line break": b"\n",
    "foreign JSON": b"{}",
    "a JSON list": b"[1, 2]",
    "a picture": b"\x89PNG\r\n\x1a\n" * 50,
    "invalid UTF-8": b"\xff\xfe" * 500,
    "UTF-16": '{"sha256": "0"}'.encode("utf-16"),
    "5 MB without a line break": b"x" * 5_000_000,
    "5 MB of line breaks": b"\n" * 5_000_000,
    "5 MB of brackets": b"[" * 5_000_000,
    "5 MB of zeros": b"\0" * 5_000_000,
    "escape sequences": b"\x1b]52;c;aGk=\x07\x1b[2J[@click=app.quit]x[/]" * 20,
}


def _change(path: Callable[[Path], Path], change: Change, part: int, parts: int, folder: Path) -> None:
    file = path(folder)
    data = file.read_bytes()
    # The very last byte is a line break, which a reader of JSON need not miss: the digest does.
    rewritten(file, change(data, (len(data) - 1) * part // (parts - 1) if parts > 1 else 0))


def commits() -> Iterator[Case]:
    """Every change at places all over the newest commit, and at some of each older one."""
    for what, change in CHANGES.items():
        for part in range(PLACES):
            if (what, part) == ("a tail twice", PLACES - 1):
                continue
            yield Case(
                f"newest commit {what} at {part}/{PLACES}",
                partial(_change, commit_of, change, part, PLACES),
                good=NEWEST - 1,
                words=rf"0{NEWEST}\.json: it",
            )
        for seq in range(NEWEST):
            for part in (0, 2, 4):
                yield Case(
                    f"commit {seq} {what} at {part}/6",
                    partial(_change, partial(commit_of, seq=seq), change, part, 6),
                    told_by=CLOSER,
                    words=rf"0{seq}\.json: it",
                )
    for what, data in FOREIGN.items():
        yield Case(
            f"{what} in the newest commit",
            partial(_put, commit_of, data),
            good=NEWEST - 1,
            words=rf"0{NEWEST}\.json: it",
        )
        yield Case(
            f"{what} in every commit", partial(_put_all, data), good=None, words=r"\.json: it|no intact"
        )


def _put(path: Callable[[Path], Path], data: bytes, folder: Path) -> None:
    rewritten(path(folder), data)


def _put_all(data: bytes, folder: Path) -> None:
    for seq in range(NEWEST + 1):
        rewritten(commit_of(folder, seq), data)


# ── Journal, lease, index ─────────────────────────────────────────────────────────────────────────────────


def _journal(folder: Path) -> Path:
    return folder / "journal.jsonl"


def _lease(folder: Path) -> Path:
    return folder / "runner.json"


HOSTILE_RECORDS = {
    "a number as type": record(type=5),
    "a list as phase": record(type="phase_started", phase=["a"], attempt=1),
    "a text as attempt": record(type="phase_started", phase="design", attempt="1"),
    "a moment that is none": record(type="phase_started", phase="design", attempt=2, at="yesterday"),
    "no moment": checked('"seq":1,"w":"a","type":"phase_started"}'),
    "a list as data": record(type="phase_committed", phase="design", attempt=1, data=[1]),
    "20,000 levels": checked(
        f'"seq":1,"w":"a","at":"2026-11-23T20:36:51Z","type":"x","data":{"[" * 20_000}{"]" * 20_000}}}'
    ),
    "a number of 5,000 digits": checked(
        f'"seq":{"9" * 5_000},"w":"a","at":"2026-11-23T20:36:51Z","type":"x"}}'
    ),
    "1e999 as seq": checked('"seq":1e999,"w":"a","at":"2026-11-23T20:36:51Z","type":"x"}'),
    "no JSON behind a right sum": checked("what?}"),
}
HARMLESS_RECORDS = {
    "a type that is not known": record(type="tea_break", phase="design", attempt=1),
    "control characters": record(type="phase_started", phase="\x1b[2J\u202e", attempt=9),
    "a lone surrogate": checked(
        '"seq":1,"w":"a","at":"2026-11-23T20:36:51Z","session":"s1","type":"\\ud800"}'
    ),
    "a path as phase": record(type="phase_started", phase="../../../etc/passwd", attempt=1),
    "markup as error": record(
        type="phase_failed", phase="[@click=app.quit]x[/]", attempt=1, data={"error": "[/]"}
    ),
    "the record of another session": record(type="phase_started", phase="design", attempt=1, session="zz"),
    "the year 9999": record(type="tea_break", at="9999-12-31T23:59:59.999Z"),
    "a negative attempt": record(type="phase_started", phase="design", attempt=-5),
    "a huge attempt": record(type="tea_break", phase="design", attempt=10**300),
    "5 MB in one record": record(type="tea_break", data={"x": "y" * 5_000_000}),
    "a line that breaks off": b'{"crc":"00000000","seq":5,\n',
    "5 MB of zeros behind a line that breaks off": b'{"crc":"00000000","s' + b"\0" * 5_000_000 + b"\n",
}


def journal() -> Iterator[Case]:
    """The commits do not depend on the journal: whatever is in it, the newest commit is used."""
    for what in ("flipped", "zeroed"):
        for part in range(1, 7):
            yield Case(
                f"journal {what} at {part}/8",
                partial(_change, _journal, CHANGES[what], part, 8),
                words=r"journal\.jsonl: ",
            )
    for part in range(8):
        # What a dead writer leaves behind is a line that breaks off: no damage. But the commits must be told of.
        yield Case(
            f"journal cut off at {part}/8", partial(_change, _journal, _cut, part, 8), told_by=frozenset()
        )
    for what, data in HOSTILE_RECORDS.items():
        yield Case(
            f"journal with {what}",
            partial(_append, _journal, data),
            told_by=frozenset(["verify"]),
            words=r"journal\.jsonl: the record at byte",
        )
    for what, data in HARMLESS_RECORDS.items():
        yield Case(f"journal with {what}", partial(_append, _journal, data), told_by=frozenset())
    for what, data in FOREIGN.items():
        harmless = what in ("empty", "one byte", "a line break", "5 MB of line breaks")
        unfinished = b"\n" not in data
        if harmless or unfinished:
            # A line without an end is one that is still being written.
            yield Case(f"{what} as journal", partial(_put, _journal, data), told_by=frozenset())
        else:
            yield Case(f"{what} as journal", partial(_put, _journal, data), words=r"journal\.jsonl: ")
        if data and not harmless and what != "5 MB of zeros":  # those are what a power loss leaves
            yield Case(
                f"{what} as a line of the journal",
                partial(_append, _journal, data + b"\n"),
                words=r"journal\.jsonl: ",
            )


def _append(path: Callable[[Path], Path], data: bytes, folder: Path) -> None:
    appended(path(folder), data)


LEASES = {
    "a number": b"5",
    "null": b"null",
    "a text as epoch": b'{"epoch": "1", "holders": []}',
    "a negative epoch": b'{"epoch": -1, "holders": []}',
    "an epoch without bounds": b'{"epoch": 1e999, "holders": []}',
    "an epoch of 5,000 digits": b'{"epoch": ' + b"9" * 5_000 + b', "holders": []}',
    "no holders": b'{"epoch": 1}',
    "20,000 levels": b"[" * 20_000,
}
HARMLESS_LEASES = {
    "empty": b"",
    "a block of zeros": b"\0" * 4096,
    "a byte order mark": b'\xef\xbb\xbf{"epoch": 1, "mode": "exclusive", "holders": []}',
    "holders of other kinds": b'{"epoch": 1, "holders": [1, null, "x", []]}',
    "a holder with nothing": b'{"epoch": 1, "holders": [{}]}',
    "a holder with a pid beyond all": b'{"epoch": 1, "holders": [{"pid": 99999999999999999999}]}',
    "a holder with control characters": b'{"epoch": 1, "holders": [{"pid": 1, "host": "\\u001b[2J", "user": "\\ud800"}]}',
    "a hundred thousand holders": b'{"epoch": 1, "holders": [' + b"{}," * 100_000 + b"{}]}",
    "a key twice": b'{"epoch": 1, "epoch": 1, "holders": []}',
}


def lease() -> Iterator[Case]:
    """A lease that says nothing is nobody's; the commits stand."""
    for what, data in {
        **LEASES,
        **{k: v for k, v in FOREIGN.items() if k not in ("one byte", "empty")},
    }.items():
        yield Case(f"lease: {what}", partial(_put, _lease, data), words=r"runner\.json")
    for what, data in HARMLESS_LEASES.items():
        yield Case(f"lease: {what}", partial(_put, _lease, data), told_by=frozenset())
    for part in range(1, 6):
        yield Case(
            f"lease cut off at {part}/8", partial(_change, _lease, _cut, part, 8), words=r"runner\.json: "
        )


def index() -> Iterator[Case]:
    """The index is a cache: what is in it is never believed against the sessions."""
    for what, data in FOREIGN.items():
        yield Case(f"index: {what}", partial(_put_index, data), told_by=frozenset())


def _put_index(data: bytes, folder: Path) -> None:
    put_aside(folder.parent / "index.json")
    (folder.parent / "index.json").write_bytes(data)


def cases() -> Iterator[Case]:
    """All of this file."""
    yield from commits()
    yield from journal()
    yield from lease()
    yield from index()
