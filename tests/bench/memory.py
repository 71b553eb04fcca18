"""Measures the resident memory of the console with many sessions against the bare application.

python -m tests.bench.memory [--fleet DIR] [--count N] [--runs N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.bench import figures
from tests.bench.make_fleet import fleet
from tests.bench.terminal import Terminal, bare, console

AIM = 2.5


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    figures.head(f"memory, {asked.count:,} sessions, 120×40")
    bares, opened, fresh, used, empty = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder, fleet(asked.count, asked.fleet) as root:
        home = Path(folder)
        for number in range(asked.runs + 1):
            if number < 2:
                (root / "index.json").unlink(missing_ok=True)
            with Terminal(console(root), home) as terminal:
                terminal.wait_for(f"{asked.count:,} sessions", 600)
                terminal.settle(0.7, 5)
                (opened if number else fresh).append(terminal.memory())
                for key in "\x1b[B" * 20:
                    terminal.press(key)
                    terminal.settle(0.1, 1)
                used.append(terminal.memory())
                for _ in range(100):
                    if (root / "index.json").exists():
                        break
                    terminal.take(0.2)
            with Terminal(bare("100"), home) as terminal:
                terminal.wait_for("row-00020")
                terminal.settle(1.0, 5)
                bares.append(terminal.memory())
            with Terminal(console(home / "none"), home) as terminal:
                terminal.wait_for("quit")
                terminal.settle(1.0, 5)
                empty.append(terminal.memory())
    figures.line("bare app, DataTable of 100 rows", bares, unit="MB")
    figures.line("console, no session", empty, bares, unit="MB")
    figures.line(f"console, {asked.count:,} sessions, from the index", opened, bares, unit="MB")
    figures.line("the same after twenty sessions were looked at", used, bares, unit="MB")
    figures.line("console, all read without an index", fresh, bares, unit="MB")
    for name, samples in (("from the index", opened), ("without an index", fresh)):
        ratio = statistics.median(samples) / statistics.median(bares)
        figures.aim(f"memory {name} ≤ {AIM} × bare app: ×{ratio:.2f}", ratio <= AIM)
    figures.tail()


if __name__ == "__main__":
    main()
