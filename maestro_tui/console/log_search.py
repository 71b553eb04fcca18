"""Finds lines of a log: those that hold a text, those of a persona, the first that speaks of an error.

It works on bytes, window by window; what is kept of a line is the offset at which it begins.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SEARCH_WINDOW = 1_048_576
MOST_MATCHES = 2_000_000

Where = Literal["text", "persona", "trouble"]

_TROUBLE = re.compile(
    rb"(?<![a-zA-Z])(?<!\b0 )(?<!\bno )(?i:errors?|exception|traceback|fatal|failed|failure|panic|refused)(?![a-zA-Z])"
    rb"|[a-z](?:Error|Exception)\b"
)
"""What the first line of trouble usually says; `0 errors` and `no error` are none."""
_SGR = re.compile(rb"\x1b\[[0-9;:]*m")
"""The colours of what programs print, as `model.text` knows them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: a text (capitals count only when typed), or the lines of one persona."""

    needle: bytes
    exact: bool
    where: Where

    @classmethod
    def text(cls, query: str) -> Wanted:
        """Lines whose text holds the query."""
        return cls(query.encode("utf-8", "replace"), query != query.lower(), "text")

    @classmethod
    def trouble(cls) -> Wanted:
        """The first line that speaks of an error; no further ones."""
        return cls(b"error", False, "trouble")

    @classmethod
    def persona(cls, persona: str) -> Wanted:
        """Lines that a persona wrote."""
        return cls(b"\t" + persona.encode("utf-8", "replace") + b"\t", True, "persona")


def find_lines(descriptor: int, start: int, end: int, wanted: Wanted) -> array[int]:
    """Offsets of the beginnings of all matching lines between two line beginnings; for a thread."""
    found = array("Q")
    if not wanted.needle:
        return found
    at = start
    while at < end and len(found) < MOST_MATCHES:
        data = os.pread(descriptor, min(SEARCH_WINDOW, end - at), at)
        if not data:
            break
        cut = data.rfind(b"\n") + 1
        # A line longer than the window is looked at in its first window only.
        window = data[:cut] if cut else data
        if wanted.where == "trouble":
            first = _first_trouble(window)
            if first is not None:
                found.append(at + first)
                return found
        else:
            found.extend(at + position for position in _matching_starts(window, wanted))
        if cut:
            at += cut
        else:
            at = _next_line(descriptor, at + len(data), end)
    return found


def _first_trouble(window: bytes) -> int | None:
    """Where the first line begins whose text has a word of trouble in it."""
    plain = _SGR.sub(b"", window)
    return next(iter(_in_window(window, plain, _trouble_starts(plain))), None)


def _trouble_starts(window: bytes) -> Iterable[int]:
    for hit in _TROUBLE.finditer(window):
        start = window.rfind(b"\n", 0, hit.start()) + 1
        stop = window.find(b"\n", hit.start())
        if hit.start() >= _text_start(window, start, len(window) if stop < 0 else stop):
            yield start


def _next_line(descriptor: int, at: int, end: int) -> int:
    while at < end:
        data = os.pread(descriptor, min(SEARCH_WINDOW, end - at), at)
        if not data:
            return end
        found = data.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(data)
    return end


def _matching_starts(window: bytes, wanted: Wanted) -> Iterable[int]:
    """Where the matching lines begin; colours within the text match nothing and part no words."""
    plain = _SGR.sub(b"", window) if wanted.where != "persona" else window
    return _in_window(window, plain, _plain_starts(plain, wanted))


def _in_window(window: bytes, plain: bytes, starts: Iterable[int]) -> Iterable[int]:
    """Beginnings of lines of `plain`, in order, as the beginnings of the same lines in the window."""
    if len(plain) == len(window):
        yield from starts
        return
    at = in_plain = 0
    for start in starts:
        while in_plain < start:
            in_plain, at = plain.find(b"\n", in_plain) + 1, window.find(b"\n", at) + 1
        yield at


def _plain_starts(window: bytes, wanted: Wanted) -> Iterable[int]:
    haystack = window if wanted.exact else window.lower()
    position = 0
    while (hit := haystack.find(wanted.needle, position)) >= 0:
        start = window.rfind(b"\n", 0, hit) + 1
        stop = window.find(b"\n", hit)
        stop = len(window) if stop < 0 else stop
        if wanted.where == "persona":
            if window.find(b"\t", start, stop) == hit:
                yield start
        else:
            text = _text_start(window, start, stop)
            if hit < text:
                position = text
                continue
            yield start
        position = stop + 1


def _text_start(window: bytes, start: int, stop: int) -> int:
    position = start
    for _ in range(3):
        tab = window.find(b"\t", position, stop)
        if tab < 0:
            return start
        position = tab + 1
    return position
