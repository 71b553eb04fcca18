"""Two runners never hold one session or phase; a dead one frees it; one that was replaced cannot commit any more."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maestro_tui.model.errors import FencedError, HeldError, InputError, StoreError
from maestro_tui.store import durable, locks, runner_file
from maestro_tui.store import lease as store_lease
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.lease import Hold, hold_phase, hold_session, read_owner, take_over
from maestro_tui.store.locks import CommitLock, FileLock
from maestro_tui.store.questions import Answer, answer_question
from tests.store.runners import runners
from tests.store.small_sessions import commit, context, session

NOW = 1_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = CheckpointStore(tmp_path / "root")
    store.create(context())
    return store.session_dir("s1")


def lease(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "runner.json").read_text()))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = lease(folder)
    change(value)
    (folder / "runner.json").write_text(json.dumps(value))


def first_holder(**facts: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["holders"][0].update(facts)


# ── Holding ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_has_one_driver_and_the_second_hears_who_it_is(folder: Path) -> None:
    with runners(folder) as [other]:
        other.do("hold")
        with pytest.raises(HeldError) as caught:
            hold_session(folder)
        sentence = str(caught.value)
        assert f"pid {other.process.pid} here" in sentence and socket.gethostname() in sentence
        assert "Nothing was run" in sentence and "for " in sentence
        with pytest.raises(HeldError, match=str(other.process.pid)):
            hold_phase(folder, "design")


def test_two_holds_within_one_process_exclude_each_other_too(folder: Path) -> None:
    with hold_session(folder), pytest.raises(HeldError, match=f"pid {os.getpid()} here"):
        hold_session(folder)
    with hold_phase(folder, "design"), pytest.raises(HeldError, match="running design"):
        hold_phase(folder, "design")


@pytest.mark.parametrize("phase", [None, "design"])
def test_the_loser_waits_for_the_name_of_a_winner_that_is_just_starting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, phase: str | None
) -> None:
    names = iter(range(9))

    def meanwhile(seconds: float) -> None:
        if next(names) == 2:
            phases = (phase,) if phase is not None else ()
            Hold(folder, [lock], "shared" if phase is not None else "exclusive", phases, lambda: NOW)

    waiting = SimpleNamespace(monotonic=time.monotonic, sleep=meanwhile)
    monkeypatch.setattr(store_lease, "time", waiting)
    (folder / "locks").mkdir(exist_ok=True)
    lock = FileLock(folder / "locks" / ("session" if phase is None else f"{phase}.phase"))
    assert lock.take()
    try:
        with pytest.raises(HeldError, match=f"is held by pid {os.getpid()} here"):
            hold_session(folder) if phase is None else hold_phase(folder, phase)
    finally:
        lock.free()


def test_a_winner_without_a_name_is_waited_for_only_shortly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lease, "NAMING_SECONDS", 0.03)
    with hold_phase(folder, "testing"):
        lock = FileLock(folder / "locks" / "design.phase")
        assert lock.take()
        try:
            with pytest.raises(HeldError, match=r"Phase 'design' .* just starting or ending: 0.03 s") as told:
                hold_phase(folder, "design")
        finally:
            lock.free()
    assert "pid" not in str(told.value), "who runs another phase is not who holds this one"


def test_independent_phases_are_held_side_by_side_but_no_phase_twice(folder: Path) -> None:
    with hold_phase(folder, "design") as one, hold_phase(folder, "testing") as two:
        assert one.epoch == two.epoch and (one.mode, two.mode) == ("shared", "shared")
        with pytest.raises(HeldError, match=r"Phase 'design' of session s1 .* running design"):
            hold_phase(folder, "design")
        with pytest.raises(HeldError):
            hold_session(folder)
        owner = read_owner(folder, NOW)
        assert owner is not None and set(owner.phases) == {"design", "testing"}


def test_a_refusal_leaves_nothing_locked(folder: Path) -> None:
    with hold_phase(folder, "design"):
        for _ in range(3):
            with pytest.raises(HeldError):
                hold_phase(folder, "design")
            with pytest.raises(HeldError):
                hold_session(folder)
    with hold_session(folder) as hold:
        assert hold.mode == "exclusive"


def test_the_lease_says_who_since_when_and_what(folder: Path) -> None:
    with hold_session(folder, clock=lambda: NOW) as hold:
        value = lease(folder)
        assert value["epoch"] == hold.epoch and value["mode"] == "exclusive"
        [holder] = value["holders"]
        assert holder["id"] == hold.id and holder["pid"] == os.getpid()
        assert holder["host"] == socket.gethostname() and holder["started_at"] == NOW
        assert holder["start_ticks"] == runner_file.start_ticks(os.getpid())
        assert stat.S_IMODE((folder / "runner.json").stat().st_mode) == 0o600
    assert lease(folder)["holders"] == []


def test_a_beat_renews_the_heartbeat_and_the_phases(folder: Path) -> None:
    times = iter([NOW, NOW + 5])
    with hold_session(folder, clock=lambda: next(times)) as hold:
        hold.beat(("design", "testing"))
        owner = read_owner(folder, NOW + 6)
        assert owner is not None
        assert (owner.started_at, owner.heartbeat_at) == (NOW, NOW + 5)
        assert owner.phases == ("design", "testing") and owner.alive and owner.here
        assert owner.epoch == hold.epoch


def test_the_epoch_rises_with_each_driver_and_not_with_a_neighbour(folder: Path) -> None:
    epochs = []
    for _ in range(3):
        with hold_session(folder) as hold:
            epochs.append(hold.epoch)
    with hold_phase(folder, "design") as one:
        with hold_phase(folder, "testing") as two:
            assert two.epoch == one.epoch
        epochs.append(one.epoch)
    with hold_phase(folder, "design") as alone:
        epochs.append(alone.epoch)
    assert epochs == [1, 2, 3, 4, 5]


def test_a_phase_name_cannot_lead_out_of_the_folder_of_locks(folder: Path) -> None:
    for name in ("../../escape", "a/b", "", "a\0b"):
        with pytest.raises(InputError, match="no name for a phase"):
            hold_phase(folder, name)
    with hold_session(folder):
        assert sorted(os.listdir(folder / "locks")) == ["commit", "session"]


def test_an_error_within_a_hold_frees_it_and_is_not_hidden(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught, hold_session(folder):
        (folder / "runner.json").unlink()
        (folder / "locks" / "commit").unlink()
        (folder / "locks" / "commit").mkdir()
        raise ZeroDivisionError
    assert any("Cannot open the lock" in note for note in caught.value.__notes__)
    (folder / "locks" / "commit").rmdir()
    with hold_session(folder) as hold:
        assert hold.epoch >= 1


# ── Death ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_kill_9_of_the_holder_frees_the_session_and_the_dead_one_stays_told(folder: Path) -> None:
    with runners(folder) as [other]:
        first_epoch = other.do("hold")
        other.kill()
        owner = read_owner(folder, NOW)
        assert owner is not None and owner.alive is False and owner.pid == other.process.pid
        with hold_session(folder) as hold:
            assert hold.epoch == first_epoch + 1  # type: ignore[operator]
            assert len(lease(folder)["holders"]) == 1


def test_a_child_of_the_holder_does_not_keep_the_session(folder: Path) -> None:
    with runners(folder) as [other]:
        other.do("hold")
        child = other.do("child")
        assert isinstance(child, int)
        try:
            other.kill()
            os.kill(child, 0)
            with hold_session(folder) as hold:
                assert hold.mode == "exclusive"
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_of_the_holder_does_not_keep_the_session(folder: Path) -> None:
    with runners(folder) as [other]:
        other.do("hold")
        child = other.do("fork")
        assert isinstance(child, int)
        try:
            with pytest.raises(HeldError):
                hold_session(folder)
            other.process.kill()
            other.process.wait()
            os.kill(child, 0)
            # The child gives the lock up as its first act after the fork, which may be a moment away.
            deadline = time.monotonic() + 20
            while (hold := taken_or_none(folder)) is None:
                assert time.monotonic() < deadline
            assert hold.mode == "exclusive"
            hold.release()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_tells_its_own_start_not_its_parents() -> None:
    assert runner_file.own_start_ticks() == runner_file.start_ticks(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0 if runner_file.own_start_ticks() == runner_file.start_ticks(os.getpid()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def taken_or_none(folder: Path) -> Hold | None:
    try:
        return hold_session(folder)
    except HeldError:
        return None


def test_a_dead_neighbour_is_taken_out_of_the_lease(folder: Path) -> None:
    with runners(folder) as [other]:
        other.do("hold", "design")
        other.kill()
        with hold_phase(folder, "testing") as hold:
            assert [holder["id"] for holder in lease(folder)["holders"]] == [hold.id]


def test_a_zombie_does_not_live(folder: Path) -> None:
    with runners(folder) as [other]:
        other.do("hold")
        other.process.send_signal(signal.SIGKILL)
        # Waits for its death without reaping it.
        os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)
        owner = read_owner(folder, NOW)
        assert owner is not None and owner.alive is False and owner.here
        with hold_session(folder) as hold:
            assert hold.mode == "exclusive"


def test_another_process_under_the_same_number_is_not_taken_for_the_holder(folder: Path) -> None:
    hold = hold_session(folder)
    rewrite(folder, lambda value: value["holders"][0].update(start_ticks=1))
    owner = read_owner(folder, NOW)
    assert owner is not None and owner.alive is False
    hold.release()


def test_a_holder_from_before_the_last_boot_does_not_live(folder: Path) -> None:
    hold = hold_session(folder)
    rewrite(folder, first_holder(boot_id="another boot"))
    owner = read_owner(folder, NOW)
    assert owner is not None and owner.alive is False and not owner.here
    hold.release()


def test_whether_a_holder_on_another_computer_lives_is_not_known(folder: Path) -> None:
    hold = hold_session(folder)
    rewrite(folder, first_holder(host="build-7"))
    owner = read_owner(folder, NOW)
    assert owner is not None and owner.alive is None and not owner.here
    assert owner.words() == f"pid {os.getpid()} on build-7"
    with pytest.raises(HeldError, match=f"pid {os.getpid()} on build-7"):
        hold_session(folder)
    hold.release()


# ── Locks that do not reach ───────────────────────────────────────────────────────────────────────────────


def of_build_7(folder: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> list[float]:
    """The lease of a runner on another computer, whose locks nobody sees here; `meanwhile` happens at each wait."""
    with hold_phase(folder, "design", clock=lambda: NOW):
        rewrite(folder, first_holder(host="build-7"))
        left = (folder / store_lease.LEASE).read_bytes()
    (folder / store_lease.LEASE).write_bytes(left)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        meanwhile()

    monkeypatch.setattr(store_lease, "time", SimpleNamespace(monotonic=lambda: sum(waits), sleep=sleep))
    return waits


@pytest.mark.parametrize("take", [hold_session, lambda folder, clock: hold_phase(folder, "design", clock)])
def test_a_runner_that_goes_on_where_its_locks_do_not_reach_is_not_displaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, take: Any
) -> None:
    beats = iter(range(1, 9))
    of_build_7(folder, monkeypatch, lambda: rewrite(folder, first_holder(heartbeat_at=NOW + next(beats))))
    with pytest.raises(HeldError, match=f"is held by pid {os.getpid()} on build-7"):
        take(folder, clock=lambda: NOW)
    lock = FileLock(folder / "locks" / "session")
    assert lock.take(), "who is refused keeps no lock"
    lock.free()


def test_a_runner_elsewhere_that_is_silent_or_gives_the_session_back_is_not_waited_for_any_longer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = of_build_7(folder, monkeypatch, lambda: None)
    with hold_session(folder, clock=lambda: NOW) as hold:
        assert hold.mode == "exclusive"
    assert store_lease.UNLOCKED_SECONDS <= sum(waits) < store_lease.UNLOCKED_SECONDS + 1
    waits = of_build_7(folder, monkeypatch, lambda: (folder / store_lease.LEASE).unlink())
    with hold_session(folder, clock=lambda: NOW):
        assert len(waits) == 1


def test_who_stands_in_the_way_of_nobody_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = of_build_7(folder, monkeypatch, lambda: None)
    with hold_phase(folder, "testing", clock=lambda: NOW):
        pass
    with hold_session(folder, clock=lambda: NOW + store_lease.SILENT_SECONDS + 1):
        assert waits == []
    waits = of_build_7(folder, monkeypatch, lambda: None)
    with take_over(folder, clock=lambda: NOW):
        assert waits == []


def test_a_computer_without_proc_asks_the_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = hold_session(folder)
    monkeypatch.setattr(runner_file, "own_start_ticks", lambda: None)
    owner = read_owner(folder, NOW)
    assert owner is not None and owner.alive is True
    done = subprocess.Popen(["true"])
    done.wait()
    rewrite(folder, first_holder(pid=done.pid))
    owner = read_owner(folder, NOW)
    assert owner is not None and owner.alive is False
    hold.release()


# ── Fencing ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stopped_runner_that_was_replaced_is_refused_at_its_next_commit(folder: Path) -> None:
    store = CheckpointStore(folder.parent)
    with runners(folder) as [old]:
        old.do("hold")
        assert old.do("commit", "requirements", "1") == 1
        old.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, old.process.pid, os.WSTOPPED)
        owner = read_owner(folder, NOW)
        assert owner is not None and owner.alive is True
        with pytest.raises(HeldError):
            hold_session(folder)
        with take_over(folder) as new:
            old.tell("commit", "design", "1")
            old.process.send_signal(signal.SIGCONT)
            answer = old.answer()
            assert answer["error"] == "FencedError"
            assert "took session s1 over" in str(answer["text"]) and "all commits are safe" in str(
                answer["text"]
            )
            assert old.ask("beat")["error"] == "FencedError"
            assert commit(store, new, "design").seq == 2
            old.do("release")
            assert [holder["id"] for holder in lease(folder)["holders"]] == [new.id]
            assert store.head("s1").context.phase_results["design"].status == "completed"


def test_a_runner_that_was_stopped_within_a_commit_can_be_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maestro_tui.store.lease.STOPPED_SECONDS", 0.05)
    store = CheckpointStore(folder.parent)
    with runners(folder) as [old]:
        old.do("hold")
        old.do("commit_lock")
        old.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, old.process.pid, os.WSTOPPED)
        with take_over(folder) as new:
            assert commit(store, new, "design").seq == 1
            old.process.send_signal(signal.SIGCONT)
            assert old.ask("commit", "requirements", "1")["error"] == "FencedError"


def test_a_removed_lock_file_gives_the_session_away_and_fences_the_first(folder: Path) -> None:
    with hold_session(folder) as old:
        (folder / "locks" / "session").unlink()
        with hold_session(folder) as new:
            assert new.epoch == old.epoch + 1
            with pytest.raises(FencedError):
                old.check()
            new.check()


def test_a_removed_phase_lock_fences_only_the_runner_of_that_phase(folder: Path) -> None:
    with hold_phase(folder, "design") as old, hold_phase(folder, "testing") as neighbour:
        (folder / "locks" / "design.phase").unlink()
        with hold_phase(folder, "design") as new:
            with pytest.raises(FencedError):
                old.beat()
            neighbour.check()
            new.check()


def test_a_hold_that_was_given_back_cannot_commit(folder: Path) -> None:
    store = CheckpointStore(folder.parent)
    with hold_session(folder) as hold:
        pass
    hold.release()
    with pytest.raises(FencedError, match="given back"):
        commit(store, hold, "design")
    assert store.head("s1").seq == 0


@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_runner_whose_lease_was_lost_stops_and_says_why(folder: Path, damage: str) -> None:
    store = CheckpointStore(folder.parent)
    with hold_session(folder) as hold:
        file = folder / "runner.json"
        content = file.read_bytes()
        file.unlink()
        if damage != "missing":
            file.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
        with pytest.raises(FencedError, match=r"lost its lease \(runner.json"):
            commit(store, hold, "design")
    with hold_session(folder) as hold:
        assert commit(store, hold, "design").seq == 1


def test_the_epoch_never_falls_below_that_of_a_commit(folder: Path) -> None:
    store = CheckpointStore(folder.parent)
    for _ in range(4):
        with hold_session(folder) as hold:
            pass
    with hold_session(folder) as hold:
        commit(store, hold, "requirements")
        assert hold.epoch == 5
    for lose in (Path.unlink, lambda file: file.write_text('{"epoch": 1, "mode": "shared", "holders": []}')):
        lose(folder / "runner.json")
        with hold_session(folder) as hold:
            assert hold.epoch >= 6
            commit(store, hold, "design")


def test_a_lost_lease_and_a_damaged_newest_commit_still_leave_the_epoch(folder: Path) -> None:
    store = CheckpointStore(folder.parent)
    for phase in ("requirements", "design"):
        with hold_session(folder) as hold:
            commit(store, hold, phase)
    (folder / "runner.json").unlink()
    (folder / "history" / "0002.json").write_bytes(b"\0" * 100)
    with hold_session(folder) as hold:
        assert hold.epoch == 2
        assert commit(store, hold, "design").seq == 3


# ── Races ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_many_processes_that_race_for_a_session_one_wins_each_time(folder: Path) -> None:
    with runners(folder, 6) as racers:
        epochs = []
        for _ in range(40):
            for racer in racers:
                racer.tell("hold")
            answers = [racer.answer() for racer in racers]
            won = [racer for racer, answer in zip(racers, answers, strict=True) if "ok" in answer]
            assert len(won) == 1, answers
            assert all(answer.get("error", "HeldError") == "HeldError" for answer in answers)
            owner = read_owner(folder, NOW)
            assert owner is not None and owner.pid == won[0].process.pid
            epochs.append(owner.epoch)
            won[0].do("release")
        assert epochs == list(range(1, 41))


def test_of_many_processes_that_race_for_a_phase_one_wins_each_time(folder: Path) -> None:
    with runners(folder, 4) as racers:
        for _ in range(20):
            for racer in racers:
                racer.tell("hold", "design")
            answers = [racer.answer() for racer in racers]
            won = [racer for racer, answer in zip(racers, answers, strict=True) if "ok" in answer]
            assert len(won) == 1, answers
            won[0].do("release")


# ── The commit lock ───────────────────────────────────────────────────────────────────────────────────────


def test_a_commit_does_not_wait_for_ever_for_a_stopped_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "COMMIT_SECONDS", 0.05)
    hold = hold_session(folder)
    with CommitLock(folder), pytest.raises(StoreError, match=r"has been held for 0.05 s"):
        hold.beat()
    hold.beat()
    hold.release()


def test_a_lock_on_a_file_that_was_replaced_meanwhile_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    real, seen = os.open, []

    def open_then_remove(*arguments: Any, **named: Any) -> int:
        fd = real(*arguments, **named)
        seen.append(fd)
        if len(seen) == 1:
            path.unlink()
        return fd

    lock = FileLock(path)
    monkeypatch.setattr(os, "open", open_then_remove)
    assert lock.take()
    assert len(seen) == 2
    assert not FileLock(path).take()
    lock.free()
    assert FileLock(path).take()


def test_the_locks_are_private_and_not_inherited(folder: Path) -> None:
    with hold_session(folder) as hold:
        assert stat.S_IMODE((folder / "locks" / "session").stat().st_mode) == 0o600
        for lock in hold._locks:
            assert not os.get_inheritable(lock._fd)


def test_a_folder_where_the_lock_should_be_is_a_sentence(folder: Path) -> None:
    (folder / "locks" / "session").mkdir()
    with pytest.raises(StoreError, match="Cannot open the lock"):
        hold_session(folder)


# ── Hostile and half-written content ──────────────────────────────────────────────────────────────────────

HOLDER = {"id": "x", "pid": 1, "host": socket.gethostname(), "boot_id": "b", "start_ticks": 1}
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"epoch": 3, "mode": "exclus',
    "zeros": b"\0" * 200,
    "not JSON": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a number": b"3",
    "invalid UTF-8": b'{"epoch": 1, "holders": [{"host": "\xff"}]}',
    "BOM": b"\xef\xbb\xbf{}",
    "no holders": b'{"epoch": 3}',
    "holders is an object": b'{"epoch": 3, "holders": {"a": 1}}',
    "holders of all kinds": b'{"epoch": 3, "holders": [1, null, "x", [], {}]}',
    "epoch is text": b'{"epoch": "3", "holders": []}',
    "epoch is true": b'{"epoch": true, "holders": []}',
    "epoch is negative": b'{"epoch": -5, "holders": []}',
    "epoch is huge": b'{"epoch": ' + b"9" * 300 + b', "holders": []}',
    "epoch has 5,000 digits": b'{"epoch": ' + b"9" * 5_000 + b', "holders": []}',
    "20,000 deep": b'{"epoch": 3, "holders": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "pid is huge": json.dumps({"epoch": 3, "holders": [{**HOLDER, "pid": 10**300}]}).encode(),
    "pid is negative": json.dumps({"epoch": 3, "holders": [{**HOLDER, "pid": -1}]}).encode(),
    "pid is a path": json.dumps({"epoch": 3, "holders": [{**HOLDER, "pid": "../../etc"}]}).encode(),
    "times are NaN": b'{"epoch": 3, "holders": [{"started_at": NaN, "heartbeat_at": Infinity, "pid": NaN}]}',
    "times are 1e999": b'{"epoch": 3, "holders": [{"started_at": 1e999, "heartbeat_at": -1e999}]}',
    "times have 4,000 digits": b'{"epoch": 3, "holders": [{"started_at": ' + b"9" * 4_000 + b"}]}",
    "phases of all kinds": json.dumps(
        {"epoch": 3, "holders": [{**HOLDER, "phases": [1, None, {}]}]}
    ).encode(),
    "phases is text": json.dumps({"epoch": 3, "holders": [{**HOLDER, "phases": "design"}]}).encode(),
    "controls": json.dumps(
        {"epoch": 3, "holders": [{**HOLDER, "user": "\x1b[31m", "phases": ["\u202e\x07"]}]}
    ).encode(),
    "a lone surrogate": b'{"epoch": 3, "holders": [{"host": "\\ud800", "phases": ["\\ud800"]}]}',
    "100,000 holders": json.dumps({"epoch": 3, "holders": [{"pid": 1}] * 100_000}).encode()[:999_000],
    "2 MB": b'{"epoch": 3, "x": "' + b"x" * 2_000_000 + b'"}',
    "a living process that is not ours": json.dumps(
        {
            "epoch": 3,
            "holders": [{"pid": 1, "host": socket.gethostname(), "boot_id": runner_file.boot_id()}],
        }
    ).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_of_the_lease_harms_neither_viewers_nor_runners(folder: Path, name: str) -> None:
    (folder / "runner.json").write_bytes(HOSTILE[name])
    owner = read_owner(folder, NOW)
    if owner is not None:
        assert owner.alive is not True
        told = owner.words() + owner.user + "".join(owner.phases)
        assert told.isprintable() and len(told) < 100_000
        assert told.encode()
    with hold_session(folder) as hold:
        assert 1 <= hold.epoch < 10
        assert lease(folder)["holders"][0]["id"] == hold.id
    (folder / "runner.json").write_bytes(HOSTILE[name])
    with hold_phase(folder, "design") as hold:
        hold.beat()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "nothing"])
def test_something_else_where_the_lease_should_be_is_nobody(folder: Path, kind: str) -> None:
    file = folder / "runner.json"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to("/etc/hostname")
    assert read_owner(folder, NOW) is None
    if kind == "folder":
        with pytest.raises(StoreError, match=r"runner\.json"):
            hold_session(folder)
        assert FileLock(folder / "locks" / "session").take()
    else:
        with hold_session(folder) as hold:
            assert not file.is_symlink()
            hold.check()


def test_viewers_take_no_lock_and_write_nothing(folder: Path) -> None:
    with hold_session(folder):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        for _ in range(50):
            assert read_owner(folder, NOW) is not None
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert read_owner(folder, NOW) is None


def test_a_full_disk_when_taking_hold_is_a_sentence_and_frees_the_locks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StoreError("Cannot write: No space left on device; the last commit is safe.")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "replace", full)
        with pytest.raises(StoreError, match="No space left"):
            hold_session(folder)
    with hold_session(folder) as hold:
        assert isinstance(hold, Hold)


def test_the_lease_is_not_imported_with_pydantic() -> None:
    code = (
        "import sys, maestro_tui.store.lease, maestro_tui.store.journal, maestro_tui.store.logs, "
        "maestro_tui.store.durable; print(sorted(m for m in sys.modules if m.startswith('pydantic')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_sessions_are_independent(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    session(store)
    store.create(context("s2"))
    with hold_session(tmp_path / "s1"), hold_session(tmp_path / "s2") as other:
        other.check()


@pytest.mark.parametrize("name", ["locks", "history", "logs", "questions", "workspace.git/objects/pack"])
def test_a_session_whose_folders_lead_elsewhere_is_not_written_and_not_run(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name).rename(tmp_path / "victim")
    (folder / name).symlink_to(tmp_path / "victim")
    before = sorted(os.listdir(tmp_path / "victim"))
    acts: tuple[Callable[[], object], ...] = (
        lambda: hold_session(folder),
        lambda: hold_phase(folder, "design"),
        lambda: take_over(folder),
        lambda: store.repair_views("s1"),
        lambda: answer_question(folder, 1, Answer("yes", "ann", 1.0)),
    )
    for act in acts:
        with pytest.raises(StoreError, match=rf"{name} is a symbolic link: a session is written only where"):
            act()
    assert sorted(os.listdir(tmp_path / "victim")) == before
