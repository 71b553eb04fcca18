"""How the files of a session's commits are called: numbers in the history, names of the views."""

from __future__ import annotations

import re
from pathlib import Path

from maestro_tui.model.checkpoint_bytes import HEAD, NO_BEGINNING, SIZE_LIMIT
from maestro_tui.model.errors import DamagedFile, StoreError
from maestro_tui.model.text import session_id_problem
from maestro_tui.store import durable
from maestro_tui.store.hive_folder import holds_hive

HISTORY = "history"
JOURNAL = "journal.jsonl"
VIEW_PREFIX = "checkpoint_"
HIGHEST_SEQ = 999_999_999

_SESSION = re.compile(rb'\n  "session_id": "([A-Za-z0-9._-]{1,128})",\n')
_ENVELOPE_BYTES = 2_000
_NUMBER = re.compile(r"[0-9]{4,9}\.json\Z")


def commit_path(folder: Path, seq: int) -> Path:
    """The file of one commit."""
    return folder.joinpath(HISTORY, f"{seq:04d}.json")


def place_of(seq: int) -> str:
    """How a commit's file is named in a line about it."""
    return f"{HISTORY}/{seq:04d}.json"


def read_commit(path: Path) -> bytes:
    """A checkpoint's bytes; of a large file only the beginning when it is none. Raises as `read_regular`."""
    return durable.read_regular(path, SIZE_LIMIT, _require_head)


def _require_head(path: Path, start: bytes) -> None:
    if HEAD.match(start) is None:
        raise DamagedFile(f"{durable.shown(path)}: {NO_BEGINNING}")


def view_path(folder: Path, phase: str) -> Path:
    """The name under which people and tools find the newest good checkpoint of a phase."""
    return folder / f"{VIEW_PREFIX}{phase}.json"


def commit_numbers(folder: Path) -> list[int]:
    """Numbers of all files that are named as commits are, rising. Raises `StoreError`."""
    try:
        names = durable.names_in(folder / HISTORY)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"Cannot read {durable.shown(folder / HISTORY)}: {error.strerror or error}. Nothing was changed."
        ) from error
    return sorted(number for name in names if (number := commit_number(name)) is not None)


def has_views(folder: Path) -> bool:
    """True when checkpoints are there as views: all that is left of a session whose history was lost."""
    try:
        names = durable.names_in(folder)
    except OSError:
        return False
    return any(_is_view(name) for name in names) and not holds_hive(folder)


def _is_view(name: str) -> bool:
    return name.startswith(VIEW_PREFIX) and name.endswith(".json")


def commit_number(name: str) -> int | None:
    """The number of a commit by its file's name; None for a name that no commit has (`00001.json` too)."""
    if not _NUMBER.match(name) or (name[0] == "0" and len(name) > len("0000.json")):
        return None
    return int(name[: -len(".json")])


def misnamed(folder: Path) -> str | None:
    """What to say of a folder whose commits all are of one other session: it was renamed or copied; else None."""
    owners: set[str] = set()
    try:
        for seq in commit_numbers(folder):
            found = _SESSION.search(durable.read_start(commit_path(folder, seq), _ENVELOPE_BYTES))
            if found is None or found[1].decode() == folder.name:
                return None
            owners.add(found[1].decode())
    except (StoreError, DamagedFile, FileNotFoundError):
        return None
    own = owners.pop() if len(owners) == 1 else None
    if own is None or session_id_problem(own) is not None:
        return None
    if _is_nowhere(folder):
        return f"it is session {own}: upper and lower case are one on this file system; call it {own}"
    if durable.is_folder(str(folder.parent / own)):
        return (
            f"it is a copy of session {own}, which is here too; a copy that goes on is made by 'maestro-tui fork {own}', "
            "and this folder is left alone"
        )
    return f"it is session {own} under another name; give the folder its name back: {own}"


def _is_nowhere(folder: Path) -> bool:
    """True for a folder that is there, though under no such name; over FUSE both names have inodes of their own."""
    try:
        return folder.name not in durable.names_in(folder.parent)
    except OSError:
        return False


def is_begun(folder: Path) -> bool:
    """True for a folder with a commit, or with what a session leaves behind when its commits are gone.

    A folder without any of these is left from a creation that was broken off: there never was a session.
    """
    try:
        if commit_numbers(folder):
            return True
        names = durable.names_in(folder)
    except FileNotFoundError:
        return False  # It was removed while somebody looked.
    except (StoreError, OSError):
        return True  # It cannot be listed: whoever looks closer will say so.
    # A journal without a record is made together with the session.
    begun = JOURNAL in names and not durable.is_empty(folder / JOURNAL)
    return begun or (any(map(_is_view, names)) and not holds_hive(folder))


def gap_lines(numbers: list[int]) -> list[str]:
    """One line for each gap in the numbers of a history."""
    out = []
    expected = 0
    for number in numbers:
        if number > expected:
            more = f" to {number - 1:04d}.json are" if number > expected + 1 else " is"
            out.append(f"{HISTORY}/{expected:04d}.json{more} missing")
        expected = number + 1
    return out
