"""What a power loss may leave on a disk: from recorded file operations to every state they allow, in memory.

The rules are those of POSIX at its weakest. Bytes of a file are safe after fsync of that file; a name in a
folder is safe after fsync of that folder, and only then. What is not safe may be there, may be gone, or (bytes)
may be cut off or zeros, each independently of everything else and in any order.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Node = bytes | dict[str, int]
"""A file's bytes, or a folder's names, each with the number of its node."""

_link = os.link
"""The states are made with links also where the store is refused them."""

TOP = 0
"""The number of the watched folder itself, which is always there."""


# ── What was done ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Enter:
    """A name was given to a node: a file or folder was made, or an existing file was linked."""

    folder: int
    name: str
    node: int
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """A name was taken away."""

    folder: int
    name: str


@dataclass(frozen=True, slots=True)
class Move:
    """A name was changed within its folder; a file that had the new name lost it."""

    folder: int
    name: str
    new_name: str
    node: int


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were put into a file."""

    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file was cut to a size."""

    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file's bytes or a folder's names were made safe; the call returned."""

    node: int


@dataclass(frozen=True, slots=True)
class Told:
    """A promise was given: from here on `fact` must survive."""

    fact: object


Change = Enter | Leave | Move | Write | Cut
Op = Change | Sync | Told


def touched(op: Change) -> int:
    """The node whose sync makes this change safe."""
    return op.node if isinstance(op, Write | Cut) else op.folder


# ── The disk ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Disk:
    """All nodes of the watched folder."""

    nodes: dict[int, Node] = field(default_factory=lambda: {TOP: {}})

    def copy(self) -> Disk:
        """An independent disk with the same content."""
        return Disk({number: dict(n) if isinstance(n, dict) else n for number, n in self.nodes.items()})

    def names(self, folder: int) -> dict[str, int]:
        """The names in a folder."""
        node = self.nodes.setdefault(folder, {})
        assert isinstance(node, dict)
        return node

    def bytes_of(self, number: int) -> bytes:
        """The bytes of a file."""
        node = self.nodes.setdefault(number, b"")
        assert isinstance(node, bytes)
        return node

    def apply(self, op: Change, how: str = "done") -> None:
        """Let one change come true, or (`how`) the part of it that a crash let through."""
        if isinstance(op, Enter):
            self.nodes.setdefault(op.node, {} if op.is_folder else b"")
            self.names(op.folder)[op.name] = op.node
        elif isinstance(op, Leave):
            self.names(op.folder).pop(op.name, None)
        elif isinstance(op, Move):
            names = self.names(op.folder)
            if how == "done" and names.get(op.name) == op.node:
                del names[op.name]
            names[op.new_name] = op.node
        elif isinstance(op, Cut):
            old = self.bytes_of(op.node)
            self.nodes[op.node] = old[: op.size].ljust(op.size, b"\0")
        else:
            old = self.bytes_of(op.node)
            data = part_of(op.data, how)
            end = op.offset + len(data)
            self.nodes[op.node] = old[: op.offset].ljust(op.offset, b"\0") + data + old[end:]

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Path → bytes and number of each file that can be reached, folders as paths that end with `/`."""
        out: dict[str, tuple[bytes, int]] = {}
        todo = [(TOP, "")]
        while todo:
            folder, prefix = todo.pop()
            for name, number in self.names(folder).items():
                node = self.nodes[number]
                if isinstance(node, dict):
                    out[f"{prefix}{name}/"] = (b"", number)
                    todo.append((number, f"{prefix}{name}/"))
                else:
                    out[prefix + name] = (node, number)
        return out

    def digest(self) -> bytes:
        """Equal for two disks that nobody can tell apart: same paths, same bytes, same hard links."""
        first: dict[int, str] = {}
        total = hashlib.blake2b(digest_size=16)
        for path, (data, number) in sorted(self.files().items()):
            link = first.setdefault(number, path)
            total.update(b"%s\0%s\0%d\0" % (path.encode(), link.encode(), len(data)))
            total.update(data)
        return total.digest()

    def write_to(self, folder: Path) -> None:
        """Make this disk real, hard links included."""
        made: dict[int, str] = {}
        base = str(folder)
        os.makedirs(base, exist_ok=True)
        for path, (data, number) in sorted(self.files().items()):
            real = f"{base}/{path}"
            if path.endswith("/"):
                os.mkdir(real, 0o700)
            elif number in made:
                _link(made[number], real)
            else:
                made[number] = real
                with open(real, "xb") as file:
                    file.write(data)


def part_of(data: bytes, how: str) -> bytes:
    """What is left of written bytes."""
    half = len(data) // 2
    return {
        "done": data,
        "half": data[:half],
        "all but the last byte": data[:-1],
        "zeros": b"\0" * len(data),
        "half, then zeros": data[:half] + b"\0" * (len(data) - half),
    }[how]


# ── After the crash ───────────────────────────────────────────────────────────────────────────────────────

LOST = "lost"
_WAYS: Mapping[type, tuple[str, ...]] = {
    Write: ("done", LOST, "half", "all but the last byte", "zeros", "half, then zeros"),
    Cut: ("done", LOST),
    Enter: ("done", LOST),
    Leave: ("done", LOST),
    Move: ("done", LOST, "both names"),
}


@dataclass(slots=True)
class CrashState:
    """A disk that a power loss after `after` operations may leave, and what was promised until then."""

    disk: Disk
    after: int
    facts: tuple[object, ...]
    what: str
    """What became of the changes that were not safe, for a failure's message."""


