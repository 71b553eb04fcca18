"""Splits a requirement into single statements and judges by rules which of them can be tested."""

from __future__ import annotations

import re
from dataclasses import dataclass

from maestro_tui.model.text import clean

STATEMENT_LIMIT = 1_000

_BULLET = re.compile(r"^\s*(?:[-*+•–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|#{1,6}|R\d{1,3}[:.)])\s+")
_BOX = re.compile(r"^\[[ xX]\]\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?;])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9ÄÖÜÉÀ])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|cf|approx|resp|incl|Fig|Sec|Dr|Mr|Mrs)\.$")
_NUMBER = (
    r"(?:\d+(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million)"
)
_MEASURE = re.compile(
    rf"(?:[<>≤≥=]\s*{_NUMBER}|\b{_NUMBER}\s*(?:%|percent\b|ms\b|milliseconds?\b|s\b|sec(?:onds?)?\b|min(?:utes?)?\b|"
    r"h\b|hours?\b|days?\b|[kKMGT]i?B\b|bytes?\b|users?\b|requests?\b|rows?\b|items?\b|lines?\b|clicks?\b|times?\b|"
    r"columns?\b|characters?\b|files?\b|px\b|rps\b|x\b))",
    re.IGNORECASE,
)
_DEGREE = frozenset(
    """
    fast faster quick quickly rapid rapidly slow easy easily easier simple simply user-friendly friendly intuitive
    robust reliable flexible scalable efficient efficiently performant responsive lightweight modern seamless
    seamlessly smooth smoothly good better best nice great beautiful clean elegant powerful convenient
    comfortable safe secure high low large small big minimal maximal significant significantly sufficient
    sufficiently adequate adequately appropriate appropriately reasonable reasonably proper properly suitable
    optimal acceptable normal usual typical state-of-the-art world-class
    """.split()
)
_QUANTITY = frozenset(
    "some several many few most various numerous multiple often sometimes usually soon".split()
)
_OPEN_END = ("etc", "and so on", "and the like", "and more", "for example only", "as needed", "as required")
_ESCAPE = (
    "if possible",
    "where possible",
    "when possible",
    "if necessary",
    "where appropriate",
    "as appropriate",
)
_UNDECIDED = ("tbd", "tbc", "tba", "to be decided", "to be defined", "to be determined", "???", "and/or")
_WEAK = frozenset("support supports handle handles improve improves optimise optimize enhance better".split())
_MAYBE = frozenset("might may could perhaps maybe possibly ideally hopefully probably try tries".split())


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a statement cannot be tested as it stands: the word, and what is missing."""

    word: str
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One numbered statement (`R1`, …) of the requirement."""

    id: str
    text: str
    kind: str
    """`behaviour`, `quality`, `constraint` or `question`."""
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    """What does not hinder testing, but is worth a look."""

    @property
    def testable(self) -> bool:
        """True when no rule speaks against it."""
        return not self.flags


def split_requirement(text: str) -> tuple[Statement, ...]:
    """The statements of a requirement text: list items and sentences, each on its own, in order."""
    parts: list[str] = []
    for block in _blocks(text):
        parts.extend(_sentences(block))
    unique = list(dict.fromkeys(part for part in parts if any(char.isalnum() for char in part)))
    return tuple(_statement(number, part) for number, part in enumerate(unique[:STATEMENT_LIMIT], 1))


def _blocks(text: str) -> list[str]:
    """List items and paragraphs; a line that continues the one before it is joined to it."""
    blocks: list[list[str]] = []
    joined, fenced = False, False
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip().startswith(("```", "~~~")):
            fenced, joined = not fenced, False
            continue
        if fenced:
            continue
        stripped = line.strip()
        if not stripped or set(stripped) <= set("-=_*"):
            joined = False
            continue
        item = _BULLET.match(line)
        content = _BOX.sub("", line[item.end() :].strip()) if item else stripped
        heading = bool(item) and stripped.startswith("#")
        if heading and not re.search(r"[.!?]$", content):
            # A title is not a statement; what stands below it is.
            joined = False
            continue
        if joined and not item:
            blocks[-1].append(content)
        else:
            blocks.append([content])
        joined = True
    return [" ".join(block) for block in blocks]


def _sentences(block: str) -> list[str]:
    out: list[str] = []
    for piece in _SENTENCE_END.split(block):
        if out and _ABBREVIATION.search(out[-1]):
            out[-1] += " " + piece
        else:
            out.append(piece)
    return [clean(piece.strip().rstrip(";").strip(), 2_000) for piece in out]


def _statement(number: int, text: str) -> Statement:
    words = re.findall(r"[\w/'’-]+", text.lower())
    flags = _flags(text, words)
    notes = []
    if sum(words.count(word) for word in ("must", "shall", "should", "will")) > 1:
        notes.append("it asks for more than one thing; a test would need one statement each")
    if "should" in words and "must" not in words:
        notes.append("'should' leaves open whether it must be so")
    return Statement(f"R{number}", text, _kind(text, words), flags, tuple(notes))


def _flags(text: str, words: list[str]) -> tuple[Flag, ...]:
    lowered = f" {text.lower()} "
    found: list[Flag] = []
    measured = _MEASURE.search(text) is not None
    for word in dict.fromkeys(words):
        if word in _DEGREE and not measured:
            found.append(Flag(word, "is a matter of degree: say how much, in which unit, measured how"))
        elif word in _QUANTITY and not measured:
            found.append(Flag(word, "is no number: say how many, or which ones"))
        elif word in _WEAK and not measured:
            found.append(
                Flag(word, "does not say what happens: name the input and the result that is expected")
            )
        elif word in _MAYBE:
            found.append(Flag(word, "leaves open whether it must be so"))
    for phrases, reason in (
        (_OPEN_END, "leaves the list open: name all of them, or the rule that decides"),
        (_ESCAPE, "leaves open when it applies: name the condition"),
        (_UNDECIDED, "is not decided yet"),
    ):
        for phrase in phrases:
            if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered):
                found.append(Flag(phrase, reason))
    if text.rstrip().endswith("?"):
        found.append(Flag("?", "is a question: it asks, it does not say what must be true"))
    if len(words) < 3:
        found.append(Flag(" ".join(words), "is too short to say who does what and what comes out"))
    return tuple(found)


def _kind(text: str, words: list[str]) -> str:
    if text.rstrip().endswith("?"):
        return "question"
    if _MEASURE.search(text) or _DEGREE.intersection(words):
        return "quality"
    if any(
        phrase in text.lower() for phrase in ("must not", "may not", "never", "only", "without", "no longer")
    ):
        return "constraint"
    return "behaviour"
