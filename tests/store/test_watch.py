"""What happens on disk shows in a snapshot soon, whoever did it, and nothing that happens is missed for long."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from maestro_tui.model.context import PhaseResult, PhaseStatus
from maestro_tui.model.summary import FleetSnapshot, SessionStatus
from maestro_tui.store import notices
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.index_file import INDEX
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.runner_file import start_ticks
from maestro_tui.store.watch import Pace, watch
from tests.bench.make_fleet import STATUSES, leave_runner, make_session, without_syncing
from tests.store.hive_files import checkpoint, put

NOW = 1_900_000_000.0
DEADLINE = 30.0


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "root")


@pytest.fixture
def permissions_count(tmp_path: Path) -> None:
    """Skips where this process may read everything (root)."""
    locked = tmp_path / "locked"
    locked.touch(mode=0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything")


def make(store: CheckpointStore, status: str, name: str) -> Path:
    store.root.mkdir(exist_ok=True)
    with without_syncing():
        make_session(store, name, status, NOW, random.Random(3))
    return store.session_dir(name)


class Seen:
    """The snapshots that a watcher posted."""

    def __init__(self) -> None:
        self.all: list[FleetSnapshot] = []
        self._news = threading.Condition()

    def take(self, snapshot: FleetSnapshot) -> None:
        with self._news:
            self.all.append(snapshot)
            self._news.notify_all()

    def wait(self, wanted: Callable[[FleetSnapshot], object]) -> FleetSnapshot:
        """The newest snapshot as soon as it is as wanted."""
        with self._news:
            if not self._news.wait_for(lambda: self.all and wanted(self.all[-1]), DEADLINE):
                raise AssertionError(f"not seen in time; the last was {self.all[-1:]}")
            return self.all[-1]


@contextmanager
def watching(root: Path) -> Iterator[Seen]:
    seen, stop = Seen(), threading.Event()
    thread = threading.Thread(target=watch, args=(root, seen.take, stop))
    thread.start()
    try:
        seen.wait(lambda snapshot: not snapshot.loading)
        yield seen
    finally:
        stop.set()
        thread.join(DEADLINE)
    assert not thread.is_alive()


def tell(folder: Path, kind: str, **where: object) -> None:
    with closing(Journal(folder / "journal.jsonl", folder.name)) as journal:
        journal.append(kind, **where)  # type: ignore[arg-type]


@contextmanager
def runner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that can be killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.communicate()


def test_the_first_snapshot_holds_every_session(store: CheckpointStore) -> None:
    for status in STATUSES:
        make(store, status, f"s-{status}")
    with watching(store.root) as seen:
        snapshot = seen.all[-1]
    assert snapshot.sessions.keys() == {f"s-{status}" for status in STATUSES}
    assert snapshot.root == str(store.root)
    assert snapshot.problem is None


def test_an_event_shows_and_all_other_sessions_stay_the_same_objects(store: CheckpointStore) -> None:
    for status in STATUSES:
        make(store, status, f"s-{status}")
    with watching(store.root) as seen:
        before = seen.all[-1]
        tell(store.root / "s-paused", "edits_applied", phase="design", data={"by": "ada"})
        after = seen.wait(lambda snapshot: snapshot.sessions["s-paused"].last_event == "design edited by ada")
    assert after.version > before.version
    assert [name for name in after.sessions if after.sessions[name] is not before.sessions[name]] == [
        "s-paused"
    ]
    assert before.sessions["s-paused"].last_event != "design edited by ada"


def test_a_commit_shows(store: CheckpointStore) -> None:
    folder = make(store, "paused", "s-1")
    with watching(store.root) as seen:
        seq = seen.all[-1].sessions["s-1"].seq
        with hold_session(folder) as hold:
            seen.wait(lambda snapshot: snapshot.sessions["s-1"].status == SessionStatus.RUNNING)
            done = PhaseResult(status=PhaseStatus.COMPLETED, attempt=1)
            store.commit(
                "s-1", "design", 1, lambda head: (head.context.with_result("design", done), None), hold=hold
            )
            seen.wait(lambda snapshot: snapshot.sessions["s-1"].seq == seq + 1)
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].owner is None)


def test_sessions_that_begin_while_it_watches_are_all_seen(store: CheckpointStore) -> None:
    store.root.mkdir()
    names = {f"s-{number}" for number in range(40)} | {"node_modules", "venv", "build.git", "index.json.d"}
    with watching(store.root) as seen:
        for name in sorted(names):
            make(store, "new", name)
        seen.wait(lambda snapshot: snapshot.sessions.keys() == names)
        for name in sorted(names):
            tell(store.root / name, "forked")
        seen.wait(
            lambda snapshot: all(one.last_event == "session: forked" for one in snapshot.sessions.values())
        )


def test_without_an_index_some_sessions_are_shown_before_all_are_read(store: CheckpointStore) -> None:
    for number in range(8):
        make(store, "paused", f"s-{number}")
    seen, stop = Seen(), threading.Event()

    def take(snapshot: FleetSnapshot) -> None:
        seen.take(snapshot)
        if not snapshot.loading:
            stop.set()

    watch(store.root, take, stop, pace=Pace(first=3))
    assert seen.all[0].loading and seen.all[0].sessions.keys() == {"s-5", "s-6", "s-7"}
    assert len(seen.all[-1].sessions) == 8


def test_a_root_that_comes_later_is_noticed(store: CheckpointStore) -> None:
    with watching(store.root) as seen:
        assert seen.all[-1].sessions == {}
        assert seen.all[-1].problem is None
        folder = make(store, "paused", "s-1")
        seen.wait(lambda snapshot: "s-1" in snapshot.sessions)
        tell(folder, "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].last_event == "session: forked")


def test_a_root_that_is_removed_and_made_again_is_watched_again(
    store: CheckpointStore, tmp_path: Path
) -> None:
    make(store, "paused", "s-1")
    with watching(store.root) as seen:
        store.root.rename(tmp_path / "away")
        shutil.rmtree(tmp_path / "away", ignore_errors=True)
        seen.wait(lambda snapshot: snapshot.sessions == {})
        folder = make(store, "paused", "s-2")
        seen.wait(lambda snapshot: snapshot.sessions.keys() == {"s-2"})
        tell(folder, "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-2"].last_event == "session: forked")


def test_a_root_that_is_swapped_for_another_is_noticed(store: CheckpointStore, tmp_path: Path) -> None:
    make(store, "paused", "s-1")
    other = CheckpointStore(tmp_path / "other")
    make(other, "paused", "s-2")
    with watching(store.root) as seen:
        store.root.rename(tmp_path / "away")
        other.root.rename(store.root)
        seen.wait(lambda snapshot: snapshot.sessions.keys() == {"s-2"})
        tell(store.root / "s-2", "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-2"].last_event == "session: forked")


def test_a_removed_session_goes(store: CheckpointStore) -> None:
    make(store, "paused", "s-1")
    folder = make(store, "paused", "s-2")
    with watching(store.root) as seen:
        shutil.rmtree(folder)
        seen.wait(lambda snapshot: snapshot.sessions.keys() == {"s-1"})


def test_a_session_that_is_removed_and_made_again_is_watched_again(
    store: CheckpointStore, tmp_path: Path
) -> None:
    make(store, "paused", "s-1")
    other = make(CheckpointStore(tmp_path / "other"), "completed", "s-1")
    with watching(store.root) as seen:
        (store.root / "s-1").rename(tmp_path / "away")
        other.rename(store.root / "s-1")
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].status == SessionStatus.COMPLETED)
        tell(store.root / "s-1", "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].last_event == "session: forked")


@pytest.mark.parametrize("reaped", [True, False], ids=["gone", "zombie"])
def test_a_killed_runner_turns_its_session_to_interrupted(store: CheckpointStore, reaped: bool) -> None:
    folder = make(store, "running", "s-1")
    with runner() as process, watching(store.root) as seen:
        leave_runner(folder, 1, "design", NOW, process.pid, start_ticks(process.pid))
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].owner.pid == process.pid)  # type: ignore[union-attr]
        assert seen.all[-1].sessions["s-1"].status == SessionStatus.RUNNING
        process.kill()
        if reaped:
            process.wait()
        snapshot = seen.wait(lambda snapshot: snapshot.sessions["s-1"].status == SessionStatus.INTERRUPTED)
    assert snapshot.sessions["s-1"].current.status == "running"  # type: ignore[union-attr]


def test_a_growing_log_shows_as_written(store: CheckpointStore) -> None:
    folder = make(store, "running", "s-1")
    with watching(store.root) as seen:
        summary = seen.all[-1].sessions["s-1"]
        assert summary.current is not None
        later = summary.updated_at + 1_000
        os.utime(folder / "logs" / f"{summary.current.name}.1.log", (later, later))
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].updated_at == pytest.approx(later))


def test_damage_shows_and_its_mending_too(store: CheckpointStore) -> None:
    folder = make(store, "completed", "s-1")
    newest = max((folder / "history").glob("*.json"))
    whole = newest.read_bytes()
    with watching(store.root) as seen:
        newest.write_bytes(whole[:-10])
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].damage)
        newest.write_bytes(whole)
        seen.wait(lambda snapshot: not snapshot.sessions["s-1"].damage)


def _impossible(*words: object, **more: object) -> Iterator[set[object]]:
    raise OSError(28, "OS file watch limit reached")
    yield set()


def test_where_watching_is_impossible_changes_show_all_the_same(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "file_events", _impossible)
    folder = make(store, "paused", "s-1")
    with watching(store.root) as seen:
        tell(folder, "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].last_event == "session: forked")
        make(store, "paused", "s-2")
        seen.wait(lambda snapshot: "s-2" in snapshot.sessions)
        shutil.rmtree(folder)
        seen.wait(lambda snapshot: snapshot.sessions.keys() == {"s-2"})


def test_watches_that_run_out_later_cost_only_speed(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, "paused", "s-1")
    with watching(store.root) as seen:
        monkeypatch.setattr(notices, "file_events", _impossible)
        folder = make(store, "paused", "s-2")
        seen.wait(lambda snapshot: "s-2" in snapshot.sessions)
        tell(folder, "forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-2"].last_event == "session: forked")


def test_a_storm_of_events_becomes_few_snapshots_and_the_last_is_right(store: CheckpointStore) -> None:
    folder = make(store, "running", "s-1")
    with watching(store.root) as seen:
        before = len(seen.all)
        with closing(Journal(folder / "journal.jsonl", "s-1")) as journal:
            for number in range(5_000):
                journal.append("tool_called", phase="design", attempt=1, data={"number": number})
            journal.append("forked")
        seen.wait(lambda snapshot: snapshot.sessions["s-1"].last_event == "session: forked")
        assert len(seen.all) - before < 500
    assert seen.all[-1].sessions["s-1"].damage == ()


def test_a_root_that_is_no_folder_is_told_and_may_become_one(tmp_path: Path) -> None:
    place = tmp_path / "root"
    place.write_text("x")
    with watching(place) as seen:
        snapshot = seen.wait(lambda snapshot: snapshot.problem)
        assert "Not a directory" in str(snapshot.problem)
        place.unlink()
        make(CheckpointStore(place), "paused", "s-1")
        seen.wait(lambda snapshot: snapshot.problem is None and "s-1" in snapshot.sessions)


@pytest.mark.usefixtures("permissions_count")
def test_a_session_that_may_not_be_read_does_not_stop_the_others(store: CheckpointStore) -> None:
    locked, folder = make(store, "paused", "s-1"), make(store, "paused", "s-2")
    locked.chmod(0)
    try:
        with watching(store.root) as seen:
            tell(folder, "forked")
            seen.wait(lambda snapshot: snapshot.sessions["s-2"].last_event == "session: forked")
    finally:
        locked.chmod(0o700)


def test_a_failing_receiver_ends_the_watching_and_closes_it(store: CheckpointStore) -> None:
    make(store, "paused", "s-1")

    def refuse(snapshot: FleetSnapshot) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        watch(store.root, refuse, threading.Event())


def test_nothing_is_posted_after_the_stop(store: CheckpointStore) -> None:
    folder = make(store, "paused", "s-1")
    with watching(store.root) as seen:
        count = len(seen.all)
    tell(folder, "forked")
    assert len(seen.all) == count


def test_the_next_start_shows_what_the_index_remembers_at_once(store: CheckpointStore) -> None:
    for status in STATUSES:
        make(store, status, f"s-{status}")
    with watching(store.root):
        pass
    assert (store.root / INDEX).exists()
    with watching(store.root) as seen:
        pass
    assert seen.all[0].loading
    assert seen.all[0].sessions.keys() == seen.all[-1].sessions.keys()
    assert all(seen.all[0].sessions[name] is seen.all[-1].sessions[name] for name in seen.all[0].sessions)


@pytest.mark.parametrize(
    ("name", "news"),
    [
        ("journal.jsonl", True), ("runner.json", True), ("checkpoint_design.json", True),
        (".maestro-tmp-00ff", False), ("locks", False), ("journal.jsonl~", False), ("tmp", False),
    ],
)  # fmt: skip
def test_only_files_that_tell_something_are_news(name: str, news: bool) -> None:
    assert notices.tells(name) is news


def test_history_of_another_system_is_seen_live_beside_sessions_of_ours(store: CheckpointStore) -> None:
    put(store.root / "a.json", checkpoint("requirements", workflow_id="theirs"))
    with watching(store.root) as seen:
        snapshot = seen.wait(lambda one: not one.loading and "theirs" in one.sessions)
        assert snapshot.sessions["theirs"].foreign is not None
        put(store.root / "b.json", checkpoint("requirements", "design", workflow_id="theirs"))
        seen.wait(lambda one: one.sessions["theirs"].phases[1].status == "completed")
        make(store, "completed", "ours")
        seen.wait(lambda one: "ours" in one.sessions)
        (store.root / "a.json").unlink()
        (store.root / "b.json").unlink()
        seen.wait(lambda one: list(one.sessions) == ["ours"])


FEW_WATCHES = """
import sys, threading
from pathlib import Path
from maestro_tui.store.notices import Notices

root, names = Path(sys.argv[1]), [f"x{number:03d}" for number in range(40)]
for name in names:
    (root / name).mkdir()
seen = []
for known in (names[:5], names):
    notices = Notices(root, threading.Event())
    notices.open(known)
    seen.append(notices.seeing)
    notices.close()
print(seen)
"""


def test_watches_that_do_not_suffice_for_all_sessions_are_noticed(tmp_path: Path) -> None:
    few = 'echo 20 > /proc/sys/user/max_inotify_watches && exec "$@"'
    own = ["unshare", "--user", "--map-root-user", "sh", "-c", few, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("this system gives no namespace in which watches can be made few")
    code = [sys.executable, "-c", FEW_WATCHES, str(tmp_path)]
    told = subprocess.run([*own, *code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[True, False]"
