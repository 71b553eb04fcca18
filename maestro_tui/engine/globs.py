"""Which paths a glob matches: `*` and `?` stay within a folder, `**` crosses folders.

A glob is a stranger's, and so are the paths: no choice is ever taken back, so that the time is bounded by the length
of the glob times that of the path, where one regular expression could take for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

Test = Callable[[str], bool]
_ANY_NAME = "*"


def matching(globs: Iterable[str]) -> Test:
    """A test whether a path matches any of the globs, by the rules by which deliverables are looked for."""
    tests = [matcher(glob) for glob in globs]
    return lambda path: any(test(path) for test in tests)


def matcher(glob: str) -> Test:
    """A test for one glob."""
    runs: list[list[Test]] = [[]]
    parts = glob.strip("/").removeprefix("./").split("/")
    if parts[-1] == "**":
        parts.append(_ANY_NAME)  # below a folder there must be something
    for part in parts:
        if part == "**":
            runs.append([])
        else:
            runs[-1].append(_name(part))

    def fits(run: Sequence[Test], names: Sequence[str], at: int) -> bool:
        return all(test(names[at + index]) for index, test in enumerate(run))

    def test(path: str) -> bool:
        names = path.split("/")
        first, last = runs[0], runs[-1]
        spare = len(names) - sum(map(len, runs))
        if spare < 0 or (spare and len(runs) == 1) or not fits(first, names, 0):
            return False
        end = len(names) - len(last)
        at = len(first)
        # The first place where a run fits leaves the most for those after it.
        for run in runs[1:-1]:
            at = next((one for one in range(at, end - len(run) + 1) if fits(run, names, one)), -len(names))
            if at < 0:
                return False
            at += len(run)
        return fits(last, names, end)

    return test


def _name(part: str) -> Test:
    """A test for the name of one file or folder, in the same way: what stands between two `*` has a fixed length."""
    pieces: list[tuple[re.Pattern[str], int]] = []
    signs: list[str] = []
    at = 0
    while at < len(part):
        sign = part[at]
        closing = part.find("]", at + 2) if sign == "[" else -1
        listed = _class(part[at + 1 : closing]) if closing > 0 else None
        if sign == "*":
            pieces.append((re.compile("".join(signs), re.DOTALL), len(signs)))
            signs = []
        elif sign == "?":
            signs.append(".")
        elif listed is not None:
            signs.append(listed)
            at = closing
        else:
            signs.append(re.escape(sign))
        at += 1
    last, size = re.compile("".join(signs), re.DOTALL), len(signs)

    def test(name: str) -> bool:
        if not pieces:
            return last.fullmatch(name) is not None
        end, at = len(name) - size, 0
        for index, (piece, length) in enumerate(pieces):
            found = piece.search(name, at) if index else piece.match(name)
            if found is None:
                return False
            at = found.start() + length
        return at <= end and last.match(name, end) is not None

    return test


def _class(inside: str) -> str | None:
    """The regular expression for `[inside]`; None when that is no class of characters: then it stands for itself."""
    negated = inside[0] in "!^"
    signs = re.sub(r"([\\\[&~|])", r"\\\1", inside[1:] if negated else inside)
    listed = f"[{'^' if negated else ''}{signs}]"
    try:
        re.compile(listed)
    except re.error:
        return None
    return listed
