"""Notifications: what is told and when (by an injected clock), and that only we steer the terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events

from maestro_tui.console.alerts import (
    Alert,
    Alerter,
    Change,
    Watch,
    alert_text,
    changes,
    run_command,
    terminal_sequence,
)
from maestro_tui.console.app import MaestroApp
from maestro_tui.console.settings import Notify, Settings, load_settings
from maestro_tui.model.summary import FleetSnapshot, SessionSummary
from maestro_tui.model.text import clean
from tests.console.fakes import NOW, FakeClock, console, fleet, post, session
from tests.console.hostile import HOSTILE, NEVER_RAW

pytestmark = pytest.mark.usefixtures("plain_pane")


def seen(*snapshots: FleetSnapshot, focused: bool = False) -> Watch:
    watch = Watch()
    for snapshot in snapshots:
        watch = watch.seen(snapshot, focused)
    return watch


def pending(watch: Watch) -> list[tuple[str, str]]:
    return [(change.session_id, change.status) for change in watch.pending]


RUNNING = fleet(session("a", "running"), session("b", "running"), session("c", "running"))


def after(**statuses: str) -> FleetSnapshot:
    sessions = dict(RUNNING.sessions)
    for name, status in statuses.items():
        sessions[name] = session(name, status, seq=3)
    return fleet(*sessions.values())


@pytest.mark.parametrize("status", ["waiting", "failed", "completed"])
def test_it_is_told_when_a_session_comes_to_wait_fails_or_completes(status: str) -> None:
    watch, alert = seen(RUNNING, after(a=status)).due(NOW, focused=False)
    assert alert is not None
    assert alert.text.startswith("a ")
    assert [(one.session_id, one.status) for one in alert.changes] == [("a", status)]
    assert watch.due(NOW + 100, focused=False)[1] is None, "once"


@pytest.mark.parametrize("status", ["running", "interrupted", "paused", "cancelled", "new"])
def test_nothing_else_is_told(status: str) -> None:
    assert pending(seen(RUNNING, after(a=status))) == []


def test_what_was_there_at_the_start_is_no_news() -> None:
    first = after(a="failed", b="waiting")
    assert pending(seen(replace(first, loading=True), first, first)) == []
    assert pending(seen(replace(RUNNING, loading=True), first)) == []


def test_a_session_that_was_never_seen_is_told_when_it_has_failed() -> None:
    new = session("quick", "failed")
    assert pending(seen(RUNNING, fleet(*RUNNING.sessions.values(), new))) == [("quick", "failed")]
    history = replace(session("old", "failed"), foreign="Hive")
    assert pending(seen(RUNNING, fleet(*RUNNING.sessions.values(), history))) == []


def test_failing_again_is_news_and_staying_failed_is_not() -> None:
    failed = session("a", "failed", seq=3)
    current = failed.phases[2]
    other = replace(failed, updated_at=NOW, last_event="edits applied")
    assert changes({"a": failed}, {"a": other}) == ()
    again = replace(
        failed, seq=4, phases=(*failed.phases[:2], replace(current, attempt=2), *failed.phases[3:])
    )
    assert [change.status for change in changes({"a": failed}, {"a": again})] == ["failed"]


def test_what_changed_under_the_operators_eyes_is_not_told() -> None:
    assert pending(seen(RUNNING, after(a="failed"), focused=True)) == []
    watch = seen(RUNNING, after(a="failed"))
    watch, alert = watch.due(NOW, focused=True)
    assert alert is None and watch.pending == (), "coming back takes away what was pending"


def test_never_more_than_one_a_second_and_nothing_is_lost() -> None:
    watch, first = seen(RUNNING, after(a="failed")).due(NOW, focused=False)
    assert first is not None
    watch = watch.seen(after(a="failed", b="waiting"), False).seen(
        after(a="failed", b="waiting", c="completed"), False
    )
    told = []
    for step in range(1, 40):
        watch, alert = watch.due(NOW + step / 10, focused=False)
        if alert is not None:
            told.append((step, alert.text))
    assert told == [(10, "b waits for you, c completed")]


def test_what_is_no_longer_so_is_not_told_late() -> None:
    watch, _ = seen(RUNNING, after(a="failed")).due(NOW, focused=False)
    watch = watch.seen(after(a="failed", b="waiting"), False)
    watch = watch.seen(after(a="failed", b="running"), False)
    assert watch.due(NOW + 5, focused=False)[1] is None


def test_a_clock_that_goes_back_does_not_silence_us() -> None:
    watch, _ = seen(RUNNING, after(a="failed")).due(NOW, focused=False)
    watch = watch.seen(after(a="failed", b="waiting"), False)
    assert watch.due(NOW - 3_600, focused=False)[1] is not None


def test_unchanged_sessions_cost_a_look_at_their_identity_only() -> None:
    class Untouchable(dict[str, SessionSummary]):
        pass

    same = {f"s{n}": session(f"s{n}", "completed") for n in range(100)}
    assert changes(same, Untouchable(same)) == ()


def test_several_are_told_in_one_line_the_waiting_first() -> None:
    found = [Change(f"20261123-140300-job{n}-aa01", "completed") for n in range(5)]
    text = alert_text([*found, Change("x", "failed", "design"), Change("y", "waiting")])
    assert text == "y waits for you, x failed, job0-aa01 completed, job1-aa01 completed and 3 more"
    assert alert_text([Change("x", "failed", "design", "exit code 7")]) == "x failed at design: exit code 7"


@pytest.mark.parametrize("words", [HOSTILE, "x" * 10_000_000, "\x1b]0;title\x07", "4;1;50"])
def test_names_cannot_steer_the_terminal(words: str) -> None:
    text = alert_text([Change(words, "failed", words, words)])
    assert not NEVER_RAW & set(text)
    assert len(text) < 400
    sequence = terminal_sequence(words)
    assert sequence.startswith("\x1b]9;maestro: ") and sequence.endswith("\x07")
    assert not NEVER_RAW & set(sequence[3:-1])
    assert len(sequence) < 300


# ── In the app ────────────────────────────────────────────────────────────────────────────────────────────


class Heard:
    """A console whose bell, terminal and command are recorded."""

    def __init__(self, notify: Notify, clock: FakeClock) -> None:
        self.said: list[str] = []
        self.commands: list[tuple[tuple[str, ...], str]] = []
        self.answer: str | None = None
        self.app: MaestroApp = console(RUNNING, clock=clock, settings=Settings(notify=notify))
        self.app.bell = lambda: self.said.append("bell")  # type: ignore[method-assign]
        self.app.write_terminal = self.said.append  # type: ignore[method-assign]

        async def run(argv: Any, alert: Alert) -> str | None:
            self.commands.append((tuple(argv), alert.text))
            return self.answer

        self.app.alerter = Alerter(notify, run)


async def test_an_unfocused_terminal_is_rung_written_to_and_the_command_is_run() -> None:
    heard = Heard(Notify(command=("notify-send", "maestro")), FakeClock())
    app = heard.app
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await post(app, pilot, after(a="waiting"))
        assert heard.said == [], "focused"
        app.post_message(events.AppBlur())
        await pilot.pause()
        await post(app, pilot, after(a="waiting", b="failed"))
        await app.workers.wait_for_complete()
        assert heard.said == ["bell", "\x1b]9;maestro: b failed at implementation\x07"]
        assert heard.commands == [(("notify-send", "maestro"), "b failed at implementation")]
        app.post_message(events.AppFocus())
        await pilot.pause()
        await post(app, pilot, after(a="waiting", b="failed", c="failed"))
        assert len(heard.said) == 2


async def test_each_way_of_telling_can_be_turned_off() -> None:
    heard = Heard(Notify(bell=False, terminal=False), FakeClock())
    async with heard.app.run_test() as pilot:
        await pilot.pause()
        heard.app.post_message(events.AppBlur())
        await post(heard.app, pilot, after(a="failed"))
        assert heard.said == [] and heard.commands == []
        assert heard.app.alerter.watch.said_at == NOW


async def test_a_second_alert_waits_for_its_second() -> None:
    clock = FakeClock()
    heard = Heard(Notify(terminal=False), clock)
    async with heard.app.run_test() as pilot:
        await pilot.pause()
        heard.app.post_message(events.AppBlur())
        await post(heard.app, pilot, after(a="failed"))
        await post(heard.app, pilot, after(a="failed", b="failed"))
        assert heard.said == ["bell"]
        clock.now += 1
        heard.app.alerter.tick(heard.app)
        assert heard.said == ["bell", "bell"]


async def test_a_command_that_fails_is_told_once() -> None:
    clock = FakeClock()
    heard = Heard(Notify(bell=False, terminal=False, command=("no-such",)), clock)
    heard.answer = "The command for notifications, no-such, cannot be started."
    told: list[str] = []
    heard.app.say = lambda sentence, **_: told.append(sentence)  # type: ignore[method-assign]
    async with heard.app.run_test() as pilot:
        await pilot.pause()
        heard.app.post_message(events.AppBlur())
        for names in ({"a": "failed"}, {"a": "failed", "b": "failed"}):
            clock.now += 10
            await post(heard.app, pilot, after(**names))
            await heard.app.workers.wait_for_complete()
        assert len(heard.commands) == 2
        assert told == [heard.answer]


# ── The command ───────────────────────────────────────────────────────────────────────────────────────────

ALERT = Alert("x failed; $(touch pwned) `id`", (Change("x", "failed"),))


async def test_the_command_gets_the_text_as_one_word_and_no_shell_reads_it(tmp_path: Path) -> None:
    script = "import json,os,sys; json.dump([sys.argv[2:], os.environ['MAESTRO_ALERT_STATUS'], os.environ['MAESTRO_ALERT_SESSION']], open(sys.argv[1], 'w'))"
    assert await run_command([sys.executable, "-c", script, str(tmp_path / "out")], ALERT) is None
    assert (tmp_path / "out").read_text() == '[["x failed; $(touch pwned) `id`"], "failed", "x"]'


async def test_a_command_that_cannot_start_or_fails_is_told_in_a_sentence() -> None:
    missing = await run_command(["/no/such/program"], ALERT)
    assert missing is not None and "cannot be started: No such file" in missing
    failed = await run_command([sys.executable, "-c", "raise SystemExit(3)"], ALERT)
    assert failed is not None and "ended with code 3" in failed


async def test_a_command_that_hangs_is_ended_and_told() -> None:
    problem = await run_command([sys.executable, "-c", "import time; time.sleep(600)"], ALERT, seconds=0.1)
    assert problem is not None and "took more than 0.1 s" in problem


async def test_the_children_of_a_command_end_with_it(tmp_path: Path) -> None:
    script = (
        "import os,subprocess,sys,time; p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']);"
        "open(sys.argv[1]+'.new','w').write(f'{os.getpid()} {p.pid}'); os.rename(sys.argv[1]+'.new', sys.argv[1]);"
        "time.sleep(600)"
    )
    out = tmp_path / "pids"
    running = asyncio.create_task(run_command([sys.executable, "-c", script, str(out)], ALERT, seconds=600))
    await until(out.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not any(map(alive, map(int, out.read_text().split()))))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)  # polling other processes


# ── The settings ──────────────────────────────────────────────────────────────────────────────────────────


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_settings(path, ("dark",), {"resume": "r"})


def test_the_settings_say_how_to_tell(tmp_path: Path) -> None:
    found = read(tmp_path, '[notify]\nbell = false\ncommand = ["notify-send", "maestro"]\n')
    assert found.problems == ()
    assert found.notify == Notify(bell=False, command=("notify-send", "maestro"))
    assert read(tmp_path, "").notify == Notify()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("notify = 3", "notify must be a table"),
        ("[notify]\nbel = true", 'there is no setting of notify "bel"; did you mean bell?'),
        ('[notify]\nbell = "yes"', "notify.bell must be true or false"),
        ('[notify]\ncommand = "notify-send"', "notify.command must be a list of words"),
        ("[notify]\ncommand = [1]", "notify.command must be a list of words"),
        ('[notify]\ncommand = [""]', "notify.command must be a list of words"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    found = read(tmp_path, text)
    assert len(found.problems) == 1 and words in found.problems[0]
    assert found.notify == Notify()


def test_texts_are_one_line() -> None:
    assert "\n" not in alert_text([Change(clean("a\nb"), "failed", reason="x\ny")])
