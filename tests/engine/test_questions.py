"""A performer's question waits for a person, whoever answers from wherever; nobody's silence allows anything."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from maestro_tui.engine.report import session_document, show_document
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.engine.team import TeamExecutionEngineV2
from maestro_tui.model.context import PhaseStatus
from maestro_tui.model.errors import InputError, PlanError
from maestro_tui.model.persona import Persona
from maestro_tui.model.phase import Phase
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.store.journal import read_events
from maestro_tui.store.lease import hold_session
from maestro_tui.store.questions import Answer, Question, read_questions
from maestro_tui.store.summaries import read_summary
from tests.console.hostile import HOSTILE, NEVER_RAW

OPTIONS = ("Allow once", "Deny")


class Asks:
    """Asks its questions at once and returns the answers."""

    def __init__(self, *texts: str, options: Sequence[str] = OPTIONS, timeout: float | None = None) -> None:
        self.texts, self.options, self.timeout = texts or ("May I?",), options, timeout

    async def perform(self, task: Task, port: Port) -> PerformerResult:
        asked = [port.ask(text, self.options, self.options[-1], self.timeout) for text in self.texts]
        return PerformerResult(outputs={"answers": list(await asyncio.gather(*asked))})


class Scene:
    """An engine whose one phase asks, with a clock that the test moves."""

    def __init__(self, folder: Path, performer: Asks, **phase: float) -> None:
        self.now = 1_795_442_580.0
        workflow = Workflow(
            name="w", phases=(Phase(name="a", personas=(Persona(name="worker", argv=("x",)),), **phase),)
        )
        (folder / "work").mkdir()
        self.folder = folder / "root" / "s1"
        self.engine, self.other = (
            TeamExecutionEngineV2SplitMode(
                folder / "root",
                workflow,
                folder / "work",
                team=TeamExecutionEngineV2(performers=lambda _: performer, clock=lambda: self.now),
            )
            for _ in range(2)
        )

    def begin(self) -> asyncio.Task[object]:
        return asyncio.ensure_future(self.engine.execute_batch("x", session_id="s1"))

    async def asked(self, run: asyncio.Task[object], count: int = 1) -> list[Question]:
        """The open questions as soon as there are so many."""
        async with asyncio.timeout(60):
            while not run.done():
                if (self.folder / "history").is_dir():
                    found = [one for one in self.other.questions("s1") if one.open]
                    if len(found) >= count and len(self.events("question_asked")) >= count:
                        return found
                await asyncio.sleep(0.01)
        raise AssertionError(f"it ended without asking: {run}")

    def events(self, type: str) -> list[dict]:
        events = read_events(self.folder / "journal.jsonl").events
        return [dict(event.data) for event in events if event.type == type]

    def answers(self) -> list[str]:
        return self.other.store.head("s1").context.phase_results["a"].outputs["answers"]


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Scene]:
    return lambda *asks, **more: Scene(tmp_path, Asks(*asks, **more))


async def test_a_question_waits_for_an_answer_from_elsewhere_and_the_work_goes_on(
    scene: Callable[..., Scene],
) -> None:
    here = scene()
    run = here.begin()
    [question] = await here.asked(run)
    assert (question.phase, question.attempt, question.persona) == ("a", 1, "worker")
    assert (question.text, question.options, question.default) == ("May I?", OPTIONS, "Deny")
    summary = read_summary(here.folder, here.now)
    assert summary.status == "waiting" and summary.phases[0].asking == 1
    document = show_document(here.other, "s1")
    assert document["status"] == "waiting" and document["phases"][0]["reason"] == "asks: May I?"
    assert [one["state"] for one in document["questions"]] == ["open"]
    answered = here.other.answer("s1", "allow ONCE", by="ann")
    assert answered.answer == Answer("Allow once", "ann", here.now)
    await run
    assert here.answers() == ["Allow once"]
    [told] = here.events("question_answered")
    assert (told["id"], told["answer"], told["by"]) == (1, "Allow once", "ann")
    assert session_document(here.other, "s1")["status"] == "completed"
    assert show_document(here.other, "s1")["questions"] == []


async def test_silence_takes_the_default_when_time_is_over(scene: Callable[..., Scene]) -> None:
    here = scene(timeout=600)
    run = here.begin()
    [question] = await here.asked(run)
    assert question.expires_at == here.now + 600
    here.now += 599
    assert not run.done()
    here.now += 1
    with pytest.raises(PlanError, match=r"could be answered until .*; its default is taken: Deny"):
        here.other.answer("s1", "Allow once")
    await run
    assert here.answers() == ["Deny"]
    assert here.events("question_answered")[0]["by"] == "timeout"


async def test_the_first_answer_counts_and_the_second_hears_whose_it_was(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maestro_tui.engine.questions.LOOK_SECONDS", 3600)
    here = scene()
    run = here.begin()
    [question] = await here.asked(run)
    here.other.answer("s1", "2", by="ann")
    with pytest.raises(PlanError, match=r"answered already: Deny \(by ann, 2026-11-23T14:03:00.000Z\)"):
        here.other.answer("s1", "1", question.number, by="bob")
    [there] = read_questions(here.folder)[0]
    assert there.answer == Answer("Deny", "ann", here.now)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert here.events("question_answered")[0]["by"] == "ann"


async def test_two_that_answer_at_the_same_moment_are_told_apart(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the question open; the second comes to the file a moment later."""
    from maestro_tui.engine import questions

    monkeypatch.setattr(questions, "LOOK_SECONDS", 3600)
    here = scene()
    run = here.begin()
    await here.asked(run)
    real = questions.answer_question

    def slower(folder: Path, number: int, answer: Answer) -> Answer:
        real(folder, number, Answer("Deny", "ann", here.now))
        return real(folder, number, answer)

    monkeypatch.setattr(questions, "answer_question", slower)
    with pytest.raises(PlanError, match=r"answered already: Deny \(by ann"):
        here.other.answer("s1", "1", by="bob")
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_a_dead_runners_question_is_not_open_while_the_next_one_begins_the_phase(
    scene: Callable[..., Scene],
) -> None:
    """The new runner has the session and names the phase before it writes that its attempt has begun."""
    here = scene()
    run = here.begin()
    await here.asked(run)
    copy = here.folder.parent.parent / "copy" / "s1"
    shutil.copytree(here.folder, copy)
    here.other.answer("s1", "1")
    await run
    with hold_session(copy) as hold:
        hold.beat(("a",))
        assert read_summary(copy, here.now).status == "running"
        [left] = read_questions(copy)[0]
        assert left.void and not left.open


