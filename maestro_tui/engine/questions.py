"""Puts a performer's question to a person and waits: the answer is a file, written by whatever process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import DamagedFile, PlanError
from maestro_tui.model.text import clean, clean_lines
from maestro_tui.store.journal import utc
from maestro_tui.store.questions import (
    MOST_OPTIONS,
    OPTION_LIMIT,
    TEXT_LIMIT,
    Answer,
    Question,
    answer_question,
    ask_question,
    read_answer,
    read_questions,
)
from maestro_tui.store.redaction import Redactor

LOOK_SECONDS = 0.2
"""How often the one who asks looks for an answer."""

Tell = Callable[[str, Mapping[str, Any]], None]


class Asking:
    """Asks the questions of one session's performers, for the runner whose hold has the id `runner`."""

    def __init__(
        self, session_dir: Path, redactor: Redactor, clock: Callable[[], float], runner: str
    ) -> None:
        self._dir, self._redactor, self._clock, self._runner = session_dir, redactor, clock, runner

    async def ask(
        self,
        phase: str,
        attempt: int,
        persona: str,
        text: str,
        options: Sequence[str],
        default: str,
        timeout: float | None,
        tell: Tell,
    ) -> str:
        """The one of `options` that was chosen, or `default` when `timeout` (seconds) is over.

        `tell` hears `question_asked` and `question_answered`. Cancelling withdraws the question. Raises
        `ValueError` for a question with no or more than 50 options, `StoreError`.
        """
        if not 0 < len(options) <= MOST_OPTIONS:
            raise ValueError(f"a question has 1 to {MOST_OPTIONS} options, not {len(options)}")
        shown = self._shown(options)
        now = self._clock()
        question = ask_question(
            self._dir,
            phase=phase,
            attempt=attempt,
            persona=persona,
            text=clean_lines(self._redactor.text(text), TEXT_LIMIT, 200),
            options=shown,
            default=shown[options.index(default)] if default in options else self._shown([default])[0],
            asked_at=now,
            expires_at=None if timeout is None else now + timeout,
            runner=self._runner,
        )
        facts: dict[str, Any] = {"id": question.number, "question": question.text}
        more = {"options": list(shown), "default": question.default, "runner": self._runner}
        if question.expires_at is not None:
            more["expires_at"] = utc(question.expires_at)
        tell("question_asked", facts | more)
        try:
            answer = await self._answer(question)
        except asyncio.CancelledError:
            withdrawn = Answer(question.default, "withdrawn", self._clock())
            answer = answer_question(self._dir, question.number, withdrawn)
            tell("question_answered", facts | {"answer": answer.answer, "by": answer.by})
            raise
        except DamagedFile as error:
            tell(
                "question_answered",
                facts | {"answer": question.default, "by": "nobody", "problem": str(error)},
            )
            return default
        tell("question_answered", facts | {"answer": answer.answer, "by": answer.by})
        return options[shown.index(answer.answer)] if answer.answer in shown else default

    async def _answer(self, question: Question) -> Answer:
        while True:
            answer = read_answer(self._dir, question.number)
            if answer is not None:
                if answer.answer not in (*question.options, question.default):
                    raise DamagedFile(
                        f"the answer to question {question.number}, {answer.answer!r}, is none of its options"
                    )
                return answer
            now = self._clock()
            if question.expires_at is not None and now >= question.expires_at:
                return answer_question(self._dir, question.number, Answer(question.default, "timeout", now))
            await asyncio.sleep(LOOK_SECONDS)

    def _shown(self, options: Sequence[str]) -> list[str]:
        """The options as they may be shown, no two of them alike."""
        out: list[str] = []
        for option in options:
            words = clean(self._redactor.text(option), OPTION_LIMIT) or "–"
            number = 1
            while words in out:
                number += 1
                words = f"{words[: OPTION_LIMIT - 8]} ({number})"
            out.append(words)
        return out


def answer(session_dir: Path, choice: str, number: int | None, by: str, now: float) -> Question:
    """Answer an open question for a person; the question with its answer. Raises `PlanError` when it cannot be."""
    questions, damage = read_questions(session_dir)
    question = _one(session_dir.name, questions, number, damage)
    name = f"Question {question.number} of session {session_dir.name}"
    if question.expires_at is not None and now >= question.expires_at:
        raise PlanError(
            f"{name} could be answered until {utc(question.expires_at)}; its default is taken: {question.default}."
        )
    mine = Answer(_chosen(name, question, choice), clean(by, 100), now)
    counts = answer_question(session_dir, question.number, mine)
    if counts is not mine:
        raise PlanError(_answered(name, counts))
    return replace(question, answer=mine)


def _one(
    session_id: str, questions: Sequence[Question], number: int | None, damage: Sequence[str]
) -> Question:
    opened = [question for question in questions if question.open]
    also = f" ({damage[0]})" if damage else ""
    if number is None:
        if len(opened) == 1:
            return opened[0]
        if not opened:
            raise PlanError(f"Session {session_id} asks nothing now{also}.")
        told = "; ".join(f"{one.number}: {clean(one.text, 80)}" for one in opened[:9])
        raise PlanError(
            f"Session {session_id} has {len(opened)} open questions; say which one with --question ({told})."
        )
    question = next((one for one in questions if one.number == number), None)
    if question is None:
        raise PlanError(f"Session {session_id} has no question {number}{also}.")
    name = f"Question {number} of session {session_id}"
    if question.answer is not None:
        raise PlanError(_answered(name, question.answer))
    if question.void:
        raise PlanError(f"{name} is void: the runner that asked it has ended. resume asks anew.")
    return question


def _answered(name: str, answer: Answer) -> str:
    return f"{name} was answered already: {answer.answer} (by {answer.by}, {utc(answer.at)}). Nothing was changed."


def _chosen(name: str, question: Question, choice: str) -> str:
    if choice in question.options:
        return choice
    alike = [option for option in question.options if option.lower() == choice.strip().lower()]
    if len(alike) == 1:
        return alike[0]
    if choice.strip().isdecimal() and 0 < int(choice) <= len(question.options):
        return question.options[int(choice) - 1]
    told = ", ".join(f"{number} {option}" for number, option in enumerate(question.options, 1))
    raise PlanError(f"{name} has no option {clean(choice, 80)!r}. It has: {told}.")