def crash_states(
    base: Disk, ops: Sequence[Op], most_each: int, promised: Sequence[object] = (), seed: int = 1
) -> Iterator[CrashState]:
    """Distinct states that a crash may leave after each operation, at most `most_each` for one moment.

    Where all combinations are too many: all done, all lost, each change alone lost or spoilt, each change alone
    done, all up to each one, and then combinations by chance (seeded).
    """
    seen: set[tuple[bytes, int]] = set()
    facts: list[object] = list(promised)
    safe = base.copy()
    pending: list[Change] = []
    for after, op in enumerate([None, *ops]):
        if isinstance(op, Told):
            facts.append(op.fact)
        elif isinstance(op, Sync):
            for change in pending:
                if touched(change) == op.node:
                    safe.apply(change)
            pending = [change for change in pending if touched(change) != op.node]
        elif op is not None:
            if isinstance(op, Enter):
                # The node is there whether its name comes through or not: a later name may lead to it.
                safe.nodes.setdefault(op.node, {} if op.is_folder else b"")
            pending.append(op)
        chance = random.Random(f"{seed} {after}")
        for ways in itertools.islice(_choices(pending, most_each, chance), most_each):
            disk = safe.copy()
            for change, how in zip(pending, ways, strict=True):
                if how != LOST:
                    disk.apply(change, how)
            # What was promised belongs to the state: the same bytes under a further promise are a new question.
            key = (disk.digest(), len(facts))
            if key not in seen:
                seen.add(key)
                yield CrashState(disk, after, tuple(facts), _told(pending, ways))


def _choices(pending: Sequence[Change], most: int, chance: random.Random) -> Iterator[tuple[str, ...]]:
    ways = [_WAYS[type(change)] for change in pending]
    total = 1
    for way in ways:
        total *= len(way)
    if total <= most:
        yield from itertools.product(*ways)
        return
    count = len(pending)
    yield ("done",) * count
    yield (LOST,) * count
    for index, way in enumerate(ways):
        for how in way[1:]:
            yield tuple(how if at == index else "done" for at in range(count))
    for index, way in enumerate(ways):
        for how in way:
            if how != LOST:
                yield tuple(how if at == index else LOST for at in range(count))
    for end in range(1, count):
        yield tuple("done" if at < end else LOST for at in range(count))
    while True:
        yield tuple(chance.choice(way) for way in ways)


def _told(pending: Sequence[Change], ways: Sequence[str]) -> str:
    parts = []
    for change, how in zip(pending, ways, strict=True):
        name = f"bytes of node {change.node}" if isinstance(change, Write | Cut) else change.name
        parts.append(f"{type(change).__name__.lower()} {name}: {how}")
    return "; ".join(parts) or "all safe"


def replayed(base: Disk, ops: Sequence[Op]) -> Disk:
    """The disk when nothing was lost."""
    disk = base.copy()
    for op in ops:
        if not isinstance(op, Sync | Told):
            disk.apply(op)
    return disk
