"""What differs between two JSON values, as (path, old, new); and between two texts, as a unified diff."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from maestro_tui.console.lines import Line, fit, line, short, shorten_middle, wrap_words
from maestro_tui.model.text import clean, clean_lines

MOST_CHANGES = 5_000
MOST_LINES = 20_000
VALUE_LIMIT = 2_000
# Lists longer than this are compared place by place: matching them would take quadratic time.
MOST_MATCHED = 400

_ABSENT = object()

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` is like `phase_results.design.outputs.files[3]`, clean; an element of a list that has
    a path or a name goes by it: `artifacts[docs/design.md].size`."""

    path: str
    kind: Kind
    old: str
    new: str
    record: bool = False
    """True for what every attempt changes: times, numbers, digests of its inputs, what was spent."""


def json_changes(old: Any, new: Any, ignore: frozenset[str] = frozenset()) -> list[Change]:
    """Every place in which two JSON values differ; `ignore` names top-level keys that do not count."""
    if isinstance(old, dict) and isinstance(new, dict) and ignore:
        old = {key: value for key, value in old.items() if key not in ignore}
        new = {key: value for key, value in new.items() if key not in ignore}
    changes: list[Change] = []
    # A stack instead of recursion: the nesting comes from outside.
    stack: list[tuple[str, Any, Any]] = [("", old, new)]
    while stack and len(changes) < MOST_CHANGES:
        path, one, two = stack.pop()
        if one is _ABSENT:
            changes.append(Change(path or "(whole)", "added", "", brief(two)))
        elif two is _ABSENT:
            changes.append(Change(path or "(whole)", "removed", brief(one), ""))
        elif isinstance(one, dict) and isinstance(two, dict):
            pairs = [
                (_join(path, key), one.get(key, _ABSENT), two.get(key, _ABSENT))
                for key in dict.fromkeys([*one, *two])
            ]
            stack.extend(reversed(pairs))
        elif isinstance(one, list) and isinstance(two, list):
            stack.extend(reversed(list(_list_pairs(path, one, two))))
        elif type(one) is not type(two) or one != two:
            changes.append(Change(path or "(whole)", "changed", brief(one), brief(two)))
    return changes


_OF_RECORD = re.compile(
    r"(^|\.)(attempt|at|(started|finished)_at|inputs|inputs_fingerprint|usage|usage_by)(\.|$)"
)
_RECORD_KEYS = frozenset("attempt phase current_phase created_at usage spent spent_by recovered".split())
_RESULT = re.compile(r"phase_results\.[^.]+(\.|$)")
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
_WORK = (re.compile(r"\.outputs\b"), re.compile(r"\.artifacts\b"))


def work_first(changes: Sequence[Change]) -> list[Change]:
    """The changes between two commits: outputs, then artifacts, the rest of the results, what people decided; and
    at the end what every attempt changes."""

    def rank(change: Change) -> int:
        if change.record:
            return len(_WORK) + 2
        path = change.path.removeprefix("context.")
        if not _RESULT.match(path):
            return len(_WORK) + 1
        return next((place for place, of in enumerate(_WORK) if of.search(path)), len(_WORK))

    told = [replace(one, record=_is_record(one.path.removeprefix("context."))) for one in changes]
    return sorted(told, key=rank)


def _is_record(path: str) -> bool:
    if not _RESULT.match(path):
        return path.split(".", 1)[0] in _RECORD_KEYS
    # Phases, outputs and files may be called what they like.
    named = _IN_BRACKETS.sub("", _RESULT.sub("", path))
    return not re.match(r"outputs\b", named) and _OF_RECORD.search(named) is not None


def _join(path: str, key: object) -> str:
    name = clean(key, 120)
    return f"{path}.{name}" if path else name