async def test_several_questions_are_answered_one_by_one(scene: Callable[..., Scene]) -> None:
    here = scene("One?", "Two?")
    run = here.begin()
    first, second = await here.asked(run, 2)
    with pytest.raises(
        PlanError, match=r"2 open questions; say which one with --question \(1: One\?; 2: Two\?\)"
    ):
        here.other.answer("s1", "1")
    here.other.answer("s1", "1", second.number)
    async with asyncio.timeout(60):
        while len(here.events("question_answered")) < 1:
            await asyncio.sleep(0.01)
    assert read_summary(here.folder, here.now).phases[0].asking == first.number
    here.other.answer("s1", "2")
    await run
    assert here.answers() == ["Deny", "Allow once"]


@pytest.mark.parametrize(("choice", "number", "words"), [
    ("maybe", None, r"has no option 'maybe'. It has: 1 Allow once, 2 Deny"),
    ("3", None, "has no option '3'"),
    ("0", None, "has no option '0'"),
    ("1", 7, "has no question 7"),
])  # fmt: skip
async def test_an_answer_that_does_not_fit_is_refused_and_changes_nothing(
    scene: Callable[..., Scene], choice: str, number: int | None, words: str
) -> None:
    here = scene()
    run = here.begin()
    await here.asked(run)
    with pytest.raises(InputError, match=words):
        here.other.answer("s1", choice, number)
    assert len(await here.asked(run)) == 1
    here.other.answer("s1", "1")
    await run
    with pytest.raises(PlanError, match="asks nothing now"):
        here.other.answer("s1", "1")


async def test_a_cancelled_attempt_withdraws_its_question(scene: Callable[..., Scene]) -> None:
    here = scene()
    run = here.begin()
    await here.asked(run)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert here.events("question_answered")[0]["by"] == "withdrawn"
    assert read_summary(here.folder, here.now).status == "cancelled"
    with pytest.raises(PlanError, match="asks nothing now"):
        here.other.answer("s1", "1")


@pytest.mark.parametrize(
    "data", [b"{}", b"[", b'{"answer": "Allow", "by": "x", "at": 1}', b'{"answer": 1e999}']
)
async def test_a_file_that_is_no_answer_allows_nothing(scene: Callable[..., Scene], data: bytes) -> None:
    here = scene()
    run = here.begin()
    await here.asked(run)
    (here.folder / "questions" / "0001.answer.json").write_bytes(data)
    await run
    assert here.answers() == ["Deny"]
    [told] = here.events("question_answered")
    assert told["by"] == "nobody" and told["problem"]
    bad = json.loads(data) if data != b"[" else {}
    if "at" not in bad:
        assert any("0001" in line for line in here.other.store.verify("s1"))


async def test_secrets_are_taken_out_and_hostile_text_is_made_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "correct-Horse-7-battery")
    options = ("use correct-Horse-7-battery", HOSTILE, HOSTILE, "Deny")
    here = Scene(tmp_path, Asks(f"Print correct-Horse-7-battery?\n{HOSTILE}", options=options))
    run = here.begin()
    [question] = await here.asked(run)
    assert question.options[0] == "use ‹SHOP_TOKEN›" and question.text.startswith("Print ‹SHOP_TOKEN›?\n")
    assert len(set(question.options)) == 4
    shown = "".join((question.text, question.default, *question.options))
    assert not NEVER_RAW & set(shown) and not any(0xD800 <= ord(sign) < 0xE000 for sign in shown)
    here.other.answer("s1", "3")
    await run
    kept = here.other.store.head("s1").context.phase_results["a"]
    assert kept.status == PhaseStatus.COMPLETED
    for path in here.folder.rglob("*"):
        assert not path.is_file() or b"correct-Horse-7-battery" not in path.read_bytes(), path


async def test_the_option_itself_is_returned_however_it_was_shown(tmp_path: Path) -> None:
    heard: list[str] = []

    class Listening(Asks):
        async def perform(self, task: Task, port: Port) -> PerformerResult:
            heard.append(await port.ask("Which?", ["a\x1b", "a␛", "b"], "b"))
            return PerformerResult()

    here = Scene(tmp_path, Listening())
    run = here.begin()
    [question] = await here.asked(run)
    assert question.options == ("a␛", "a␛ (2)", "b")
    here.other.answer("s1", "1")
    await run
    assert heard == ["a\x1b"]


async def test_a_question_without_options_is_the_performers_fault(tmp_path: Path) -> None:
    class Wrong(Asks):
        async def perform(self, task: Task, port: Port) -> PerformerResult:
            await port.ask("Which?", [], "b")
            return PerformerResult()

    here = Scene(tmp_path, Wrong())
    await here.begin()
    error = here.other.store.head("s1").context.phase_results["a"].error
    assert error is not None and "a question has 1 to 50 options, not 0" in error.message
    assert not (here.folder / "questions").exists()
