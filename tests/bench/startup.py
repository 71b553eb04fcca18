"""Measures `maestro-tui list` against the console's first paint and against bare Python.

python -m tests.bench.startup [--fleet DIR] [--count N] [--runs N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import figures
from tests.bench.make_fleet import fleet, make_fleet
from tests.bench.terminal import Terminal, as_installed, console

AIM = 0.5


def spent(*words: str) -> float:
    """Seconds that a process takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=as_installed())
    return time.perf_counter() - began


def main() -> None:
    """Prints the figures; the programs take turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=15)
    asked = parser.parse_args()
    figures.head(f"start of the command line, 10 and {asked.count:,} sessions")
    python, version, few, many, paints = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder, fleet(asked.count, asked.fleet) as root:
        home = Path(folder)
        small = home / "small"
        make_fleet(small, 10)
        for number in range(asked.runs + 1):
            took = (
                spent("-c", "pass"),
                spent("-m", "maestro_tui", "--version"),
                spent("-m", "maestro_tui", "--checkpoint-dir", str(small), "list"),
                spent("-m", "maestro_tui", "--checkpoint-dir", str(root), "list"),
            )
            with Terminal(console(small), home) as terminal:
                paint = terminal.wait_for(lambda text: "s-00008-" in text and "quit" in text) - terminal.began
            if number:  # the first round fills caches
                for samples, value in zip((python, version, few, many, paints), (*took, paint), strict=True):
                    samples.append(value)
    figures.line("python -c pass", python)
    figures.line("maestro-tui --version", version, python)
    figures.line("maestro-tui list, 10 sessions", few, python)
    figures.line(f"maestro-tui list, {asked.count:,} sessions", many, python)
    figures.line("console's first paint, 10 sessions", paints, python)
    for name, samples in (("10 sessions", few), (f"{asked.count:,} sessions", many)):
        ratio = statistics.median(samples) / statistics.median(paints)
        figures.aim(f"list of {name} under half of the first paint: ×{ratio:.2f}", ratio < AIM)
    figures.tail()


if __name__ == "__main__":
    main()
