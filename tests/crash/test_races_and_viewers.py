"""Of many that race for a session one has it; those who look on see neither damage, nor the past, nor half a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import hold_session
from tests.crash.viewers import Viewer
from tests.store.small_sessions import commit, session

REPOSITORY = Path(__file__).parents[2]


def campaign(module: str, *words: str) -> dict[str, Any]:
    """Run it in a process of its own: it forks, which a process with threads must not."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.crash.{module}", "--json", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.stdout, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    assert facts["problems"] == [], done.stderr
    return facts


def test_of_many_processes_that_race_one_holds_and_its_death_frees_the_session_at_once() -> None:
    facts = campaign("races", "--processes", "8", "--races", "100")
    assert (facts["races"], facts["more_than_one"], facts["nobody"]) == (100, 0, 0)
    assert facts["refused"] == 700
    assert facts["told_whom"] > 0
    assert facts["killed"] == 10
    assert facts["commits"] == 20


def test_viewers_of_a_busy_session_see_no_damage_no_past_and_no_half_line() -> None:
    facts = campaign("viewers", "--viewers", "8", "--commits", "100")
    assert min(facts["looks"].values()) > 8
    assert facts["lines"] == 8 * 100 * 20
    # Viewers that only ever saw the end would prove nothing.
    assert facts["states"] > 3 * 8


def test_a_viewer_notices_damage_and_a_step_back(tmp_path: Path) -> None:
    folder = session(CheckpointStore(tmp_path), "requirements", "design")
    (folder / "logs" / "design.1.log").touch()
    viewer = Viewer(folder, commits=2)
    viewer.look()
    assert viewer.seen.problems == []
    (folder / "history" / "0002.json").write_bytes(b"half")
    viewer.look()
    assert any("sees damage" in text for text in viewer.seen.problems)
    assert any("goes back from commit 2 to 1" in text for text in viewer.seen.problems)


def test_a_view_that_is_newer_than_the_history_that_was_read_is_no_damage(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    folder = session(store, "requirements", "design")
    old = store.history("s1")
    with hold_session(folder) as hold:
        commit(store, hold, "requirements", attempt=2)
        commit(store, hold, "design", attempt=2)
        commit(store, hold, "testing")
        store.history = lambda _: old  # type: ignore[method-assign]  # as a reader that was stopped meanwhile
        assert store.verify("s1") == []
