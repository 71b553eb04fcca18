"""Commits that are gone, in each other's place, there twice, or beside files that are none."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.damage.scene import ALL, NEIGHBOUR, NEWEST, Case, commit_of, forged, replaced
from tests.damage.spoilt import CLOSER

VERIFY = frozenset(["verify"])
FOREIGN_NAMES = (
    "00003.json", "3.json", "0003.JSON", "0003.json.bak", "0003.json~", " 0003.json", "0003 .json", "-003.json",
    "+003.json", "0x03.json", "1e3.json", "0003.jsonl", "٠٠٠٣.json", "０００３.json", "0003\n.json", "\x1b[2J.json",
    "[@click=app.quit]x[].json", "9999999999.json", "notes.txt", ".0003.json.swp", "0003.json.damaged.1",
)  # fmt: skip


def _gone(numbers: tuple[int, ...], folder: Path) -> None:
    for number in numbers:
        commit_of(folder, number).unlink()


def _gone_with_views(numbers: tuple[int, ...], folder: Path) -> None:
    for number in numbers:
        facts = commit_of(folder, number).stat()
        for view in folder.glob("checkpoint_*.json"):
            if view.stat().st_ino == facts.st_ino:
                view.unlink()
        commit_of(folder, number).unlink()


def _swapped(one: int, two: int, folder: Path) -> None:
    first, second, aside = commit_of(folder, one), commit_of(folder, two), folder / "history" / "aside"
    os.rename(first, aside)
    os.rename(second, first)
    os.rename(aside, second)


def _copied(source: int, to: int, folder: Path) -> None:
    replaced(commit_of(folder, to), commit_of(folder, source).read_bytes())


def _linked(source: int, to: int, folder: Path) -> None:
    commit_of(folder, to).unlink(missing_ok=True)
    commit_of(folder, to).hardlink_to(commit_of(folder, source))


def _from_neighbour(seq: int, folder: Path) -> None:
    replaced(commit_of(folder, seq), commit_of(folder.parent / NEIGHBOUR, seq).read_bytes())


def _named(name: str, folder: Path) -> None:
    (folder / "history" / name).write_bytes(commit_of(folder).read_bytes())


def _numbered(number: int, folder: Path) -> None:
    path = commit_of(folder, number)
    path.write_bytes(commit_of(folder).read_bytes())
    forged(path, lambda value: value.update(seq=number))


def _many(folder: Path) -> None:
    for number in range(100, 3_100):
        (folder / "history" / f"{number:04d}.json").write_bytes(b"")


def _many_names(folder: Path) -> None:
    for number in range(5_000):
        (folder / "history" / f"note {number}").touch()


def cases() -> Iterator[Case]:
    """All of this file."""
    numbers = range(NEWEST + 1)
    for count in (1, 2, 3):
        for gone in itertools.combinations(numbers, count):
            if gone[-1] == NEWEST and gone == tuple(range(gone[0], NEWEST + 1)):
                # The newest are gone without a gap: only the journal still knows of them.
                yield Case(
                    f"commits {gone} are gone",
                    partial(_gone_with_views, gone),
                    good=gone[0] - 1,
                    told_by=VERIFY,
                    words="missing, though the journal tells of it",
                )
                continue
            good = max(number for number in numbers if number not in gone)
            yield Case(
                f"commits {gone} are gone", partial(_gone_with_views, gone), good=good, words="missing"
            )
    for one, two in itertools.combinations(numbers, 2):
        told = ALL if two == NEWEST else CLOSER
        good = max((n for n in numbers if n not in (one, two)), default=None)
        good = good if two == NEWEST else NEWEST
        yield Case(
            f"commits {one} and {two} in each other's place",
            partial(_swapped, one, two),
            good,
            told,
            "misplaced",
        )
    for source, to in itertools.permutations(numbers, 2):
        newest = to == NEWEST
        yield Case(
            f"commit {source} once more as {to}",
            partial(_copied, source, to),
            NEWEST - 1 if newest else NEWEST,
            ALL if newest else CLOSER,
            "misplaced",
        )
    for source in numbers:
        yield Case(
            f"commit {source} as a new last one",
            partial(_copied, source, NEWEST + 1),
            NEWEST,
            ALL,
            "misplaced",
        )
        yield Case(
            f"another name of commit {source}", partial(_linked, source, NEWEST + 1), NEWEST, ALL, "misplaced"
        )
        newest = source == NEWEST
        yield Case(
            f"the neighbour's commit {source}",
            partial(_from_neighbour, source),
            NEWEST - 1 if newest else NEWEST,
            ALL if newest else CLOSER,
            "misplaced",
        )
    for number in (5, 99, 9_999, 99_999_999):
        yield Case(
            f"a commit with the number {number}",
            partial(_numbered, number),
            NEWEST,
            ALL,
            "missing|broken chain",
        )
    for name in FOREIGN_NAMES:
        told = frozenset[str]() if "damaged" in name else VERIFY
        yield Case(
            f"a file called {name!r}", partial(_named, name), NEWEST, told, "it is no commit; left alone"
        )
    yield Case("three thousand empty commits", _many, NEWEST, ALL, "damaged|empty")
    yield Case("five thousand foreign files", _many_names, NEWEST, VERIFY, "no commit")
