"""Turns a model's answer, as it comes in pieces, into lines that an operator can read on the way."""

from __future__ import annotations

import re
from collections.abc import Callable

_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<sign>[^u])|(?P<cut>(?:u[0-9a-fA-F]{0,3})?\Z))")
_SIGNS = {"n": "\n", "r": "", "t": "    ", "b": "", "f": ""}


class LiveLines:
    """Hands each whole line on. `escaped`: the text is JSON, whose strings are shown with their line breaks."""

    def __init__(self, write: Callable[[str], None], *, escaped: bool = False) -> None:
        self._write, self._escaped = write, escaped
        self._held = ""
        self._line: list[str] = []

    def feed(self, text: str) -> None:
        """Take the next piece."""
        if self._escaped:
            text = self._unescaped(self._held + text)
        *whole, rest = text.split("\n")
        for part in whole:
            self._line.append(part)
            self.end()
        if rest:
            self._line.append(rest)

    def end(self) -> None:
        """Hand on what is there, though no line break followed."""
        line, self._line = "".join(self._line), []
        if line.strip():
            # Two escapes of one character beyond U+FFFF become one again.
            self._write(line.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    def _unescaped(self, text: str) -> str:
        self._held = ""

        def shown(found: re.Match[str]) -> str:
            if found["code"] is not None:
                return chr(int(found["code"], 16))
            if found["sign"] is not None:
                return _SIGNS.get(found["sign"], found["sign"])
            self._held = found[0]
            return ""

        return _ESCAPE.sub(shown, text)
