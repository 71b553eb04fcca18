"""Each runner that a lease names is shown for what it is; taking its session over is a recorded act."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.engine.doctor import doctor_lines, examine, take_over
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.listing import list_lines, read_list
from maestro_tui.model.errors import HeldError
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import read_events
from maestro_tui.store.lease import hold_session
from tests.store.runners import Runner, runners
from tests.store.small_sessions import session


@dataclass
class Scene:
    """A session that another process holds."""

    folder: Path
    runner: Runner

    @property
    def root(self) -> Path:
        return self.folder.parent

    def rewrite(self, **facts: Any) -> None:
        """Change what the lease says of its holder."""
        value = json.loads((self.folder / "runner.json").read_text())
        value["holders"][0].update(facts)
        (self.folder / "runner.json").write_text(json.dumps(value))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    with runners(folder) as [runner]:
        runner.do("hold")
        yield Scene(folder, runner)


def _lives(scene: Scene) -> None:
    assert scene.runner.process.poll() is None


def _stopped(scene: Scene) -> None:
    scene.runner.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, scene.runner.process.pid, os.WSTOPPED)


def _killed(scene: Scene) -> None:
    scene.runner.kill()


def _zombie(scene: Scene) -> None:
    scene.runner.process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, scene.runner.process.pid, os.WEXITED | os.WNOWAIT)


def _number_used_again(scene: Scene) -> None:
    scene.rewrite(start_ticks=1)


def _rebooted(scene: Scene) -> None:
    scene.rewrite(boot_id="another boot")


def _elsewhere(scene: Scene) -> None:
    scene.rewrite(host="build-7")


def _lock_removed(scene: Scene) -> None:
    (scene.folder / "locks" / "session").unlink()


CONDITIONS: dict[str, tuple[Callable[[Scene], None], str, str, bool]] = {
    "it lives": (_lives, ": alive; heartbeat", "running", True),
    "it is stopped": (_stopped, "alive but stopped (by SIGSTOP", "running", True),
    "it was killed": (_killed, "ended without giving it back; heartbeat", "interrupted", False),
    "it is a zombie": (_zombie, "its parent has not collected it yet (a zombie)", "interrupted", False),
    "its number was used again": (_number_used_again, "its number belongs to another process now", "interrupted", False),
    "the computer was rebooted": (_rebooted, "ended with the last boot of this computer", "interrupted", False),
    "it is on another computer": (_elsewhere, "it cannot be seen from here whether it lives", "running", True),
    "its lock file was removed": (_lock_removed, "its lock file locks/session was removed", "running", True),
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
def test_doctor_and_list_show_a_holder_for_what_it_is(scene: Scene, name: str) -> None:
    happens, words, status, takeover_offered = CONDITIONS[name]
    happens(scene)
    told = "\n".join(doctor_lines(examine(TeamExecutionEngineV2SplitMode(scene.root), "s1")))
    assert words in told
    assert f"pid {scene.runner.process.pid}" in told
    assert ("--take-over" in told) == takeover_offered
    assert len(told.splitlines()) <= 24
    [brief] = read_list(scene.root)
    assert brief.status == status
    listed = "\n".join(list_lines([brief], scene.root))
    assert (words in listed) == (name != "it lives"), "a runner that simply lives needs no line of its own"


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_takeover_is_an_act_with_name_and_reason_whatever_became_of_the_holder(
    scene: Scene, name: str
) -> None:
    CONDITIONS[name][0](scene)
    engine = TeamExecutionEngineV2SplitMode(scene.root)
    take_over(engine, "s1", by="Ann", reason="it hangs")
    [act] = [
        event for event in read_events(scene.folder / "journal.jsonl").events if event.type == "runner_lost"
    ]
    assert act.data["taken_over_by"] == "Ann"
    assert act.data["reason"] == "it hangs"
    assert str(scene.runner.process.pid) in act.data["from"]
    with hold_session(scene.folder) as hold:
        assert hold.epoch > act.data["epoch"]
    if scene.runner.process.poll() is None and name != "it is a zombie":
        scene.runner.process.send_signal(signal.SIGCONT)
        answer = scene.runner.ask("commit", "design", "1")
        assert answer["error"] == "FencedError"
        assert "all commits are safe" in str(answer["text"])
    head = engine.store.head("s1")
    assert head.seq == 2, "the takeover is a commit of its own"
    assert list(head.context.phase_results) == ["requirements"]


@pytest.mark.parametrize("name", ["it was killed", "it is a zombie"])
def test_a_holder_that_ended_keeps_nobody_from_going_on(scene: Scene, name: str) -> None:
    with pytest.raises(HeldError):
        hold_session(scene.folder)
    CONDITIONS[name][0](scene)
    with hold_session(scene.folder) as hold:
        assert hold.mode == "exclusive"
