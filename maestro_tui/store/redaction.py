"""Takes secrets out of text before it is written: known values of the environment, and tokens by their shape."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|AUTH|COOKIE|DSN)(?:_|$)|"
    r"(?:KEY|TOKEN|SECRET|PASSWORD)$",
    re.IGNORECASE,
)
_NO_SECRETS = frozenset(["PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_TTY"])
_SHORTEST, _LONGEST = 8, 8_192
"""Characters of a value that is known as a whole; of a longer one only its lines are."""
_SHORTEST_LINE = 16
_BASE64_LINES = (64, 76)
"""Characters of a line as `openssl` and `base64` break theirs."""

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
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z ]{0,40}-----")
_PRIVATE_KEY = re.compile(rf"{_KEY_BEGINS.pattern}[^-]{{0,20000}}(?:{_KEY_ENDS.pattern})?")
_KEY_PART = re.compile(
    r"[A-Za-z0-9+/]{40,}={0,2}|(?<!\S)[A-Za-z0-9+/]+={1,2}(?!\S)|(?<!\S)(?=\S*[0-9+/])[A-Za-z0-9+/]{16,200}\W{0,200}$"
)
_ONE_WORD = re.compile(r"[\W\d]*?([A-Za-z0-9+/]+={0,2})\W*")
_IN_NO_WORD = re.compile(r"[0-9+/=]|.{16}")
_KEY_LINES = 200
"""So many lines after its beginning a private key is over, whether its end was seen or not."""
_SHORT_LINE = 200
REDACTED = re.compile(r"‹(?:[A-Za-z0-9_]+|private key)›")
"""What stands where a secret was."""
_KEY, _SECRET = "‹private key›", "‹secret›"

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

CARRY = 21_000
"""How many characters of a line that goes on are held back at least: more than a token or a key in one line has."""
_ESCAPE = re.compile("%[0-9A-F]{2}")
_UNBROKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_.=~-"


class Redactor:
    """Replaces secrets by `‹NAME›` (a value of the environment) or `‹secret›` (a token by its shape)."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._names: dict[str, str] = {}
        for name, value in (os.environ if environ is None else environ).items():
            for secret in secrets_of(name, value):
                for form in _forms(secret):
                    self._names.setdefault(form, name)
            for line in _secret_lines(name, value):
                self._names.setdefault(line, name)
        self.carry = max([CARRY, *map(len, self._names)])
        """Characters that the longest secret has in any of its forms."""
        longest_first = sorted(self._names, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without its secrets."""
        if self._known is not None:
            text = self._known.sub(lambda found: f"‹{self._names[found[0]]}›", text)
        if len(text) < _SHORTEST:
            return text
        text = _SHAPES.sub(_SECRET, text)
        if "PRIVATE KEY" in text:
            text = _PRIVATE_KEY.sub(_KEY, text)
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


def secrets_of(name: str, value: str) -> Iterator[str]:
    """What of a variable is secret: all of it by its name, a password by its place in a URL."""
    if _names_a_secret(name) and len(value) <= _LONGEST and _is_telling(value):
        yield value
    for found in _IN_URL.finditer(value):
        yield from (password for password in (found[2], unquote(found[2])) if _is_telling(password))


def _secret_lines(name: str, value: str) -> Iterator[str]:
    """The lines of a secret that has several: it is printed line by line."""
    lines = value.splitlines() if _names_a_secret(name) else []
    for line in map(str.strip, lines if len(lines) > 1 else []):
        # The first and last line of a key are the same in every key.
        if _SHORTEST_LINE <= len(line) <= _LONGEST and not line.startswith("-----"):
            yield line


def _names_a_secret(name: str) -> bool:
    return name not in _NO_SECRETS and _SECRET_NAME.search(name) is not None


def _is_telling(value: str) -> bool:
    # A plain word under such a name is a setting; replacing it everywhere would tear up every log.
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    return len(value) >= _SHORTEST and (kinds >= 2 or len(value) >= 20)


def _forms(value: str) -> Iterator[str]:
    """The value as it may stand in a log: raw, in JSON (within JSON too), in HTML, quoted for a shell or by Python, in a
    URL, in hex, in base64 at each of its three offsets, and in the lines of it that `base64` and `openssl` print."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield html.escape(value)
    yield repr(value)[1:-1]
    yield value.replace("'", "'\"'\"'")
    yield value.replace("'", "'\\''")
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(value)[1:-1].replace("/", "\\/")
    for quoted in (quote(value, safe=""), quote_plus(value)):
        yield quoted
        yield _ESCAPE.sub(lambda found: found[0].lower(), quoted)
    raw = value.encode("utf-8", "surrogateescape")
    yield raw.hex()
    yield raw.hex().upper()
    coded = base64.b64encode(raw).decode().rstrip("=")[:-1]
    for width in _BASE64_LINES if len(coded) > min(_BASE64_LINES) else ():
        lines = (coded[at : at + width] for at in range(0, len(coded), width))
        yield from (line for line in lines if len(line) >= _SHORTEST)
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        # The first and last characters also depend on what stands around the value.
        inner = coded[(offset * 8 + 5) // 6 : len(coded) - (1 if (offset + len(raw)) % 3 else 0)]
        if len(inner) >= _SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


class LineRedactor:
    """Redacts lines of one stream; a line that comes in pieces of `piece` bytes is looked at across borders.

    A private key that is printed line by line is taken out up to its end, at most 200 lines.
    """

    def __init__(self, redactor: Redactor, piece: int) -> None:
        self._redactor, self._piece, self._held = redactor, piece, ""
        self._key_lines = 0
        """How many lines may still belong to a private key that has begun."""
        self._cut = False
        """True when the piece before broke off within a token."""

    def feed(self, text: str) -> str | None:
        """The line to write now; None when all of it is held back for the next piece."""
        # Pieces are cut by bytes, never within a character.
        goes_on = len(text) >= self._piece // 4 and len(text.encode("utf-8", "replace")) > self._piece - 4
        if self._cut:
            text = text.lstrip(_UNBROKEN)
        whole = self._redactor.text(self._without_key(self._held + text))
        self._held = ""
        self._cut = goes_on and whole.endswith(_SECRET)
        if not goes_on:
            return whole
        carry = self._redactor.carry
        self._held = whole[-carry:]
        return whole[:-carry] or None

    def _without_key(self, text: str) -> str:
        """The text without the parts of a key that began in an earlier line."""
        end = None
        if self._key_lines:
            self._key_lines -= 1
            end = _KEY_ENDS.search(text)
            part = text[: end.start()] if end is not None else text
            word = _ONE_WORD.fullmatch(part) if end is None and len(part) <= _SHORT_LINE else None
            if word is not None and _IN_NO_WORD.search(word[1]):
                part = _KEY
            part = _KEY_PART.sub(_KEY, part)
            text = part if end is None else part + text[end.start() :]
        if end is not None:
            self._key_lines = 0
        if "PRIVATE KEY" in text:
            *_, begins = [-1, *(found.end() for found in _KEY_BEGINS.finditer(text))]
            if begins >= 0:
                self._key_lines = 0 if _KEY_ENDS.search(text, begins) else _KEY_LINES
        return text

    def rest(self) -> str | None:
        """What was held back when no more comes."""
        held, self._held = self._held, ""
        return held or None
