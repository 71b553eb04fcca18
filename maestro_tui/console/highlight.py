"""Turns the text of a preview into styled lines: code and JSON by their lexer, Markdown by its few signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme
from rich.text import Text

from maestro_tui.console.lines import Line, Part, line, wrap_words
from maestro_tui.console.preview import Preview

# Lexing more would keep a thread busy for something that nobody scrolls to.
MOST_LEXED = 100_000

_STYLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Comment",), "muted"),
    (("Keyword",), "accent-text"),
    (("Name", "Tag"), "accent-text"),
    (("Name", "Function"), "bold"),
    (("Name", "Class"), "bold"),
    (("Literal", "String"), "code-string"),
    (("Literal", "Number"), "code-number"),
    (("Generic", "Heading"), "bold"),
    (("Generic", "Deleted"), "removed"),
    (("Generic", "Inserted"), "added"),
)


class _Names(SyntaxTheme):
    """Gives each token the name of our style, so that the colours come from the app's theme."""

    def get_style_for_token(self, token_type: tuple[str, ...]) -> Style:
        """A style that carries nothing but a name."""
        name = next((name for kind, name in _STYLES if token_type[: len(kind)] == kind), "")
        return Style(meta={"name": name})

    def get_background_style(self) -> Style:
        """No background of its own."""
        return Style()


_LIST_ITEM = re.compile(r"(\s*)([-*+]|\d+[.)])\s+(.*)")
_INLINE = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*)")


def preview_lines(preview: Preview, path: str, width: int) -> list[Line]:
    """The lines of a preview for a width."""
    if preview.rows:
        return list(preview.rows)
    if preview.kind == "markdown":
        return list(_markdown(preview.text, max(20, width)))
    if preview.kind in ("code", "json") and len(preview.text) <= MOST_LEXED:
        return _lexed(preview.text, "x.json" if preview.kind == "json" else path)
    if preview.kind == "none":
        return []
    return [line(index, text or " ") for index, text in enumerate(preview.text.split("\n"))]


def _lexed(text: str, path: str) -> list[Line]:
    lexer = Syntax.guess_lexer(PurePosixPath(path).name)
    highlighted = Syntax(text, lexer, theme=_Names()).highlight(text)
    lines: list[Line] = []
    for index, row in enumerate(highlighted.split("\n", allow_blank=True)):
        lines.append(Line(index, tuple(_parts(row))))
    return lines


def _parts(row: Text) -> Iterator[Part]:
    at = 0
    for span in row.spans:
        if span.start > at:
            yield row.plain[at : span.start], ""
        if span.end > max(at, span.start):
            style = span.style
            name = style.meta.get("name", "") if isinstance(style, Style) else ""
            yield row.plain[max(at, span.start) : span.end], name
            at = span.end
    if at < len(row.plain):
        yield row.plain[at:], ""


def _markdown(text: str, width: int) -> Iterator[Line]:
    fenced = False
    number = 0
    for raw in text.split("\n"):
        if raw.lstrip().startswith("```"):
            fenced = not fenced
            yield line(number, (raw, "muted"))
            number += 1
            continue
        for parts in [[(raw, "literal")]] if fenced else _markdown_line(raw, width):
            yield Line(number, tuple(parts))
            number += 1


def _markdown_line(raw: str, width: int) -> Iterator[list[Part]]:
    if raw.startswith("#"):
        for part in wrap_words(raw.lstrip("#").strip(), width):
            yield [(part, "bold accent-text" if raw.startswith(("# ", "## ")) else "bold")]
        return
    if raw.startswith("|"):
        yield [(raw, "")]
        return
    if raw.startswith(">"):
        for part in wrap_words(raw.lstrip("> "), width - 2):
            yield [("▏ ", "muted"), (part, "muted")]
        return
    item = _LIST_ITEM.match(raw)
    if item:
        indent, mark, rest = item.groups()
        mark = "•" if mark in "-*+" else mark
        lead = f"{indent[:12]}{mark} "
        for index, part in enumerate(wrap_words(rest, max(8, width - len(lead)))):
            yield [(lead if index == 0 else " " * len(lead), "muted"), *_inline(part)]
        return
    for part in wrap_words(raw, width):
        yield _inline(part)


def _inline(text: str) -> list[Part]:
    parts: list[Part] = []
    for piece in _INLINE.split(text):
        if piece.startswith("`") and piece.endswith("`") and len(piece) > 2:
            parts.append((piece[1:-1], "literal"))
        elif piece.startswith("**") and piece.endswith("**") and len(piece) > 4:
            parts.append((piece[2:-2], "bold"))
        elif piece:
            parts.append((piece, ""))
    return parts
