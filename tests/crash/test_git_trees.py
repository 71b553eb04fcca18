"""A tree of the workspace that was acknowledged can be read after a power loss, and git goes on keeping trees."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from maestro_tui.store import workspace_git
from tests.crash.git_trees import problems_after, record_snapshots, states_of
from tests.crash.power_loss import in_memory

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def test_kept_trees_survive_a_power_loss() -> None:
    problems: Counter[str] = Counter()
    with in_memory() as folder:
        states = list(states_of(record_snapshots(folder / "top")))
        for state in states:
            problems.update(problems_after(state, folder / "top"))
    assert len(states) > 100
    assert not problems, problems.most_common(5)


def test_a_repository_whose_folders_are_not_synced_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_git, "_sync_folders", lambda *_: None)
    with in_memory() as folder:
        recorded = record_snapshots(folder / "top")
        assert any(problems_after(state, folder / "top") for state in states_of(recorded))
