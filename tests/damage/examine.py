"""Does every damage and lets four readers look: the list, `show`, `verify` and the console.

python -m tests.damage.examine               all cases, in a process with little memory
python -m tests.damage.examine --only WORDS  those whose name holds the words
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.engine.report import show_document
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.listing import list_lines, read_fleet, read_list, show_lines
from maestro_tui.model.errors import MaestroError
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import DetailReader
from tests.crash.power_loss import in_memory
from tests.crash.scene import PHASES, SESSION
from tests.damage import forged, histories, kinds, spoilt
from tests.damage.scene import NEIGHBOUR, READERS, Case, copy_of, make_template

MEMORY = 400_000_000
"""Bytes of address space that all readers together may take beyond what the imports took."""
BYTES_READ = 100_000_000
"""A reader reads at most so many bytes of one session, whatever lies there: a fraction of a second."""
MOST_LINES = 30
"""`verify` names every file; the others are for a screen."""
LONGEST_LINE = 700
CASES: tuple[Case, ...] = tuple(case for room in (spoilt, forged, kinds, histories) for case in room.cases())


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader made of a session: lines about damage, and phase → status (None: it gave up by sentence)."""

    lines: tuple[str, ...]
    statuses: dict[str, str] | None


# ── The four readers ──────────────────────────────────────────────────────────────────────────────────────


def by_list(root: Path) -> Told:
    """`maestro-tui list`: the lines below the session's own."""
    sessions = read_fleet(root)
    there = {session.session_id: session for session in sessions}
    assert there[NEIGHBOUR].damage == (), there[NEIGHBOUR]
    own = there.get(SESSION)
    assert own is not None, "it is not in the list"
    briefs = [brief for brief in read_list(root) if brief.session_id == SESSION]
    lines = [line for line in list_lines(briefs, root) if line.startswith("    ")]
    assert lines[: len(own.damage)] == [f"    {line}" for line in own.damage]
    for line in lines:
        assert line.isprintable(), f"not printable: {line!r}"
    return Told(
        own.damage, _statuses((phase.name, phase.status) for phase in own.phases) if own.seq >= 0 else None
    )


def by_show(root: Path) -> Told:
    """`maestro-tui show`: what it prints with a sign of damage."""
    try:
        document = show_document(TeamExecutionEngineV2SplitMode(root), SESSION)
    except MaestroError as error:
        return Told((str(error),), None)
    json.dumps(document)
    lines = list(show_lines(document))
    for line in lines:
        assert line.isprintable(), f"not printable: {line!r}"
    marked = tuple(line[len("  damaged: ") :] for line in lines if line.startswith("  damaged: "))
    return Told(marked, _statuses((phase["phase"], phase["status"]) for phase in document["phases"]))


def by_verify(root: Path) -> Told:
    """`maestro-tui verify SESSION`, artifacts included."""
    store = CheckpointStore(root)
    try:
        lines = tuple(store.verify(SESSION, artifacts=True))
    except MaestroError as error:
        return Told((str(error),), None)
    try:
        results = store.head(SESSION).context.phase_results
    except MaestroError:
        return Told(lines, None)
    return Told(lines, _statuses((name, str(result.status)) for name, result in results.items()))


def by_console(root: Path) -> Told:
    """The console's reader of one session."""
    detail = DetailReader(root / SESSION).read(time.time())
    summary = detail.summary
    statuses = _statuses((phase.name, phase.status) for phase in summary.phases)
    if summary.seq >= 0:
        of_results = {name: str(result.status) for name, result in detail.results.items()}
        assert {k: v for k, v in statuses.items() if v != "pending"} == of_results, (
            "summary and detail differ"
        )
    return Told(summary.damage, statuses if summary.seq >= 0 else None)


LOOK: dict[str, Callable[[Path], Told]] = dict(
    zip(READERS, (by_list, by_show, by_verify, by_console), strict=True)
)


def _statuses(pairs: Iterator[tuple[str, str]] | object) -> dict[str, str]:
    found = dict(pairs)  # type: ignore[call-overload]
    return {name: found.get(name, "pending") for name in PHASES}


