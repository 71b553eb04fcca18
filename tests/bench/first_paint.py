"""Measures the start of the console: from process start to the first full picture, with and without an index.

python -m tests.bench.first_paint [--fleet DIR] [--count N] [--runs N] [--huge N]
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from tests.bench import figures
from tests.bench.make_fleet import fleet, make_new_sessions
from tests.bench.terminal import Terminal, bare, console

ALLOWANCE = 0.120
_ROW = re.compile(r"[sn]-\d{5,6}-")


def bare_paint(home: Path, rows: int) -> float:
    """Seconds to the bare application's full picture: rows and footer."""
    with Terminal(bare(str(rows)), home) as terminal:
        return terminal.wait_for(lambda text: "row-00020" in text and "Quit" in text) - terminal.began


def console_paint(home: Path, root: Path, count: int) -> tuple[float, float, float]:
    """Seconds to the frame (header, keys), to a screen full of rows, and until all sessions are read."""
    with Terminal(console(root), home) as terminal:
        framed = terminal.wait_for(lambda text: "maestro" in text and "quit" in text)
        rows = terminal.wait_for(_full, 600)
        # The header says 'N sessions' only; that reading has ended shows in nothing else than the total.
        ended = terminal.wait_for(f"{count:,} sessions", 600)
        return framed - terminal.began, rows - terminal.began, ended - terminal.began


def _full(text: str) -> bool:
    """True once the list's lines hold sessions down to the last line of the screen."""
    return len(set(_ROW.findall(text))) >= 30


def measure(root: Path, count: int, runs: int, home: Path) -> None:
    """Prints the figures of one fleet; the runs of each kind take turns."""
    index = root / "index.json"
    console_paint(home, root, count)
    kept = _wait_for_index(root, home, count)
    bares, framed, rowed, full, fresh_framed, fresh_rows, fresh_all = [], [], [], [], [], [], []
    for _ in range(runs):
        bares.append(bare_paint(home, 100))
        index.write_bytes(kept)
        frame, rows, every = console_paint(home, root, count)
        framed.append(frame)
        rowed.append(rows)
        full.append(every)
    for _ in range(max(2, runs // 4)):
        index.unlink(missing_ok=True)
        frame, rows, every = console_paint(home, root, count)
        fresh_framed.append(frame)
        fresh_rows.append(rows)
        fresh_all.append(every)
    index.write_bytes(kept)
    figures.line("bare app, DataTable of 100 rows", bares)
    figures.line("console, index: header, list, keys", framed, bares)
    figures.line("console, index: full picture, every line a session", rowed, bares)
    figures.line(f"console, index: all {count:,} sessions listed", full, bares)
    figures.line("console, no index: header, list, keys", fresh_framed, bares)
    figures.line("console, no index: a screen full of rows", fresh_rows, bares)
    figures.line(f"console, no index: all {count:,} sessions read", fresh_all, bares)
    base = statistics.median(bares)
    for name, samples in (("header, list and keys", framed), ("full picture", rowed)):
        over = statistics.median(samples) - base
        figures.aim(f"{name} ≤ bare + {1e3 * ALLOWANCE:.0f} ms: bare {1e3 * over:+.0f} ms", over <= ALLOWANCE)


def _wait_for_index(root: Path, home: Path, count: int) -> bytes:
    """The index as a console leaves it behind after it has read everything."""
    index = root / "index.json"
    if not index.exists():
        with Terminal(console(root), home) as terminal:
            terminal.wait_for(f"{count:,} sessions", 600)
            deadline = time.perf_counter() + 60
            while not index.exists() and time.perf_counter() < deadline:
                terminal.take(0.1)
    return index.read_bytes()


def huge(count: int, home: Path) -> None:
    """A very large fleet opens, and scrolls: its last session is shown."""
    folder = Path(tempfile.mkdtemp(prefix="maestro-bench-"))
    try:
        began = time.perf_counter()
        make_new_sessions(folder / "fleet", count)
        print(f"  {count:,} new sessions made in {time.perf_counter() - began:.0f} s")
        for name in ("no index", "index"):
            with Terminal(console(folder / "fleet"), home) as terminal:
                framed = terminal.wait_for("quit") - terminal.began
                rows = terminal.wait_for(_full, 900) - terminal.began
                every = terminal.wait_for(f"{count:,} sessions", 900) - terminal.began
                print(
                    f"  {count:,}, {name}: keys {framed:.2f} s, rows {rows:.2f} s, all {every:.2f} s",
                    flush=True,
                )
                terminal.settle(1.0, 60)
                pages = []
                for _ in range(40):
                    pressed = terminal.press("\x1b[6~")
                    pages.append(terminal.wait_for("▌") - pressed)
                    terminal.settle(0.05, 0.5)
                figures.line(f"{count:,}, {name}: page down to paint", pages)
                pressed = terminal.press("G")
                end = terminal.wait_for("▌") - pressed
                print(
                    f"  {count:,}, {name}: to the last session {1e3 * end:.0f} ms, memory {terminal.memory():.0f} MB"
                )
                deadline = time.perf_counter() + 120
                while not (folder / "fleet" / "index.json").exists() and time.perf_counter() < deadline:
                    terminal.take(0.2)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--huge", type=int, default=0, help="also a fleet of so many new sessions")
    asked = parser.parse_args()
    figures.head(f"first paint, {asked.count:,} sessions, 120×40")
    with tempfile.TemporaryDirectory() as home, fleet(asked.count, asked.fleet) as root:
        measure(root, asked.count, asked.runs, Path(home))
        if asked.huge:
            huge(asked.huge, Path(home))
    figures.tail()


if __name__ == "__main__":
    main()
