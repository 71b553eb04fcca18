"""Measures the console while fifty sessions write a hundred events a second each: waiting keys, processor time.

python -m tests.bench.many_writers [--fleet DIR] [--count N] [--seconds S]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from tests.bench import figures
from tests.bench.make_fleet import fleet
from tests.bench.terminal import Terminal, console

WRITERS, RATE = 50, 100
LONGEST_WAIT = 0.100
SHARE = 0.40
PERIOD = 0.02


def write(root: Path, seconds: float) -> None:
    """Hold the running sessions and write their events for so long; a process of its own."""
    store = CheckpointStore(root)
    names = [name for name in store.session_ids() if name.endswith("-running")][:WRITERS]
    holds = [hold_session(store.session_dir(name)) for name in names]
    journals = [Journal(store.session_dir(name) / "journal.jsonl", name) for name in names]
    phases = [store.head(name).workflow.order[0] for name in names]
    for journal, phase in zip(journals, phases, strict=True):
        journal.append("phase_started", phase=phase, attempt=9, data={})
    print("ready", flush=True)
    began, done = time.monotonic(), 0
    while (now := time.monotonic()) - began < seconds:
        # Each session writes its share of the period; what was missed is made up for.
        due = int((now - began) * RATE)
        for number in range(done, due):
            for journal, phase in zip(journals, phases, strict=True):
                journal.append("progress", phase=phase, attempt=9, persona="analyst", data={"step": number})
        done = due
        time.sleep(PERIOD)
    print(done * len(names) / seconds, flush=True)
    for journal, hold in zip(journals, holds, strict=True):
        journal.close()
        hold.release()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--write", type=Path, help="be the process that writes")
    asked = parser.parse_args()
    if asked.write is not None:
        write(asked.write, asked.seconds)
        return
    figures.head(f"{WRITERS} sessions of {asked.count:,} write {RATE} events a second each")
    with (
        tempfile.TemporaryDirectory() as home,
        fleet(asked.count, asked.fleet) as root,
        # The writing sessions are on the screen, and one of them is in the inspector.
        Terminal(console(root, "-f", "running"), Path(home)) as terminal,
    ):
        terminal.wait_for(f"{asked.count:,} sessions", 600)
        terminal.settle(0.6, 8)
        quiet = presses(terminal, 5.0)
        idle = share(terminal, 5.0)
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.many_writers", "--write", str(root), "--seconds", str(asked.seconds)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout is not None
        writer.stdout.readline()
        read_until(terminal, 3.0)
        watching = share(terminal, asked.seconds / 3)
        terminal.press("g")
        waits = presses(terminal, asked.seconds / 3)
        rate = float(writer.stdout.read())
        writer.wait()
    figures.line("key wait, nobody writes", quiet)
    figures.line(f"key wait, {rate:,.0f} events/s are written", waits, quiet)
    print(
        f"  processor time of the console: idle {100 * idle:.1f} %, while they write {100 * watching:.0f} % of a core"
    )
    figures.aim(
        f"no key waits over {1e3 * LONGEST_WAIT:.0f} ms: worst {1e3 * max(waits):.0f} ms",
        max(waits) <= LONGEST_WAIT,
    )
    figures.aim(f"under {100 * SHARE:.0f} % of a core: {100 * watching:.0f} %", watching < SHARE)
    figures.tail()


def presses(terminal: Terminal, seconds: float) -> list[float]:
    """How long each of many `down` and `up` takes to the paint of the cursor."""
    out, until, key = [], time.perf_counter() + seconds, "\x1b[B"
    while time.perf_counter() < until:
        # Up and down by turns: the cursor's line is another one after each key.
        pressed = terminal.press(key)
        out.append(terminal.wait_for("▌", 10) - pressed)
        key = "\x1b[A" if key == "\x1b[B" else "\x1b[B"
        read_until(terminal, 0.15)
    return out


def read_until(terminal: Terminal, seconds: float) -> None:
    """Take what comes for so long."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        terminal.take(left)
    terminal.forget()


def share(terminal: Terminal, seconds: float) -> float:
    """The share of one core that the program uses, over so many seconds."""
    used, began = terminal.cpu(), time.perf_counter()
    read_until(terminal, seconds)
    return (terminal.cpu() - used) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
