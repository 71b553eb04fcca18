"""Turns a task into the text that an agent or a model is given: whole where it fits, and what is left out is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean
from maestro_tui.performers.port import Port, Task
from maestro_tui.store.durable import read_regular

PROMPT_LIMIT = 200_000
"""Characters, unless the caller says otherwise."""
FILE_LIMIT = 64_000
"""Bytes of one artifact that are put into the text; a larger one is named with its path only."""
_REQUIREMENT_SHARE = 0.5
_TEXT_ENDINGS = frozenset(
    ".md .txt .rst .json .toml .yaml .yml .csv .tsv .xml .html .css .sql .sh .mmd "
    ".py .pyi .js .jsx .ts .tsx .go .rs .java .kt .c .h .cc .cpp .hpp .rb .php .ini .cfg".split()
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that did not fit: what it is, its size in characters, and where it can be read whole."""

    what: str
    size: int
    where: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text for an agent or a model, and what it does not hold."""

    text: str
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    rank: int
    """Smaller ranks are taken first; the text keeps the order in which parts were made."""
    title: str
    body: str
    where: str


def build_prompt(
    task: Task,
    *,
    limit: int = PROMPT_LIMIT,
    context_file: Path | None = None,
    with_files: bool = False,
) -> Prompt:
    """The task as text of at most about `limit` characters.

    `context_file` is where the performer wrote the whole context as JSON, for what does not fit. `with_files`
    puts the text of earlier artifacts in, for a performer that cannot read files itself.
    """
    where = f"{context_file}" if context_file is not None else "the session's checkpoint"
    head = _head(task)
    tail = _tail(task)
    room = max(0, limit - len(head) - len(tail))
    parts = [*_parts(task, where, room)]
    if with_files:
        parts += _files(task)
    taken: set[int] = set()
    for index, part in sorted(enumerate(parts), key=lambda one: (one[1].rank, one[0])):
        size = len(part.title) + len(part.body) + 8
        if size <= room:
            taken.add(index)
            room -= size
    left_out = tuple(
        LeftOut(part.title, len(part.body), part.where)
        for index, part in enumerate(parts)
        if index not in taken
    )
    text = [head]
    text += [f"## {part.title}\n\n{part.body}\n\n" for index, part in enumerate(parts) if index in taken]
    if left_out:
        text.append("## Left out, for it does not fit\n\n")
        text += [f"- {one.what} ({one.size:,} characters): read it in {one.where}\n" for one in left_out]
        text.append("\n")
    text.append(tail)
    return Prompt("".join(text), left_out)


def tell_left_out(prompt: Prompt, port: Port) -> None:
    """Write into the journal what the agent or model is not given, and where it can read it."""
    if prompt.left_out:
        port.emit(
            "context_trimmed",
            left_out=[
                {"what": clean(one.what, 200), "size": one.size, "where": clean(one.where, 300)}
                for one in prompt.left_out
            ],
        )


def _head(task: Task) -> str:
    persona, phase = task.persona, task.phase
    lines = [f"# You are {persona.name.replace('_', ' ')}"]
    lines += [text for text in (persona.description, persona.instructions) if text]
    lines.append(f"Phase: {phase.name}, attempt {task.attempt}.")
    if phase.objective:
        lines.append(f"Objective: {phase.objective}.")
    return "\n\n".join(lines) + "\n\n"


def _tail(task: Task) -> str:
    if task.role == "comment":
        return (
            "## Your part\n\nReview the draft above as a colleague. Change no file. Say what is wrong or missing, "
            "most important first, with the place and what would mend it; say so plainly when nothing is.\n"
        )
    lines = ["## Your part\n"]
    if task.role == "revise":
        lines.append("Revise your draft: take up each comment above, or say why you do not.")
    else:
        lines.append(
            "Carry out the objective for the requirement above. Do the work; do not only describe it."
        )
    if task.own_folder:
        lines.append(
            f"Write your files into the folder {task.own_folder}/ of the workspace and nowhere else."
        )
    if task.phase.globs:
        wanted = ", ".join(task.phase.globs)
        lines.append(f"These files must be in the workspace when you are done: {wanted}.")
    lines.append(
        "What you leave is measured afterwards: files, tests, schemas. A claim alone counts for nothing."
    )
    return "\n".join(lines) + "\n"


def _parts(task: Task, where: str, room: int) -> Iterable[_Part]:
    context = task.context
    requirement = task.requirement
    most = max(1_000, int(room * _REQUIREMENT_SHARE))
    if len(requirement) > most:
        yield _Part(0, "Requirement (its beginning)", requirement[:most], where)
        yield _Part(9, "Requirement (the rest)", requirement[most:], f"{where}, requirement")
    else:
        yield _Part(0, "Requirement", requirement, f"{where}, requirement")
    outputs = context.get("outputs")
    earlier: Mapping[str, Any] = outputs if isinstance(outputs, Mapping) else {}
    for name, found in earlier.items():
        if found:
            title = "What this phase has so far" if name == task.phase.name else f"Outputs of {name}"
            rank = 2 if name in task.phase.needs or name == task.phase.name else 4
            yield _Part(rank, title, _fenced(found), f"{where}, outputs.{name}")
    decisions = context.get("decisions")
    if decisions:
        lines = [_decision_line(one) for one in decisions if isinstance(one, Mapping)]
        yield _Part(5, "Decisions so far", "\n".join(lines), f"{where}, decisions")
    if context.get("contracts"):
        yield _Part(
            1,
            "Contracts of this phase and of earlier ones",
            _fenced(context["contracts"]),
            f"{where}, contracts",
        )
    artifacts = [one for one in context.get("artifacts") or () if isinstance(one, Mapping)]
    if artifacts:
        lines = [f"- {one.get('path')} ({one.get('size')} bytes, by {one.get('phase')})" for one in artifacts]
        yield _Part(3, "Files that earlier phases left", "\n".join(lines), f"{where}, artifacts")
    feedback = context.get("feedback")
    if feedback:
        yield _Part(1, "Why this phase runs again", _fenced(feedback), f"{where}, feedback")
    for rank, key, title in ((1, "draft", "The draft"), (1, "comments", "Comments on your draft")):
        if context.get(key):
            yield _Part(rank, title, _fenced(context[key]), f"{where}, {key}")


def _files(task: Task) -> Iterable[_Part]:
    """The text of earlier artifacts, read without following links out of the workspace."""
    seen: set[str] = set()
    for one in task.context.get("artifacts") or ():
        path = one.get("path") if isinstance(one, Mapping) else None
        if not isinstance(path, str) or path in seen or one.get("change") == "deleted":
            continue
        seen.add(path)
        inside = PurePosixPath(path)
        if inside.is_absolute() or ".." in inside.parts or inside.suffix.lower() not in _TEXT_ENDINGS:
            continue
        file = task.workspace / path
        if not file.resolve().is_relative_to(task.workspace.resolve()):
            continue
        text = _text_of(file)
        if text is not None:
            rank = 6 if one.get("phase") in task.phase.needs else 7
            yield _Part(rank, f"File {path}", f"```\n{text}\n```", f"the workspace, {path}")


def _text_of(file: Path) -> str | None:
    try:
        raw = read_regular(file, FILE_LIMIT)
        return raw.decode("utf-8")
    except (OSError, UnicodeDecodeError, DamagedFile):
        # Not there any more, no text, or too large: its path is listed all the same.
        return None


def _fenced(value: Any) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=1)}\n```"


def _decision_line(one: Mapping[str, Any]) -> str:
    phase = f"{one.get('phase')}: " if one.get("phase") else ""
    reason = f" ({clean(one.get('rationale') or '', 300)})" if one.get("rationale") else ""
    return f"- {phase}{one.get('about')}: {one.get('choice')}{reason}, by {one.get('decided_by')}"