# ── One case ──────────────────────────────────────────────────────────────────────────────────────────────


def problems_of(case: Case, folder: Path) -> Iterator[str]:
    """What was not as promised when the four looked at this damage."""
    root = folder.parent
    case.spoil(folder)
    before = picture(root)
    wanted = None
    if case.good is not None:
        wanted = {name: "completed" if at < case.good else "pending" for at, name in enumerate(PHASES)}
    for name, look in LOOK.items():
        read = bytes_read()
        try:
            told = look(root)
        except MemoryError:
            yield f"{name}: more memory than there may be"
            continue
        except BaseException as error:
            yield f"{name}: {type(error).__name__} instead of a line: {str(error)[:300]!r}"
            continue
        if bytes_read() - read > BYTES_READ:
            yield f"{name}: {bytes_read() - read:,} bytes were read"
        for line in told.lines:
            if not line.isprintable() or len(line) > LONGEST_LINE:
                yield f"{name}: no line for people: {line[:200]!r} ({len(line)} characters)"
        if len(told.lines) > MOST_LINES and name != "verify":
            yield f"{name}: {len(told.lines):,} lines"
        if name in case.told_by and not any(re.search(case.words, line) for line in told.lines):
            yield f"{name}: not a word of {case.words!r}: {[line[:200] for line in told.lines[:3]]}"
        if not case.told_by and told.lines:
            yield f"{name}: a false alarm: {[line[:200] for line in told.lines[:3]]}"
        if told.statuses != wanted:
            yield f"{name}: {told.statuses} instead of {wanted}; {[line[:200] for line in told.lines[:2]]}"
    after = picture(root)
    if after != before:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        yield f"changed on disk: {changed[:5]}"


def picture(root: Path) -> dict[str, tuple[int, ...]]:
    """Every name with what lies there: kind, identity, size, time of change. The index is a cache of its own."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            if name != "index.json":
                found[path] = (facts.st_mode, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_nlink)
    return found


def bytes_read() -> int:
    """Bytes that this process has read until now."""
    text = Path("/proc/self/io").read_text()
    return int(re.search(r"rchar: (\d+)", text)[1])  # type: ignore[index]


# ── All of them ───────────────────────────────────────────────────────────────────────────────────────────


def chosen(words: str, part: int, parts: int) -> list[Case]:
    """The cases whose name holds the words, or every so-manyth of them; devices only where they may be made."""
    there = [
        case for case in CASES if words in case.name and not (case.needs_root and not may_make_devices())
    ]
    return there[part::parts]


def may_make_devices() -> bool:
    """True where device nodes can be made."""
    with in_memory() as folder:
        try:
            os.mknod(folder / "null", 0o20600, os.makedev(1, 3))
        except OSError:
            return False
    return True


def examine(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Case → what was not as promised."""
    found: dict[str, list[str]] = {}
    with in_memory() as top:
        make_template(top / "template")
        for case in cases:
            folder = copy_of(top / "template", top / "copy")
            problems = list(problems_of(case, folder))
            if problems:
                found[case.name] = problems
            shutil.rmtree(top / "copy")
    return found


def limit_memory() -> None:
    """From now on this process gets little more memory than it has."""
    size = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def main(words: Sequence[str]) -> int:
    """Examine and print; 1 when anything was not as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="WORDS")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("N", "OF"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    begun = time.monotonic()
    cases = chosen(asked.only, *asked.part)
    limit_memory()
    found = examine(cases)
    rooms = Counter(re.split(r" (?:at|as|is|:|hold) |: ", case.name)[0] for case in cases)
    if asked.json:
        print(json.dumps({"cases": [case.name for case in cases], "problems": found}))
    else:
        for name, problems in found.items():
            print(f"{name}:", *problems, sep="\n    ")
        print(
            f"{len(cases)} cases of damage in {len(rooms)} kinds, each looked at by {len(LOOK)} readers; "
            f"{len(found)} not as promised; {time.monotonic() - begun:.0f} s"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
