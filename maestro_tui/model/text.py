"""The one boundary where bytes from outside become text that may be shown.

Everything that others wrote (logs, agent output, file names, ids, JSON) passes through `clean` once.
Printable characters stay; all others are shown as visible signs, so that nothing can steer a terminal.
"""

from __future__ import annotations

import math
import re
import secrets
import unicodedata
from datetime import UTC, datetime

LINE_LIMIT = 4_000

_PLAIN = re.compile(r"[\x20-\x7e]*\Z")
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_DEVICE_NAMES = frozenset(
    ["con", "prn", "aux", "nul"] + [f"com{n}" for n in range(1, 10)] + [f"lpt{n}" for n in range(1, 10)]
)
# Zero-width, bidirectional and other invisible characters. U+200D (joiner) and U+FE0F build emoji, but they
# also hide text, and terminals disagree about their width: they are shown too.
_HIDDEN_CATEGORIES = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    category = unicodedata.category(char)
    if category in _HIDDEN_CATEGORIES:
        return f"<U+{code:04X}>"
    if category == "Zs":
        return " "
    return char


def clean(text: object, limit: int = LINE_LIMIT) -> str:
    """One line of safe text, at most `limit` characters; line breaks and controls become visible signs."""
    line = text if isinstance(text, str) else str(text)
    cut = len(line) > limit
    if cut:
        line = line[:limit]
    if not _PLAIN.match(line):
        line = "".join(map(_visible, line.replace("\t", "    ")))
        cut = cut or len(line) > limit
        line = line[:limit]
    return line[: limit - 1] + "…" if cut else line


def clean_lines(text: object, limit: int = LINE_LIMIT, lines: int = 10_000) -> str:
    """Safe text of several lines: each line is cleaned on its own; at most `lines` lines are kept."""
    whole = text if isinstance(text, str) else str(text)
    parts = whole.replace("\r\n", "\n").split("\n", lines)
    kept = [clean(part, limit) for part in parts[:lines]]
    if len(parts) > lines:
        kept.append("…")
    return "\n".join(kept)


Run = tuple[int, int, str]
"""A part of a text in a style: its first character, the one after its last, and names such as `bold red`."""

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_COLOURS = ("grey", "red", "green", "yellow", "blue", "magenta", "cyan", "")


def uncoloured(text: str) -> str:
    """What a program printed without its colours (SGR sequences); every other control stays, for `clean` to show."""
    return _SGR.sub("", text) if "\x1b" in text else text


def clean_output(text: str, limit: int = LINE_LIMIT) -> tuple[str, tuple[Run, ...]]:
    """One line that a program printed as `clean` text, and its colours as runs over that text.

    Only SGR sequences are understood: bold, dim, underlined and the terminal's own colours, of which the theme makes
    its own; further ones are dropped. Every other sequence becomes visible signs.
    """
    if "\x1b" not in text:
        return clean(text, limit), ()
    whole, runs, style, at = "", [], _Style(), 0
    for found in (*_SGR.finditer(text), None):
        piece = clean(text[at : found.start() if found is not None else len(text)], limit + 1)
        if piece and style.names and len(whole) < limit:
            runs.append((len(whole), min(limit, len(whole) + len(piece)), style.names))
        whole += piece
        if found is None or len(whole) > limit:
            break
        style.take(found[1])
        at = found.end()
    return (whole if len(whole) <= limit else whole[: limit - 1] + "…"), tuple(runs)


class _Style:
    """What the SGR sequences so far have switched on."""

    def __init__(self) -> None:
        self._marks: dict[str, bool] = {}
        self._colour = ""

    @property
    def names(self) -> str:
        on = [name for name, there in self._marks.items() if there]
        return " ".join([*on, self._colour] if self._colour else on)

    def take(self, parameters: str) -> None:
        given = parameters.replace(":", ";").split(";")
        codes = [int(code or "0") if len(code) <= 3 else -1 for code in given]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self._marks, self._colour = {}, ""
            elif code in (1, 2, 4):
                self._marks[{1: "bold", 2: "muted", 4: "underline"}[code]] = True
            elif code == 22:
                self._marks["bold"] = self._marks["muted"] = False
            elif code == 24:
                self._marks["underline"] = False
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self._colour = _COLOURS[code % 10]
            elif code in (38, 48):
                # A colour by number or by parts: of the 256 the first sixteen are the terminal's own.
                of = codes[: 2 if codes[:1] == [5] else 4]
                del codes[: len(of)]
                if code == 38:
                    self._colour = _COLOURS[of[1] % 8] if len(of) == 2 and 0 <= of[1] < 16 else ""
            elif code == 39:
                self._colour = ""


def typable(text: str) -> str:
    """Text for a field to be typed into, without what no key types: controls, hidden and direction signs.

    Line breaks and tabs stay.
    """
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    if whole.isascii() and whole.isprintable():
        return whole
    return "".join(
        one for one in whole if one in "\n\t" or unicodedata.category(one) not in _HIDDEN_CATEGORIES
    )


def encodable(text: str) -> str:
    """The text with lone surrogates replaced, so that it can always be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def session_id_problem(session_id: str) -> str | None:
    """Why this is no valid session id, as the end of a sentence; None when it is valid."""
    if not isinstance(session_id, str) or not _SESSION_ID.match(session_id):
        return "it must be 1 to 128 letters, digits, dots, underscores or hyphens, beginning with a letter or digit"
    if ".." in session_id:
        return "it must not contain '..'"
    if session_id.split(".", 1)[0].lower() in _DEVICE_NAMES:
        return "it is the name of a device on some systems"
    return None


def name_problem(name: str) -> str | None:
    """Why this is no valid name of a phase or persona; None when it is valid."""
    if _NAME.match(name):
        return None
    return "it must be 1 to 64 letters, digits, underscores or hyphens, beginning with a letter or digit"


def slug(text: str, limit: int = 32) -> str:
    """A short readable file-name part made from free text; never empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", ascii_text.lower())
    out = ""
    for word in words:
        if len(out) + len(word) + 1 > limit:
            break
        out = f"{out}-{word}" if out else word
    return out or (words[0][:limit] if words else "session")


def new_session_id(hint: str, now: datetime, token: str | None = None) -> str:
    """A readable, sortable, collision-free id such as `20261122-142530-payments-api-7f3a`."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{slug(hint)}-{token or secrets.token_hex(2)}"


def format_duration(seconds: float | None) -> str:
    """A duration for people: `9s`, `4m12s`, `3h05m`, `2d4h`; `–` when it is not known."""
    if seconds is None:
        return "–"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600}h"


def format_dollars(amount: float) -> str:
    """Money for people: `$2.50`; of less than a cent the first digit, so that it is never shown as nothing."""
    small = 0 < amount < 0.01
    return f"${amount:.{-math.floor(math.log10(amount)) if small else 2}f}"


def format_bytes(size: int | None) -> str:
    """A size for people in powers of 1000: `812 B`, `4.1 kB`, `12 MB`; `–` when it is not known."""
    if size is None:
        return "–"
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 1000 or unit == "TB":
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size} B"
