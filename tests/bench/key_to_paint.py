"""Measures from a key to the paint that answers it: cursor down and filter keystrokes, against a bare DataTable.

python -m tests.bench.key_to_paint [--fleet DIR] [--count N] [--keys N]
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
from pathlib import Path

from tests.bench import figures
from tests.bench.make_fleet import fleet
from tests.bench.terminal import Terminal, bare, console

DOWN = "\x1b[B"
BACK = "\x7f"
BATCH = 25
AIM = 0.050
RATIO = 1.5


def cursor_down(terminal: Terminal, mark: str, keys: int) -> list[float]:
    """Seconds from `down` to the paint of the row under the cursor."""
    out = []
    for _ in range(keys):
        pressed = terminal.press(DOWN)
        out.append(terminal.wait_for(mark, 10) - pressed)
        terminal.settle(0.03, 0.5)
    return out


def bare_down(terminal: Terminal, start: int, keys: int) -> list[float]:
    """The same in the bare table, whose cursor stands on row `start`."""
    out = []
    for number in range(start + 1, start + 1 + keys):
        pressed = terminal.press(DOWN)
        out.append(terminal.wait_for(f"row-{number:05d}", 10) - pressed)
        terminal.settle(0.03, 0.5)
    return out


def filtering(terminal: Terminal, total: str, words: list[str]) -> list[float]:
    """Seconds from a character of the filter, typed or taken away, to the paint of 'N of TOTAL'."""
    out = []
    shown = re.compile(rf"[\d,]+ of {re.escape(total)}")
    for word in words:
        for key in [*word, *(BACK for _ in word[1:])]:
            pressed = terminal.press(key)
            out.append(terminal.wait_for(lambda text: bool(shown.search(text)), 10) - pressed)
            terminal.settle(0.03, 0.5)
        terminal.press(BACK)
        terminal.settle(0.2, 2)
    return out


def main() -> None:
    """Prints the figures; the programs take turns, so that both have the same load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=300)
    asked = parser.parse_args()
    figures.head(f"key to paint, {asked.count:,} sessions, 120×40")
    chance = random.Random(3)
    down, bare_downs, typed, bare_typed = [], [], [], []
    with (
        tempfile.TemporaryDirectory() as home,
        fleet(asked.count, asked.fleet) as root,
        Terminal(console(root), Path(home)) as ours,
        Terminal(bare("100"), Path(home)) as table,
        Terminal(bare("100", "filter"), Path(home)) as narrowed,
    ):
        ours.wait_for(f"{asked.count:,} sessions", 600)
        for terminal in (ours, table, narrowed):
            terminal.settle(1.0, 20)
        while len(down) < asked.keys:
            ours.press("g")
            ours.settle(0.2, 2)
            down += cursor_down(ours, "▌", BATCH)
            table.press("\x1b[1;5H")
            table.settle(0.2, 2)
            for _ in range(3):
                table.press("\x1b[5~")
                table.settle(0.1, 1)
            bare_downs += bare_down(table, 0, BATCH)
        ours.press("/")
        ours.settle(0.3, 3)
        while len(typed) < asked.keys:
            first = chance.sample("123456789", 3)
            typed += filtering(ours, f"{asked.count:,}", ["".join(first)])
            bare_typed += filtering(narrowed, "100", ["".join(first)])
    figures.line("bare DataTable of 100 rows: down", bare_downs)
    figures.line("console: down", down, bare_downs)
    figures.line("bare table of 100 rows with a filter: keystroke", bare_typed)
    figures.line("console: filter keystroke", typed, bare_typed)
    figures.line("console: filter keystroke, to bare down", typed, bare_downs)
    for name, samples, base in (("down", down, bare_downs), ("filter keystroke", typed, bare_typed)):
        worst = figures.p99(samples)
        figures.aim(f"{name}: p99 ≤ {1e3 * AIM:.0f} ms: {1e3 * worst:.1f} ms", worst <= AIM)
        ratio = worst / figures.p99(base)
        middle = statistics.median(samples) / statistics.median(base)
        figures.aim(f"{name}: p99 ≤ {RATIO} × baseline: ×{ratio:.2f} (medians ×{middle:.2f})", ratio <= RATIO)
    figures.tail()


if __name__ == "__main__":
    main()
