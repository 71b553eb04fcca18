"""The registry of actions: one declaration feeds everything, and what changes nothing is all that read-only has."""

from __future__ import annotations

import pytest

from maestro_tui.console.actions import ACTIONS, Safety, actions_for, key_words
from maestro_tui.console.availability import Scene
from maestro_tui.console.screens.doing import HANDLERS
from maestro_tui.model.summary import SessionSummary
from tests.console.fakes import owner, session

OF_ID = {action.id: action for action in ACTIONS}


def test_ids_and_keys_are_unique_and_each_action_does_something() -> None:
    keys = [key for action in ACTIONS for key in action.key.split(",")]
    assert len(set(keys)) == len(keys)
    assert {action.id for action in ACTIONS} == set(HANDLERS)
    assert all(action.title and action.help.endswith(".") for action in ACTIONS)


def test_read_only_has_no_action_that_changes_anything() -> None:
    left = {action.id for action in actions_for(True)}
    assert left.isdisjoint({"resume", "phase", "rerun", "new", "review", "cancel"})
    assert all(action.safety is Safety.LOOK for action in actions_for(True))


@pytest.mark.parametrize(
    ("action", "one", "words"),
    [
        ("resume", session("s", "failed"), None),
        ("resume", session("s", "interrupted"), None),
        ("resume", session("s", "running"), "is running (pid 4121 here)"),
        ("resume", session("s", "completed"), "R runs it again"),
        ("resume", session("s", "waiting"), "a opens the review"),
        ("resume", session("s", "failed", foreign="Hive"), "history of Hive"),
        ("resume", None, "no session under the cursor"),
        ("phase", session("s", "completed"), None),
        ("phase", session("s", "running"), "cancel it first"),
        ("review", session("s", "waiting"), None),
        ("review", session("s", "failed"), "does not wait for a decision"),
        ("cancel", session("s", "running"), None),
        ("cancel", session("s", "running", owner=owner(5, here=False)), "not by this console"),
        ("kill", session("s", "running", owner=owner(5, here=False)), "only a process of this computer"),
        ("kill", session("s", "interrupted"), "no process to stop"),
        ("skip", session("s", "completed"), "nothing to skip"),
        ("skip", session("s", "running"), None),
        ("raise", session("s", "running"), None),
        ("blueprint", session("s", "running"), None),
        ("blueprint", session("s", "failed", foreign="Hive"), "history of Hive"),
        ("fork", session("s", "failed", foreign="Hive"), "history of Hive"),
        ("cancel", session("s", "failed"), "nothing to cancel"),
        ("unmark", session("s", "failed"), "No session is marked"),
    ],
)
def test_an_action_says_why_it_cannot_be_done(
    action: str, one: SessionSummary | None, words: str | None
) -> None:
    refusal = OF_ID[action].available(Scene(one))
    assert refusal is None if words is None else refusal is not None and words in refusal


def test_own_sessions_may_be_cancelled() -> None:
    cancel = OF_ID["cancel"]
    assert (
        cancel is not None and cancel.available(Scene(session("s", "running"), own=frozenset(["s"]))) is None
    )


def test_keys_are_shown_as_people_read_them() -> None:
    assert [key_words(key) for key in ("question_mark,f1", "ctrl+p", "escape", "r")] == [
        "?",
        "^p",
        "esc",
        "r",
    ]
