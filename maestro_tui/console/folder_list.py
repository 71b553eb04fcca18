"""Lists a folder for choosing a file: bounded, folders first, names made safe to show. For a thread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.text import clean, typable

MOST = 5_000
"""Entries that are read of one folder; of more, the rest is told and not shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the list."""

    name: str
    """As it is on disk."""
    folder: bool
    size: int | None = None
    """Bytes; None for what is no regular file."""
    problem: str = ""
    """Why it cannot be taken; empty when it can."""

    @property
    def shown(self) -> str:
        """The name, safe to paint."""
        return clean(self.name, 200)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, folders first, each by name."""

    folder: Path
    entries: tuple[Entry, ...] = ()
    cut: bool = False
    """True when the folder holds more than `MOST`."""
    problem: str = ""
    """Why it cannot be read; empty when it can."""


def read_folder(folder: Path) -> Listing:
    """The folder's files and folders; links count as what they lead to."""
    entries: list[Entry] = []
    cut = False
    try:
        with os.scandir(folder) as found:
            for one in found:
                if len(entries) == MOST:
                    cut = True
                    break
                entries.append(_entry(one, folder))
    except OSError as error:
        return Listing(folder, problem=f"Cannot read this folder: {clean(error.strerror or error, 200)}.")
    entries.sort(key=lambda one: (not one.folder, one.name.casefold(), one.name))
    return Listing(folder, tuple(entries), cut)


def _entry(one: os.DirEntry[str], folder: Path) -> Entry:
    try:
        if one.is_dir():
            return Entry(one.name, True)
        regular, size = one.is_file(), one.stat().st_size
    except OSError as error:
        return Entry(one.name, False, problem=clean(error.strerror or error, 60))
    if not regular:
        return Entry(one.name, False, problem="not a regular file")
    path = str(folder / one.name)
    # As `@FILE` it stands in a field: what no key types would be lost there and name another file.
    if typable(path) != path or path != path.strip() or "\n" in path or not _text(path):
        return Entry(one.name, False, size, "its path cannot be typed; rename it")
    return Entry(one.name, False, size)


def _text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def narrowed(entries: Sequence[Entry], words: str) -> tuple[Entry, ...]:
    """Those whose name holds the words, in any case; hidden ones only for words that begin with a dot."""
    wanted = words.casefold()
    return tuple(
        one
        for one in entries
        if wanted in one.name.casefold() and (not one.name.startswith(".") or words.startswith("."))
    )


def written(path: Path, here: Path) -> str:
    """The path as a field takes it: short where it lies below the current folder, else absolute."""
    try:
        short = str(path.relative_to(here))
    except ValueError:
        return str(path)
    return str(path) if short.startswith("~") else short