def _list_pairs(path: str, one: list[Any], two: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    if max(len(one), len(two)) > MOST_MATCHED:
        for index in range(max(len(one), len(two))):
            yield (
                f"{path}[{index}]",
                one[index] if index < len(one) else _ABSENT,
                two[index] if index < len(two) else _ABSENT,
            )
        return
    # Elements are matched by identity (a path, a name) or by value, so that an insertion is one change.
    keys_one, keys_two = [_identity(item) for item in one], [_identity(item) for item in two]
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(
        None, keys_one, keys_two, autojunk=False
    ).get_opcodes():
        if tag == "equal":
            for offset in range(i2 - i1):
                yield f"{path}[{_named(two, j1 + offset)}]", one[i1 + offset], two[j1 + offset]
            continue
        both = min(i2 - i1, j2 - j1)
        for offset in range(both):
            yield f"{path}[{j1 + offset}]", one[i1 + offset], two[j1 + offset]
        for index in range(i1 + both, i2):
            yield f"{path}[{_named(one, index)}]", one[index], _ABSENT
        for index in range(j1 + both, j2):
            yield f"{path}[{_named(two, index)}]", _ABSENT, two[index]


def _named(items: list[Any], index: int) -> str:
    """How an element of a list is called: by its path or name, else by its place."""
    item = items[index]
    name = (
        next((item[key] for key in ("path", "name") if isinstance(item.get(key), str)), None)
        if isinstance(item, dict)
        else None
    )
    return clean(name, 80) if name else str(index)


def _identity(item: Any) -> str:
    if isinstance(item, dict):
        for name in ("path", "name", "about", "id", "phase"):
            value = item.get(name)
            if isinstance(value, str):
                return f"{name}={value}"
        return "dict"
    if isinstance(item, list):
        return "list"
    return f"{type(item).__name__}:{str(item)[:VALUE_LIMIT]}"


def brief(value: Any, limit: int = VALUE_LIMIT) -> str:
    """A JSON value in one clean line, cut when it is long; containers only with their size when big."""
    if isinstance(value, str):
        return clean(json.dumps(value[: limit + 1], ensure_ascii=False), limit)
    if isinstance(value, dict | list):
        one = len(value) == 1
        kind = ("entry" if one else "entries") if isinstance(value, dict) else "item" if one else "items"
        if len(value) > 8 or any(isinstance(item, dict | list) for item in _values(value)):
            return f"({len(value)} {kind})"
        inner = ", ".join(
            f"{clean(key, 60)}: {brief(item, 80)}" if isinstance(value, dict) else brief(item, 80)
            for key, item in (value.items() if isinstance(value, dict) else enumerate(value))
        )
        return clean(f"{{{inner}}}" if isinstance(value, dict) else f"[{inner}]", limit)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _number(value, limit)


def _values(value: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _number(value: Any, limit: int) -> str:
    if isinstance(value, int) and value.bit_length() > 4_000:
        return f"(an integer of {value.bit_length()} bits)"
    return clean(repr(value), limit)


def change_lines(changes: list[Change], width: int) -> list[Line]:
    """The changes as lines: in columns (path, old, new) when there is room, else below each other."""
    if width >= 96:
        return _in_columns(changes, width)
    lines: list[Line] = []
    for index, change in enumerate(changes):
        lines += _heading(changes, index)
        lines.append(line((index, "path"), (shorten_middle(_place(change), width), "bold")))
        if change.kind != "added":
            for part, text in enumerate(wrap_words(change.old, max(8, width - 4), 6)):
                lines.append(line((index, "old", part), ("- " if part == 0 else "  ", "removed"), text))
        if change.kind != "removed":
            for part, text in enumerate(wrap_words(change.new, max(8, width - 4), 6)):
                lines.append(line((index, "new", part), ("+ " if part == 0 else "  ", "added"), text))
    return lines


def _heading(changes: list[Change], index: int) -> list[Line]:
    """What is said before the first of the changes that every attempt makes."""
    if not changes[index].record or (index and changes[index - 1].record):
        return []
    gap = [line("gap", " ")] if index else []
    return [*gap, line("record", ("what every attempt changes: times, numbers, what was spent", "muted"))]


def _place(change: Change) -> str:
    # Nearly all of a checkpoint stands in its context: saying so in every line tells nothing.
    return change.path.removeprefix("context.")


def _in_columns(changes: list[Change], width: int) -> list[Line]:
    path_width = max(
        16, min(44, max((len(_place(change)) for change in changes), default=16), width * 2 // 5)
    )
    value_width = (width - path_width - 8) // 2
    lines: list[Line] = []
    for index, change in enumerate(changes):
        lines += _heading(changes, index)
        old = ("- ", "removed") if change.kind != "added" else ("  ", "")
        new = ("+ ", "added") if change.kind != "removed" else ("  ", "")
        paths = [fit(shorten_middle(_place(change), path_width), path_width), *[" " * path_width] * 8]
        olds, news = wrap_words(change.old, value_width, 4), wrap_words(change.new, value_width, 4)
        for part in range(max(len(olds), len(news))):
            first = part == 0
            lines.append(
                line(
                    (index, part),
                    (paths[part], "muted"),
                    "  ",
                    old if first else ("  ", ""),
                    fit(olds[part] if part < len(olds) else "", value_width),
                    "  ",
                    new if first else ("  ", ""),
                    short(news[part] if part < len(news) else "", value_width),
                )
            )
    return lines


def text_diff_lines(old: str, new: str, old_name: str, new_name: str) -> list[Line]:
    """A unified diff of two texts as lines; bounded, clean."""
    old_lines = clean_lines(old, lines=MOST_LINES).split("\n")
    new_lines = clean_lines(new, lines=MOST_LINES).split("\n")
    lines: list[Line] = []
    names = (clean(old_name, 200), clean(new_name, 200))
    for index, text in enumerate(difflib.unified_diff(old_lines, new_lines, *names, lineterm="")):
        if text.startswith(("---", "+++")) and index < 2:
            style = "bold"
        elif text.startswith("@@"):
            style = "accent-text"
        else:
            style = {"+": "added", "-": "removed"}.get(text[:1], "")
        lines.append(line(index, (text, style)))
    return lines
