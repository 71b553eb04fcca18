"""Compares the words of the requirement's statements with names in the code: a hint where to look, no proof."""

from __future__ import annotations

import re
from collections.abc import Mapping

STATEMENT_LIMIT = 200
HIT_LIMIT = 5

_STOP_WORDS = frozenset(
    "the and for with that this must shall should will can all any each from into not when where which has have "
    "are its than then only also user users system application project code test tests new add make use used".split()
)


def words_in(text: str) -> frozenset[str]:
    """The words of a text or of names in snake or camel case, in lower case and singular."""
    parts = re.findall(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}", text)
    words = (part.lower() for part in parts)
    return frozenset(word.removesuffix("s") for word in words if word not in _STOP_WORDS)


def shared_words(statements: object, texts: Mapping[str, str]) -> list[tuple[str, dict[str, frozenset[str]]]]:
    """For each statement (as the requirements phase left it): its number, and the texts that share most words."""
    if not isinstance(statements, list):
        return []
    bags = {name: words_in(text) for name, text in texts.items()}
    out = []
    for statement in statements[:STATEMENT_LIMIT]:
        if not isinstance(statement, Mapping):
            continue
        wanted = words_in(str(statement.get("text", "")))
        hits = {name: wanted & bag for name, bag in bags.items() if wanted & bag}
        best = sorted(hits, key=lambda name: (-len(hits[name]), name))[:HIT_LIMIT]
        out.append((str(statement.get("id", "")), {name: hits[name] for name in best}))
    return out
