"""Takes secrets out of text before it is written: known values of the environment, and tokens by their shape."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|AUTH|COOKIE|DSN)(?:_|$)|"
    r"(?:KEY|TOKEN|SECRET|PASSWORD)$",
    re.IGNORECASE,
)
_NO_SECRETS = frozenset(["PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_TTY"])
_SHORTEST, _LONGEST = 8, 8_192

# Shapes that hardly anything else has. Every repetition is bounded or has no choice within, so that the
# time to look through a line is linear in its length.
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk)-(?:ant-|proj-|live-|or-)?[A-Za-z0-9_-]{20,512}"
    r"|\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,128}"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,255}|\bgithub_pat_[A-Za-z0-9_]{22,255}|\bglpat-[A-Za-z0-9_-]{20,64}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b|\bxox[abeoprs]-[A-Za-z0-9-]{10,255}"
    r"|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgE[A-Za-z0-9_-]{50,512}|\bhf_[A-Za-z0-9]{30,64}\b"
    r"|\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9+/_.=~-]{16,4096})")
_IN_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,128}:)([^\s/@]{1,512})(@)")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}-----)?"
)

_HINTS = tuple(
    re.compile(hint).search
    for hint in (
        r"-(?:(?<=[spr]k-)|(?<=glpat-)|(?<=pypi-)|(?<=xox[abeoprs]-))",
        r"_(?:(?<=[sr]k_)|(?<=gh[pousr]_)|(?<=github_pat_)|(?<=npm_)|(?<=hf_))",
        r"A(?:KIA|SIA|Iza|SIC)",
        r"J(?<=eyJ)",
        r"PRIVATE KEY",
        r"://",
        r"earer",
        r"EARER",
        r"asic",
    )
)
"""Text that none of these is found in holds nothing of a secret's shape. Each begins with a fixed character, which
is searched many times as fast as a choice."""

CARRY = 9_000
"""How many characters of a line that goes on are held back, so that no secret hides on the border."""


class Redactor:
    """Replaces secrets by `‹NAME›` (a value of the environment) or `‹secret›` (a token by its shape)."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._names: dict[str, str] = {}
        for name, value in (os.environ if environ is None else environ).items():
            if _is_secret(name, value):
                for form in _forms(value):
                    self._names.setdefault(form, name)
        longest_first = sorted(self._names, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without its secrets."""
        if self._known is not None:
            text = self._known.sub(lambda found: f"‹{self._names[found[0]]}›", text)
        if len(text) < _SHORTEST:
            return text
        text = _SHAPES.sub("‹secret›", text)
        if "PRIVATE KEY" in text:
            text = _PRIVATE_KEY.sub("‹private key›", text)
        if "://" in text:
            text = _IN_URL.sub(r"\1‹secret›\3", text)
        if any(hint in text for hint in ("earer", "asic", "EARER", "ASIC")):
            text = _BEARER.sub(r"\1\2‹secret›", text)
        return text

    def data(self, value: Any) -> Any:
        """JSON data without its secrets, in keys too; what holds none is returned as it is."""
        # Most data holds none: one look at all its text together is enough to see that.
        text = "\0".join(_texts(value))
        if any(hint(text) for hint in _HINTS) or any(name in text for name in self._names):
            return self._data(value)
        return value

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self._data(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._data(item) for item in value]
        return value


def _texts(value: Any) -> list[str]:
    """All texts of JSON data, keys too, in any order."""
    out: list[str] = []
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            out.append(one)
        elif isinstance(one, list | tuple):
            try:
                out.append("\0".join(one))  # most long ones are lines of text
            except TypeError:
                todo += one
        elif one is not None and isinstance(one, Mapping):
            todo += one.keys()
            todo += one.values()
    return out


def _is_secret(name: str, value: str) -> bool:
    if name in _NO_SECRETS or not _SHORTEST <= len(value) <= _LONGEST or not _SECRET_NAME.search(name):
        return False
    # A plain word under such a name is a setting; replacing it everywhere would tear up every log.
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    return kinds >= 2 or len(value) >= 20


def _forms(value: str) -> Iterator[str]:
    """The value as it may stand in a log: raw, in JSON, in a URL, in base64 at each of its three offsets."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    raw = value.encode("utf-8", "surrogateescape")
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        # The first and last characters also depend on what stands around the value.
        inner = coded[(offset * 8 + 5) // 6 : len(coded) - (1 if (offset + len(raw)) % 3 else 0)]
        if len(inner) >= _SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


class LineRedactor:
    """Redacts lines of one stream; a line that comes in pieces of `piece` bytes is looked at across borders."""

    def __init__(self, redactor: Redactor, piece: int) -> None:
        self._redactor, self._piece, self._held = redactor, piece, ""

    def feed(self, text: str) -> str | None:
        """The line to write now; None when all of it is held back for the next piece."""
        # Pieces are cut by bytes, never within a character.
        goes_on = len(text) >= self._piece // 4 and len(text.encode("utf-8", "replace")) > self._piece - 4
        whole = self._redactor.text(self._held + text)
        self._held = ""
        if not goes_on:
            return whole
        self._held = whole[-CARRY:]
        return whole[:-CARRY] or None

    def rest(self) -> str | None:
        """What was held back when no more comes."""
        held, self._held = self._held, ""
        return held or None
