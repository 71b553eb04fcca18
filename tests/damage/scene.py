"""One real session beside a healthy neighbour, copied anew for each case, and words for what is done to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.scene import PHASES, SESSION, Work, engine_of
from tests.store.small_sessions import sealed

NEIGHBOUR = "s2"
NEWEST = len(PHASES)
"""Number of the newest commit; commit 0 has no phase."""
READERS = ("list", "show", "verify", "console")
ALL = frozenset(READERS)

Spoil = Callable[[Path], None]
"""Does the damage to a session's folder."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of damage at one place, and what must come of it."""

    name: str
    spoil: Spoil
    good: int | None = NEWEST
    """The commit that must be used; None when none is intact."""
    told_by: frozenset[str] = ALL
    """The readers that must have a line about it; empty when it is no damage and nobody may cry."""
    words: str = ""
    """A regular expression that the line must hold."""
    needs_root: bool = False


def make_template(top: Path) -> None:
    """Two sessions with three phases each, made by the real engine; the journal tells of every step."""
    for session in (SESSION, NEIGHBOUR):
        (top / f"work-{session}").mkdir(parents=True)
        engine = engine_of(top / "root", top / f"work-{session}", Work())
        asyncio.run(engine.execute_batch("Build it", session_id=session))


def copy_of(template: Path, top: Path) -> Path:
    """The sessions once more, hard links and all; the folder of the one to spoil."""
    shutil.copytree(template, top, symlinks=True)
    for session in (SESSION, NEIGHBOUR):
        folder = top / "root" / session
        for view in folder.glob("checkpoint_*.json"):
            for commit in (folder / "history").glob("*.json"):
                if commit.read_bytes() == view.read_bytes():
                    view.unlink()
                    view.hardlink_to(commit)
    return top / "root" / SESSION


def commit_of(folder: Path, seq: int = NEWEST) -> Path:
    """The file of one commit."""
    return folder / "history" / f"{seq:04d}.json"


def put_aside(path: Path) -> None:
    """Take a name away, whatever it is, without touching other names of the file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def rewritten(path: Path, data: bytes) -> None:
    """Other bytes in the same file: all of its names show them."""
    with path.open("r+b") as stream:
        stream.truncate(0)
        stream.write(data)


def replaced(path: Path, data: bytes) -> None:
    """Another file under the same name: what else was called so keeps its bytes."""
    put_aside(path)
    path.write_bytes(data)


def value_of(path: Path) -> dict[str, Any]:
    """A checkpoint's JSON."""
    return dict(json.loads(path.read_bytes()))


def forged(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a checkpoint's JSON and make its digest right, as a forger would, in the file itself."""
    value = value_of(path)
    change(value)
    rewritten(path, sealed(json.dumps(value, indent=2) + "\n"))


def forged_text(path: Path, old: str, new: str) -> None:
    """Change a checkpoint's text, which need not stay JSON, and make its digest right."""
    text = path.read_bytes()
    assert old.encode() in text, old
    rewritten(path, sealed(text.replace(old.encode(), new.encode("utf-8", "surrogatepass"), 1)))


def forged_bytes(path: Path, rest: bytes) -> None:
    """A file that begins as a checkpoint does, goes on with `rest`, and has a right digest."""
    head = b'{\n  "sha256": "'
    digest = hashlib.sha256(head + b"0" * 64 + b'"' + rest).hexdigest().encode()
    rewritten(path, head + digest + b'"' + rest)


def record(**facts: Any) -> bytes:
    """A journal's line with a right checksum."""
    value = {"seq": 1, "w": "aaaa", "at": "2026-11-23T20:36:51.123Z", "session": SESSION, "data": {}, **facts}
    return checked(json.dumps(value)[1:])


def checked(rest: str) -> bytes:
    """A line of the journal that goes on with `rest`, with a right checksum."""
    body = b'{"crc":"00000000",' + rest.encode("utf-8", "surrogatepass")
    return body.replace(b"00000000", f"{zlib.crc32(body):08x}".encode(), 1) + b"\n"


def appended(path: Path, data: bytes) -> None:
    """More bytes at the end of a file."""
    with path.open("ab") as stream:
        stream.write(data)


def slug(text: str) -> str:
    """A word for a case's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
