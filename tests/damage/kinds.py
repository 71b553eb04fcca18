"""Other things where a file or folder should be: folders, pipes, sockets, devices, links of every sort."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.damage.scene import ALL, NEIGHBOUR, NEWEST, Case, Spoil, put_aside
from tests.damage.spoilt import CLOSER

VERIFY = frozenset(["verify"])
NOBODY = frozenset[str]()


def _missing(path: Path) -> None:
    put_aside(path)


def _folder(path: Path) -> None:
    put_aside(path)
    path.mkdir()
    (path / "in it").write_text("something")


def _pipe(path: Path) -> None:
    put_aside(path)
    os.mkfifo(path)


def _socket(path: Path) -> None:
    put_aside(path)
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have few characters only
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _device(minor: int, path: Path) -> None:
    put_aside(path)
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, minor))


def _link(target: str, path: Path) -> None:
    put_aside(path)
    path.symlink_to(target)


def _link_to_itself(path: Path) -> None:
    put_aside(path)
    path.symlink_to(path.name)


def _link_to_neighbour(path: Path) -> None:
    session = next(parent for parent in path.parents if (parent / "history").parent.name == "s1")
    place = session.parent / NEIGHBOUR / path.relative_to(session)
    put_aside(path)
    path.symlink_to(place)


def _sparse(size: int, path: Path) -> None:
    put_aside(path)
    with path.open("wb") as stream:
        stream.truncate(size)


def _hard_link(path: Path) -> None:
    """The very file of the neighbour under this name."""
    place = path.parents[1] if path.parent.name == "history" else path.parent
    other = place.parent / NEIGHBOUR / path.relative_to(place)
    put_aside(path)
    path.hardlink_to(other)


KINDS: dict[str, Spoil] = {
    "a folder": _folder,
    "a pipe": _pipe,
    "a socket": _socket,
    "a link to a device": partial(_link, "/dev/zero"),
    "a link outside": partial(_link, "/etc/passwd"),
    "a link to nothing": partial(_link, "/nowhere/at/all"),
    "a link to itself": _link_to_itself,
    "a link to the neighbour's": _link_to_neighbour,
    "a sparse gigabyte": partial(_sparse, 1_000_000_000),
    "a sparse 400 MB": partial(_sparse, 400_000_000),
}
DEVICES: dict[str, Spoil] = {"the device null": partial(_device, 3), "the device zero": partial(_device, 5)}
EVERY = {**KINDS, **DEVICES}


def _at(place: str, kind: Spoil, folder: Path) -> None:
    kind(folder / place)


def _case(place: str, what: str, told_by: frozenset[str], words: str, good: int | None = NEWEST) -> Case:
    kind = {"missing": _missing, "the neighbour's very file": _hard_link, **EVERY}[what]
    return Case(f"{what} as {place}", partial(_at, place, kind), good, told_by, words, what in DEVICES)


def cases() -> Iterator[Case]:
    """Each kind in the place of each file and folder of a session."""
    newest = f"history/000{NEWEST}.json"
    for what in (*EVERY, "the neighbour's very file"):
        yield _case(newest, what, ALL, rf"000{NEWEST}\.json", good=NEWEST - 1)
        yield _case("history/0001.json", what, CLOSER, r"0001\.json")
        yield _case("history/0000.json", what, CLOSER, r"0000\.json")
    for what in ("a folder", "a pipe", "a socket", "a sparse gigabyte", *DEVICES):
        yield _case("history", what, ALL, "history|no commit|lost its history", good=None)
    for what in ("missing", *EVERY):
        yield _case("checkpoint_testing.json", what, VERIFY, r"checkpoint_testing\.json")
        yield _case("checkpoint_init.json", what, VERIFY, r"checkpoint_init\.json")
    for what in EVERY:
        yield _case("journal.jsonl", what, ALL, r"journal\.jsonl")
        yield _case("runner.json", what, ALL, r"runner\.json")
    for place in ("locks", "locks/session", "locks/commit", "logs", "logs/testing.1.log", "tmp"):
        for what in (
            "missing",
            "a folder",
            "a pipe",
            "a link to a device",
            "a link to itself",
            "a sparse gigabyte",
        ):
            yield _case(place, what, NOBODY, "")
    yield _case("journal.jsonl", "missing", NOBODY, "")
    yield _case("runner.json", "missing", NOBODY, "")
    yield _case("logs/testing.1.log", "a link to the neighbour's", NOBODY, "")
    for what in (
        "a folder",
        "a pipe",
        "a link to a device",
        "a link to itself",
        "a sparse gigabyte",
        *DEVICES,
    ):
        yield _case("../index.json", what, NOBODY, "")
        yield _case("something", what, NOBODY, "")
        yield _case("history/.maestro-tmp-0123456789abcdef", what, NOBODY, "")
        yield _case("history/notes.txt", what, VERIFY, "it is no commit; left alone")
        yield _case(
            "checkpoint_other.json", what, VERIFY, "it is no checkpoint, and the history knows of none"
        )
