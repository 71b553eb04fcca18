"""Questions that a performer puts to a person: a file each in the session's folder, answered at most once.

`questions/0001.json` is the question, `questions/0001.answer.json` the answer. Both are created once and never
changed, so that whoever answers first has answered: a person, or the runner itself when time is over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean, clean_lines
from maestro_tui.store import durable
from maestro_tui.store.locks import CommitLock, make_lock_folder
from maestro_tui.store.runner_file import living_runners

QUESTIONS = "questions"
SIZE_LIMIT = 1_000_000
TEXT_LIMIT = 4_000
OPTION_LIMIT = 200
MOST_OPTIONS = 50

_NAME = re.compile(r"([0-9]{4,9})\.json\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, by whom (a person, `timeout`, `withdrawn`), and when (seconds since the epoch, UTC)."""

    answer: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was asked; every text in it is clean. Times are seconds since the epoch, UTC."""

    number: int
    phase: str
    attempt: int
    persona: str
    text: str
    options: tuple[str, ...]
    default: str
    """What counts when nobody answers."""
    asked_at: float
    expires_at: float | None = None
    """None waits for ever."""
    answer: Answer | None = None
    void: bool = False
    """True when it was not answered and the runner that asked has ended: nobody waits for an answer any more."""

    @property
    def open(self) -> bool:
        """True as long as somebody waits for the answer."""
        return self.answer is None and not self.void


def ask_question(
    session_dir: Path,
    *,
    phase: str,
    attempt: int,
    persona: str,
    text: str,
    options: Sequence[str],
    default: str,
    asked_at: float,
    expires_at: float | None,
    runner: str,
) -> Question:
    """Write a new question with the next free number; on disk when this returns. Raises `StoreError`.

    `runner` is the id of the hold under which it is asked: it is open as long as that runner lives.
    """
    folder = session_dir / QUESTIONS
    make_lock_folder(session_dir)
    durable.make_dir(folder)
    # Under this lock temporary files are swept, too.
    with CommitLock(session_dir):
        with durable.told("read", folder):
            number = max(_numbers(folder), default=0) + 1
        asked = {
            "id": number,
            "session_id": session_dir.name,
            "phase": phase,
            "attempt": attempt,
            "persona": persona,
            "question": text,
            "options": list(options),
            "default": default,
            "asked_at": asked_at,
            "expires_at": expires_at,
            "runner": runner,
        }
        path = folder / f"{number:04d}.json"
        durable.write_new(path, _bytes(asked))
    return _question(path, asked)


def answer_question(session_dir: Path, number: int, answer: Answer) -> Answer:
    """Answer a question; the answer that counts: this very one, or another when somebody was first.

    On disk when this returns. Raises `StoreError`.
    """
    make_lock_folder(session_dir)
    with CommitLock(session_dir):
        try:
            durable.write_new(_answer_path(session_dir, number), _bytes(asdict(answer)))
        except FileExistsError:
            return read_answer(session_dir, number) or answer
    return answer


def read_answer(session_dir: Path, number: int) -> Answer | None:
    """The answer to a question; None as long as there is none. Raises `DamagedFile`."""
    path = _answer_path(session_dir, number)
    try:
        data = _read(path)
    except FileNotFoundError:
        return None
    answer, by, at = data.get("answer"), data.get("by"), _moment(data.get("at"))
    if not isinstance(answer, str) or not isinstance(by, str) or at is None:
        raise DamagedFile(f"{durable.shown(path)} holds no answer")
    return Answer(clean(answer, OPTION_LIMIT), clean(by, 100), at)


def read_questions(session_dir: Path) -> tuple[list[Question], list[str]]:
    """All questions of a session in the order of their numbers, and one line for each damaged file."""
    folder = session_dir / QUESTIONS
    try:
        numbers = sorted(_numbers(folder))
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        return [], [f"{QUESTIONS}: it cannot be listed: {error.strerror or error}"]
    runners = living_runners(session_dir)
    found, damage = [], []
    for number in numbers:
        path = folder / f"{number:04d}.json"
        try:
            asked = _read(path)
            question = _question(path, asked)
            answer = read_answer(session_dir, number)
        except (DamagedFile, FileNotFoundError) as error:
            damage.append(f"{QUESTIONS}/{number:04d}: {clean(error, 300)}")
            continue
        void = answer is None and asked["runner"] not in runners
        found.append(replace(question, answer=answer, void=void))
    return found, damage


def _numbers(folder: Path) -> Iterator[int]:
    for name in durable.names_in(folder):
        match = _NAME.match(name)
        if match is not None and name == f"{int(match[1]):04d}.json":
            yield int(match[1])


def _answer_path(session_dir: Path, number: int) -> Path:
    return session_dir / QUESTIONS / f"{number:04d}.answer.json"


def _bytes(data: dict[str, Any]) -> bytes:
    return json.dumps(data, indent=2, allow_nan=False).encode() + b"\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(durable.read_regular(path, SIZE_LIMIT))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{durable.shown(path)} is no JSON: {clean(error, 100)}") from error
    if not isinstance(data, dict):
        raise DamagedFile(f"{durable.shown(path)} holds no JSON object")
    return data


def _question(path: Path, data: dict[str, Any]) -> Question:
    number, attempt, options = data.get("id"), data.get("attempt"), data.get("options")
    texts = [data.get(key) for key in ("phase", "persona", "question", "default", "runner")]
    asked_at, expires_at = _moment(data.get("asked_at")), _moment(data.get("expires_at"))
    if (
        number != int(path.name.partition(".")[0])
        or type(attempt) is not int
        or not all(isinstance(text, str) for text in texts)
        or not isinstance(options, list)
        or not 0 < len(options) <= MOST_OPTIONS
        or not all(isinstance(option, str) for option in options)
        or asked_at is None
        or (expires_at is None and data.get("expires_at") is not None)
    ):
        raise DamagedFile(f"{durable.shown(path)} holds no question")
    phase, persona, text, default, _ = map(str, texts)
    return Question(
        number=int(number),
        phase=clean(phase, 64),
        attempt=attempt,
        persona=clean(persona, 64),
        text=clean_lines(text, TEXT_LIMIT, 200),
        options=tuple(clean(option, OPTION_LIMIT) for option in options),
        default=clean(default, OPTION_LIMIT),
        asked_at=asked_at,
        expires_at=expires_at,
    )


def _moment(value: Any) -> float | None:
    if type(value) not in (int, float) or not 0 <= value < 1e11:
        return None
    return float(value)
